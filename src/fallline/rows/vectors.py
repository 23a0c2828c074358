"""A column whose cells are sparse vectors: very many numbers a row, of which few are not zero. Text in libsvm's form has it.

A cell is a list of (column, value). It becomes a row of a CSR matrix; what is not listed is zero.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.errors import DataError, SchemaError
from fallline.rows.columns import EXAMPLES, Column, Notes, Piece, Unseen

if TYPE_CHECKING:
    import polars as pl

ENTRY = ("column", "value")


def vector_type() -> Any:
    """What Polars calls the type of such a column."""
    import polars as pl

    return pl.List(pl.Struct({ENTRY[0]: pl.Int32, ENTRY[1]: pl.Float64}))


@dataclass(frozen=True)
class Vectors(Column):
    """The columns `lowest`, `lowest` + 1, ... of the vectors, `width` of them."""

    lowest: int
    width: int
    entries: float  # of a row, on average

    @property
    def kind(self) -> str:
        return "vectors"

    @functools.cached_property
    def features(self) -> tuple[str, ...]:
        return tuple(f"{self.name}{j}" for j in range(self.lowest, self.lowest + self.width))

    @property
    def filled(self) -> float:
        return self.entries

    def read(self, cells: pl.Series) -> pl.Series:
        if cells.dtype != vector_type():
            raise SchemaError(f"Column '{cells.name}' holds {cells.dtype}; the model was trained on sparse vectors.")
        return cells

    def encode(self, cells: pl.Series, notes: Notes) -> list[Piece]:
        from scipy.sparse import csr_matrix

        starts, where, values = finite_entries(cells)
        where = where - np.int32(self.lowest)
        known = (where >= 0) & (where < self.width)
        if not known.all():
            names = (f"{self.name}{j + self.lowest}" for j in np.unique(where[~known])[:EXAMPLES])
            notes.unseen[self.name] = Unseen(int((~known).sum()), tuple(names), None)
            starts = np.concatenate([[0], np.cumsum(known)])[starts]
            where, values = where[known], values[known]
        whole = np.int32 if starts[-1] <= np.iinfo(np.int32).max else np.int64
        shape = (len(cells), self.width)
        X = csr_matrix((values, where.astype(whole, copy=False), starts.astype(whole)), shape=shape)
        if not X.has_canonical_format:  # cells of a data frame, which may name a column twice
            X = X.copy()
            X.sum_duplicates()
        return [Piece(self.width, entries=X)]


def entries_of(cells: pl.Series) -> tuple[Any, Any, Any]:
    """Where each row begins, (m + 1,), and the column and the value of each entry."""
    lengths = cells.list.len()
    filled = cells.filter(lengths > 0).explode()
    starts = np.concatenate([[0], np.cumsum(lengths.to_numpy(), dtype=np.int64)])
    where, values = (filled.struct.field(name).to_numpy() for name in ENTRY)
    return starts, where, values


def finite_entries(cells: pl.Series, row: int = 0) -> tuple[Any, Any, Any]:
    """The same; raises DataError where a value or a column is none. `row` is the number of the first row."""
    if cells.null_count():
        raise DataError(f"Column '{cells.name}' has empty cells; a vector without entries is an empty list.")
    starts, where, values = entries_of(cells)
    if where.dtype.kind == "f" or (len(where) and where.min() < 0):  # a null makes floats of them
        raise DataError(f"Column '{cells.name}' has entries whose column is empty or below 0.")
    with np.errstate(all="ignore"):
        fine = bool(np.isfinite(values.sum()))
    if not fine and not np.isfinite(values).all():
        k = int(np.argmin(np.isfinite(values)))
        bad = int(np.searchsorted(starts, k, side="right")) - 1
        raise DataError(
            f"Column '{cells.name}{where[k]}', row {row + bad:,}: {values[k]} is not a finite number. Correct it, or leave "
            "the entry out, which means zero."
        )
    return starts, where, values
