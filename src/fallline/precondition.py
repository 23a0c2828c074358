"""Preconditioning: descend in coordinates in which the valley is round.

    direction = P^-1 grad J(theta),    P close to the matrix of second derivatives of J

With P of the present theta and a step of 1 this is Newton's method; with P of an earlier theta, or of a sample of the
rows, it is still gradient descent, whose steps contract at a pace that does not depend on the conditioning of the data.
Any update rule may run in these coordinates: it sees the gradient root^T g, and root times its move is the step, where
root root^T = P^-1.
"""

from __future__ import annotations

import abc
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fallline.corners import least_point
from fallline.curved import inverse_curvature, lift
from fallline.inverse import AnyInverse, ClassInverse, DiagonalInverse, Inverse, damped_inverse, regular_inverse
from fallline.losses._base import Loss
from fallline.objective import CurvatureOf, ModelObjective
from fallline.prices import DEAREST
from fallline.rows._base import Array, Batch, Rows

RENEW = 0.1  # a step that leaves more than this share of the slope says that the curvature is out of date
RENEW_SAMPLED = 0.7  # the same for a sampled P, whose steps never were exact
PATIENCE = 4  # times that a sample is asked anew before all rows are
# Rows without curvature are given some, more where a step gains less than `TRUSTED` of what the quadratic expects of it, less
# where it gains `RELIABLE` (Levenberg 1944; Marquardt 1963). Below `LEAST_LIFT`, of the largest curvature, none.
TRUSTED, RELIABLE, LIFTED, LEAST_LIFT = 0.1, 0.7, 10.0, 1e-6
ROUNDED = 1e-14  # of J: sums of losses are not known better
BLIND = 1e-3  # of the slope: so much of it may lie where P is singular before P is lifted
FLOOR = 0.1  # of the largest curvature: short of a bound from above, which backtracking makes up for
# Of a row's curvature, a share that is the mean row's, where a sample was solved first. Without it the first eight steps are
# refused on flights (16 classes) and covertype (7); 0.01 to 0.3 take 28 to 47 passes on covertype, in no order.
BLUR = 0.1
KEPT = (
    1 / 3
)  # of its price in passes: so long a P is used. With 1 covertype, 7 classes, took 60 passes, with 1/3 took 35
LEAST = 1e-8  # of the largest diagonal entry: columns that hardly ever occur are not blown up further


class Metric(NamedTuple):
    """P^-1, and the size of the slope in its norm when last seen."""

    inverse: AnyInverse
    slope: float

    @property
    def basis(self) -> object:
        """What the coordinates are made of: while it is the same object, they are the same coordinates."""
        return self.inverse

    def inward(self, theta: Array, g: Array) -> Array:
        """The gradient, as a rule sees it."""
        return self.inverse.inward(g)

    def outward(self, u: Array, theta: Array) -> Array:
        """The rule's move, as a move of theta."""
        return self.inverse.outward(u, theta.shape)

    def fall(self, g: Array, move: Array) -> float:
        """What the slope promises of a move, to first order."""
        return float(np.vdot(g, move))


class CornerMetric(NamedTuple):
    """Where the quadratic of the matrix H and the corners (|w|, bounds) is least: the aim of a step of 1.

    The rule sees theta - aim, which is the generalised gradient (theta - prox(theta - P^-1 g)) in the metric P = H.
    """

    H: Array
    aim: Array
    slope: float  # sqrt(d^T H d), d = aim - theta; more where there are entries that the step leaves alone
    promise: float  # of the whole step: g . d + R(theta + d) - R(theta)
    way: Array  # d
    bent: float  # d^T H d

    @property
    def basis(self) -> object:
        return self.H

    def inward(self, theta: Array, g: Array) -> Array:
        return theta - self.aim

    def outward(self, u: Array, theta: Array) -> Array:
        return u

    def fall(self, g: Array, move: Array) -> float:
        square = float(np.vdot(self.way, self.way))
        return self.promise * float(np.vdot(move, self.way)) / square if square > 0.0 else 0.0


AnyMetric = Metric | CornerMetric


class Preconditioner(abc.ABC):
    """How P is made, and when it is made anew."""

    @abc.abstractmethod
    def init(self, theta: Array, g: Array) -> AnyMetric:
        """P at `theta`, where the gradient is `g`."""

    @abc.abstractmethod
    def update(self, metric: AnyMetric, theta: Array, g: Array) -> AnyMetric:
        """The same P while it serves, else a new one."""


class HessianPreconditioner(Preconditioner):
    """P from `rows` at the current theta, formed again whenever a step gains less than it should.

    `rows` may be a sample of the rows trained on, and `whole` all of them, which are asked when the sample has said too
    little several times. For squared loss on all rows P never changes, and the first step lands on the optimum. A P that
    costs as much as `price` passes is used for a third of so many before it is made anew.
    """

    def __init__(self, objective: ModelObjective, rows: Rows, whole: Rows | None = None, price: float = 0.0) -> None:
        self.objective, self.rows, self.whole, self.price = objective, rows, whole, price
        self.renew, self.renewed, self.passes = RENEW if whole is None else RENEW_SAMPLED, 0, 0

    def init(self, theta: Array, g: Array) -> Metric:
        self.passes, curvature, diagonal = 0, None, None
        if theta.ndim == 2 and self.whole is not None:
            curvature = blurred(self.objective.loss, BLUR / 10.0**self.renewed)
            diagonal = self.objective.hessian_diagonal(theta, self.whole)
        inverse = _invert(self.objective, theta, self.rows, curvature, diagonal)
        if self._blind(inverse, g) or self._boundless(inverse, theta, g):
            inverse = _invert(self.objective, theta, self.rows, lifted(self.objective.loss))
        return Metric(inverse, inverse.norm(g))

    @staticmethod
    def _blind(inverse: Inverse, g: Array) -> bool:
        """Whether the slope has parts along which this loss is flat just here, as Huber's can be."""
        return float(np.linalg.norm(inverse.outside(g))) > BLIND * float(np.linalg.norm(g.ravel() / inverse.size))

    def _boundless(self, inverse: Inverse, theta: Array, g: Array) -> bool:
        """Whether a step promises more than all of J, below which it cannot fall.

        So it does along which J is nearly flat just here: where rows are predicted wrongly, and with great confidence, as
        those of a rare level after too long a step.
        """
        return theta.ndim == 1 and inverse.norm(g) ** 2 / 2.0 > self.objective.value_and_grad(theta, self.rows)[0]

    def update(self, metric: AnyMetric, theta: Array, g: Array) -> Metric:
        assert isinstance(metric, Metric)
        slope = metric.inverse.norm(g)
        self.passes += 1
        if slope <= self.renew * metric.slope or self.passes < KEPT * self.price:
            return Metric(metric.inverse, slope)
        self.renewed += 1
        if self.whole is not None and self.renewed >= PATIENCE:
            price = self.price * self.whole.m / self.rows.m
            if price <= DEAREST:
                self.objective, self.rows, self.price = replace(self.objective, lacking=None), self.whole, price
                self.whole, self.renew = None, RENEW
        return self.init(theta, g)


class CornerPreconditioner(Preconditioner):
    """The same where |w| or bounds make corners: a step of 1 leads to where the quadratic with the corners is least.

    A proximal Newton method (Lee, Sun and Saunders 2014). The penalty acts entry by entry (``Penalty.elementwise``).
    """

    def __init__(self, objective: ModelObjective, rows: Rows, whole: Rows | None = None) -> None:
        self.objective, self.rows = objective, rows
        self.renew = RENEW if whole is None else RENEW_SAMPLED
        self.lift = 0.0  # curvature given to rows that have none, as a share of the largest that the loss has anywhere

    def init(self, theta: Array, g: Array) -> CornerMetric:
        objective, rows = self.objective, self.rows
        flat = 0 if theta.ndim > 1 or objective.loss.excess else rows.sum(lambda b: self._flat(b, theta))
        if not flat:
            return self.aimed(self.hessian(theta), theta, g)
        rank = rows.m - flat
        if self.lift == 0.0 and rank < self.unknowns(theta) and not objective.penalty.curvature:
            self.lift = FLOOR  # the quadratic knows no end along most of the entries
        J = objective.value_and_grad(theta, rows)[0]
        while True:
            curvature = majorised(objective.loss, self.lift) if self.lift else None
            found = self.aimed(self.hessian(theta, curvature), theta, g, None if self.lift else rank)
            gain = J - objective.value_and_grad(found.aim, rows)[0]
            expected = -found.promise - found.bent / 2.0
            known = ROUNDED * abs(J)  # a difference of losses is not known better
            if gain >= TRUSTED * expected - known or self.lift >= 1.0:
                break
            self.lift = min(max(LIFTED * self.lift, LEAST_LIFT), 1.0)
        if gain >= RELIABLE * expected - known:
            self.lift = self.lift / LIFTED if self.lift > LEAST_LIFT else 0.0
        return found

    def _flat(self, batch: Batch, theta: Array) -> int:
        """How many rows have no curvature just here, as Huber's loss far away: there the quadratic knows no end."""
        return int(np.sum(self.objective.loss.curvature(batch.y, self.objective.forward(theta, batch)) <= 0.0))

    def update(self, metric: AnyMetric, theta: Array, g: Array) -> CornerMetric:
        assert isinstance(metric, CornerMetric)
        aimed = self.aimed(metric.H, theta, g)
        return aimed if aimed.slope <= self.renew * metric.slope else self.init(theta, g)

    def aimed(self, H: Array, theta: Array, g: Array, rank: int | None = None) -> CornerMetric:
        """The step from theta by the matrix H."""
        objective = self.objective
        if not (np.isfinite(H).all() and np.isfinite(g).all()):  # it overflowed: stay, and let the loop see it
            return CornerMetric(H, theta, np.inf, 0.0, np.zeros_like(theta), np.inf)
        full = bool(objective.penalty.curvature)  # a ridge gives H all its rank
        aim = self.least(H, theta, g, theta.size if full else rank or self.rows.m * theta[0].size)
        way = aim - theta
        promise = float(np.vdot(g, way)) + objective.corner_value(aim) - objective.corner_value(theta)
        bent = max(self.bent(H, theta, way), 0.0)
        return CornerMetric(H, aim, float(np.sqrt(bent + self.beyond(theta, g))), promise, way, bent)

    def unknowns(self, theta: Array) -> int:
        """How many entries of theta a step moves."""
        return theta.size

    def hessian(self, theta: Array, curvature: CurvatureOf | None = None) -> Array:
        """The second derivatives of these entries."""
        return self.objective.hessian(theta, self.rows, curvature)

    def least(self, H: Array, theta: Array, g: Array, most: int) -> Array:
        """Where the quadratic with the corners is least; `most`: the rank of H at most."""
        corners = self.objective.corners(theta)
        return least_point(H, g.ravel(), theta.ravel(), *corners, most).reshape(theta.shape)

    def bent(self, H: Array, theta: Array, way: Array) -> float:
        """way^T H way."""
        return float(way.ravel() @ H @ way.ravel())

    def beyond(self, theta: Array, g: Array) -> float:
        """About twice what the entries that a step leaves alone would gain."""
        return 0.0


class ClassPreconditioner(Preconditioner):
    """P = the second derivatives within each class at the start: one matrix for each class.

    Leaves out how the classes lean on one another, which L-BFGS learns; so it serves where the whole matrix, K times as
    wide, would cost more than the passes that it saves. Of a `sample` of the rows, if one is given.
    """

    def __init__(self, objective: ModelObjective, rows: Rows, sample: Rows | None = None) -> None:
        self.objective, self.rows, self.sample = objective, rows, sample

    def init(self, theta: Array, g: Array) -> Metric:
        H = self.objective.class_hessians(theta, self.sample or self.rows)
        if self.sample is not None:
            for own, whole in zip(H, self.objective.hessian_diagonal(theta, self.rows).T, strict=True):
                lift(own, whole)
        inverse = ClassInverse(np.stack([(regular_inverse(own) or damped_inverse(own)).root for own in H]))
        return Metric(inverse, inverse.norm(g))

    def update(self, metric: AnyMetric, theta: Array, g: Array) -> Metric:
        assert isinstance(metric, Metric)
        return Metric(metric.inverse, metric.inverse.norm(g))


class DiagonalPreconditioner(Preconditioner):
    """P = the diagonal of the second derivatives at the start: every coordinate in units of its own curvature.

    Costs one pass and n numbers, so it serves where a matrix would not fit.
    """

    def __init__(self, objective: ModelObjective, rows: Rows) -> None:
        self.objective, self.rows = objective, rows

    def init(self, theta: Array, g: Array) -> Metric:
        d = self.objective.hessian_diagonal(theta, self.rows)
        top = float(d.max(initial=0.0))
        d = np.where(d > LEAST * top, d, LEAST * top if top > 0.0 and np.isfinite(top) else 1.0)
        inverse = DiagonalInverse(1.0 / np.sqrt(d))
        return Metric(inverse, inverse.norm(g))

    def update(self, metric: AnyMetric, theta: Array, g: Array) -> Metric:
        assert isinstance(metric, Metric)
        return Metric(metric.inverse, metric.inverse.norm(g))


def lifted(loss: Loss) -> CurvatureOf:
    """Curvature with a floor: a share of the largest that the loss has anywhere, so that no row is flat."""

    def of(batch: Batch, z: Array) -> Array:
        curvature, bound = loss.curvature(batch.y, z), loss.curvature_bound
        floor = FLOOR * (bound if bound is not None else float(curvature.max(initial=1.0)))
        return curvature if curvature.ndim > 1 else np.maximum(curvature, floor)

    return of


def majorised(loss: Loss, share: float) -> CurvatureOf:
    """Curvature with a floor: a share of that of a parabola which phi does not exceed."""

    def of(batch: Batch, z: Array) -> Array:
        curvature, majorant = loss.curvature(batch.y, z), loss.majorant(batch.y, z)
        return np.maximum(curvature, share * (float(curvature.max(initial=1.0)) if majorant is None else majorant))

    return of


def blurred(loss: Loss, share: float) -> CurvatureOf:
    """Curvature with a share of the mean row's. A sample that was solved is sure of what others contradict.

    Its predictions are close to 0 or 1, where the loss is nearly flat: the step from there to what all rows say would
    go far too far.
    """

    def of(batch: Batch, z: Array) -> Array:
        own = loss.curvature(batch.y, z)
        return np.asarray((1.0 - share) * own + share * own.mean(axis=0))

    return of


def by_curvature(
    objective: ModelObjective, rows: Rows, whole: Rows | None = None, price: float = 0.0
) -> Preconditioner:
    """The second derivatives of `rows`, with the corners of the penalty where it has any.

    `whole`: the rows trained on, where `rows` are a sample of them. `price`: of a matrix of `rows`, in passes.
    """
    own = objective if whole is None else objective.for_sample(rows)
    return (
        HessianPreconditioner(own, rows, whole, price) if objective.smooth else CornerPreconditioner(own, rows, whole)
    )


def _invert(
    objective: ModelObjective,
    theta: Array,
    rows: Rows,
    curvature: CurvatureOf | None = None,
    diagonal: Array | None = None,
) -> Inverse:
    found = inverse_curvature(objective, theta, rows, curvature, diagonal=diagonal)
    if found is not None:
        return found
    H = objective.hessian(theta, rows, curvature)
    if diagonal is not None:
        lift(H, diagonal)
    return damped_inverse(H)
