"""Softmax loss: the probabilities of several classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fallline.losses._base import Array, Loss, Task, first_bad, negative_entropy

RAREST = 1e-9  # a class share: keeps the start finite where a class has no weight


@dataclass(frozen=True)
class Softmax(Loss):
    """phi(y, z) = log sum_k e^(z_k) - z_y,  y = 0 ... K-1,  P(y = k) = e^(z_k) / sum_l e^(z_l).

    Every class has its own weights; only their differences matter, and fallline keeps their sum at zero (it starts
    there, and gradients never leave). Adding c to all z changes nothing, so the curvature is zero along that
    direction.

    >>> Softmax().value(np.array([1.0]), np.array([[0.0, 0.0, 0.0]])).round(4)
    array([1.0986])
    """

    name: ClassVar[str] = "softmax"
    summary: ClassVar[str] = "the probabilities of several classes"
    task: ClassVar[Task] = "classes"
    targets: ClassVar[str] = "labels of any kind"
    link: ClassVar[str] = "softmax"

    def value(self, y: Array, z: Array) -> Array:
        top = z.max(axis=1, keepdims=True)
        cost: Array = np.log(np.exp(z - top).sum(axis=1)) + top[:, 0] - _own(y, z)
        return cost

    def slope(self, y: Array, z: Array) -> Array:
        r = self.mean(z)
        r[np.arange(len(y)), y.astype(np.intp)] -= 1.0
        return r

    def value_and_slope(self, y: Array, z: Array) -> tuple[Array, Array]:
        by_class = np.ascontiguousarray(z.T)  # (K, m): sums over a few classes are then sums of long lines
        top = by_class.max(axis=0)
        e = np.exp(by_class - top)
        total = e.sum(axis=0)
        r = np.ascontiguousarray((e / total).T)
        r[np.arange(len(y)), y.astype(np.intp)] -= 1.0
        return np.log(total) + top - _own(y, z), r

    def curvature(self, y: Array, z: Array) -> Array:
        mu = self.mean(z)
        return mu[:, :, None] * np.eye(z.shape[1], dtype=mu.dtype) - mu[:, :, None] * mu[:, None, :]

    def own_curvature(self, y: Array, z: Array) -> Array:
        mu = self.mean(z)
        return mu * (1.0 - mu)

    def curvature_floor(self, y: Array, z: Array, radius: Array) -> Array:
        # d/dt log(v^T H(z + t d) v) >= -range(d): the third derivative is bounded by range(d) times the second.
        return self.curvature(y, z) * np.exp(-radius)[:, None, None]

    @property
    def curvature_bound(self) -> float | None:
        return 0.5

    def term_size(self, y: Array, z: Array) -> Array:
        largest: Array = np.abs(z).max(axis=1)
        return largest

    def conjugate(self, y: Array, u: Array) -> Array:
        p = u.copy()
        p[np.arange(len(y)), y.astype(np.intp)] += 1.0
        found: Array = negative_entropy(p).sum(axis=1)
        return found

    def mean(self, z: Array) -> Array:
        e = np.exp(z - z.max(axis=1, keepdims=True))
        mu: Array = e / e.sum(axis=1, keepdims=True)
        return mu

    def start(self, y: Array, weight: Array, offset: Array | None) -> Array:
        shares = np.bincount(y.astype(np.intp), weights=weight) / weight.sum()  # an offset is common to all classes
        b = np.log(np.maximum(shares, RAREST))
        centred: Array = b - b.mean()
        return centred

    def check_targets(self, y: Array) -> str | None:
        bad = (y < 0.0) | (y != np.floor(y))
        return f"Softmax loss needs class codes 0, 1, 2, ...: {first_bad(y, bad)}." if bad.any() else None


def _own(y: Array, z: Array) -> Array:
    own: Array = z[np.arange(len(y)), y.astype(np.intp)]
    return own
