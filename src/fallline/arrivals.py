"""Rows to predict beside those of training: where their means, spreads and ranges have gone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.history import History
from fallline.rows.columns import table_column
from fallline.summary import DataSummary
from fallline.symptoms import diagnose
from fallline.symptoms._base import Arrived, Evidence, Finding
from fallline.symptoms.d22_other_data import FEWEST_ROWS, MOVED, OUTSIDE, WIDER

STANDARD_MEAN, STANDARD_SD = 0.5, (0.6, 1.6)  # about 0 and about 1, of a few dozen rows
NEAR = 4.0  # of a standardised column nearly all lies within
ROUND_OFF = 1e-9  # of the range: as far outside, a value is on the border


class Arrivals:
    """Adds up what arrives, block after block; rows are not kept."""

    def __init__(self, summary: DataSummary) -> None:
        self.summary, self.rows = summary, 0
        # (Most names are words, which tells millions of them soon.)
        numbers = [j for j, name in enumerate(summary.names) if name.isidentifier() or table_column(name) == name]
        flags = (summary.low == 0.0) & (summary.high == 1.0)
        self.columns = np.array([j for j in numbers if summary.sd[j] > 0.0 and not flags[j]], dtype=np.intp)
        self._sums, self._squares, self._outside = (np.zeros(len(self.columns)) for _ in range(3))
        self._near, self._near_squares, self._met = (np.zeros(len(self.columns)) for _ in range(3))

    def add(self, X: Any) -> None:
        """Some rows, (k, n), dense, sparse or coded."""
        if hasattr(X, "tocsr"):
            self._add_sparse(X.tocsr())
            return
        block = np.asarray(X[:, self.columns], dtype=np.float64)
        known, j = self.summary, self.columns
        room = ROUND_OFF * (known.high[j] - known.low[j])
        d = (block - known.mean[j]) / known.sd[j]  # about the mean of training: sums of squares keep their digits
        self.rows += len(block)
        self._met += len(block)
        self._sums += d.sum(axis=0)
        self._squares += (d * d).sum(axis=0)
        near = np.clip(block, -NEAR, NEAR)  # holes are filled in the units of training: a few of them shall not hide it
        self._near += near.sum(axis=0)
        self._near_squares += (near * near).sum(axis=0)
        self._outside += ((block < known.low[j] - room) | (block > known.high[j] + room)).sum(axis=0)

    def _add_sparse(self, X: Any) -> None:
        """The same of the entries, and of so many zeros as there are beside them."""
        known, where, values = self.summary, X.indices, X.data.astype(np.float64, copy=False)
        sd = np.where(known.sd > 0.0, known.sd, 1.0)
        room = ROUND_OFF * (known.high - known.low)

        def total(weights: NDArray[Any] | None = None) -> NDArray[np.float64]:
            return np.bincount(where, weights, X.shape[1])[self.columns].astype(np.float64)

        own = self.columns
        met = total()
        self._met += met
        zeros, zero = X.shape[0] - met, -known.mean[own] / sd[own]
        d = (values - known.mean[where]) / sd[where]
        self.rows += X.shape[0]
        self._sums += total(d) + zeros * zero
        self._squares += total(d * d) + zeros * zero * zero
        near = np.clip(values, -NEAR, NEAR)
        self._near += total(near)
        self._near_squares += total(near * near)
        outside = (values < known.low[where] - room[where]) | (values > known.high[where] + room[where])
        beyond = (known.low - room > 0.0) | (known.high + room < 0.0)  # a zero is outside
        self._outside += total(outside.astype(np.float64)) + zeros * beyond[own]

    def findings(self) -> list[Finding]:
        """D22, where these rows are not like those of training."""
        if not self.rows or not len(self.columns):
            return []
        known, j = self.summary, self.columns
        # Of sparse columns those of which enough was met, or should have been: in training at least mean^2 / mean square
        # of the rows had an entry.
        expected = self.rows * known.mean[j] ** 2 / (known.mean[j] ** 2 + known.sd[j] ** 2)
        judged = np.maximum(self._met, expected) >= min(FEWEST_ROWS, self.rows)
        if not judged.any():
            return []
        moved = self._sums / self.rows
        spread = np.sqrt(np.maximum(self._squares / self.rows - moved**2, 0.0))
        outside = self._outside / self.rows
        mean = self._near / self.rows
        sd = np.sqrt(np.maximum(self._near_squares / self.rows - mean**2, 0.0))
        could = ~_standard(known.mean[j], known.sd[j])
        far = np.abs(np.log(np.maximum(spread, 1e-12))) / np.log(WIDER)
        worst = int(np.argmax(np.where(judged, np.max([np.abs(moved) / MOVED, far, outside / OUTSIDE], axis=0), -1.0)))
        arrived = Arrived(
            self.rows, known.names[j[worst]], float(moved[worst]), float(spread[worst]), float(outside[worst]),
            int(np.sum(could & _standard(mean, sd))), int(could.sum()),
        )  # fmt: skip
        return diagnose(Evidence(History(), None, arrived=arrived))


def _standard(mean: NDArray[np.float64], sd: NDArray[np.float64]) -> NDArray[np.bool_]:
    low, high = STANDARD_SD
    standard: NDArray[np.bool_] = (np.abs(mean) < STANDARD_MEAN) & (sd > low) & (sd < high)
    return standard
