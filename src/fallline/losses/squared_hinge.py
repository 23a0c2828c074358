"""Squared hinge loss: the smooth support vector machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fallline.losses._base import Array, Loss, Task, first_bad
from fallline.losses._start import average, newton_start


@dataclass(frozen=True)
class SquaredHinge(Loss):
    """phi(y, z) = max(0, 1 - s z)^2 / 2,  s = 2 y - 1 = -1 or +1.

    Rows on the right side by a margin of one cost nothing. There are no probabilities: ``predict`` gives the class by
    the sign of z, and ``mean`` is that sign as 0 or 1. Where probabilities are wanted use ``logistic``.

    >>> SquaredHinge().value(np.array([1.0, 1.0, 0.0]), np.array([2.0, 0.5, 1.0]))
    array([0.   , 0.125, 2.   ])
    """

    name: ClassVar[str] = "squared hinge"
    summary: ClassVar[str] = "one of two classes by a margin (support vector machine), no probabilities"
    task: ClassVar[Task] = "two classes"
    targets: ClassVar[str] = "labels of any two values"

    def value(self, y: Array, z: Array) -> Array:
        short = np.maximum(0.0, 1.0 - (2.0 * y - 1.0) * z)
        return short * short / 2.0

    def slope(self, y: Array, z: Array) -> Array:
        s = 2.0 * y - 1.0
        return -s * np.maximum(0.0, 1.0 - s * z)

    def curvature(self, y: Array, z: Array) -> Array:
        return ((2.0 * y - 1.0) * z < 1.0).astype(z.dtype)

    def curvature_floor(self, y: Array, z: Array, radius: Array) -> Array:
        return ((2.0 * y - 1.0) * z + radius < 1.0).astype(z.dtype)

    @property
    def curvature_bound(self) -> float | None:
        return 1.0

    def conjugate(self, y: Array, u: Array) -> Array:
        a = -(2.0 * y - 1.0) * u
        found: Array = np.where(a >= 0.0, a * a / 2.0 - a, np.inf)
        return found

    def mean(self, z: Array) -> Array:
        return (z > 0.0).astype(z.dtype)

    def start(self, y: Array, weight: Array, offset: Array | None) -> float:
        guess = average(2.0 * y - 1.0, weight)
        if offset is None:
            return guess
        return newton_start(self, y, weight, offset, guess - average(offset, weight))

    def check_targets(self, y: Array) -> str | None:
        bad = (y != 0.0) & (y != 1.0)
        if not bad.any():
            return None
        return f"Squared hinge loss needs labels of two values, coded 0 and 1, not shares: {first_bad(y, bad)}."
