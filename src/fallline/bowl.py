"""The shape of the loss around a run, small enough to be kept with the model: a quadratic in the unknowns.

    J(theta) = J_c + g_c . d + 1/2 d^T H d,     d = theta - c,     in the coordinates of training

For squared loss that is the loss itself, everywhere: descents at other learning rates can be run on it without a row of
data. For other losses it is the second-order expansion around the best weights, true near them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fallline.objective import ModelObjective
from fallline.rows._base import Rows

Array = NDArray[np.float64]

MOST_UNKNOWNS = 61  # 60 columns and an intercept: 30 kB in a model file
WORK = 5e6  # products that a matrix may take, two milliseconds: of more rows a sample stands for all
FLAT = 1e-12  # of the largest curvature: a direction with less has none
MOST_SIZE = (
    1e100  # of all its numbers, and of their inverses where they are curvatures: products of three are still float64
)


@dataclass(frozen=True)
class Bowl:
    """A quadratic model of J. Arrays are (p,) and (p, p), the intercept last where there is one."""

    names: tuple[str, ...]  # of the unknowns
    centre: Array
    loss: float  # J at the centre
    slope: Array  # gradient at the centre
    curvature: Array  # H
    start: Array  # where the run began
    exact: bool  # squared loss: this is J
    rows: int  # that it was made of
    whole: bool  # they are all rows

    def value(self, theta: Array) -> float:
        """J(theta)."""
        d = theta - self.centre
        return float(self.loss + self.slope @ d + 0.5 * d @ self.curvature @ d)

    def gradient(self, theta: Array) -> Array:
        """grad J(theta)."""
        g: Array = self.slope + self.curvature @ (theta - self.centre)
        return g

    @property
    def largest(self) -> float:
        """L, the largest curvature: plain descent is stable below 2/L."""
        return float(np.linalg.eigvalsh(self.curvature)[-1])

    @property
    def bottom(self) -> tuple[Array, float]:
        """The lowest point, nearest to the centre where there are several, and J there."""
        values, vectors = np.linalg.eigh(self.curvature)
        kept = values > FLAT * max(float(values[-1]), 0.0)
        d = -vectors[:, kept] @ ((vectors[:, kept].T @ self.slope) / values[kept])
        theta = self.centre + d
        return theta, self.value(theta)

    def descend(self, lr: float, steps: int) -> Array:
        """The losses of plain gradient descent from the start: J at steps 0, 1, ..., `steps`."""
        theta, losses = self.start, np.empty(steps + 1)
        with np.errstate(over="ignore", invalid="ignore"):
            for t in range(steps + 1):
                losses[t] = self.value(theta)
                theta = theta - lr * self.gradient(theta)
        return losses


def bowl_of(
    objective: ModelObjective, rows: Rows, start: NDArray[np.floating], best: NDArray[np.floating],
    names: tuple[str, ...], seed: int,
) -> Bowl | None:  # fmt: skip
    """The quadratic around a run; None where there are many unknowns, several classes, or weights that are not finite."""
    p = best.size
    if best.ndim != 1 or not 1 <= p <= MOST_UNKNOWNS or not np.isfinite(best).all() or not np.isfinite(start).all():
        return None
    count = max(int(WORK / p**2), 10 * p)
    some = rows if rows.m <= count else rows.sample(count, np.random.default_rng(seed))
    exact = objective.loss.name == "squared" and objective.smooth
    centre = start if exact else best
    J, g = objective.value_and_grad(centre, some)
    H = objective.hessian(centre, some)
    told = (*names, "intercept") if objective.scaling.intercept else names
    parts = (np.array(v, dtype=np.float64) for v in (centre, g, 0.5 * (H + H.T), start))
    at, slope, curvature, begin = parts
    bowl = Bowl(told, at, float(J), slope, curvature, begin, exact, some.m, some is rows)
    return bowl if usable(bowl) else None


def usable(bowl: Bowl) -> bool:
    """Whether it can be drawn and run on: of few unknowns, and far from the ends of float64."""
    numbers = np.concatenate(
        [np.ravel(part) for part in (bowl.centre, bowl.slope, bowl.start, bowl.curvature, bowl.loss)]
    )
    steepest = float(np.abs(bowl.curvature).max(initial=0.0))
    few = 1 <= len(bowl.names) <= MOST_UNKNOWNS
    return few and bool((np.abs(numbers) <= MOST_SIZE).all()) and (steepest == 0.0 or steepest >= 1.0 / MOST_SIZE)
