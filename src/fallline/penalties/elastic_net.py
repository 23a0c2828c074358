"""Elastic net: L1 and L2 together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fallline.penalties._base import Array, Penalty
from fallline.penalties._check import check_strength
from fallline.penalties.l1 import sign_range, soft_threshold


@dataclass(frozen=True)
class ElasticNet(Penalty):
    """R(w) = l1 ||w||_1 + l2 / 2 ||w||_2^2.

    In glmnet's and scikit-learn's terms: l1 = alpha * l1_ratio, l2 = alpha * (1 - l1_ratio). (Zou and Hastie 2005.)

    >>> ElasticNet(l1=1.0, l2=2.0).value(np.array([1.0, -1.0]))
    4.0
    """

    l1: float
    l2: float
    name: ClassVar[str] = "elastic net"
    summary: ClassVar[str] = "lasso and ridge together: zeros, and shared weights among the rest"

    def __post_init__(self) -> None:
        check_strength(self.l1, "ElasticNet(l1=...)", "l1")
        check_strength(self.l2, "ElasticNet(l2=...)", "l2")

    def elementwise(self, n: int) -> tuple[Array, Array, Array, Array] | None:
        return np.full(n, self.l1), np.full(n, self.l2), np.full(n, -np.inf), np.full(n, np.inf)

    def value(self, w: Array) -> float:
        return self.l1 * float(np.abs(w).sum()) + self.l2 / 2.0 * float((w * w).sum())

    def slope(self, w: Array) -> Array:
        return self.l2 * w

    @property
    def curvature(self) -> float:
        return self.l2

    @property
    def smooth(self) -> bool:
        return self.l1 == 0.0

    def prox(self, w: Array, lr: float) -> Array:
        return soft_threshold(w, lr * self.l1)

    def slope_range(self, w: Array) -> tuple[Array, Array]:
        return sign_range(w, self.l1)
