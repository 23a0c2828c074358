"""The certificate: end when a proved bound on J(theta) - J* is within the tolerance."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple, Protocol

import numpy as np

from fallline.stops._base import Array, Ending, Left, Point, Stop

NEAR = 4.0  # times the estimate itself: what a proof may find where the next step gains little more
DEAR, PATIENT = 1.0, 1e-6  # passes that a proof costs above which it waits for so small a bound, whatever the tolerance


class Certify(Protocol):
    """(theta, gradient over all rows) -> a bound on J - J*, or None; one above `enough` need not be looked for."""

    def __call__(self, theta: Array, g: Array, enough: float = np.inf) -> float | None: ...


class Certificate(Stop):
    """End when  J - J* <= tol * J*  is proved, or that J - J* is no more than `floor`, a loss that is none.

    Proving costs something, so it is tried when it may succeed: when `hope` says so, which knows the bound to be
    expected from what the point has measured anyway; without one, when the slope (the smallest subgradient) has fallen
    tenfold since the last try, or from `steep` at the start, and at least `spacing` passes have gone by.

    On the way (``left``) the best bound so far is told, or |slope|^2 / (2 `ridge`), where J curves so much in all
    directions. Not where J is not what was `asked` for: a smooth loss on the way there, or one that lacks columns.
    """

    name: ClassVar[str] = "certificate"
    summary: ClassVar[str] = "provably within the tolerance of the best loss"

    FALL = 0.1  # try again when the gradient has fallen to this share
    SLOW = (
        0.3  # of the bound to be expected is left after another pass, as where the weights of some rows grow for ever
    )

    def __init__(
        self, tol: float, certify: Certify, spacing: float = 0.0, hope: Hope | None = None, floor: float = 0.0,
        steep: float = np.inf, ridge: float = 0.0, asked: bool = True,
    ) -> None:  # fmt: skip
        self.tol, self.certify, self.spacing, self.hope, self.floor = tol, certify, spacing, hope, floor
        self._norm, self._pass, self._least, self._tried = steep, -np.inf, np.inf, np.inf
        self._lowest = -np.inf  # what J* is proved to be at least
        self.ridge, self.asked = ridge, asked

    def good(self, gap: float, J: float) -> bool:
        """Whether the bound `gap` at loss J is within the tolerance."""
        return self._within(self.tol, gap, J)

    def _within(self, tol: float, gap: float, J: float) -> bool:
        return gap <= tol * max(J - gap, 0.0) or gap <= self.floor

    def update(self, point: Point) -> Ending | None:
        if not point.full or not np.isfinite(point.J):
            return None
        if 0.0 <= point.J <= self.floor:  # no loss is below zero
            return Ending("certificate", point.J)
        if not self._worth_a_try(point):
            return None
        self._norm, self._pass = point.norm, point.passes
        gap = self.certify(point.theta, point.g, max(self.tol * point.J, self.floor))
        if gap is not None:
            self._lowest = max(self._lowest, point.J - gap)
        return Ending("certificate", gap) if gap is not None and self.good(gap, point.J) else None

    def left(self, J: float, norm: float, decrement: float) -> Left:
        if not self.asked:
            return Left()
        by_slope = norm * norm / (2.0 * self.ridge) if self.ridge else np.inf
        proved = min(J - self._lowest, by_slope)
        proved = proved if np.isfinite(proved) else np.nan
        if self.hope is None or (self.hope.lowest is not None and not self.ridge):
            return Left(
                proved
            )  # a rule that knows J* lends the intercept, where there is one, a ridge: it is not this J*
        about = self.hope.estimate(J, norm, decrement)
        return Left(proved, about if 0.0 < about < np.inf else np.nan)

    def _worth_a_try(self, point: Point) -> bool:
        expected = self.hope.bound(point) if self.hope is not None else np.nan
        if self.hope is not None and np.isfinite(expected):
            before, self._least = self._least, expected
            estimate, ended = expected / self.hope.caution, expected > before / 2.0  # there is no more to gain
            slow = expected > self.SLOW * before  # not worth waiting for all that caution asks for
            # A proof that fails costs more than the passes after which it will not.
            patient = min(self.tol, PATIENT) if self.spacing > DEAR else self.tol
            if not (
                self._within(patient, expected, point.J)
                or (slow and self.good(NEAR * estimate, point.J))
                or (ended and self.good(estimate, point.J))
            ):
                return False
            worth = expected <= self.FALL * self._tried or (ended and point.passes >= self._pass + self.spacing)
            self._tried = min(self._tried, expected) if worth else self._tried
            return worth
        return point.norm <= self.FALL * self._norm and point.passes >= self._pass + self.spacing


class Hope(NamedTuple):
    """What bound to expect of a proof at a point, before paying for it: `caution` times the estimate at hand.

    The estimate is the preconditioner's decrement; or |slope|^2 / (2 `ridge`) where `ridge` is given; or J - `lowest`()
    where a rule knows about how low J can be. Steps that double the digits each time are worth waiting for: they ask for a
    caution of millions.
    """

    caution: float
    ridge: float = 0.0
    lowest: Callable[[], float] | None = None

    def bound(self, point: Point) -> float:
        """The bound to be expected; NaN where nothing is known."""
        return self.caution * self.estimate(point.J, point.norm, point.decrement)

    def estimate(self, J: float, norm: float, decrement: float) -> float:
        """J - J*, about; NaN where nothing is known."""
        if self.lowest is not None:
            return max(J - self.lowest(), 0.0)
        return norm * norm / (2.0 * self.ridge) if self.ridge else decrement
