"""Preconditioning: descend in coordinates in which the valley is round.

    direction = P^-1 grad J(theta),    P close to the matrix of second derivatives of J

With P of the present theta and a step of 1 this is Newton's method; with P of an earlier theta, or of a sample of the
rows, it is still gradient descent, whose steps contract at a pace that does not depend on the conditioning of the data.
Any update rule may run in these coordinates: it sees the gradient root^T g, and root times its move is the step, where
root root^T = P^-1.
"""

from __future__ import annotations

import abc
from typing import NamedTuple

import numpy as np

from fallline.inverse import AnyInverse, DiagonalInverse, Inverse, damped_inverse, pseudo_inverse
from fallline.objective import ModelObjective
from fallline.rows._base import Array, Batch, Rows

RENEW = 0.1  # a step that leaves more than this share of the slope says that the curvature is out of date
RENEW_SAMPLED = 0.7  # the same for a sampled P, whose steps never were exact
BLIND = 1e-3  # of the slope: so much of it may lie where P is singular before P is lifted
FLOOR = 0.1  # of the largest curvature: short of a bound from above, which backtracking makes up for
CHEAP = 300  # unknowns: up to here eigenvalues cost less than a look at the data
LEAST = 1e-8  # of the largest diagonal entry: columns that hardly ever occur are not blown up further


class Metric(NamedTuple):
    """P^-1, and the size of the slope in its norm when last seen."""

    inverse: AnyInverse
    slope: float


class Preconditioner(abc.ABC):
    """How P is made, and when it is made anew."""

    @abc.abstractmethod
    def init(self, theta: Array, g: Array) -> Metric:
        """P at `theta`, where the gradient is `g`."""

    @abc.abstractmethod
    def update(self, metric: Metric, theta: Array, g: Array) -> Metric:
        """The same P while it serves, else a new one."""


class HessianPreconditioner(Preconditioner):
    """P from `rows` at the current theta, formed again whenever a step gains less than it should.

    `rows` may be a sample of the rows trained on: `sampled`. For squared loss on all rows P never changes, and the first
    step lands on the optimum.
    """

    def __init__(self, objective: ModelObjective, rows: Rows, sampled: bool = False) -> None:
        self.objective, self.rows = objective, rows
        self.renew = RENEW_SAMPLED if sampled else RENEW

    def init(self, theta: Array, g: Array) -> Metric:
        H = self.objective.hessian(theta, self.rows)
        inverse = _invert(H)
        left = float(np.linalg.norm(g.ravel() - H @ inverse.apply(g).ravel()))
        if left > BLIND * float(
            np.linalg.norm(g)
        ):  # the slope has parts along which this loss is flat just here (Huber)
            inverse = _invert(self.objective.hessian(theta, self.rows, self._lifted))
        return Metric(inverse, inverse.norm(g))

    def _lifted(self, batch: Batch, z: Array) -> Array:
        """Curvature with a floor: a share of the largest that the loss has anywhere, so that no row is flat."""
        curvature, bound = self.objective.loss.curvature(batch.y, z), self.objective.loss.curvature_bound
        lifted: Array = np.maximum(
            curvature, FLOOR * (bound if bound is not None else float(curvature.max(initial=1.0)))
        )
        return curvature if curvature.ndim > 1 else lifted

    def update(self, metric: Metric, theta: Array, g: Array) -> Metric:
        slope = metric.inverse.norm(g)
        return Metric(metric.inverse, slope) if slope <= self.renew * metric.slope else self.init(theta, g)


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

    def update(self, metric: Metric, theta: Array, g: Array) -> Metric:
        return metric


def _invert(H: Array) -> Inverse:
    return (pseudo_inverse(H) if len(H) <= CHEAP else None) or damped_inverse(H)
