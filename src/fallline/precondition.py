"""Preconditioning: descend in coordinates in which the valley is round.

    direction = P^-1 grad J(theta),    P = the matrix of second derivatives of J

With P of the present theta and a step of 1 this is Newton's method; with P of an earlier theta it is still gradient
descent, whose steps contract at a pace that does not depend on the conditioning of the data.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fallline.inverse import Inverse, damped_inverse, pseudo_inverse
from fallline.objective import ModelObjective
from fallline.rows._base import Array, Batch, Rows

RENEW = 0.1  # a step that leaves more than this share of the slope says that the curvature is out of date
BLIND = 1e-3  # of the slope: so much of it may lie where P is singular before P is lifted
FLOOR = 0.1  # of the largest curvature: short of a bound from above, which backtracking makes up for
CHEAP = 300  # unknowns: up to here eigenvalues cost less than a look at the data


class Metric(NamedTuple):
    """P^-1, and the size of the slope in its norm when last seen."""

    inverse: Inverse
    slope: float


class HessianPreconditioner:
    """P from all rows at the current theta, formed again whenever a step gains less than it should.

    For squared loss P never changes, and the first step lands on the optimum.
    """

    def __init__(self, objective: ModelObjective, rows: Rows) -> None:
        self.objective, self.rows = objective, rows

    def init(self, theta: Array, g: Array) -> Metric:
        """P at `theta`."""
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
        """The same P while it serves; a new one when the slope in its norm fell less than tenfold."""
        slope = metric.inverse.norm(g)
        return Metric(metric.inverse, slope) if slope <= RENEW * metric.slope else self.init(theta, g)

    @staticmethod
    def apply(metric: Metric, g: Array) -> Array:
        """P^-1 g."""
        return metric.inverse.apply(g)


def _invert(H: Array) -> Inverse:
    return (pseudo_inverse(H) if len(H) <= CHEAP else None) or damped_inverse(H)
