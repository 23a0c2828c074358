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

MARGIN = 1.05  # power iteration approaches lambda_max from below; this covers what it has not reached
SETTLED = 0.005  # stop when the estimate moves by less than this share
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
    """L by power iteration on X'^T diag(c) X' / W, in the coordinates of training."""
    bound = objective.loss.curvature_bound

    def product(v: Array) -> Array:
        return rows.sum(lambda b: _curved(objective, b, theta, v, bound)) + objective.penalty.curvature * v

    v: Array = np.random.default_rng(seed).standard_normal(theta.shape)
    L, products = 0.0, 0
    while products < MOST_PRODUCTS:
        v /= np.linalg.norm(v)
        Hv = product(v)
        products += 1
        before, L = L, float(np.vdot(v, Hv))
        if not np.any(Hv) or abs(L - before) <= SETTLED * L:
            break
        v = Hv
    return Curvature(MARGIN * L, products, bound is not None)


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
