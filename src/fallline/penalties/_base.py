"""What a penalty is: a formula of the weights alone, added to the loss. The intercept is never penalised.

A penalty has a smooth part, which joins the gradient, and a part that is not smooth (|w|, a bound), which acts through
its proximal step  prox(w, lr) = argmin_v  1/(2 lr) ||v - w||^2 + penalty(v).
"""

from __future__ import annotations

import abc
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


class Penalty(abc.ABC):
    """R(w), convex. Subclasses are frozen dataclasses; w is (n,), or (n, K) for several classes."""

    name: ClassVar[str]
    summary: ClassVar[str]

    @abc.abstractmethod
    def value(self, w: Array) -> float:
        """R(w), without the bounds (which are a constraint, not a cost)."""

    def slope(self, w: Array) -> Array:
        """The gradient of the smooth part of R; zeros where there is none."""
        return np.zeros_like(w)

    @property
    def curvature(self) -> float:
        """The curvature of the smooth part of R: the l2 strength, or 0."""
        return 0.0

    @property
    def smooth(self) -> bool:
        """Whether prox is the identity: nothing but a smooth part."""
        return True

    def prox(self, w: Array, lr: float) -> Array:
        """The proximal step of the part that is not smooth."""
        return w

    def project(self, w: Array) -> Array:
        """The nearest weights that are allowed: w itself, except for bounds."""
        return w

    def slope_range(self, w: Array) -> tuple[Array, Array]:
        """The subdifferential of the part that is not smooth, entry by entry, as an interval: (lowest, highest)."""
        nothing = np.zeros_like(w)
        return nothing, nothing

    def least_slope(self, w: Array, g: Array) -> Array:
        """The smallest element of g + the subdifferential of the part that is not smooth at w, entry by entry.

        Zero exactly at an optimum; `g` is the gradient of everything smooth. For smooth penalties it is g.
        """
        low, high = self.slope_range(w)
        least: Array = np.maximum(g + low, 0.0) + np.minimum(g + high, 0.0)
        return least

    def elementwise(self, n: int) -> tuple[Array, Array, Array, Array] | None:
        """(l1, l2, lower, upper), each (n,), of a penalty that is l1 |w| + l2 / 2 w^2 within bounds; None of others."""
        return None

    def scaled(self, scale: Array) -> Penalty:
        """The same penalty for weights that are the user's times `scale` (n,): only what is stated in units changes."""
        return self

    def __add__(self, other: Penalty) -> Penalty:
        """Both penalties together: ``L2(0.1) + Bounds(lower=0)``."""
        from fallline.penalties.total import Total

        return Total((self, other))
