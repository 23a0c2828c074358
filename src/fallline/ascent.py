"""Row by row: dual ascent, for sparse data with more columns than rows and a ridge.

Where the rows are few, it is they that the weights are made of. With r_i the slope of row i's loss,

    w  =  -1/(l2 W) sum_i weight_i r_i x_i,      b  =  b_0 - 1/(l W) sum_i weight_i r_i

at the optimum, and every choice of slopes gives a lower bound of J (duality.py), which is concave in each of them. So one
row after another is given the slope that is best for it, exactly, whatever its length: documents hundreds of times as long
as others, which make gradient steps crawl, cost nothing here. (Shalev-Shwartz and Zhang 2013; Yu, Huang and Lin
2011 for classes.) Three things are added:

- rows that keep being moved by the others, a few long ones most often, are asked more often (Csiba, Qu and Richtarik 2015);
- after `CYCLE` sweeps in one order the predictions are extrapolated, and kept where the bound rises (Anderson 1965;
  Bertrand and Massias 2021 for sweeps);
- the intercept, which has no ridge, is held to where it last was by one of its own, `l`, which vanishes as b settles
  (the proximal point method).
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline import kernels
from fallline.balance import best_shift
from fallline.losses._base import quiet
from fallline.losses.softmax import Softmax
from fallline.objective import ModelObjective
from fallline.optimizers._base import Array, Optimizer
from fallline.rows._base import Rows
from fallline.rows.arrays import ArrayRows
from fallline.threads import aside

# Sweeps in one order, before each extrapolation. On 20 newsgroups (softmax, raw counts) 5, 8 and 10 take 69, 76 and 80 passes
# to a gap of 1e-6; on standardised counts longer cycles are better.
CYCLE = 8
# Of a sweep: after each of them the restless rows are asked again. 5, 10, 20 and 40 take 132, 90, 69 and 54 passes, but no
# fewer sweeps beyond 20; without them 200 passes end at 2e-4.
PARTS = 20
RESTLESS = 0.5  # of all unrest: where less of it is in so few rows, they are not asked more often
DAMPED = 1e-12  # of the mean square of the changes: extrapolation from changes that are nearly alike
LENT = 0.1  # of the squared length of a row: that of the intercept's column (1 and 0.03 take as long, 0.0025 twice as long)
ROUND_OFF = 1e-15  # of the terms of a bound, which cancel
LEAST = 1e-200  # of q: a row without entries moves nothing


class Ascent(NamedTuple):
    """Where the sweeps stand."""

    theta: Array
    u: Array  # predictions, of which r are the slopes
    r: Array
    anchor: Array  # b_0
    unrest: Array  # by how much each row's last step raised the bound
    order: NDArray[np.intp]
    sweeps: int
    past: tuple[Array, ...]  # u after each sweep of this cycle


def ascends(objective: ModelObjective, rows: Rows) -> bool:
    """Whether rows can be asked one by one: sparse, fewer than columns, with a smooth loss and a ridge alone."""
    sparse = isinstance(rows, ArrayRows) and hasattr(rows.X, "indptr")
    parts, loss = objective.penalty.elementwise(rows.n), objective.loss
    # Columns are not centred. Standardised, a row is about as long as there are columns; if their means are together
    # longer, all rows point the same way, and would undo one another's steps.
    if float(np.sum((objective.scaling.shift / objective.scaling.scale) ** 2)) > rows.n or len(objective.scaling.far):
        return False
    ridge = objective.smooth and parts is not None and bool(np.ptp(parts[1]) == 0.0 < parts[1][0])
    return sparse and rows.m < rows.n and ridge and loss.smooth and (loss.task != "classes" or type(loss) is Softmax)


class RowByRow(Optimizer[Ascent]):
    """theta <- theta made of the slopes after one more sweep over the rows; the gradient is not asked.

    Unlike other rules it knows the rows, and keeps beside its state what it has learnt of J*, which no step makes untrue.
    """

    name: ClassVar[str] = "row by row"
    summary: ClassVar[str] = "each row's best step in turn (dual ascent)"
    convention: ClassVar[str] = "Shalev-Shwartz and Zhang (2013), SDCA"
    needs_exact: ClassVar[bool] = True

    def __init__(self, objective: ModelObjective, rows: ArrayRows, shape: tuple[int, ...], seed: int) -> None:
        self.objective, self.rows, self.shape, self.seed = objective, rows, shape, seed  # `shape`: of one prediction
        scaling, self.ridge = objective.scaling, objective.penalty.curvature
        self.per = 1.0 / scaling.scale**2
        self.heavy = np.ones(rows.m) if rows.weight is None else rows.weight
        self.share = self.heavy / (self.ridge * rows.total_weight)
        lengths = rows.each(lambda batch: np.asarray(batch.X.power(2) @ self.per))
        typical = float(np.median(lengths[lengths > 0.0])) if np.any(lengths > 0.0) else 1.0
        self.loose = LENT * typical / (self.ridge * rows.total_weight) if scaling.intercept else 0.0
        self.own = np.maximum(self.share * lengths + self.loose * self.heavy, LEAST)
        self.entries = np.diff(rows.X.indptr).astype(np.int64)
        self.latest: Ascent | None = None
        self.lowest = -np.inf  # that J can be, proved so far
        self.about = -np.inf  # the bound of the last sweep, of J with the ridge that holds the intercept

    @property
    def compiles(self) -> bool:
        """Whether the compiler takes the formulas of the loss, which may be a user's."""
        rows = self.rows
        if not dataclasses.is_dataclass(self.objective.loss):
            return False
        nothing, coef = np.zeros((rows.m, *self.shape)), np.zeros((rows.n, *self.shape))
        no_row, b = np.zeros(0, np.intp), np.zeros(self.shape)
        done = kernels.tried(lambda: self.swept(no_row, nothing, nothing, self.own, coef, b), "the ascent of this loss")
        return done is not None

    def init(self, theta: Array) -> Ascent:
        """From the slopes at theta, if their bound is above zero, which no loss goes below; else from none: w = 0."""
        rows = self.rows
        coef, b = self.objective.scaling.outward(theta)
        anchor, nothing = np.zeros(self.shape) + b, np.zeros((rows.m, *self.shape))
        first = Ascent(theta, nothing, nothing, anchor, self.own, np.zeros(0, np.intp), 0, ())
        if not coef.any():
            return first
        u = rows.each(lambda batch: self.objective.forward(theta, batch), theta[0].size)
        r = self.objective.loss.slope(rows.y, u)
        return first._replace(u=u, r=r) if self.bound(u, r, anchor, self.weights(r)) > 0.0 else first

    def update(self, g: Array, state: Ascent, lr: float) -> tuple[Array, Ascent]:
        """One more sweep, whatever the gradient and the rate."""
        scaling, anchor, past = self.objective.scaling, state.anchor, state.past
        u, r, unrest = state.u.copy(), state.r.copy(), state.unrest.copy()
        coef = scaling.outward(state.theta)[0].copy() if state.sweeps else self.weights(r)
        if len(past) > CYCLE:
            further = self.extrapolated(past)
            slopes = self.objective.loss.slope(self.rows.y, further)
            made = self.weights(slopes)
            if self.bound(further, slopes, anchor, made) > self.bound(u, r, anchor, coef):
                u, r, coef = further, slopes, made
            else:
                coef = self.weights(r)  # as exact as at the first, whatever the sweeps have rounded
            past, anchor = (u.copy(),), self.intercept(r, anchor)
        order = self.ordered(state) if len(past) <= 1 else state.order
        b = aside(lambda: self.swept(order, u, r, unrest, coef, self.intercept(r, anchor)))
        past = (*past, u)
        self.about = self.bound(u, r, anchor, coef)
        theta = scaling.inward(coef, b)
        self.latest = Ascent(theta, u, r, anchor, unrest, order, state.sweeps + 1, past)
        return theta - state.theta, self.latest

    def prove(self, theta: Array, g: Array, enough: float = np.inf) -> float | None:
        """J(theta) - J* at most: by the slopes of the last sweep, which are the same whatever theta is asked about."""
        if self.latest is not None:
            self.lowest, self.latest = max(self.lowest, self.proved(self.latest.u, self.latest.anchor)), None
        gap = self.objective.value(theta, self.rows) - self.lowest
        return gap if 0.0 <= gap < np.inf else None

    def proved(self, u: Array, anchor: Array) -> float:
        """What J cannot go below, by the slopes at u moved so that they sum to zero; -inf where they cannot be.

        What rounding leaves of their sum is multiplied by how far the best intercept lies from `anchor`.
        """
        if self.objective.scaling.intercept:
            shift = best_shift(
                self.objective, self.rows, lambda batch: u[batch.first : batch.first + len(batch.y)], anchor.size
            )
            if shift is None:
                return -np.inf
            u = u + shift.reshape(self.shape)
        r = self.objective.loss.slope(self.rows.y, u)
        found, size = self.costs(u, r, anchor, self.weights(r))
        found -= ROUND_OFF * size
        return found if np.isfinite(found) else -np.inf

    def passes(self, state: Ascent) -> float:
        """Over the rows, that the last step made."""
        return float(self.entries[state.order].sum() / max(int(self.entries.sum()), 1))

    def swept(self, order: NDArray[np.intp], u: Array, r: Array, unrest: Array, coef: Array, b: Array) -> Array:
        """Go through the rows, changing all but the intercept in place; return that."""
        from fallline.kernels import ascent
        from fallline.kernels.twins import is_ours, twin
        from fallline.rows.compiled import unsigned

        rows, loss, nothing = self.rows, self.objective.loss, np.empty(0)
        entries = rows.X.data, unsigned(rows.X.indices), unsigned(rows.X.indptr)
        sides = (nothing if side is None else side for side in (rows.weight, rows.offset))
        held = order.view(np.uint64), self.share, self.per, self.own, self.loose, u, r
        if u.ndim == 1:
            moved = ascent.numbers(
                twin(loss), *entries, rows.y, *sides, *held, unrest, coef, float(b), keep=is_ours(loss)
            )
            return np.asarray(moved)
        b = b.copy()
        ascent.by_classes(*entries, *sides, *held, rows.y.astype(np.intp), unrest, coef, b)
        return b

    def ordered(self, state: Ascent) -> NDArray[np.intp]:
        """All rows in a random order, and between its parts those that carry most of the unrest, where these are few."""
        rng = np.random.default_rng([self.seed, state.sweeps])
        parts = np.array_split(rng.permutation(self.rows.m), PARTS)
        falling = np.argsort(-state.unrest, kind="stable")
        few = falling[np.cumsum(self.entries[falling]) <= self.entries.sum() / PARTS]
        if state.unrest[few].sum() < RESTLESS * state.unrest.sum():
            return np.concatenate(parts)
        return np.concatenate([rows for part in parts for rows in (part, rng.permutation(few))])

    def weights(self, r: Array) -> Array:
        """The coefficients that the slopes imply, in the units of the data."""
        shape = (-1,) + (1,) * (r.ndim - 1)
        back: Array = self.rows.X.T @ (r * self.share.reshape(shape))
        return -back * self.per.reshape(shape)

    def intercept(self, r: Array, anchor: Array) -> Array:
        """The intercept that they imply."""
        return np.asarray(anchor - self.loose * (self.heavy @ r))

    def bound(self, u: Array, r: Array, anchor: Array, coef: Array) -> float:
        """What J with the ridge that holds the intercept to `anchor` cannot go below, for slopes r = phi'(u)."""
        pull = self.heavy @ r
        held = self.loose / 2.0 * float(np.sum(pull**2)) / self.rows.total_weight
        return self.costs(u, r, anchor, coef)[0] - held

    @quiet
    def costs(self, u: Array, r: Array, anchor: Array, coef: Array) -> tuple[float, float]:
        """1/W sum_i weight_i (phi(u_i) - r_i (u_i - offset_i - anchor)) - l2/2 |w|^2, and the size of what cancels in it."""
        rows, objective = self.rows, self.objective
        shape = (-1,) + (1,) * (r.ndim - 1)
        own = u - anchor if rows.offset is None else u - anchor - rows.offset.reshape(shape)
        cost, moved = objective.loss.value(rows.y, u), (r * own).reshape(rows.m, -1)
        w = coef * objective.scaling.scale.reshape(shape)
        penalty = self.ridge / 2.0 * float(np.vdot(w, w))
        total, size = (float(self.heavy @ part) / rows.total_weight for part in (
            cost - moved.sum(axis=1), np.abs(cost) + np.abs(moved).sum(axis=1)
        ))  # fmt: skip
        return total - penalty, size + penalty

    def extrapolated(self, past: tuple[Array, ...]) -> Array:
        """The mix of the last predictions whose changes, mixed alike, are smallest by the curvature of the rows."""
        shape = (-1,) + (1,) * (past[0].ndim - 1)
        root = np.sqrt(self.objective.loss.own_curvature(self.rows.y, past[-1]) * self.heavy.reshape(shape))
        changes = np.stack([(root * (b - a)).ravel() for a, b in itertools.pairwise(past)])
        G = changes @ changes.T
        G[np.diag_indices_from(G)] += DAMPED * np.trace(G) + np.finfo(float).tiny
        c = np.linalg.solve(G, np.ones(len(G)))
        return np.asarray(np.tensordot(c / c.sum(), np.stack(past[1:]), axes=1))
