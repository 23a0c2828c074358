"""Whether a point is stationary to within rounding, what a Newton step promises there, and whether f has a lowest value."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.limits import Halt, Limits, Watched
from fallline.objective import FunctionObjective
from fallline.saddle import NOISE, Bend, bend

Array = NDArray[np.floating]

DOWNHILL = -1e-4  # of the largest curvature: with less along some direction it is a saddle (D07)
X_ROUNDING = 4.5e-16  # relative: shorter steps are lost in rounding
X_NOTHING = 1e-20  # of the size of an unknown: it is zero
LEAST_SIZE = 1e-10  # of the largest unknown: a smaller one says nothing of its own scale
MOST_ROUNDING = 1e3  # times the rounding error of f: what a sum of many terms may lose
FURTHER = tuple(10.0 ** (2**k) for k in range(8))  # 10 ... 1e128: multiples of the way so far
FELT = (1.0, 0.5, 0.1)  # of the size of the unknowns: how far a plateau is felt for


class Outlook(NamedTuple):
    """What the end of a run knows of its best point."""

    found: Bend | None = None  # second derivatives there; None where they are not known
    floor: float = 0.0  # decreases below are rounding of f
    reached: bool = False  # stationary to within rounding
    endless: bool = False  # f falls on and on along the way from the start
    plateau: bool = False  # to one side f stays the same for good: its infimum may lie at infinity
    lower: bool = False  # a lower point was met after the run had ended
    pushes: int = 0  # how often the run was pushed off a saddle

    @property
    def share(self) -> float:
        """The lowest curvature as a share of the largest; NaN where it is not known."""
        return math.nan if self.found is None else self.found.share


class Stationarity:
    """The looks at one function: at most one for each point."""

    def __init__(
        self, objective: FunctionObjective, function: Watched, limits: Limits, x0: Array, tol: float, seed: int
    ) -> None:
        self.objective, self.function, self.limits = objective, function, limits
        self.x0, self.tol, self.seed = x0, tol, seed
        self._last: tuple[Array, Bend | None] | None = None

    def look(self, theta: Array, g: Array) -> Bend | None:
        """Second derivatives at theta, where g is the gradient; behind |w| and bounds, along the unknowns that are free.

        Raises Halt.
        """
        if self._last is not None and np.array_equal(self._last[0], theta):
            return self._last[1]
        least = self.objective.least_slope(theta, g)
        free = np.ones(theta.shape, dtype=bool)
        if self.objective.penalty is not None and not self.objective.smooth:
            low, high = self.objective.penalty.slope_range(theta)
            free = (low == high) | (least != 0.0)
        found = None
        if free.any():
            with self.limits.within(), np.errstate(all="ignore"):
                found = self._bend(theta, least, free)
        else:
            found = Bend(1.0, 1.0, np.zeros_like(theta), step=np.zeros_like(theta), gain=0.0)
        self._last = (np.array(theta), found)
        return found

    def _bend(self, theta: Array, slope: Array, free: NDArray[np.bool_]) -> Bend | None:
        def gradient(part: Array) -> Array:
            x = np.array(theta)
            x[free] = part
            G: Array = self.objective.gradient(x)[free]
            return G

        found = bend(
            gradient,
            theta[free],
            self.seed,
            slope=slope[free],
            unit=self.unit(theta)[free],
            eps=self.function.slope_eps,
        )
        if found is None:
            return None

        def whole(part: Array) -> Array:
            x = np.zeros_like(theta)
            x[free] = part
            return x

        step = None if found.step is None else whole(found.step)
        return found._replace(direction=whole(found.direction), step=step)

    def unit(self, theta: Array) -> Array:
        """The size of each unknown: now, or at the start; of one that is zero, that of the largest, or 1."""
        size = np.maximum(np.abs(theta), np.abs(self.x0))
        largest = float(size.max())
        unit: Array = np.where(size > LEAST_SIZE * largest, size, largest if largest > 0.0 else 1.0)
        return unit

    def floor(self, J: float) -> float:
        """The decrease of f that rounding hides, or that `tol` asks not to look for."""
        return max(self.tol, self.function.eps) * abs(J)

    def reached(self, theta: Array, J: float, g: Array) -> bool:
        """Whether Newton's step promises no more than the floor, or moves no unknown by more than its rounding.

        Raises Halt.
        """
        found = self.look(theta, g)
        if found is None or found.flat:
            return found is not None
        if found.gain <= self.floor(J):
            return True
        limit = np.maximum(X_ROUNDING * np.abs(theta), X_NOTHING * self.unit(theta))
        return found.step is not None and bool(np.all(np.abs(found.step) <= limit))

    def found_done(self, theta: Array, J: float, g: Array) -> bool:
        """``reached``, within a run, which its own rules end when the time is up or Ctrl-C was pressed."""
        try:
            return self.reached(theta, J, g)
        except Halt:
            return False

    def downhill(self, found: Bend) -> bool:
        """Whether f bends down along some direction, beyond what its gradients' rounding can feign."""
        return bool(found.share < min(DOWNHILL, -10.0 * NOISE * self.function.slope_eps ** (2 / 3)))

    def endless(self, theta: Array, J: float) -> bool:
        """Whether f falls on and on along the way from the start, ever further. Raises Halt."""
        way = theta - self.x0
        if not way.any() or not self.objective.smooth:
            return False
        for times in FURTHER:
            with np.errstate(all="ignore"):
                x = self.x0 + times * way
            if not np.isfinite(x).all():
                return True
            further = self.value(x)
            if further == -math.inf:
                return True
            if not further < J - self.function.eps * abs(J):
                return False
            J = further
        return True

    def felt(self, theta: Array, J: float) -> tuple[Array | None, bool]:
        """Whether f is lower, or level to one side only, along what second derivatives say nothing of. Raises Halt.

        A lower point, or None; and whether f stays the same however far one goes along such a direction, or along what is left
        of the slope, while it rises behind.
        """
        found = None if self._last is None else self._last[1]
        if found is None or not self.objective.smooth:
            return None, False
        ways = list(found.weak)
        if found.step is not None and found.step.any():
            with np.errstate(all="ignore"):
                ways.insert(0, found.step / float(np.abs(found.step / self.unit(theta)).max()))
        small, plateau = self.function.eps * abs(J), False
        for way in ways:
            if not np.isfinite(way).all():
                continue
            level = [True, True]
            for share in FELT:
                for k, sign in enumerate((1.0, -1.0)):
                    x = theta + sign * share * way
                    value = self.value(x)
                    if value < J - small:
                        return x, plateau
                    level[k] = level[k] and bool(abs(value - J) <= small)
                if not any(level):
                    break
            plateau = plateau or level[0] != level[1]
        return None, plateau

    def value(self, x: Array) -> float:
        """f at x. Raises Halt."""
        with self.limits.within(), np.errstate(all="ignore"):
            return self.objective.value_and_grad(x)[0]
