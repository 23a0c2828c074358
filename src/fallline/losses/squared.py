"""Squared loss: least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fallline.losses._base import Array, Loss
from fallline.losses._start import average


@dataclass(frozen=True)
class Squared(Loss):
    """phi(y, z) = (z - y)^2 / 2.

    Its mean over m rows is the textbook's cost, J(theta) = 1/(2m) sum (h(x) - y)^2. One far outlier pulls the whole
    fit; where that is wrong use ``huber``.

    >>> Squared().value(np.array([1.0, 2.0]), np.array([3.0, 2.0]))
    array([2., 0.])
    """

    name: ClassVar[str] = "squared"
    summary: ClassVar[str] = "least squares: numbers with noise of one size"
    targets: ClassVar[str] = "any number"

    def value(self, y: Array, z: Array) -> Array:
        return (z - y) ** 2 / 2.0

    def slope(self, y: Array, z: Array) -> Array:
        return z - y

    def curvature(self, y: Array, z: Array) -> Array:
        return np.ones_like(z)

    def curvature_floor(self, y: Array, z: Array, radius: Array) -> Array:
        return np.ones_like(z)

    @property
    def curvature_bound(self) -> float | None:
        return 1.0

    def conjugate(self, y: Array, u: Array) -> Array:
        found: Array = u * u / 2.0 + u * y
        return found

    def mean(self, z: Array) -> Array:
        return z

    def start(self, y: Array, weight: Array, offset: Array | None) -> float:
        return average(y if offset is None else y - offset, weight)
