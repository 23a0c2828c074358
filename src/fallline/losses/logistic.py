"""Logistic loss: the probability of one of two classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fallline.losses._base import Array, Loss, Task, first_bad, negative_entropy
from fallline.losses._start import average, newton_start

RAREST = 1e-9  # a class share: keeps the start finite where one class (almost) never occurs


@dataclass(frozen=True)
class Logistic(Loss):
    """phi(y, z) = log(1 + e^z) - y z,  y = 0 or 1 (or a share in between),  P(y = 1) = 1 / (1 + e^-z).

    Where some plane separates the classes perfectly the loss has no minimum and the weights grow for ever; fallline
    says so (D10), and a penalty mends it.

    >>> Logistic().mean(np.array([0.0])), Logistic().value(np.array([1.0]), np.array([0.0])).round(4)
    (array([0.5]), array([0.6931]))
    """

    name: ClassVar[str] = "logistic"
    summary: ClassVar[str] = "the probability of one of two classes"
    task: ClassVar[Task] = "two classes"
    targets: ClassVar[str] = "labels of any two values, or shares between 0 and 1"
    link: ClassVar[str] = "logit"

    def value(self, y: Array, z: Array) -> Array:
        # log(1 + e^z) = log(1 + e^-|z|) + max(z, 0): nothing overflows, and confident rows keep their digits
        cost: Array = np.log1p(np.exp(-np.abs(z))) + (np.maximum(z, 0.0) - y * z)
        return cost

    def slope(self, y: Array, z: Array) -> Array:
        return self.mean(z) - y

    def curvature(self, y: Array, z: Array) -> Array:
        mu = self.mean(-np.abs(z))  # of the unlikely side: 1 - mu loses no digits
        return mu * (1.0 - mu)

    def curvature_floor(self, y: Array, z: Array, radius: Array) -> Array:
        return self.curvature(y, np.abs(z) + radius)

    @property
    def curvature_bound(self) -> float | None:
        return 0.25

    def conjugate(self, y: Array, u: Array) -> Array:
        return negative_entropy(y + u) + negative_entropy(1.0 - y - u)

    def mean(self, z: Array) -> Array:
        e = np.exp(-np.abs(z))
        mu: Array = np.where(z >= 0.0, 1.0, e) / (1.0 + e)
        return mu

    def start(self, y: Array, weight: Array, offset: Array | None) -> float:
        share = float(np.clip(average(y, weight), RAREST, 1.0 - RAREST))
        b = float(np.log(share / (1.0 - share)))
        if offset is None or share in (RAREST, 1.0 - RAREST):
            return b
        return newton_start(self, y, weight, offset, b - average(offset, weight))

    def check_targets(self, y: Array) -> str | None:
        bad = (y < 0.0) | (y > 1.0)
        return f"Logistic loss needs targets between 0 and 1: {first_bad(y, bad)}." if bad.any() else None
