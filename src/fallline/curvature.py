"""How curved J is: L, the largest curvature, from products with the data; 2/L is plain descent's largest stable rate.

For a loss with phi'' <= c everywhere, L = c lambda_max(X^T W X / W_total) + l2 bounds the curvature of J at every
theta. For Poisson and gamma there is no such c; then L is the curvature at the given theta only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.objective import ModelObjective
from fallline.rows._base import Batch, Rows

Array = NDArray[np.floating]

MARGIN = 1.05  # Ritz values approach lambda_max from below; this covers what they have not reached
SETTLED, STILL = 0.001, 3  # stop when the estimate has moved by less than this share so many times in a row
EXHAUSTED = 1e-10  # of a product: what is left beside those before is rounding
MOST_PRODUCTS = 40


class Curvature(NamedTuple):
    """L, how many products with the data it took, and whether it bounds the curvature everywhere."""

    L: float
    products: int
    everywhere: bool

    @property
    def measured(self) -> float:
        """L without the margin: what the products have shown, for telling people."""
        return self.L / MARGIN


def largest_curvature(objective: ModelObjective, rows: Rows, theta: Array, seed: int = 0) -> Curvature:
    """L by Lanczos' method on X'^T diag(c) X' / W, in the coordinates of training.

    Power iteration from a start that happens to lie near another eigenvector stays there for a while and looks settled;
    the largest Ritz value of all products so far does not, and needs fewer of them.
    """
    bound = objective.loss.curvature_bound

    def product(v: Array) -> Array:
        return rows.sum(lambda b: _curved(objective, b, theta, v, bound)) + objective.penalty.curvature * v

    v: Array = np.random.default_rng(seed).standard_normal(theta.shape)
    basis: list[Array] = []
    T = np.zeros((MOST_PRODUCTS, MOST_PRODUCTS))
    L, still = 0.0, 0
    while len(basis) < min(MOST_PRODUCTS, theta.size):
        v = v / np.linalg.norm(v)
        basis.append(v)
        k = len(basis) - 1
        Hv = product(v)
        for i, u in enumerate(basis):
            T[i, k] = T[k, i] = float(np.vdot(u, Hv))
        before, L = L, float(np.linalg.eigvalsh(T[: k + 1, : k + 1])[-1])
        size = float(np.linalg.norm(Hv))
        for _ in range(2):  # orthogonal to all before: twice is enough (Kahan and Parlett)
            for u in basis:
                Hv = Hv - float(np.vdot(u, Hv)) * u
        v, left = Hv, float(np.linalg.norm(Hv))
        still = still + 1 if abs(L - before) <= SETTLED * abs(L) else 0
        if not left > EXHAUSTED * size or still == STILL:
            break
    return Curvature(MARGIN * L, len(basis), bound is not None)


def _curved(objective: ModelObjective, batch: Batch, theta: Array, v: Array, bound: float | None) -> Array:
    dz = objective.scaling.predictions(v, batch.X)
    if bound is not None:
        slopes = bound * dz
    else:
        slopes = objective.loss.curvature(batch.y, objective.forward(theta, batch)) * dz
    return objective.scaling.gather(batch.X, objective.weighted(slopes, batch) * batch.share)


def batch_curvature(objective: ModelObjective, rows: Rows, L: float, batch_size: int) -> float:
    """The expected smoothness of a mini-batch gradient: between the worst row's curvature and L as the batch grows.

    L_B = (m - B) / (B (m - 1)) max_i L_i + m (B - 1) / (B (m - 1)) L   (Gower et al. 2019); L_i = c ||x'_i||^2.
    SGD with a constant step of 1 / (2 L_B) converges to a ball around the optimum.
    """
    m, B = rows.m, min(batch_size, rows.m)
    bound = objective.loss.curvature_bound
    assert bound is not None
    worst = max(float(_squared_norms(objective, b).max()) for b in rows.blocks(rows.n + 1)) * bound
    worst += objective.penalty.curvature
    if m == 1:
        return worst
    return (m - B) / (B * (m - 1)) * worst + m * (B - 1) / (B * (m - 1)) * L


def _squared_norms(objective: ModelObjective, batch: Batch) -> Array:
    inner = objective.scaling.rows(batch.X)
    heavy = 1.0 if batch.weight is None else batch.weight * len(batch.weight) / max(batch.weight.sum(), 1e-300)
    norms: Array = np.einsum("ij,ij->i", inner, inner) * heavy
    return norms
