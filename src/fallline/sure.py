"""Rows that a model is all but sure of, which a proof does better without.

A level whose rows all have the same outcome (a rare one, mostly) has no best weight: the larger, the better, by less and
less. At every point the optimum is then a step of one and a half on their scale away, or more, where their curvature may
have halved: no quadratic holds there, and no radius is enough. But no loss is below zero. Let B be those rows, J_B their
part of J, and J_A the rest. Then

    J(theta) - J*  <=  J_B(theta) + (J_A(theta) - J_A*),

and J_A does not mind where the weights of such levels go.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.objective import ModelObjective
from fallline.rows._base import Array, Batch, Rows
from fallline.spread import Spread

FAR = 1.0  # of a row's own scale: a step that reaches farther than this is out of the reach of a quadratic
NEARLY = 0.99  # of it: what is near the border counts in neither part's curvature, whichever part it is in
FEW = 0.01  # of J: a larger part is no remainder
WORTH = 10.0  # times nu^2: a loss that is more than that is more than the rows' uncertainty


class Sure(NamedTuple):
    """These rows: their part of J and of its slope, and which of the rows that are asked for curvature they are."""

    loss: float
    slope: Array
    among: NDArray[np.bool_]


def sure_rows(
    objective: ModelObjective, rows: Rows, some: Rows, theta: Array, reach: float, spread: Spread, spreads: Array
) -> Sure | None:
    """The rows whose predictions may move far within `reach`; None where there are none, or they are not sure.

    `spread` tells how far a row's prediction moves within the unit ball, and `spreads` has it for `some`, the rows whose
    curvature is asked for: a part of the `rows`, or all.
    """
    among = reach * spreads > NEARLY * FAR
    most = min(WORTH * (reach / 2.0) ** 2, FEW * objective.value_and_grad(theta, rows)[0])

    def cost(far: NDArray[np.bool_], batch: Batch) -> tuple[float, Array]:
        value, slope = objective.loss.value_and_slope(batch.y, objective.forward(theta, batch))
        own = objective.weighted(np.where(far, value, 0.0), batch)
        pull = objective.weighted(np.where(far.reshape((-1,) + (1,) * (slope.ndim - 1)), slope, 0.0), batch)
        return float(own.sum() * batch.share), objective.scaling.gather(batch.X, pull * batch.share)

    def theirs(batch: Batch) -> tuple[float, Array]:
        return cost(among[batch.first : batch.first + len(batch.y)], batch)

    if not among.any() or not some.sum(theirs, 1)[0] <= most:  # a part of them costs too much already
        return None
    loss, slope = rows.sum(lambda batch: cost(reach * spread.of(batch) > FAR, batch), spread.width)
    return Sure(max(loss, 0.0), slope.ravel(), among) if loss <= most else None


def uncentred(objective: ModelObjective, theta: Array) -> tuple[ModelObjective, Array]:
    """The same model in coordinates in which columns that are mostly zero are zero there.

    A column that is zero in all rows but sure ones is then one that the others know nothing of, and not one that leans on
    the intercept; J and its bounds do not mind. Columns far from zero stay centred, or their squares would lose digits.
    """
    scaling = objective.scaling
    own = replace(scaling, shift=np.where(np.abs(scaling.shift) <= scaling.scale, 0.0, scaling.shift))
    return replace(objective, scaling=own), own.inward(*scaling.outward(theta))
