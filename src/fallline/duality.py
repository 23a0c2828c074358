"""Proof by duality: how far the loss can still fall behind |w| and bounds, for any number of columns.

For every u whose weighted sum is zero (where there is an intercept), with v = 1/W sum_i weight_i u_i x_i,

    J*  >=  D(u)  =  -1/W sum_i weight_i (phi*(y_i, u_i) - u_i offset_i)  -  sum_j R_j*(-v_j),

    R_j*(-v)  =  sup of  -v w - l1_j |w| - l2_j w^2 / 2  over  low_j <= w <= high_j,

phi* being the loss's convex conjugate (``Loss.conjugate``). Without bounds R_j* is (|v_j| - l1_j)_+^2 / (2 l2_j), and where
l2_j = 0, |v_j| must not exceed l1_j. The slopes of the loss at theta, moved to its best intercept, are such a u after two
small corrections, and J(theta) - D(u) tends to zero with the subgradient.
(Fenchel; for the lasso Osborne, Presnell and Turlach 2000.)
"""

from __future__ import annotations

import functools

import numpy as np

from fallline.balance import best_shift
from fallline.objective import ModelObjective
from fallline.rows._base import Array, Batch, Rows

ROUND_OFF = 1e-15  # of the terms of D, which cancel, and of those of v


def duality_gap(objective: ModelObjective, rows: Rows, theta: Array) -> float | None:
    """Return a proved upper bound on J(theta) - J*; None where phi* is not known, or D is minus infinity.

    So it is where a column has neither |w|, a ridge nor a bound in the way of its slope. Costs about four passes.
    """
    parts = objective.penalty.elementwise(rows.n)
    if parts is None:
        return None
    shape = (-1,) + (1,) * (theta.ndim - 1)
    l1, l2, low, high = (part.reshape(shape) for part in parts)
    if np.any((l1 == 0.0) & (l2 == 0.0) & np.isinf(low) & np.isinf(high)):
        return None
    found = _dual_point(objective, rows, theta)
    if found is None:
        return None
    u = found

    def pulled(batch: Batch) -> tuple[Array, Array]:
        """v, and the sizes of what cancels in it."""
        own = _heavy(objective, batch, u) * batch.share
        scale = objective.scaling.scale.reshape(shape)
        size = abs(batch.X).T @ np.abs(own) + np.multiply.outer(
            np.abs(objective.scaling.shift), np.abs(own).sum(axis=0)
        )
        return objective.scaling.split(objective.scaling.gather(batch.X, own))[0], size / scale

    v, rounding = rows.sum(pulled)
    up, down = (side * v + ROUND_OFF * rounding for side in (-1.0, 1.0))  # how steeply w may be pulled, at most
    within = min(_allowed(up, l1, l2, high), _allowed(down, l1, l2, -low))
    if within == 0.0:
        return None
    u, up, down = within * u, within * up, within * down

    def conjugates(batch: Batch) -> Array:
        """The sum of phi* - u offset, and of the sizes of what cancels in it."""
        some = u[batch.first : batch.first + len(batch.y)]
        value = objective.loss.conjugate(batch.y, some)
        if value is None:
            return np.full(2, np.nan)
        size = np.abs(value) + (np.abs(some * batch.y) if some.ndim == 1 else 0.0)
        if batch.offset is not None:
            moved = some.reshape(len(some), -1).sum(axis=1) * batch.offset
            value, size = value - moved, size + np.abs(moved)
        return np.array([objective.weighted(part, batch).sum() * batch.share for part in (value, size)])

    cost, size = rows.sum(conjugates)
    held = np.maximum(
        _most(up - l1, l2, np.maximum(low, 0.0), high), _most(down - l1, l2, np.maximum(-high, 0.0), -low)
    )
    gap = objective.value(theta, rows) + float(cost) + float(held.sum())
    return max(gap, 0.0) + ROUND_OFF * float(size + np.abs(held).sum()) if np.isfinite(gap) else None


def _most(pull: Array, l2: Array, first: Array, last: Array) -> Array:
    """The most of  pull w - l2 w^2 / 2  over first <= w <= last, first >= 0; minus infinity where there is no such w."""
    with np.errstate(divide="ignore", invalid="ignore"):
        free = np.where(l2 > 0.0, pull / l2, np.where(pull > 0.0, last, first))
        w = np.where(pull > 0.0, np.minimum(np.maximum(free, first), last), first)
        found = np.where(w > 0.0, pull * w - l2 * w * w / 2.0, 0.0)
    return np.where(first <= last, found, -np.inf)


def _allowed(pull: Array, l1: Array, l2: Array, last: Array) -> float:
    """The largest share of the pulls, at most 1, that keeps the sup of  (pull - l1) w - l2 w^2 / 2  up to `last` finite."""
    over = (pull > l1) & (l2 == 0.0) & np.isinf(last)
    return float(np.min(np.where(over, l1 / np.where(over, pull, 1.0), 1.0), initial=1.0))


def _dual_point(objective: ModelObjective, rows: Rows, theta: Array) -> Array | None:
    """The slopes of the loss at theta with its best intercept, moved so that their weighted sum is zero."""
    shift: Array | None = None
    if objective.scaling.intercept:
        shift = best_shift(objective, rows, functools.partial(objective.forward, theta), theta[0].size)

    def slopes(batch: Batch) -> Array:
        z = objective.forward(theta, batch)
        return objective.loss.slope(batch.y, z if shift is None else z + (shift if z.ndim == 2 else shift[0]))

    u = rows.each(slopes, theta[0].size)
    return _balanced(objective, rows, u) if objective.scaling.intercept else u


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
