"""What a model is all but sure of, and a proof does better without: rows, or classes of rows.

A level whose rows all have the same outcome (a rare one, mostly) has no best weight: the larger, the better, by less and
less. At every point the optimum is then a step of one and a half on their scale away, or more, where their curvature may
have halved: no quadratic holds there, and no radius is enough. But no loss is below zero. Let B be those rows, J_B their
part of J, and J_A the rest. Then

    J(theta) - J*  <=  J_B(theta) + (J_A(theta) - J_A*),

and J_A does not mind where the weights of such levels go. With several classes a level may lack but one of them. Then the
loss without that class, log sum_{k kept} e^(z_k) - z_y, is the lower one, for sums have fewer terms; and it takes the
place of J_A, what it is lower by at theta that of J_B. A row of which its own class alone is kept costs nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.losses._base import Loss
from fallline.objective import ModelObjective
from fallline.rows._base import Array, Batch, Rows
from fallline.spread import Spread

FAR = 1.0  # of a row's own scale: a step that reaches farther than this is out of the reach of a quadratic
NEARLY = 0.99  # of it: what is near the border has no curvature, whichever part it is in
FEW = 0.01  # of J: a larger part is no remainder
WORTH = 10.0  # times nu^2: a loss that is more than that is more than the rows' uncertainty


class Out(NamedTuple):
    """What is left out of the rows that are asked for curvature: rows (m,), and classes of rows (m, K) where there are some."""

    rows: NDArray[np.bool_]
    classes: NDArray[np.bool_] | None = None

    def of(self, batch: Batch) -> Out:
        """The same of a batch of these rows."""
        own = slice(batch.first, batch.first + len(batch.y))
        return Out(self.rows[own], None if self.classes is None else self.classes[own])

    def seen(self, z: Array) -> Array:
        """Predictions as they are without these classes."""
        return z if self.classes is None else np.where(self.classes, -np.inf, z)

    def without(self, c: Array) -> Array:
        """Curvatures, none for the rows that are left out."""
        return np.where(self.rows.reshape((-1,) + (1,) * (c.ndim - 1)), 0.0, c)


class Sure(NamedTuple):
    """What is left out: by how much J is lower then, and the part of its slope that is; and what it is of those rows."""

    loss: float
    slope: Array
    out: Out


def sure_rows(
    objective: ModelObjective, rows: Rows, some: Rows, theta: Array, reach: float, spread: Spread, spreads: Array
) -> Sure | None:
    """What may move far within `reach`; None where nothing may, or the model is not sure of it.

    `spread` tells how far a row's prediction moves within the unit ball, and `spreads` has it for `some`, the rows whose
    curvature is asked for: a part of the `rows`, or all.
    """
    if not np.any(reach * spreads > NEARLY * FAR):
        return None
    most = min(WORTH * (reach / 2.0) ** 2, FEW * objective.value_and_grad(theta, rows)[0])
    width = spread.width

    def far(batch: Batch) -> Out:
        """With several classes, those that move far beside the row's own; a row that comes near to that has no curvature."""
        if spread.beside is None:
            return Out(reach * spread.of(batch) > FAR)
        moves = reach * spread.beside(batch)
        return Out(np.any((moves > NEARLY * FAR) & (moves * NEARLY <= FAR), axis=1), moves > FAR)

    def cost(out: Out, batch: Batch) -> tuple[float, Array]:
        z = objective.forward(theta, batch)
        value, slope = lower(objective.loss, batch.y, z, out)
        own, pull = objective.weighted(value, batch), objective.weighted(slope, batch)
        return float(own.sum() * batch.share), objective.scaling.gather(batch.X, pull * batch.share)

    if theta.ndim == 1:
        out = Out(reach * spreads > NEARLY * FAR)
    else:
        found = some.each(lambda batch: _side_by_side(far(batch)), width) > 0.0
        out = Out(found[:, 0], found[:, 1:])
    if not some.sum(lambda batch: cost(out.of(batch), batch), 1)[0] <= most:  # a part of them costs too much already
        return None
    if rows is some and theta.ndim == 2:
        loss, slope = rows.sum(lambda batch: cost(out.of(batch), batch), 1)
    else:
        loss, slope = rows.sum(lambda batch: cost(far(batch), batch), width)
    return Sure(max(loss, 0.0), slope.ravel(), out) if loss <= most else None


def _side_by_side(out: Out) -> Array:
    """As numbers, one row after the other."""
    classes = np.empty((len(out.rows), 0)) if out.classes is None else out.classes
    return np.concatenate([out.rows[:, None], classes], axis=1).astype(np.float64)


def lower(loss: Loss, y: Array, z: Array, out: Out) -> tuple[Array, Array]:
    """By how much the loss of each row is lower without what is left out, and the slope of that."""
    value, slope = loss.value_and_slope(y, z)
    if out.classes is None:
        return np.where(out.rows, value, 0.0), np.where(out.rows, slope, 0.0)
    touched = out.classes.any(axis=1)
    less, other = loss.value_and_slope(y[touched], out.seen(z)[touched])
    by, pull = np.zeros_like(value), np.zeros_like(slope)
    by[touched], pull[touched] = value[touched] - less, slope[touched] - other
    return by, pull


def uncentred(objective: ModelObjective, theta: Array) -> tuple[ModelObjective, Array]:
    """The same model in coordinates in which columns that are mostly zero are zero there.

    A column that is zero in all rows but sure ones is then one that the others know nothing of, and not one that leans on
    the intercept; J and its bounds do not mind. Columns far from zero stay centred, or their squares would lose digits.
    """
    scaling = objective.scaling
    own = replace(scaling, shift=np.where(np.abs(scaling.shift) <= scaling.scale, 0.0, scaling.shift))
    return replace(objective, scaling=own), own.inward(*scaling.outward(theta))
