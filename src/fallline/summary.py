"""What is known of the data before the first step: one pass for means, one for spreads; no row kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fallline.errors import DataError
from fallline.relations import Relations
from fallline.rows._base import Batch, Moments, Rows
from fallline.rows.absent import absent_weight
from fallline.rows.arrays import ArrayRows

if TYPE_CHECKING:
    from fallline.rows.encoder import Encoder

ROUND_OFF = 1e-13  # a spread below this share of the mean is rounding, not variation
LARGEST: Final = 1e302  # of a column: beyond, sums over a million rows may overflow
NARROWEST: Final = 0.5e-300  # half of what a column varies by: its coefficient is about one over that
# Columns that are larger, or vary by less: sums of squares of 1e15 rows, and squares of a 1e-50th of it, stay in range.
LARGE: Final = 1e145
SMALL: Final = 1e-100

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Provenance:
    """Where arrays came from, when that was a table.

    For findings that name commands and columns, and for predicting.
    """

    source: str = ""  # the file's name
    missing: dict[str, int] = field(default_factory=dict)  # holes by column, before they were filled
    encoder: Encoder | None = None  # how the table became columns of X


@dataclass(frozen=True)
class DataSummary:
    """Ranges of the columns that the model sees (after encoding), and of the target. Saved with the model.

    Arrays have one entry per column. ``mean`` and ``sd`` are weighted by the sample weights; sd divides by m.
    """

    names: tuple[str, ...]
    rows: int
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    target_name: str
    target_mean: float  # NaN for several classes
    target_sd: float  # NaN for several classes
    target_low: float
    target_high: float
    missing: dict[str, int]  # holes by column of the table, before they were filled; empty for arrays
    relations: Relations | None = None  # of columns with one another, with the target, with the check rows

    @property
    def hides_columns(self) -> bool:
        """Whether a column that varies a little, far from zero, was taken for constant."""
        return bool(np.any((self.sd == 0.0) & (self.high > self.low)))


def summarise(
    rows: Rows,
    names: tuple[str, ...],
    target_name: str,
    *,
    ordered: bool = True,
    missing: dict[str, int] | None = None,
    relations: Relations | None = None,
) -> DataSummary:
    """Look at all rows; `ordered` False says that y are class codes, whose mean means nothing."""
    mean, square, low, high = rows.moments() or _moments(rows)
    _refuse_extremes(low, high, names)
    sd = np.sqrt(np.maximum(square, 0.0))
    scaled = _to_be_scaled(low, high)
    if len(scaled):
        mean[scaled], sd[scaled] = _scaled_moments(rows, scaled, low[scaled], high[scaled])
    sd[sd <= ROUND_OFF * np.abs(mean)] = 0.0
    y_mean, y_square, y_low, y_high = _of_targets(rows)
    return DataSummary(
        names, rows.m, mean, sd, low, high, target_name,
        y_mean if ordered else math.nan,
        math.sqrt(y_square) if ordered else math.nan,
        y_low,
        y_high,
        dict(missing or {}), relations,
    )  # fmt: skip


def _refuse_extremes(low: Array, high: Array, names: tuple[str, ...]) -> None:
    """Raise DataError for columns whose sums, or whose coefficients, may overflow."""
    huge = np.flatnonzero(np.maximum(np.abs(low), np.abs(high)) > LARGEST)
    if len(huge):
        name, worst = names[huge[0]], low[huge[0]] if abs(low[huge[0]]) > high[huge[0]] else high[huge[0]]
        raise DataError(
            f"Column '{name}' goes to {worst:.3g}; numbers beyond {LARGEST:g} overflow when they are summed. Divide the column "
            "by its largest number, or take logarithms."
        )
    flat = np.flatnonzero((high > low) & (high / 2.0 - low / 2.0 < NARROWEST))
    if len(flat):
        raise DataError(
            f"Column '{names[flat[0]]}' varies by {high[flat[0]] - low[flat[0]]:.3g} only; its coefficient may be beyond double "
            "precision. Multiply the column by 1e300."
        )


def _to_be_scaled(low: Array, high: Array) -> NDArray[np.intp]:
    """The columns of which squared deviations leave the range of double precision, or come near its ends."""
    size, width = np.maximum(np.abs(low), np.abs(high)), high - low
    return np.flatnonzero((width > 0.0) & ((size > LARGE) | (width < SMALL)))


def _scaled_moments(rows: Rows, columns: NDArray[np.intp], low: Array, high: Array) -> tuple[Array, Array]:
    """Means and standard deviations of these columns, divided by powers of two, which is exact, before they are squared."""
    middle = low / 2.0 + high / 2.0
    exponent = np.frexp(high / 2.0 - low / 2.0)[1] + 1

    def inner(batch: Batch) -> Array:
        part = batch.X[:, columns]
        dense = part if isinstance(part, np.ndarray) else part.toarray()
        return np.asarray(np.ldexp(dense - middle, -exponent), dtype=np.float64)

    off = rows.sum(lambda batch: _weights(batch) @ inner(batch)) / rows.total_weight
    square = rows.sum(lambda batch: _weights(batch) @ (inner(batch) - off) ** 2) / rows.total_weight
    return middle + np.ldexp(off, exponent), np.ldexp(np.sqrt(square), exponent)


def _of_targets(rows: Rows) -> tuple[float, float, float, float]:
    """Mean, mean square about it, lowest and highest."""
    if isinstance(rows, ArrayRows):  # a column like any other
        column = rows.beside(rows.y[:, None])
        column.whole = max(rows.whole, rows.stored)
        found = column.moments()
        if found is not None:
            mean, square, low, high = (float(of[0]) for of in found)
            return mean, square, low, high
    total = rows.total_weight
    mean = sum(float(y.sum() if w is None else w @ y) for y, w, _ in rows.sides()) / total
    square = sum(float(_square(y - mean, w)) for y, w, _ in rows.sides()) / total
    ends = [(float(y.min()), float(y.max())) for y, _, _ in rows.sides()]
    return mean, square, min(low for low, _ in ends), max(high for _, high in ends)


def _square(d: Any, weight: Any) -> float:
    return float(d @ d if weight is None else weight @ d**2)


def _moments(rows: Rows) -> Moments:
    """Means, mean squares about them and extremes of the columns, in three passes of NumPy."""
    total = rows.total_weight
    mean = rows.sum(_weighted_sums) / total
    square = rows.sum(lambda b: _weighted_squares(b, mean)) / total
    extremes = [_extremes(b) for b in rows.blocks()]
    return Moments(mean, square, np.min([e[0] for e in extremes], axis=0), np.max([e[1] for e in extremes], axis=0))


def _weights(batch: Batch) -> NDArray[np.float64]:
    return np.ones(len(batch.y)) if batch.weight is None else np.asarray(batch.weight, dtype=np.float64)


def _weighted_sums(batch: Batch) -> NDArray[np.float64]:
    return np.asarray(batch.X.T @ _weights(batch), dtype=np.float64).ravel()


def _weighted_squares(batch: Batch, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """sum_i w_i (x_ij - mean_j)^2; for sparse rows over the stored cells, plus the zeros at once."""
    w = _weights(batch)
    if isinstance(batch.X, np.ndarray):
        return np.asarray(w @ (batch.X - mean) ** 2, dtype=np.float64)
    X: Any = batch.X.tocsr()
    row = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    stored = np.bincount(X.indices, w[row] * (X.data - mean[X.indices]) ** 2, minlength=X.shape[1])
    present = np.bincount(X.indices, w[row], minlength=X.shape[1])
    count = np.bincount(X.indices, minlength=X.shape[1])
    return np.asarray(stored + absent_weight(X, w, present, count, float(w.sum())) * mean**2, dtype=np.float64)


def _extremes(batch: Batch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if isinstance(batch.X, np.ndarray):
        return batch.X.min(axis=0).astype(np.float64), batch.X.max(axis=0).astype(np.float64)
    low, high = batch.X.min(axis=0).toarray().ravel(), batch.X.max(axis=0).toarray().ravel()
    return low.astype(np.float64), high.astype(np.float64)
