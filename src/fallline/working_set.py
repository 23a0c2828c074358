"""Behind |w| and bounds, in any number of columns: second derivatives of the columns that matter alone.

At the optimum most weights are held at a corner (|w| at zero, a bound), and which they are is nearly known after a few
steps. So each step moves a working set only: the columns that are away from their corners, and those whose slope comes
next to leaving theirs. Its matrix is small, and a step leads to where the quadratic of these columns is least. The
gradient is that of all columns, as is the bound that ends the run (duality.py); a column that was left out by
mistake is in the next set, for its slope says so.

(Working sets: Massias, Gramfort and Salmon 2018; Bertrand et al. 2022. Theirs are solved by coordinate descent, these by
projected Newton steps, whose number does not depend on how alike the columns are.)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fallline.corners import at_corner, least_point
from fallline.grams import class_gram, gram
from fallline.inverse import filled
from fallline.objective import CurvatureOf, ModelObjective
from fallline.precondition import CornerMetric, CornerPreconditioner
from fallline.rows._base import Array, Batch, Rows
from fallline.rows.arrays import ArrayRows
from fallline.rows.coded import Coded
from fallline.scaling import Scaling

# Columns in a working set: so many at least (celer's first set), twice as many as are away from their corners, and so many
# unknowns at most, a matrix of 70 MB.
COLUMNS, GROWTH, MOST = 100, 2, 3000


class WorkingSetPreconditioner(CornerPreconditioner):
    """P of the working set, which is chosen anew whenever P is; the other weights stay where they are."""

    def __init__(self, objective: ModelObjective, rows: Rows) -> None:
        super().__init__(objective, rows)
        self.size: Array | None = None  # square root of the curvature of each entry at the start
        self.columns = np.zeros(0, np.intp)
        self._narrow: tuple[NDArray[np.intp], ArrayRows] | None = None

    def init(self, theta: Array, g: Array) -> CornerMetric:
        if self.size is None:
            self.size = filled(np.sqrt(self.objective.hessian_diagonal(theta, self.rows))).ravel()
        self.columns = self._chosen(theta, g)
        return super().init(theta, g)

    def unknowns(self, theta: Array) -> int:
        return len(self._entries(theta))

    def _chosen(self, theta: Array, g: Array) -> NDArray[np.intp]:
        """The columns away from their corners, and those next to leaving theirs."""
        assert self.size is not None
        v, slope, (l1, low, high) = theta.ravel(), g.ravel(), self.objective.corners(theta)
        up = np.where(v < high, -(slope + np.where(v >= 0.0, l1, -l1)), -np.inf)  # how steeply q falls on either side
        down = np.where(v > low, slope + np.where(v > 0.0, l1, -l1), -np.inf)
        n, classes = self.rows.n, theta[0].size
        pull = (np.maximum(up, down) / self.size)[: n * classes].reshape(n, classes).max(axis=1)
        away = ~at_corner(v, l1, low, high)[: n * classes].reshape(n, classes).all(axis=1)
        free = int(away.sum())
        count = min(max(COLUMNS, GROWTH * free), n)
        if theta.ndim == 1:
            count = min(count, MOST)
        else:  # all that are away: predictions of several classes are made of the working set
            count = max(min(count, MOST // classes), min(free + COLUMNS, n))
        room = theta.ndim > 1 or GROWTH * free <= count  # else those that pull most, away or not: a block at a time
        order = np.lexsort((-pull, ~away)) if room else np.argsort(-pull, kind="stable")
        return np.sort(order[:count])

    def _entries(self, theta: Array) -> NDArray[np.intp]:
        """Of theta.ravel(): those of the chosen columns, and the intercept."""
        classes, n = theta[0].size, self.rows.n
        columns = np.concatenate([self.columns, np.arange(n, len(theta))])
        entries: NDArray[np.intp] = (columns[:, None] * classes + np.arange(classes)).ravel()
        return entries

    def hessian(self, theta: Array, curvature: CurvatureOf | None = None) -> Array:
        """The second derivatives of the working set, at all of theta."""
        objective, rows = self.objective, self.rows
        scaling, columns = objective.scaling, self.columns
        inner = Scaling(scaling.shift[columns], scaling.scale[columns], scaling.intercept)
        if isinstance(rows, ArrayRows):
            narrow, own = self._narrowed(rows), replace(objective, scaling=inner)
            some = theta[np.concatenate([columns, np.arange(rows.n, len(theta))])]
            if theta.ndim > 1 or (curvature is None and objective.constant_curvature(theta, rows)):
                return own.hessian(some, narrow, curvature)
            c = rows.each(lambda b: self._curvature(theta, b, curvature))
            return own.hessian(some, narrow, lambda b, z: c[b.first : b.first + len(b.y)])

        def part(batch: Batch) -> Array:
            c = objective.weighted(self._curvature(theta, batch, curvature), batch) * batch.share
            X = batch.X[:, columns]
            return gram(inner, X, c) if c.ndim == 1 else class_gram(inner.rows(X), c)

        unknowns = self.unknowns(theta)
        H = rows.sum(part, width=unknowns, room=unknowns**2)
        penalised = np.arange(len(columns) * theta[0].size)
        H[penalised, penalised] += objective.penalty.curvature
        return H

    def _curvature(self, theta: Array, batch: Batch, curvature: CurvatureOf | None) -> Array:
        z = self.objective.forward(theta, batch)
        return self.objective.loss.curvature(batch.y, z) if curvature is None else curvature(batch, z)

    def _narrowed(self, rows: ArrayRows) -> ArrayRows:
        """The rows with the chosen columns alone, as long as these are the same."""
        if self._narrow is None or not np.array_equal(self._narrow[0], self.columns):
            X = rows.X.tocsr() if isinstance(rows.X, Coded) else rows.X
            self._narrow = self.columns, rows.beside(X[:, self.columns])
        return self._narrow[1]

    def least(self, H: Array, theta: Array, g: Array, most: int) -> Array:
        chosen, v = self._entries(theta), theta.ravel().copy()
        l1, low, high = (part[chosen] for part in self.objective.corners(theta))
        v[chosen] = least_point(H, g.ravel()[chosen], v[chosen], l1, low, high, most)
        return v.reshape(theta.shape)

    def bent(self, H: Array, theta: Array, way: Array) -> float:
        own = way.ravel()[self._entries(theta)]
        return float(own @ H @ own)

    def beyond(self, theta: Array, g: Array) -> float:
        """About twice what the columns outside would gain, each by itself."""
        assert self.size is not None
        s = self.objective.least_slope(theta, g).ravel() / self.size
        s[self._entries(theta)] = 0.0
        return float(s @ s)
