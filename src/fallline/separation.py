"""Whether a plane separates the classes: then larger weights always fit better, and no finite optimum exists."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fallline.curved import inverse_curvature
from fallline.losses.poisson import Poisson
from fallline.objective import ModelObjective
from fallline.rounding import terms_of
from fallline.rows._base import Array, Batch, Rows
from fallline.rows.arrays import ArrayRows

GROWN = 3.0  # weight of a standardised column: an odds ratio of 20 for one standard deviation is worth a question
MOST_NUMBERS = 200_000  # of X in a linear program, which takes a second then
DRIFT = 0.5  # of a row's log odds: where an optimum exists, the step that is left near it moves no row so far
SIDE = 1e-14  # of the terms of a prediction: a margin that is smaller may be rounding
MARGIN = 1e-6  # of the program's best: less is rounding


class Separation(NamedTuple):
    """``"strict"``: every row is on its right side. ``"quasi"``: none is on the wrong one. `column`: one does it alone.

    ``"zeros"``: all counts are zero, and the best rate of a log link is zero too, which no finite intercept gives.
    """

    kind: str = ""
    column: str = ""


def separation(objective: ModelObjective, rows: Rows, theta: Array, names: tuple[str, ...], proved: bool) -> Separation:
    """What `theta`, and a linear program where its weights may grow without end, say of the classes.

    `proved`: J is close to its infimum, which a plane of rows that are all but sure does not preclude (see sure.py).
    """
    if isinstance(objective.loss, Poisson) and objective.scaling.intercept:
        return Separation() if any(y.any() for y, _, _ in rows.sides()) else Separation("zeros")
    if not _asked(objective, theta):
        return Separation()
    kind = "strict" if separated(objective, rows, theta) else ""
    if not kind and _may_be_quasi(objective, rows, theta, proved) and _quasi(objective, rows):
        kind = "quasi"
    return Separation(kind, _alone(rows, names, strict=kind == "strict") if kind and theta.ndim == 1 else "")


def separated(objective: ModelObjective, rows: Rows, theta: Array) -> bool:
    """Whether every training row is on its right side: then, unpenalised, no finite optimum exists (proved)."""
    if not _asked(objective, theta):
        return False

    def wrong(batch: Any) -> int:
        z = objective.forward(theta, batch)
        if batch.offset is not None:
            z = z - (batch.offset if z.ndim == 1 else batch.offset[:, None])  # an offset does not grow with theta
        if z.ndim == 1:
            margin = np.where(batch.y == 1.0, z, np.where(batch.y == 0.0, -z, -1.0))
        else:
            own = np.take_along_axis(z, batch.y.astype(int)[:, None], axis=1)
            others = z.copy()
            np.put_along_axis(others, batch.y.astype(int)[:, None], -np.inf, axis=1)
            margin = own[:, 0] - others.max(axis=1)
        if np.any(margin <= 0.0):
            return 1
        size = terms_of(objective, theta, batch)  # a side is proved only where it is not a matter of rounding
        return int(np.sum(margin <= SIDE * (size if size.ndim == 1 else 2.0 * size.max(axis=1))))

    return not any(map(wrong, rows.blocks()))  # most often the first block has one


def _asked(objective: ModelObjective, theta: Array) -> bool:
    """Whether it can happen at all: classes, and nothing that keeps the weights small."""
    loss = objective.loss
    free = loss.task != "number" and loss.link in ("logit", "softmax")
    return free and not objective.penalty.curvature and objective.smooth and bool(np.isfinite(theta).all())


def _may_be_quasi(objective: ModelObjective, rows: Rows, theta: Array, proved: bool) -> bool:
    """Whether to ask the linear program: rows still move far, however close J is, or weights are large and J is not."""
    if not _programmed(objective, rows):
        return False
    if not proved and _large(objective, theta):
        return True
    inverse = inverse_curvature(objective, theta, rows)
    if inverse is None:
        return False
    step = inverse.apply(objective.value_and_grad(theta, rows)[1])
    return bool(np.any(rows.each(lambda batch: np.abs(objective.scaling.rows(batch.X) @ step)) > DRIFT))


def _large(objective: ModelObjective, theta: Array) -> bool:
    w, _ = objective.scaling.split(theta)
    return bool(np.abs(w).max(initial=0.0) > GROWN)


def _programmed(objective: ModelObjective, rows: Rows) -> bool:
    """Whether there is a linear program for this, of a size that is solved in a second."""
    few = isinstance(rows, ArrayRows) and rows.m * (rows.n + 1) <= MOST_NUMBERS
    return few and objective.loss.link == "logit"


def _quasi(objective: ModelObjective, rows: Rows) -> bool:
    """Whether a plane has no row of two classes on its wrong side, and not all of them on it (Albert and Anderson 1984).

    maximise sum_i s_i x_i v  subject to  s_i x_i v >= 0 and -1 <= v <= 1, where s_i = 1 or -1 is the class of row i.
    """
    assert isinstance(rows, ArrayRows)
    if not np.isin(rows.y, (0.0, 1.0)).all() or not objective.scaling.intercept:
        return False
    from scipy.optimize import linprog

    dense = rows.X if isinstance(rows.X, np.ndarray) else rows.X.toarray()
    inner = objective.scaling.rows(np.asarray(dense, dtype=np.float64))
    used = np.ones(rows.m, dtype=bool) if rows.weight is None else rows.weight > 0.0
    signed = inner[used] * np.where(rows.y[used] == 1.0, 1.0, -1.0)[:, None]
    try:
        found = linprog(
            -signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1.0, 1.0), method="highs"
        )
    except ValueError:  # numbers too large for the solver: nothing is known
        return False
    if found.status != 0:
        return False
    sides = signed @ np.asarray(found.x, dtype=np.float64)
    size = np.abs(signed).max()
    return bool(sides.min() >= -1e-9 * size and sides.max() > MARGIN * size)


def _alone(rows: Rows, names: tuple[str, ...], strict: bool) -> str:
    """A column whose ranges in the two classes do not overlap (do not cross, where not strict); "" where there is none."""
    low, high = np.full((2, rows.n), np.inf), np.full((2, rows.n), -np.inf)
    for batch in rows.blocks():
        for k in (0, 1):
            own: Batch = batch
            chosen = own.y == k if own.weight is None else (own.y == k) & (own.weight > 0.0)
            if chosen.any():
                part = own.X[chosen]
                least, most = part.min(axis=0), part.max(axis=0)
                if not isinstance(part, np.ndarray):
                    least, most = least.toarray().ravel(), most.toarray().ravel()
                low[k], high[k] = np.minimum(low[k], least), np.maximum(high[k], most)
    apart = (high[0] < low[1]) | (high[1] < low[0])
    if not strict:
        varies = np.minimum(low[0], low[1]) < np.maximum(high[0], high[1])
        apart = ((high[0] <= low[1]) | (high[1] <= low[0])) & varies
    return names[int(np.argmax(apart))] if apart.any() else ""
