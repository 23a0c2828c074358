"""Huber loss: least squares that outliers cannot pull."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from fallline.errors import SettingError
from fallline.losses._base import Array, Loss
from fallline.losses._start import newton_start, weighted_quantile

WIDE = 10.0  # deltas that y may spread over: beyond, most rows are outliers to any first guess


@dataclass(frozen=True)
class Huber(Loss):
    """phi(y, z) = r^2 / 2 where |r| <= delta, else delta (|r| - delta / 2),  r = z - y.

    `delta` is in the units of y: residuals beyond it count as outliers. 1.345 standard deviations of the noise keep 95
    % of the efficiency of least squares (Huber 1964).

    >>> Huber(delta=1.0).value(np.zeros(2), np.array([0.5, 10.0]))
    array([0.125, 9.5  ])
    """

    delta: float = 1.0
    name: ClassVar[str] = "huber"
    summary: ClassVar[str] = "least squares near the line, absolute error for outliers"
    targets: ClassVar[str] = "any number"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.delta) and self.delta > 0.0):
            raise SettingError(f"Huber(delta=...): got {self.delta!r}; it must be above 0, in the units of y.")

    def value(self, y: Array, z: Array) -> Array:
        r = np.abs(z - y)
        near = np.minimum(r, self.delta)
        return near * (r - near / 2.0)

    def slope(self, y: Array, z: Array) -> Array:
        return np.clip(z - y, -self.delta, self.delta)

    def curvature(self, y: Array, z: Array) -> Array:
        return (np.abs(z - y) <= self.delta).astype(z.dtype)

    def curvature_floor(self, y: Array, z: Array, radius: Array) -> Array:
        return (np.abs(z - y) + radius <= self.delta).astype(z.dtype)

    @property
    def curvature_bound(self) -> float | None:
        return 1.0

    def majorant(self, y: Array, z: Array) -> Array:
        """delta / |r| of outliers: iteratively reweighted least squares (Holland and Welsch 1977)."""
        found: Array = self.delta / np.maximum(np.abs(z - y), self.delta)
        return found

    def ladder(self, unit: float) -> tuple[Loss, ...]:
        """Where nearly all residuals at the start would be outliers, first with a larger delta, down to this one.

        There the loss has no curvature to find its way by: house prices with a delta of 1 took a thousand passes.
        """
        rungs = math.ceil(math.log10(unit / self.delta)) if unit > WIDE * self.delta else 0
        return (*(replace(self, delta=self.delta * 10.0**k) for k in range(rungs, 0, -1)), self)

    def conjugate(self, y: Array, u: Array) -> Array:
        found: Array = np.where(np.abs(u) <= self.delta, u * u / 2.0 + u * y, np.inf)
        return found

    def mean(self, z: Array) -> Array:
        return z

    def start(self, y: Array, weight: Array, offset: Array | None) -> float:
        shifted = y if offset is None else y - offset
        # The optimum is within delta of a weighted median: the slope is delta times the mean of the median's slope over
        # [b - delta, b + delta].
        return newton_start(self, shifted, weight, None, weighted_quantile(shifted, weight, 0.5), self.delta)
