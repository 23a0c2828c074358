"""The zeros of sparse columns that are not stored: how much weight their rows have."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Column = NDArray[Any]

DOUBTFUL: Final = 1e-3  # of the whole weight: a difference that is smaller has lost digits


def absent_weight(X: Any, heavy: Column, stored: Column, count: Column, total: float) -> Column:
    """The weight of the rows that have no entry in a column, which are zeros there; (n,).

    `stored` is the weight of the entries and `count` their number. The difference of two large sums is off by a rounding of
    them, which the square of a mean far from zero would multiply, so small ones are summed by themselves.
    """
    absent = np.where(count < len(heavy), total - stored, 0.0)
    doubtful = np.flatnonzero((count < len(heavy)) & (absent < DOUBTFUL * total))
    if len(doubtful):
        columns = X[:, doubtful].tocsc()
        for k, j in enumerate(doubtful):
            lacking = np.ones(len(heavy), dtype=bool)
            lacking[columns.indices[columns.indptr[k] : columns.indptr[k + 1]]] = False
            absent[j] = heavy[lacking].sum()
    return absent
