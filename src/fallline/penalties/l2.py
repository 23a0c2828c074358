"""L2 penalty: ridge, weight decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fallline.penalties._base import Array, Penalty
from fallline.penalties._check import check_strength


@dataclass(frozen=True)
class L2(Penalty):
    """R(w) = strength / 2 * ||w||_2^2.

    Small weights are preferred; collinear columns share theirs; an optimum always exists. In scikit-learn's terms,
    with m rows: strength = alpha / m for Ridge, and 1 / (m C) for LogisticRegression.

    >>> import numpy as np
    >>> L2(0.5).value(np.array([2.0, 0.0])), L2(0.5).slope(np.array([2.0, 0.0]))
    (1.0, array([1., 0.]))
    """

    strength: float
    name: ClassVar[str] = "l2"
    summary: ClassVar[str] = "ridge: small weights, shared among columns that say the same"

    def __post_init__(self) -> None:
        check_strength(self.strength, "L2(strength=...)", "l2")

    def elementwise(self, n: int) -> tuple[Array, Array, Array, Array] | None:
        return np.zeros(n), np.full(n, self.strength), np.full(n, -np.inf), np.full(n, np.inf)

    def value(self, w: Array) -> float:
        return self.strength / 2.0 * float((w * w).sum())

    def slope(self, w: Array) -> Array:
        return self.strength * w

    @property
    def curvature(self) -> float:
        return self.strength
