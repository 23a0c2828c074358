"""What the cells of a column are, of a part of the rows: facts of parts add up to facts of the whole.

So a table is learned from as it streams by, and it could as well be learned from on several machines.
"""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.rows.columns import as_floats, as_stamps, as_text, part_of
from fallline.rows.vectors import finite_entries, vector_type

if TYPE_CHECKING:
    import polars as pl

MOST_COUNTED = 200_000  # different texts of a column: above, only those seen twice are counted on
CROWDED = 0.9  # of the cells are different: the column names rows


@dataclass(frozen=True)
class Facts:
    """Of one column and some rows. `kind` is that of :mod:`fallline.rows.columns`, or "" where no cell is filled."""

    name: str
    kind: str
    told: str  # the column's type, for people
    cells: int
    holes: int
    first: Any = None  # a filled cell
    low: float = np.inf  # of numbers; of dates the share of the day that has passed; of vectors the columns of entries
    high: float = -np.inf
    total: float = 0.0  # the sum of the filled cells of numbers; of vectors, how many entries there are
    counts: pl.DataFrame | None = None  # (level, rows): of text, of dates
    pruned: int = 0  # cells of texts that were counted no further, for each was met once among very many
    mask: int = 0  # a digest of which rows have holes: equal for columns with holes in the same rows
    row: int = 0  # the number of the first row

    @property
    def filled(self) -> int:
        """Cells that hold something."""
        return self.cells - self.holes

    def __add__(self, other: Facts) -> Facts:
        """Of both parts. Raises ValueError where a column changes its kind."""
        if self.kind and other.kind and self.kind != other.kind:
            raise ValueError(f"column {self.name!r} holds {self.told} first and {other.told} later")
        kept = self if self.kind else replace(other, row=self.row)
        counts, pruned = _joined(self.counts, other.counts)
        return replace(
            kept, cells=self.cells + other.cells, holes=self.holes + other.holes,
            first=self.first if self.first is not None else other.first,
            low=min(self.low, other.low), high=max(self.high, other.high), total=self.total + other.total,
            counts=counts, pruned=self.pruned + other.pruned + pruned, mask=self.mask ^ other.mask,
        )  # fmt: skip


def facts_of(cells: pl.Series, row: int = 0) -> Facts:
    """Of these cells, the first of which is in row `row` of the table. Raises DataError for infinities."""
    import polars as pl

    kind = cells.dtype
    if kind.is_numeric() and len(cells) and not cells.null_count():
        numbers = cells.cast(pl.Float64).to_numpy()
        low, high, total = float(numbers.min()), float(numbers.max()), float(numbers.sum(dtype=np.float64))
        if np.isfinite(low) and np.isfinite(high):  # nearly always
            return Facts(cells.name, "number", str(kind), len(cells), 0, cells[0], low, high, total, row=row)
    holes = hole(cells)
    count = int(holes.sum())
    empty = Facts(cells.name, "", str(kind), len(cells), count, mask=_digest(holes, row) if count else 0, row=row)
    if count == len(cells):
        return empty
    facts = replace(empty, first=cells.filter(~holes)[0])
    if kind.is_numeric() or kind in (pl.Boolean, pl.Duration, pl.Time):
        source = "number" if kind.is_numeric() else str(kind).split("(")[0].lower()
        floats = as_floats(cells, source, row)
        low, high, total = map(_number, (floats.min(), floats.max(), floats.sum()))
        return replace(facts, kind=source, low=low, high=high, total=total)
    if kind in (pl.String, pl.Categorical, pl.Enum):
        counts, pruned = _few_enough(as_text(cells).alias("level").drop_nulls().value_counts(name="rows"))
        return replace(facts, kind="text", counts=counts, pruned=pruned)
    if kind in (pl.Date, pl.Datetime):
        stamps = as_stamps(cells)
        clock = part_of(stamps, "time of day", "1970-01-01")
        counts = stamps.dt.date().alias("level").drop_nulls().value_counts(name="rows")
        return replace(facts, kind="date", counts=counts, low=_number(clock.min()), high=_number(clock.max()))
    if kind == vector_type():
        _, where, _ = finite_entries(cells, row)
        edges = (float(where.min()), float(where.max())) if len(where) else (facts.low, facts.high)
        return replace(facts, kind="vectors", low=edges[0], high=edges[1], total=float(len(where)))
    return replace(facts, kind="other")


def hole(cells: pl.Series) -> pl.Series:
    """Where nothing is: empty cells and NaN."""
    return cells.is_null() | cells.is_nan().fill_null(True) if cells.dtype.is_float() else cells.is_null()


def levels_in(facts: Facts) -> list[tuple[Any, int]]:
    """(level, rows) of a column, the most frequent first, those as frequent in their order."""
    assert facts.counts is not None
    return facts.counts.sort(["rows", "level"], descending=[True, False]).rows()


def dates_in(facts: Facts) -> list[datetime.date]:
    """The different dates of a column, in order."""
    assert facts.counts is not None
    return list(facts.counts["level"].sort())


def _joined(a: pl.DataFrame | None, b: pl.DataFrame | None) -> tuple[pl.DataFrame | None, int]:
    import polars as pl

    if a is None or b is None:
        return (b if a is None else a), 0
    return _few_enough(pl.concat([a, b]).group_by("level").agg(pl.col("rows").sum()))


def _few_enough(counts: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The counts; of very many different texts only those that were met twice, and how many others there were."""
    import polars as pl

    if counts.height <= MOST_COUNTED:
        return counts, 0
    kept = counts.filter(pl.col("rows") > 1)
    return kept, counts.height - kept.height


def _digest(holes: pl.Series, row: int) -> int:
    """Of which rows have holes; the exclusive or of the digests of parts is that of the whole."""
    bits = np.packbits(holes.to_numpy()).tobytes()
    return int.from_bytes(hashlib.blake2b(bits + row.to_bytes(8, "little"), digest_size=16).digest(), "little")


def _number(value: Any) -> float:
    return float(value)
