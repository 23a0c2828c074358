"""The path of gradient descent in few steps, for early stopping: what lies between the start and the optimum.

Gradient descent with short steps follows  d theta / dt = -grad J,  along which weights that the data says much of are
found first; stopped early, it has left the others near where they began. One implicit step of length t,

    theta  <-  theta - (H + 1/t)^-1 grad J(theta),

goes along it whatever the conditioning (for squared loss it is a ridge regression around theta). With t growing by a
constant factor the check rows are looked at evenly in log t, and at last the steps are Newton's and end at the optimum.
(Levenberg 1944; early stopping as a ridge: Ali, Kolter and Tibshirani 2019.)
"""

from __future__ import annotations

import numpy as np

from fallline.inverse import damped_inverse, regular_inverse
from fallline.objective import ModelObjective
from fallline.precondition import AnyMetric, CornerPreconditioner, Metric, Preconditioner
from fallline.rows._base import Array, Rows

# Of t, from one step to the next. Check losses of 80 x 40, 100 x 60 (alike), 120 x 60 (logistic, Poisson), 50 x 300 are
# those of descent at 1/L to 1 %; a conditioning of 1e6 takes 35 steps.
GROWTH = 1.5
LONGEST = 1e300  # of 1/L: a number, whatever the steps


class FlowPreconditioner(Preconditioner):
    """P = H + 1/t at the present theta; t is 1/L at first and grows at every step that is kept."""

    def __init__(self, objective: ModelObjective, rows: Rows) -> None:
        self.objective, self.rows, self.growth = objective, rows, 1.0
        self.corners = CornerPreconditioner(objective, rows)
        self.largest = 0.0  # L
        self._same: Array | None = None  # H, where it is the same everywhere

    def init(self, theta: Array, g: Array) -> AnyMetric:
        objective = self.objective
        H = objective.hessian(theta, self.rows) if self._same is None else self._same
        if objective.constant_curvature(theta, self.rows):
            self._same = H
        if not np.isfinite(H).all():  # it overflowed: the loop sees it
            return Metric(damped_inverse(np.eye(len(H))), np.inf)
        if self.largest == 0.0:
            self.largest = max(float(np.linalg.norm(H, 2)), 1e-300)
        H = H + np.eye(len(H)) * (self.largest / self.growth)
        self.growth = min(GROWTH * self.growth, LONGEST)
        if not objective.smooth:
            return self.corners.aimed(H, theta, g)
        inverse = regular_inverse(H) or damped_inverse(H)
        return Metric(inverse, inverse.norm(g))

    def update(self, metric: AnyMetric, theta: Array, g: Array) -> AnyMetric:
        return self.init(theta, g)
