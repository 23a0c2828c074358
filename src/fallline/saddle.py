"""Whether a point where the slope of a user's function vanishes is a minimum or a saddle, and which way leads down.

The lowest and the largest curvature by Lanczos' method, from products with the matrix of second derivatives that are
differences of gradients:  H v = (grad f(x + h v) - grad f(x - h v)) / 2h.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

MOST_PRODUCTS = 15  # of two gradients each; a function of so few unknowns is known exactly then
STEP = float(np.finfo(np.float64).eps) ** (1 / 3)
EXHAUSTED = 1e-8  # of the largest curvature met: what is left of a direction below that is rounding


class Bend(NamedTuple):
    """The lowest and the largest curvature, and the direction of the lowest, of length 1."""

    lowest: float
    largest: float
    direction: Array

    @property
    def share(self) -> float:
        """The lowest as a share of the largest in size: below zero, the function bends down along ``direction``."""
        size = max(abs(self.lowest), abs(self.largest))
        return self.lowest / size if size > 0.0 else 0.0


def bend(gradient: Callable[[Array], Array], x: Array, seed: int = 0) -> Bend | None:
    """How the function bends at x; None where its gradient is not finite around there.

    >>> found = bend(lambda x: np.array([2 * x[0], -6 * x[1]]), np.zeros(2))
    >>> round(found.lowest, 6), round(found.largest, 6), round(found.share, 6)
    (-6.0, 2.0, -1.0)
    """
    n = x.size
    h = STEP * max(1.0, float(np.abs(x).max(initial=0.0)))
    v = np.random.default_rng(seed).standard_normal(n)
    basis: list[Array] = []
    H = np.zeros((min(n, MOST_PRODUCTS), min(n, MOST_PRODUCTS)))
    for k in range(len(H)):
        v /= np.linalg.norm(v)
        basis.append(v)
        ahead, behind = (gradient(x + s * h * v.reshape(x.shape)).ravel() for s in (1.0, -1.0))
        product = (ahead - behind) / (2.0 * h)
        if not np.isfinite(product).all():
            return None
        size = max(float(np.linalg.norm(product)), 1e-300)
        for i, u in enumerate(basis):
            H[i, k] = H[k, i] = float(u @ product)
        Q = np.array(basis)
        for _ in range(2):  # twice is enough (Kahan and Parlett)
            product = product - Q.T @ (Q @ product)
        v = product
        if k + 1 < len(H) and float(np.linalg.norm(v)) <= EXHAUSTED * size:  # the space is exhausted: go on elsewhere
            v = np.random.default_rng(seed + k + 1).standard_normal(n)
            for _ in range(2):
                v = v - Q.T @ (Q @ v)
    values, vectors = np.linalg.eigh(H)
    direction = np.array(basis).T @ vectors[:, 0]
    return Bend(float(values[0]), float(values[-1]), direction.reshape(x.shape))


def pushed(value: Callable[[Array], float], x: Array, J: float, found: Bend) -> Array | None:
    """A point off the saddle where the function is lower, on whichever side falls further; None where there is none."""
    length = 0.1 * max(1.0, float(np.linalg.norm(x)))
    while length > 1e-8:
        sides = [x + s * length * found.direction for s in (1.0, -1.0)]
        losses = [value(side) for side in sides]
        losses = [loss if math.isfinite(loss) else math.inf for loss in losses]
        best = int(np.argmin(losses))
        if losses[best] < J:
            return sides[best]
        length /= 4.0
    return None
