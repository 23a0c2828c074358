"""One column of a table, as numbers: what is learned of it once, and how any later table's column is turned the same way.

======================  =============================================================================================
column of the table     columns of X
======================  =============================================================================================
numbers                 one: the number
true and false          one: 0 or 1
durations               one: seconds
times of day            one: the share of the day that has passed, 0 to 1
text                    one 0/1 column a level but the most frequent, the *reference*: coefficients compare with it.
                        Another level may be it, or none. Of very many levels: see :mod:`fallline.rows.hashed`
dates and time stamps   ``: days`` whole days since the earliest training date; ``: weekday=`` levels where there are
                        at least 14 different dates; ``: month=`` levels where they span at least 360 days (and are at
                        least 24); ``: time of day`` for stamps that have one. Zones are turned into UTC
======================  =============================================================================================

Parts that never change are left out. Holes (empty cells, NaN): a number's are filled with the median (true and false: the
more frequent one; the mean, where training met no holes), marked by a 0/1 column ``<name> is missing``; text's are a level of
their own, ``(missing)``.
"""

from __future__ import annotations

import abc
import datetime
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.errors import DataError, SchemaError
from fallline.numbering import numbered_from, row_number, rows_told
from fallline.rows.cells import dated

if TYPE_CHECKING:
    import polars as pl

MISSING, OTHER = "(missing)", "(other)"
MANY_DATES_A_WEEK, MANY_DATES_A_YEAR, LONG = 14, 24, 360  # dates, dates and days: see the table above
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DAY_SECONDS = 86_400.0
LARGEST_WHOLE = 2.0**53  # up to here float64 knows whole numbers
EXAMPLES = 3  # unknown levels that a report shows


class Piece(NamedTuple):
    """Columns of X: one of `values` (m,), or `width` 0/1 columns of which `codes` (m,) says which is 1 (-1: none).

    With both, the column that `codes` names is the value instead of 1. Or `width` columns of which the `entries`, a CSR
    matrix (m, width), are not zero.
    """

    width: int
    values: NDArray[np.float64] | None = None
    codes: NDArray[np.int32] | None = None
    entries: Any = None


class Unseen(NamedTuple):
    """Cells whose level has no column of its own: rare, or never seen in training. Or entries of vectors without one."""

    cells: int
    examples: tuple[str, ...]
    counted_as: str | None  # the other level, or the most frequent one; "": none of them; None: entries left out


@dataclass
class Notes:
    """What was met while a table was encoded, by column."""

    holes: dict[str, int] = field(default_factory=dict)
    unseen: dict[str, Unseen] = field(default_factory=dict)


@dataclass(frozen=True)
class Term(abc.ABC):
    """Some columns of X and how they are made. Subclasses are plain values that JSON can hold."""

    name: str

    @property
    @abc.abstractmethod
    def kind(self) -> str:
        """``number``, ``boolean``, ``duration``, ``time``, ``text``, ``date`` or ``vectors``."""

    @property
    @abc.abstractmethod
    def features(self) -> tuple[str, ...]:
        """The names of its columns of X."""

    @property
    @abc.abstractmethod
    def filled(self) -> float:
        """How many of its columns of X are not zero in a typical row: decides between dense and sparse."""

    @property
    @abc.abstractmethod
    def reads(self) -> tuple[Column, ...]:
        """The columns of the table that it is made of."""

    @abc.abstractmethod
    def pieces(self, cells: dict[str, pl.Series], notes: Notes) -> list[Piece]:
        """Columns of X, in the order of ``features``; `cells` has what the columns that it ``reads`` have read."""


@dataclass(frozen=True)
class Column(Term):
    """What was learned of one column of a table."""

    @property
    def reads(self) -> tuple[Column, ...]:
        return (self,)

    def pieces(self, cells: dict[str, pl.Series], notes: Notes) -> list[Piece]:
        return self.encode(cells[self.name], notes)

    @abc.abstractmethod
    def read(self, cells: pl.Series) -> pl.Series:
        """The cells in the type that ``encode`` takes, holes as nulls; SchemaError when they are of another kind."""

    @abc.abstractmethod
    def encode(self, cells: pl.Series, notes: Notes) -> list[Piece]:
        """Columns of X for cells that ``read`` returned, in the order of ``features``."""


@dataclass(frozen=True)
class Number(Column):
    """A column of numbers, of true and false, of durations or of times of day."""

    fill: float
    marked: bool = False
    varies: bool = True  # False: one value only, of which the holes alone tell rows apart
    source: str = "number"

    @property
    def kind(self) -> str:
        return self.source

    @property
    def features(self) -> tuple[str, ...]:
        return (self.name,) * self.varies + (f"{self.name} is missing",) * self.marked

    @property
    def filled(self) -> float:
        return float(self.varies)

    def read(self, cells: pl.Series) -> pl.Series:
        return as_floats(cells, self.source)

    def encode(self, cells: pl.Series, notes: Notes) -> list[Piece]:
        if not cells.null_count() and not self.marked:
            return [Piece(1, values=cells.to_numpy())] if self.varies else []
        hole = cells.is_null()
        if hole.any():
            notes.holes[self.name] = int(hole.sum())
        values = cells.fill_null(self.fill).to_numpy()
        pieces = [Piece(1, values=values)] if self.varies else []
        return pieces + ([Piece(1, values=hole.to_numpy().astype(np.float64))] if self.marked else [])


@dataclass(frozen=True)
class Levels(Column):
    """A column of text: `levels` are those that have a column, among them perhaps ``(other)`` and ``(missing)``."""

    levels: tuple[str, ...]
    reference: str | None  # the level without a column; None: each has one
    usual: str = ""  # the most frequent level, where that is not the reference

    @property
    def kind(self) -> str:
        return "text"

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(f"{self.name}={level}" for level in self.levels)

    @property
    def filled(self) -> float:
        return 1.0

    @property
    def known(self) -> tuple[str, ...]:
        """All levels, the reference first."""
        return self.levels if self.reference is None else (self.reference, *self.levels)

    @property
    def for_others(self) -> str | None:
        """What a level that is not known counts as; None: as none, so that the intercept, a common mean, predicts it."""
        if OTHER in self.levels or self.reference is None:
            return OTHER if OTHER in self.levels else None
        return self.usual or self.reference

    @property
    def for_holes(self) -> str:
        """What a hole counts as."""
        return MISSING if MISSING in self.known else self.usual or self.known[0]  # the reference

    @property
    def told(self) -> str:
        """How many levels there are and what their weights compare with, for people."""
        beside = "each with a column" if self.reference is None else f"compared with {self.reference!r}"
        rare = f"; rare ones are {OTHER!r}" if OTHER in self.levels else ""
        return f"{len(self.known):,} levels, {beside}{rare}"

    def whole(self) -> Levels:
        """The same with a column for each level."""
        if self.reference is None:
            return self
        return replace(self, levels=self.known, reference=None, usual=self.usual or self.reference)

    def read(self, cells: pl.Series) -> pl.Series:
        return as_text(cells)

    def encode(self, cells: pl.Series, notes: Notes) -> list[Piece]:
        import polars as pl

        holes = cells.null_count()
        found = cells.cast(pl.Enum(self.known), strict=False)
        if found.null_count() > holes:
            new = found.is_null() & cells.is_not_null()
            examples = tuple(str(cell) for cell in cells.filter(new).unique(maintain_order=True).head(EXAMPLES))
            notes.unseen[self.name] = Unseen(int(new.sum()), examples, self.for_others or "")
            found = found if self.for_others is None else found.set(new, self.for_others)
        if holes:
            notes.holes[self.name] = holes
            found = found.set(cells.is_null(), self.for_holes)
        codes = found.to_physical().cast(pl.Int32) - np.int32(self.reference is not None)
        return [Piece(len(self.levels), codes=codes.fill_null(-1).to_numpy())]


@dataclass(frozen=True)
class Moment(Column):
    """A column of dates or time stamps, made of parts: days, weekday, month, time of day."""

    first: str  # the earliest training date, ISO
    parts: tuple[Number | Levels, ...]
    marked: bool = False

    @property
    def kind(self) -> str:
        return "date"

    @property
    def features(self) -> tuple[str, ...]:
        names = tuple(name for part in self.parts for name in part.features)
        return names + (f"{self.name} is missing",) * self.marked

    @property
    def filled(self) -> float:
        return float(len(self.parts))

    def read(self, cells: pl.Series) -> pl.Series:
        return as_stamps(cells)

    def encode(self, cells: pl.Series, notes: Notes) -> list[Piece]:
        hole = cells.is_null()
        if hole.any():
            notes.holes[self.name] = int(hole.sum())
        inner = Notes()  # holes of the parts are those of the whole
        pieces = [piece for part in self.parts for piece in part.encode(part_of(cells, part.name, self.first), inner)]
        notes.unseen.update(inner.unseen)
        return pieces + ([Piece(1, values=hole.to_numpy().astype(np.float64))] if self.marked else [])


def table_column(feature: str) -> str:
    """The column of the table that a level or a hole was made of; any other name as it is.

    >>> [table_column(name) for name in ("dest=HNL", "dest#17", "dest is missing", "rooms")]
    ['dest', 'dest', 'dest', 'rooms']
    """
    return re.sub(r"#\d+$", "", feature.split("=")[0].removesuffix(" is missing"))


def part_of(stamps: pl.Series, part: str, first: str) -> pl.Series:
    """The days since `first`, the weekday, the month or the time of day of time stamps; `part` ends in which."""
    import polars as pl

    which = part.rpartition(": ")[2]
    if which == "days":
        origin = (datetime.date.fromisoformat(first) - datetime.date(1970, 1, 1)).days
        return (stamps.dt.date().cast(pl.Int32) - origin).cast(pl.Float64).alias(part)
    if which == "time of day":
        return (stamps.dt.time().cast(pl.Int64) / (DAY_SECONDS * 1e9)).alias(part)
    return stamps.dt.strftime("%a" if which == "weekday" else "%b").alias(part)


def as_floats(cells: pl.Series, source: str, first: int = 0) -> pl.Series:
    """Numbers, true and false, durations (seconds) or times (share of the day) as float64, holes as nulls.

    `first` is the row of the first cell, for errors. Raises DataError for infinities, SchemaError for cells of another kind.
    """
    import polars as pl

    kind = cells.dtype
    if kind == pl.Float64 and source == "number" and not cells.null_count() and np.isfinite(cells.to_numpy().sum()):
        return cells  # nearly always
    if source == "duration" and kind == pl.Duration:
        return cells.dt.total_microseconds() / 1e6
    if source == "time" and kind == pl.Time:
        return cells.cast(pl.Int64) / (DAY_SECONDS * 1e9)
    if kind == pl.Boolean or kind == pl.Null or (kind.is_numeric() and source in ("number", "boolean")):
        floats = cells.cast(pl.Float64).fill_nan(None)
    elif kind == pl.String:
        floats = _floats_of_text(cells, source)
    else:
        raise SchemaError(f"Column '{cells.name}' holds {_words(kind)}; the model was trained on {PLURALS[source]}.")
    endless = floats.is_infinite()
    if endless.any():
        with numbered_from(first):
            told = rows_told(endless.fill_null(False).to_numpy(), str(floats[int(endless.arg_max() or 0)]))
        raise DataError(f"Column '{cells.name}' is infinite in {told}. Correct these cells or leave them empty.")
    return floats


def _floats_of_text(cells: pl.Series, source: str) -> pl.Series:
    import polars as pl

    words = cells.str.strip_chars().str.to_lowercase()
    if source == "boolean":
        words = words.replace({"true": "1", "false": "0"})
    floats = words.cast(pl.Float64, strict=False)
    wrong = cells.is_not_null() & floats.is_null()
    if source not in ("number", "boolean"):
        wrong = cells.is_not_null()
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise SchemaError(
            f"Column '{cells.name}', row {row_number(row):,}: {cells[row]!r} is text; the model was trained on {PLURALS[source]}."
        )
    return floats.fill_nan(None)


def as_text(cells: pl.Series) -> pl.Series:
    """Text, or what else there is written as text; whole numbers without a point."""
    import polars as pl

    kind = cells.dtype
    if kind.is_float():
        numbers = cells.fill_nan(None)  # each cell by itself: what others are beside it must not matter
        whole = (numbers == numbers.round(0)) & (numbers.abs() < LARGEST_WHOLE)
        return numbers.cast(pl.String).zip_with(
            ~whole.fill_null(False), numbers.cast(pl.Int64, strict=False).cast(pl.String)
        )
    if kind.is_nested() or kind == pl.Binary:
        raise SchemaError(f"Column '{cells.name}' holds {_words(kind)}; the model was trained on text.")
    return cells.cast(pl.String)


def as_stamps(cells: pl.Series) -> pl.Series:
    """Dates and time stamps as time stamps in UTC."""
    import polars as pl

    kind = cells.dtype
    if isinstance(kind, pl.Datetime):
        zoned = cells if kind.time_zone is None else cells.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return zoned.cast(pl.Datetime("us"))
    if kind in (pl.Date, pl.Null):
        return cells.cast(pl.Datetime("us"))
    if kind == pl.String:
        read = dated(cells, lambda row: f"row {row:,}")
        if read.dtype in (pl.Date, pl.Datetime):
            return as_stamps(read)
        if cells.null_count() == len(cells):
            return pl.Series(cells.name, [None] * len(cells), dtype=pl.Datetime("us"))
        row = int(cells.is_not_null().arg_max() or 0)
        raise SchemaError(
            f"Column '{cells.name}', row {row_number(row):,}: {cells[row]!r} is not a date such as 2024-03-31."
        )
    raise SchemaError(f"Column '{cells.name}' holds {_words(kind)}; the model was trained on dates.")


PLURALS = {"number": "numbers", "boolean": "true and false", "duration": "durations", "time": "times of day"}


def _words(kind: Any) -> str:
    import polars as pl

    if kind.is_temporal():
        return "durations" if kind == pl.Duration else "times of day" if kind == pl.Time else "dates"
    if kind.is_numeric():
        return "numbers"
    return "true and false" if kind == pl.Boolean else f"{kind} cells"
