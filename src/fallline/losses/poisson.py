"""Poisson loss: counts and rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fallline.losses._base import Array, Loss, first_bad, negative_entropy, quiet
from fallline.losses._start import average, log_sum

FEWEST = 1e-9  # a mean count: keeps the start finite where all counts are zero


@dataclass(frozen=True)
class Poisson(Loss):
    """phi(y, z) = mu - y z + (y log y - y),  mu = e^z: half the unit deviance, zero at mu = y.

    Counts over unequal exposures take log(exposure) as offset. The curvature is mu, without bound: no rate is safe
    everywhere, so steps are found by backtracking.

    >>> Poisson().value(np.array([0.0, 2.0]), np.log([1.0, 2.0])).round(12) + 0.0
    array([1., 0.])
    """

    name: ClassVar[str] = "poisson"
    summary: ClassVar[str] = "counts and rates: positive means, the variance grows with the mean"
    targets: ClassVar[str] = "zero or more"
    link: ClassVar[str] = "log"

    @quiet
    def value(self, y: Array, z: Array) -> Array:
        cost: Array = np.exp(z) - y * z + (y * np.log(np.where(y > 0.0, y, 1.0)) - y)
        return cost

    def slope(self, y: Array, z: Array) -> Array:
        return self.mean(z) - y

    def curvature(self, y: Array, z: Array) -> Array:
        return self.mean(z)

    def curvature_floor(self, y: Array, z: Array, radius: Array) -> Array:
        return self.mean(z - radius)

    @property
    def curvature_bound(self) -> float | None:
        return None

    @quiet
    def term_size(self, y: Array, z: Array) -> Array:
        own: Array = np.exp(z) + np.abs(y * z) + np.abs(y * np.log(np.where(y > 0.0, y, 1.0))) + y
        return own

    def conjugate(self, y: Array, u: Array) -> Array:
        return negative_entropy(y + u) - u - negative_entropy(y)

    @quiet
    def mean(self, z: Array) -> Array:
        mu: Array = np.exp(z)
        return mu

    def start(self, y: Array, weight: Array, offset: Array | None) -> float:
        total = float(weight.sum())
        exposure = float(np.log(total)) if offset is None else log_sum(weight, offset)
        return float(np.log(max(total * average(y, weight), FEWEST * total))) - exposure

    def check_targets(self, y: Array) -> str | None:
        bad = y < 0.0
        return f"Poisson loss needs targets that are zero or more: {first_bad(y, bad)}." if bad.any() else None
