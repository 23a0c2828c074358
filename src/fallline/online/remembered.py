"""The loss of rows at hand, plus what is remembered of rows that are not.

    J(theta) = 1/W (sum_S weight_i phi_i(theta) + pull . d + 1/2 sum_j stiffness_j d_j^2) + R(w),   d = theta - anchor

S is a weighted sample of all rows so far. `pull` is what S lacks of their gradient at the anchor, so that J has their
gradient there; `stiffness` is what it lacks of the curvature of columns that hardly occur in it. The first without the
second is the surrogate likelihood of Jordan, Lee and Yang (2019), where S is the rows of one machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fallline.objective import CurvatureOf, ModelObjective
from fallline.rows._base import Array, Batch, Rows


@dataclass(frozen=True)
class Remembered(ModelObjective):
    """A model's objective with a memory, in the coordinates of training and divided by W."""

    anchor: Array | None = None
    pull: Array | None = None
    stiffness: Array | None = None

    def value_and_grad(self, theta: Array, batch: Batch | Rows | None) -> tuple[float, Array]:
        J, g = super().value_and_grad(theta, batch)
        if self.anchor is None or self.pull is None or self.stiffness is None:
            return J, g
        d = theta - self.anchor
        return J + self._memory(d), g + self.pull + self.stiffness * d

    def value(self, theta: Array, rows: Rows) -> float:
        J = super().value(theta, rows)
        return J if self.anchor is None else J + self._memory(theta - self.anchor)

    def hessian(self, theta: Array, rows: Rows, curvature: CurvatureOf | None = None) -> Array:
        H = super().hessian(theta, rows, curvature)
        if self.stiffness is not None:
            H[np.diag_indices_from(H)] += self.stiffness.ravel()
        return H

    def along(self, theta: Array, rows: Rows, ways: Array, curvature: CurvatureOf | None = None) -> tuple[Array, Array]:
        HV, square = super().along(theta, rows, ways, curvature)
        if self.stiffness is None:
            return HV, square
        more = self.stiffness.reshape(-1, 1) * ways
        return HV + more, square + ways.T @ more

    def hessian_diagonal(self, theta: Array, rows: Rows) -> Array:
        d = super().hessian_diagonal(theta, rows)
        return d if self.stiffness is None else d + self.stiffness

    def _memory(self, d: Array) -> float:
        assert self.pull is not None and self.stiffness is not None
        return float(np.vdot(self.pull, d) + 0.5 * np.vdot(self.stiffness, d * d))
