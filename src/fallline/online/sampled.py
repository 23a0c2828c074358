"""Any loss from rows that are seen once: a sample that stands for all rows, and what it lacks of their gradient.

    rows come in     kept as they are; while none is gone, theta takes steps with the last curvature to the least J of all of
                     them, later one step for the new rows; where steps do not serve, it is found anew (below)
    enough are new   theta = least J over the kept rows and the memory (remembered.py), by the loop, from where it was
    too many kept    a sample of them stays, with the weight of all, each class by itself; the memory takes up the rest

So while few rows have come the answer is that of all of them, whatever their order and their pieces; after that it
differs by what a sample says about the *change* of their gradient since, not about the gradient.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fallline.auto import plan_model
from fallline.conclude import centred
from fallline.inverse import EIGEN_LIMIT, AnyInverse, DiagonalInverse, damped_inverse
from fallline.losses._base import Loss
from fallline.objective import MISSED, ModelObjective
from fallline.online.exact import aged
from fallline.online.remembered import Remembered
from fallline.penalties._base import Penalty
from fallline.penalties.none import NoPenalty
from fallline.rows.arrays import ArrayRows
from fallline.scaling import NO_SPREAD, Scaling
from fallline.separation import separated
from fallline.start import best_constant, initial_theta
from fallline.stops.budget import Budget
from fallline.stops.gradient_norm import GradientNorm
from fallline.stops.no_improvement import NoImprovement
from fallline.summary import summarise
from fallline.train import Run, train

Array = NDArray[np.floating]

# With 2,000 to 4,000 rows kept, 60,000 shuffled rows of 20 columns ended 0.004 from the model of all of them, which itself
# was 0.048 from the truth.
KEPT_ROWS, KEPT_PER_COLUMN, KEPT_PER_CLASS = 2_000, 20, 50
KEPT_NUMBERS, FEWEST_KEPT = 5_000_000, 200  # in the kept rows (40 MB); twice as many before they are thinned out
MOST_TURN = 1.0  # units of a prediction that one step may change it by: far from the optimum the curvature says little
# Of all weight: from so much on theta is found anew, below it takes a step. 0.02, 0.05, 0.1: digits in pieces of ten, 5.9,
# 5.9, 6.0 % wrong before they were learnt, in 24, 15, 14 s.
NEW = 0.05
SMALL_GRADIENT, MOST_PASSES = 1e-7, 200.0  # of that at the best constant; and of the kept rows, to find theta
# Steps with the last curvature after a small piece, each of which has to halve the gradient at least. 300 rows of 5 columns
# one by one (logistic) end within 1e-7 of the coefficients of fit; a step of the new rows alone ended 1e-3 to 1e-2 from them.
MOST_STEPS, HALVED = 12, 0.5
RUNGS = 3  # of a loss with corners: smoothed over 3 % of the target's spread, finer than a sample can tell
FLAT = 1e-9  # of the largest curvature: less is none to divide by


class Piece(NamedTuple):
    """Rows as they came."""

    X: Any
    y: Array
    weight: Array
    offset: Array | None


class Memory(NamedTuple):
    """What is known of rows that are gone, in the units of the data, not divided by W."""

    anchor: Array
    pull: Array
    stiffness: Array


class SampledStream:
    """A model that learns from rows as they come: theta (n + 1,) or (n + 1, K) in the units of the data."""

    def __init__(
        self, n: int, form: Loss, classes: int, penalty: Penalty, intercept: bool, standardize: bool,
        half_life: float | None, seed: int,
    ) -> None:  # fmt: skip
        self.n, self.form, self.classes, self.penalty = n, form, classes, penalty
        self.intercept, self.standardize, self.half_life, self.seed = intercept, standardize, half_life, seed
        self.total, self.seen, self.new = 0.0, 0, 0.0
        self.pieces: list[Piece] = []
        self.memory: Memory | None = None
        self.theta: Array | None = None
        self.inverse: AnyInverse | None = None
        self.inverse_sizes: Array = np.ones(n)  # the coordinates that it is of
        self.steep = 0.0  # the gradient at the best constant
        self.loss, self.stepped = np.nan, 0  # J, when theta was last found; rows since that moved theta by a step alone
        self.scale, self.target_unit = np.ones(n), 1.0
        self.run: Run | None = None
        self.objective: Remembered | None = None
        self.thinned = 0

    @property
    def kept(self) -> int:
        """Rows kept."""
        return sum(len(piece.y) for piece in self.pieces)

    def add(self, X: Any, y: Array, weight: Array | None, offset: Array | None) -> None:
        """Learn from rows X (m, n) with targets (m,): numbers, or codes of classes. What is kept is copied."""
        faded, heavy = aged(self, len(y), weight)
        used = heavy > 0.0
        if not used.any():
            return
        if faded < 1.0:
            self._fade(faded)
        X, y, heavy, offset = X[used], y[used], heavy[used], None if offset is None else offset[used]  # copies
        if self.pieces and hasattr(self.pieces[0].X, "tocsr") != hasattr(X, "tocsr"):  # as the first rows were
            X = X.toarray() if hasattr(X, "tocsr") else sparse.csr_array(X)
        piece = Piece(X, y, heavy, offset)
        self.pieces.append(piece)
        self.new += float(heavy.sum())
        if self.new < NEW * self.total and (self._settle() if self.memory is None else self._step(piece)):
            return
        self._find()
        if self.kept > 2 * self._most():
            self._thin_out()

    def _fade(self, factor: float) -> None:
        """All that was before counts less."""
        faded = [piece._replace(weight=piece.weight * factor) for piece in self.pieces]
        self.pieces = [piece for piece in faded if piece.weight.any()]
        self.new *= factor
        if self.memory is not None:
            anchor, pull, stiffness = self.memory
            self.memory = Memory(anchor, pull * factor, stiffness * factor)

    def weights(self) -> tuple[Array, Any]:
        """(coef, intercept), within the bounds; of softmax those that add up to zero, as a fit gives them."""
        assert self.theta is not None
        coef, b = Scaling.none(self.n, self.intercept).outward(self.theta)
        coef = self.penalty.project(coef)
        if self.form.link == "softmax" and self.intercept:
            return centred(coef, b, free=self.penalty.smooth and not self.penalty.curvature)
        return coef, b

    @property
    def separated(self) -> bool:
        """Whether the kept rows are all on their right side, and no penalty holds the weights back."""
        held = self.penalty.curvature or not self.penalty.smooth or self.form.task == "number"
        if held or self.objective is None or self.run is None:
            return False
        return separated(self.objective, self._rows(), self.run.best.theta)

    def _rows(self) -> ArrayRows:
        if len(self.pieces) > 1:
            X: Any = [piece.X for piece in self.pieces]
            X = sparse.vstack(X, format="csr") if hasattr(X[0], "tocsr") else np.concatenate(X)
            y, weight = (np.concatenate([piece[k] for piece in self.pieces]) for k in (1, 2))
            shifts = [np.zeros(len(p.y)) if p.offset is None else p.offset for p in self.pieces]
            offset = None if all(p.offset is None for p in self.pieces) else np.concatenate(shifts)
            self.pieces = [Piece(X, y, weight, offset)]
        return ArrayRows(*self.pieces[0], total_weight=self.total)

    def _most(self) -> int:
        numbers = sum(p.X.nnz if hasattr(p.X, "nnz") else p.X.size for p in self.pieces)
        wanted = max(KEPT_ROWS, KEPT_PER_COLUMN * self.n, KEPT_PER_CLASS * self.classes)
        return max(FEWEST_KEPT, min(wanted, int(KEPT_NUMBERS * self.kept / max(numbers, 1))))

    def _objective(self, form: Loss) -> Remembered:
        scaling = Scaling(np.zeros(self.n), self.scale, self.intercept)
        rule = self.penalty.scaled(np.where(self.scale < NO_SPREAD, self.scale, 1.0))
        objective = Remembered(form, rule, scaling)
        if self.memory is None:
            return objective
        anchor, pull, stiffness = self.memory
        size = self._sizes(anchor)
        return replace(
            objective, anchor=anchor * size, pull=pull / size / self.total, stiffness=stiffness / size**2 / self.total
        )

    def _sizes(self, theta: Array) -> Array:
        """Of one unit of each coordinate of training, in the units of the data, inverted: theta' = theta * sizes."""
        size = np.append(self.scale, 1.0) if self.intercept else self.scale
        return size if theta.ndim == 1 else size[:, None]

    def _find(self) -> None:
        """The least J over all that is known."""
        rows = self._rows()
        ladder = self._measure(rows)
        for rung in ladder if self.theta is None else ladder[-1:]:
            objective = self._objective(rung)
            origin = initial_theta(None, best_constant(self.form, rows, self.classes), objective.scaling, self.classes)
            theta = origin if self.theta is None else self.theta * self._sizes(self.theta)
            theta = np.where(np.isfinite(theta), theta, 0.0)
            J, g = objective.value_and_grad(origin, rows)
            if not objective.value(theta, rows) <= J:
                theta = origin
            plan = plan_model(objective, rows, theta, "auto", "auto", None, self.target_unit, self.seed)
            steep = float(np.linalg.norm(objective.least_slope(origin, g)))
            self.run = train(
                objective, rows, plan.optimizer, plan.rate, theta, precondition=plan.precondition,
                stops=[GradientNorm(SMALL_GRADIENT, steep), NoImprovement(), Budget(MOST_PASSES, np.inf)],
                recoveries=plan.recoveries, seed=self.seed,
            )  # fmt: skip
            self.theta = self.run.best.theta / self._sizes(theta)
            self.inverse_sizes, self.steep, self.loss = self._sizes(theta), steep, self.run.best.J
        self.new, self.stepped, self.objective = 0.0, 0, objective
        assert self.theta is not None
        self.inverse = self._inverse(objective, rows) if objective.smooth else None

    def _measure(self, rows: ArrayRows) -> tuple[Loss, ...]:
        """The spreads of the columns and of the target so far; return the losses to train one after another."""
        summary = summarise(rows, ("",) * self.n, "", ordered=self.form.task != "classes")
        if self.standardize:
            sd = summary.sd if self.intercept else np.hypot(summary.sd, summary.mean)
            self.scale = np.where(sd > 0.0, sd, NO_SPREAD if self.intercept else 1.0)
        numbers = self.form.link == "identity" and self.form.task == "number"
        self.target_unit = summary.target_sd if numbers and summary.target_sd > 0.0 else 1.0
        return self.form.ladder(self.target_unit)[:RUNGS]

    def _settle(self) -> bool:
        """The least J over all rows, by steps with the last curvature; False where these do not get there."""
        if self.inverse is None or self.theta is None:
            return False
        rows = self._rows()
        objective = self._objective(self._measure(rows)[-1])
        sizes = self._sizes(self.theta)
        theta, ratio, before = self.theta * sizes, sizes / self.inverse_sizes, np.inf
        for _ in range(MOST_STEPS):
            J, g = objective.value_and_grad(theta, rows)
            norm = float(np.linalg.norm(g))
            if norm <= SMALL_GRADIENT * self.steep:
                self.theta, self.loss = theta / sizes, J
                return True
            if not norm <= HALVED * before:
                return False
            theta, before = theta - ratio * self.inverse.apply(ratio * g), norm
        return False

    def _inverse(self, objective: Remembered, rows: ArrayRows) -> AnyInverse | None:
        """Of the second derivatives, for the steps between."""
        assert self.run is not None
        theta = self.run.best.theta
        if theta.size <= EIGEN_LIMIT:
            return damped_inverse(objective.hessian(theta, rows))
        d = objective.hessian_diagonal(theta, rows)
        return DiagonalInverse(1.0 / np.sqrt(np.maximum(d, FLAT * float(d.max(initial=1e-300)))))

    def _step(self, piece: Piece) -> bool:
        """theta <- theta - H^-1 grad of the new rows; False where that does not lower their loss."""
        if self.inverse is None or self.theta is None:
            return False
        objective = ModelObjective(self.form, NoPenalty(), Scaling(np.zeros(self.n), self.scale, self.intercept))
        rows = ArrayRows(*piece, total_weight=self.total)
        sizes = self._sizes(self.theta)
        before = self.theta * sizes
        J, g = objective.value_and_grad(before, rows)
        move = -self.inverse.apply(g)
        turn = float(np.abs(objective.scaling.predictions(move, piece.X)).max())
        after = before + move * min(1.0, MOST_TURN * self.target_unit / max(turn, 1e-300))
        if not objective.value(after, rows) <= J:
            return False
        self.theta = after / sizes
        self.stepped += len(piece.y)
        return True

    def _thin_out(self) -> None:
        """A sample of the kept rows stays, with the weight of all; the memory takes up what it lacks."""
        assert self.theta is not None
        rows, most = self._rows(), self._most()
        rng = np.random.default_rng([self.seed, self.thinned])
        chosen, heavy = thinned(rows, most, self.form.task != "number", rng)
        few = Piece(rows.X[chosen], rows.y[chosen], heavy, None if rows.offset is None else rows.offset[chosen])
        g, d = self._sums(rows)
        g_few, d_few = self._sums(ArrayRows(*few))
        if self.memory is not None:
            anchor, pull, stiffness = self.memory
            g, d = g + pull + stiffness * (self.theta - anchor), d + stiffness
        lacking = np.where(d_few < MISSED * d, np.maximum(d - d_few, 0.0), 0.0)
        self.memory, self.pieces = Memory(self.theta, g - g_few, lacking), [few]
        self.thinned += 1

    def _sums(self, rows: ArrayRows) -> tuple[Array, Array]:
        """The gradient of the rows' loss and the diagonal of its second derivatives, summed, in the units of the data."""
        assert self.theta is not None
        objective = ModelObjective(self.form, NoPenalty(), Scaling.none(self.n, self.intercept))
        whole = ArrayRows(rows.X, rows.y, rows.weight, rows.offset, total_weight=1.0)
        _, g = objective.value_and_grad(self.theta, whole)
        return g, objective.hessian_diagonal(self.theta, whole)


def thinned(
    rows: ArrayRows, most: int, by_class: bool, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """About `most` of the rows, and their weights, which add up to the same: for each class too, however rare.

    Systematic sampling: a row is drawn in proportion to its weight, and heavier ones than a share stay for certain.
    """
    assert rows.weight is not None
    groups = [np.flatnonzero(rows.y == code) for code in np.unique(rows.y)] if by_class else [np.arange(rows.m)]
    chosen, heavy = [], []
    for group in groups:
        w = rows.weight[group]
        least = min(len(group), most // (2 * len(groups)))
        count = min(len(group), max(least, round(most * float(w.sum()) / float(rows.weight.sum()))))
        edges = np.cumsum(w) / w.sum() * count
        hits = np.floor(edges + rng.random()).astype(np.intp)
        times = np.diff(hits, prepend=0)
        times[0] = hits[0]
        picked = np.flatnonzero(times > 0)
        chosen.append(group[picked])
        heavy.append(times[picked] * (w.sum() / times.sum()))
    order = np.argsort(np.concatenate(chosen), kind="stable")
    return np.concatenate(chosen)[order], np.concatenate(heavy)[order]
