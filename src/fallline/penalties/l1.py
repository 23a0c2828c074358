"""L1 penalty: the lasso."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fallline.penalties._base import Array, Penalty
from fallline.penalties._check import check_strength


@dataclass(frozen=True)
class L1(Penalty):
    """R(w) = strength * ||w||_1.

    Weights that do not earn their keep become exactly zero. Its proximal step is the soft threshold,
    prox(w) = sign(w) max(|w| - lr strength, 0)  (Tibshirani 1996; Beck and Teboulle 2009).

    >>> L1(1.0).prox(np.array([3.0, -0.5]), lr=1.0)
    array([ 2., -0.])
    """

    strength: float
    name: ClassVar[str] = "l1"
    summary: ClassVar[str] = "lasso: weights that do not help become exactly zero"

    def __post_init__(self) -> None:
        check_strength(self.strength, "L1(strength=...)", "l1")

    def elementwise(self, n: int) -> tuple[Array, Array, Array, Array] | None:
        return np.full(n, self.strength), np.zeros(n), np.full(n, -np.inf), np.full(n, np.inf)

    def value(self, w: Array) -> float:
        return self.strength * float(np.abs(w).sum())

    @property
    def smooth(self) -> bool:
        return self.strength == 0.0

    def prox(self, w: Array, lr: float) -> Array:
        return soft_threshold(w, lr * self.strength)

    def slope_range(self, w: Array) -> tuple[Array, Array]:
        return sign_range(w, self.strength)


def soft_threshold(w: Array, by: float) -> Array:
    """Each entry moved towards zero by `by`, and no further than zero."""
    moved: Array = np.sign(w) * np.maximum(np.abs(w) - by, 0.0)
    return moved


def sign_range(w: Array, strength: float) -> tuple[Array, Array]:
    """The subdifferential of strength * |w|, entry by entry: a point, or at zero the interval [-strength, strength]."""
    sign = strength * np.sign(w)
    return np.where(w == 0.0, -strength, sign), np.where(w == 0.0, strength, sign)
