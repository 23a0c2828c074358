"""From a table to the columns of X: the rules are learned once, kept with the model, and used again to predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.errors import DataError, SchemaError, SettingError
from fallline.family import suggest

if TYPE_CHECKING:
    import polars as pl

NA = ("auto", "refuse", "median", "drop")
RARE_ROWS = 10  # a level seen in fewer rows joins "(other)": its weight could not be told from noise
MOST_LEVELS = 10_000  # the commonest levels that keep a column of their own
DENSE_COLUMNS = 200  # up to here X is a dense array, beyond it a CSR matrix
MISSING, OTHER = "(missing)", "(other)"
DAY = 86_400e6  # microseconds


@dataclass(frozen=True)
class Column:
    """How one column of the table becomes columns of X.

    ``kind``: "number", "truth", "text" or "time". Numbers: ``fill`` is the median; ``marked`` says that an indicator of
    holes follows. Text: ``levels`` each have a column, all others go to ``spare`` (a level, or the reference, which has no
    column: weights are "compared with the reference"). Times: days since ``origin``, then month and weekday as waves.
    """

    name: str
    kind: str
    fill: float = 0.0
    marked: bool = False
    levels: tuple[str, ...] = ()
    reference: str = ""
    spare: str = ""
    origin: float = 0.0
    clock: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of its columns in X."""
        if self.kind == "text":
            return tuple(f"{self.name}={level}" for level in self.levels)
        if self.kind == "time":
            parts = ["days", "month (cos)", "month (sin)", "weekday (cos)", "weekday (sin)"]
            parts += ["hour (cos)", "hour (sin)"] if self.clock else []
            own = tuple(f"{self.name}: {part}" for part in parts)
        else:
            own = (self.name,)
        return (*own, f"{self.name} is missing") if self.marked else own


@dataclass
class Told:
    """What happened to a table on its way to X, to be said to people."""

    holes: dict[str, int] = field(default_factory=dict)
    unseen: dict[str, int] = field(default_factory=dict)
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class Encoder:
    """The rules for every column, in order, and the columns that were left out with the reason why."""

    columns: tuple[Column, ...]
    left_out: dict[str, str]
    na: str = "auto"

    @classmethod
    def learn(cls, frame: pl.DataFrame, *, skip: Sequence[str] = (), na: str = "auto") -> Encoder:
        """The rules for the columns of `frame` except those in `skip` (target, weights, offset).

        - numbers as they are; booleans as 0 and 1; durations in seconds;
        - text one-hot: the commonest level is the reference and has no column, levels in fewer than ``RARE_ROWS`` rows go
          to "(other)"; a level unseen in training counts as "(other)", or where there is none as the reference;
        - dates and times: days since the earliest, month and weekday (and hour) as waves, so December is near January;
        - holes by `na`: "auto" fills numbers with the median and marks them in a column of their own, text gets the level
          "(missing)"; "median" does not mark; "refuse" raises; "drop" expects that rows with holes were dropped;
        - left out and named: constant columns, empty ones, text that is different in every row (identifiers).

        Raises DataError for infinities, and for holes under "refuse".
        """
        if na not in NA:
            raise SettingError(f"na: got {na!r}; it must be one of {', '.join(NA)}.")
        columns, left_out = [], {}
        for series in frame.get_columns():
            if series.name in skip:
                continue
            why = _why_not(series)
            if why:
                left_out[series.name] = why
                continue
            if na == "refuse" and series.null_count():
                row = int(series.is_null().arg_max() or 0)
                raise DataError(
                    f"D20: column {series.name!r} is empty in {series.null_count():,} rows (first: line {row + 2:,}). "
                    "Fill them, or use --na auto (filled with the median and marked), --na median or --na drop."
                )
            columns.append(_learn(series, na))
        if not columns:
            raise DataError(f"There is no column left to learn from: {_told(left_out) or 'the table has only the target'}.")
        return cls(tuple(columns), left_out, na)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns of X."""
        return tuple(name for column in self.columns for name in column.outputs)

    def transform(self, frame: Any) -> tuple[Any, Told]:
        """X (dense, or CSR beyond ``DENSE_COLUMNS`` columns) for the rows of `frame`, and what was done to get there.

        Columns may come in any order; more of them are ignored. Raises SchemaError for columns that are missing, or of
        another kind than in training.
        """
        import polars as pl

        table = frame if isinstance(frame, pl.DataFrame) else pl.DataFrame(frame)
        missing = [c.name for c in self.columns if c.name not in table.columns]
        if missing:
            hint = suggest(missing[0], list(table.columns))
            raise SchemaError(f"The table lacks {_some(missing)}, which the model was trained on.{hint}")
        told = Told(extra=tuple(n for n in table.columns if n not in {c.name for c in self.columns}))
        sparse = len(self.names) > DENSE_COLUMNS
        blocks = [_encode(column, table[column.name], told, sparse) for column in self.columns]
        if not sparse:
            return np.column_stack(blocks), told
        from scipy import sparse as sp

        return sp.hstack(blocks, format="csr"), told

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {"columns": [asdict(c) for c in self.columns], "left_out": dict(self.left_out), "na": self.na}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Encoder:
        """The inverse of ``to_json``."""
        columns = tuple(Column(**{**c, "levels": tuple(c["levels"])}) for c in data["columns"])
        return cls(columns, dict(data["left_out"]), data["na"])


def _kind(series: pl.Series) -> str:
    import polars as pl

    dtype = series.dtype
    if dtype.is_numeric() or dtype == pl.Duration:
        return "number"
    if dtype == pl.Boolean:
        return "truth"
    if dtype.is_temporal():
        return "time"
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "text"
    raise DataError(f"Column {series.name!r} holds {dtype}; fallline takes numbers, text, booleans, dates and times.")


def _why_not(series: pl.Series) -> str:
    """Why a column is left out, or an empty string."""
    known = series.drop_nulls()
    if known.len() == 0:
        return "empty"
    distinct = known.n_unique()
    if distinct == 1 and not series.null_count():
        return "one value only"
    if _kind(series) == "text" and distinct == known.len() > RARE_ROWS:
        return "text that is different in every row"
    return ""


def _learn(series: pl.Series, na: str) -> Column:
    kind, holes = _kind(series), series.null_count() > 0
    if kind == "text":
        return _learn_text(series, holes)
    values = _numbers(series, kind)
    known = values[~np.isnan(values)]
    marked = holes and na == "auto"
    if kind == "time":
        origin = float(known.min())
        clock = bool(np.any(known % DAY != 0.0))
        return Column(series.name, kind, float(np.median(known)), marked, origin=origin, clock=clock)
    return Column(series.name, kind, float(np.median(known)), marked)


def _learn_text(series: pl.Series, holes: bool) -> Column:
    import polars as pl

    counts = series.cast(pl.String).fill_null(MISSING).value_counts(sort=True)
    # equal counts in the order of the alphabet, so that the rules do not depend on how rows lie
    ranked = sorted(zip(counts[series.name].to_list(), counts["count"].to_list(), strict=True), key=lambda x: (-x[1], x[0]))
    kept = [level for level, count in ranked[:MOST_LEVELS] if count >= RARE_ROWS or len(ranked) <= 2 or level == MISSING]
    kept = kept or [ranked[0][0]]
    reference, levels = kept[0], kept[1:]
    spare = OTHER if len(kept) < len(ranked) else ""
    return Column(series.name, "text", levels=(*levels, *([spare] if spare else [])), reference=reference, spare=spare)


def _numbers(series: pl.Series, kind: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A column as floats, NaN where it is empty; times in microseconds (UTC), durations in seconds."""
    import polars as pl

    if kind == "time":
        if series.dtype == pl.Time:
            series = series.cast(pl.Int64) // 1000
        else:
            series = series.cast(pl.Datetime("us")).dt.epoch("us")
    elif series.dtype == pl.Duration:
        series = series.dt.total_microseconds() / 1e6
    values = series.cast(pl.Float64).to_numpy().astype(np.float64)
    if np.isinf(values).any():
        row = int(np.argmax(np.isinf(values)))
        raise DataError(f"Column {series.name!r} is infinite in {int(np.isinf(values).sum()):,} rows (first: line {row + 2:,}).")
    return values


def _encode(column: Column, series: pl.Series, told: Told, sparse: bool) -> Any:
    from scipy import sparse as sp

    kind = _kind(series) if series.drop_nulls().len() else column.kind
    if kind != column.kind and not (column.kind == "number" and kind == "truth"):
        row = int(series.is_not_null().arg_max() or 0)
        raise SchemaError(
            f"Column {column.name!r} was {_KINDS[column.kind]} in training and is {_KINDS[kind]} here "
            f"(line {row + 2:,}: {series[row]!r})."
        )
    if series.null_count():
        told.holes[column.name] = series.null_count()
    if column.kind == "text":
        return _one_hot(column, series, told, sparse)
    values = _numbers(series, column.kind)
    empty = np.isnan(values)
    values = np.where(empty, column.fill, values)
    parts = _waves(column, values) if column.kind == "time" else [values]
    block = np.column_stack([*parts, empty.astype(np.float64)] if column.marked else parts)
    return sp.csr_matrix(block) if sparse else block


_KINDS = {"number": "a number", "truth": "true or false", "text": "text", "time": "a date or time"}


def _waves(column: Column, moments: np.ndarray[Any, np.dtype[np.float64]]) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    """Days since the origin, and the place within the year, the week (and the day) as points on circles."""
    when = moments.astype("datetime64[us]")
    month = (when.astype("datetime64[M]").astype(np.int64) % 12) / 12.0
    days = np.floor(moments / DAY)
    weekday = ((days + 3) % 7) / 7.0  # 1 January 1970 was a Thursday
    turns = [month, weekday] + ([(moments % DAY) / DAY] if column.clock else [])
    waves = [wave(2.0 * np.pi * turn) for turn in turns for wave in (np.cos, np.sin)]
    return [(moments - column.origin) / DAY, *waves]


def _one_hot(column: Column, series: pl.Series, told: Told, sparse: bool) -> Any:
    import polars as pl
    from scipy import sparse as sp

    text = series.cast(pl.String).fill_null(MISSING)
    place = {level: j for j, level in enumerate(column.levels)}
    spare = place.get(column.spare, -1)
    codes = text.replace_strict({**place, column.reference: -1}, default=-2, return_dtype=pl.Int32).to_numpy()
    known = codes != -2
    if not known.all():
        if not column.spare:
            told.unseen[column.name] = int((~known).sum())
        codes = np.where(known, codes, spare)
    rows = np.flatnonzero(codes >= 0)
    shape = (len(codes), len(column.levels))
    if sparse:
        return sp.csr_matrix((np.ones(len(rows)), (rows, codes[rows])), shape=shape)
    block = np.zeros(shape)
    block[rows, codes[rows]] = 1.0
    return block


def _some(names: Sequence[str]) -> str:
    return ", ".join(repr(n) for n in names[:5]) + (f" and {len(names) - 5} more columns" if len(names) > 5 else "")


def _told(left_out: dict[str, str]) -> str:
    return "; ".join(f"{name!r}: {why}" for name, why in left_out.items())
