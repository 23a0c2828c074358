"""Gamma loss: positive amounts whose spread grows with their size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fallline.losses._base import Array, Loss, first_bad, quiet
from fallline.losses._start import log_sum


@dataclass(frozen=True)
class Gamma(Loss):
    """phi(y, z) = y / mu - 1 - log(y / mu),  mu = e^z: half the unit deviance, zero at mu = y.

    For claim amounts, durations and other positive numbers whose standard deviation is proportional to their mean.

    >>> Gamma().value(np.array([2.0]), np.log([2.0]))
    array([0.])
    """

    name: ClassVar[str] = "gamma"
    summary: ClassVar[str] = "positive amounts: the spread is proportional to the mean"
    targets: ClassVar[str] = "above zero"
    link: ClassVar[str] = "log"

    def value(self, y: Array, z: Array) -> Array:
        return self.curvature(y, z) - 1.0 - np.log(y) + z

    def slope(self, y: Array, z: Array) -> Array:
        return 1.0 - self.curvature(y, z)

    @quiet
    def curvature(self, y: Array, z: Array) -> Array:
        ratio: Array = y * np.exp(-z)
        return ratio

    def curvature_floor(self, y: Array, z: Array, radius: Array) -> Array:
        return self.curvature(y, z + radius)

    @property
    def curvature_bound(self) -> float | None:
        return None

    def term_size(self, y: Array, z: Array) -> Array:
        return self.curvature(y, z) + np.abs(z) + np.abs(np.log(y)) + 1.0

    def conjugate(self, y: Array, u: Array) -> Array:
        a = np.where(u < 1.0, 1.0 - u, np.nan)
        found: Array = np.where(u < 1.0, a * np.log(a / y) - a + 1.0 + np.log(y), np.inf)
        return found

    @quiet
    def mean(self, z: Array) -> Array:
        mu: Array = np.exp(z)
        return mu

    def start(self, y: Array, weight: Array, offset: Array | None) -> float:
        t = np.log(y) if offset is None else np.log(y) - offset
        return log_sum(weight, t) - float(np.log(weight.sum()))

    def check_targets(self, y: Array) -> str | None:
        bad = y <= 0.0
        return f"Gamma loss needs targets above zero: {first_bad(y, bad)}." if bad.any() else None
