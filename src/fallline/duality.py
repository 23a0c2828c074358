"""Proof by duality: how far the loss can still fall behind |w|, for any number of columns.

For every u whose weighted sum is zero (where there is an intercept), with v = 1/W sum_i weight_i u_i x_i,

    J*  >=  D(u)  =  -1/W sum_i weight_i (phi*(y_i, u_i) - u_i offset_i)  -  sum_j (|v_j| - l1_j)_+^2 / (2 l2_j),

phi* being the loss's convex conjugate (``Loss.conjugate``); where l2_j = 0, |v_j| must not exceed l1_j. The slopes of the
loss at theta, moved to its best intercept, are such a u after two small corrections, and J(theta) - D(u) tends to zero with
the subgradient.
(Fenchel; for the lasso Osborne, Presnell and Turlach 2000.)
"""

from __future__ import annotations

import functools

import numpy as np

from fallline.balance import best_shift
from fallline.objective import ModelObjective
from fallline.rows._base import Array, Batch, Rows

ROUND_OFF = 1e-15  # of the terms of D, which cancel


def duality_gap(objective: ModelObjective, rows: Rows, theta: Array) -> float | None:
    """Return a proved upper bound on J(theta) - J*; None where a column has neither |w| nor a ridge, or phi* is not known.

    Costs about three passes.
    """
    parts = objective.penalty.elementwise(rows.n)
    if parts is None:
        return None
    l1, l2, low, high = parts
    if np.any((l1 == 0.0) & (l2 == 0.0)) or np.isfinite(low).any() or np.isfinite(high).any():
        return None

    shift: Array | None = None
    if objective.scaling.intercept:
        shift = best_shift(objective, rows, functools.partial(objective.forward, theta), theta[0].size)

    def slopes(batch: Batch) -> Array:
        z = objective.forward(theta, batch)
        return objective.loss.slope(batch.y, z if shift is None else z + (shift if z.ndim == 2 else shift[0]))

    u = rows.each(slopes, theta[0].size)
    balanced = _balanced(objective, rows, u) if objective.scaling.intercept else u
    if balanced is None:
        return None
    u = balanced
    w, _ = objective.scaling.split(theta)
    shape = (-1,) + (1,) * (w.ndim - 1)
    l1, l2 = l1.reshape(shape), l2.reshape(shape)
    v, _ = objective.scaling.split(rows.sum(lambda b: objective.scaling.gather(b.X, _heavy(objective, b, u) * b.share)))
    beyond = np.where(l2 == 0.0, np.abs(v) / np.where(l1 > 0.0, l1, 1.0), 0.0)
    within = 1.0 / max(1.0, float(beyond.max()))
    u, v = within * u, within * v

    def conjugates(batch: Batch) -> Array:
        """The sum of phi* - u offset, and of the sizes of what cancels in it."""
        some = u[batch.first : batch.first + len(batch.y)]
        found = objective.loss.conjugate(batch.y, some)
        if found is None:
            return np.full(2, np.nan)
        size = np.abs(found) + (np.abs(some * batch.y) if some.ndim == 1 else 0.0)
        if batch.offset is not None:
            moved = some.reshape(len(some), -1).sum(axis=1) * batch.offset
            found, size = found - moved, size + np.abs(moved)
        return np.array([objective.weighted(part, batch).sum() * batch.share for part in (found, size)])

    over = np.maximum(np.abs(v) - l1, 0.0)
    cost, size = rows.sum(conjugates)
    dual = -float(cost) - float(np.sum(over**2 / (2.0 * np.where(l2 > 0.0, l2, np.inf))))
    gap = objective.value(theta, rows) - dual
    return max(gap, 0.0) + ROUND_OFF * float(size) if np.isfinite(gap) else None


def _heavy(objective: ModelObjective, batch: Batch, u: Array) -> Array:
    return objective.weighted(u[batch.first : batch.first + len(batch.y)], batch)


def _balanced(objective: ModelObjective, rows: Rows, u: Array) -> Array | None:
    """u moved a little within the slopes that phi can have, so that its weighted sum is zero; None where a little is not enough.

    Numbers: the heavier of the two signs is shrunk (towards zero, which is such a slope). Classes: the probabilities
    p = u + e_y are mixed with a few of a q that is the same for all rows and makes up for the difference.
    """
    if u.ndim == 1:
        up, down = rows.sum(lambda b: np.array([side(_heavy(objective, b, u)) for side in (_above, _below)]))
        smaller = min(up, down)
        shrunk: Array = np.where(u > 0.0, u * (smaller / max(up, 1e-300)), u * (smaller / max(down, 1e-300)))
        return shrunk
    total = rows.total_weight
    off = rows.sum(lambda b: _heavy(objective, b, u).sum(axis=0)) / total
    own = np.zeros_like(off)
    for batch in rows.blocks():
        own += np.bincount(batch.y.astype(np.intp), weights=batch.weight, minlength=len(own))
    own /= total
    share = 2.0 * float(np.max(np.abs(off) / np.maximum(own, 1e-300)))
    if not 0.0 < share < 0.5:
        return u if share == 0.0 else None
    q = own - (1.0 - share) * off / share
    q -= (q.sum() - 1.0) / len(q)
    mixed: Array = (1.0 - share) * u + share * q
    for batch in rows.blocks():
        at = np.arange(batch.first, batch.first + len(batch.y))
        mixed[at, batch.y.astype(np.intp)] -= share
    return mixed


def _above(r: Array) -> float:
    return float(np.maximum(r, 0.0).sum())


def _below(r: Array) -> float:
    return float(np.maximum(-r, 0.0).sum())
