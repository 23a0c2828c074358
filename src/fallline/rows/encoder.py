"""From a table to X: what training learned of every column, used in the same way on every later table."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fallline.errors import DataError, ModelFileError, SchemaError, SettingError
from fallline.family import suggest
from fallline.rows.assemble import coded, csr, dense
from fallline.rows.columns import PLURALS, Column, Levels, Moment, Notes, Number, Unseen
from fallline.rows.learning import MOST_LEVELS, Rule, learn_column, rare_below
from fallline.rows.table import as_frame
from fallline.rows.target import target_column, with_target

if TYPE_CHECKING:
    import polars as pl

MOST_DENSE = 200  # columns of X up to which it is always dense
SPARSE_SHARE = 0.25  # above that it is sparse where fewer of its cells than this share are not zero
CODED_FROM, CODED_SHARE = 1_000_000, 0.5  # cells of X from which codes pay, where fewer than this share are not zero
WAYS = ("auto", "median", "drop", "refuse")
MOST_NAMED = 5
FORMAT = 1  # of the JSON
FIELDS: dict[str, Any] = {
    "name": str, "fill": (int, float), "marked": bool, "varies": bool, "source": str, "levels": tuple, "reference": str,
    "first": str, "parts": tuple, "target": str, "left_out": dict, "holes": dict, "na": str,
    "weight": (str, type(None)), "offset": (str, type(None)), "exposure": (str, type(None)),
}  # fmt: skip
MAKES: dict[str, type[Column]] = {"number": Number, "levels": Levels, "moment": Moment}


@dataclass(frozen=True)
class Report:
    """What was met while a table was encoded."""

    rows: int  # of X
    kept: NDArray[np.intp] | None  # rows of the table that X holds; None for all of them
    dropped: int  # rows with holes that were dropped (na="drop")
    holes: dict[str, int]  # holes that were filled, by column
    new_holes: tuple[str, ...]  # of these, columns that had none in training
    unseen: dict[str, Unseen]  # cells whose level has no column, by column
    ignored: tuple[str, ...]  # columns of the table that the model does not know

    def sentences(self) -> list[str]:
        """One sentence for everything that a person should know of; none for a table like the training table."""
        said = [f"{_count(self.dropped, 'row')} with empty cells dropped."] if self.dropped else []
        said += [
            f"'{name}': {_count(self.holes[name], 'empty cell')} filled; training met none in this column."
            for name in self.new_holes
        ]
        for name, unseen in self.unseen.items():
            some = ", ".join(repr(level) for level in unseen.examples)
            said.append(
                f"'{name}': {_count(unseen.cells, 'cell')} of levels without a column of their own ({some}), counted as "
                f"'{unseen.counted_as}'."
            )
        if self.ignored:
            said.append(f"Not used by the model: {_told(self.ignored)}.")
        return said


@dataclass(frozen=True)
class Encoder:
    """The rules that turn a table into X, learned from the training rows: medians, levels, first dates. No rows are kept.

    X is a dense float64 array (m, n); numbers beside codes (:class:`fallline.rows.coded.Coded`) where a large table has
    text; or a CSR matrix where a small one has more than 200 columns and nearly all cells are 0.
    How each kind of column becomes numbers: :mod:`fallline.rows.columns`.

    >>> import polars as pl
    >>> houses = pl.DataFrame({"rooms": [3, 4, None, 5], "sea": ["near", "far", "far", "near"], "price": [1, 2, 3, 4]})
    >>> encoder = Encoder.learn(houses, "price")
    >>> X, report = encoder.transform(houses)
    >>> encoder.features
    ('rooms', 'rooms is missing', 'sea=near')
    >>> X[2]
    array([4., 1., 0.])
    """

    target: str
    columns: tuple[Column, ...]
    left_out: dict[str, str]  # columns of the table that X does not hold, and why
    holes: dict[str, int]  # holes of the training rows, by column
    na: str = "auto"
    weight: str | None = None
    offset: str | None = None
    exposure: str | None = None

    @classmethod
    def learn(
        cls,
        table: Any,
        target: str,
        *,
        na: str = "auto",
        weight: str | None = None,
        offset: str | None = None,
        exposure: str | None = None,
        rare: int | None = None,
        most_levels: int = MOST_LEVELS,
    ) -> Encoder:
        """Learn from the rows of `table` that have a target.

        `na` says what becomes of holes: ``"auto"`` fills and marks them (numbers: the median and a 0/1 column; text: a
        level of its own), ``"median"`` fills them only (text: with the most frequent level), ``"drop"`` leaves their
        rows out, ``"refuse"`` raises DataError. `weight`, `offset` and `exposure` name columns that are no features.
        A level of text gets a column when at least `rare` rows hold it (by default 1 in 100, at least 2 and never more
        than 10), up to `most_levels`; two or more that do not share ``(other)``. Nothing here is random.
        Left out and named, with the reason: empty and constant columns, and text that is different in (nearly) every row.

        Raises DataError: no such column, infinities, no rows with a target, no column to learn from.
        """
        if na not in WAYS:
            raise SettingError(f"na: got {na!r}; it must be one of {', '.join(WAYS)}.{suggest(str(na), list(WAYS))}")
        for setting, value in (("rare", rare), ("most_levels", most_levels)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise SettingError(f"{setting}: got {value!r}; it must be a whole number, 1 or more.")
        frame = as_frame(table)
        target_column(frame, target)
        sides = [side for side in (weight, offset, exposure) if side is not None]
        for side in sides:
            _require(frame, side)
        frame = frame.drop(sides)
        _finite(frame.drop(target))
        frame, _ = with_target(frame, target)
        features = frame.drop(target)
        rule = Rule(na == "auto", rare or rare_below(frame.height), most_levels)
        columns, left_out = _learn(features, rule)
        holes = _holes(features, columns)
        if na == "refuse" and holes:
            raise DataError(_refused(features, holes))
        if na == "drop" and holes:
            features = features.filter(~_any_hole(features, columns))
            if features.height == 0:
                raise DataError(f"Every row has an empty cell ({_told(tuple(holes))}), so na='drop' leaves none.")
            columns, constant = _learn(features.select(c.name for c in columns), rule)
            left_out |= constant
        columns = _mark_once(columns, features, left_out)
        if not columns:
            reasons = "; ".join(f"'{name}': {why}" for name, why in list(left_out.items())[:MOST_NAMED])
            raise DataError(f"No column is left to learn '{target}' from{f' ({reasons})' if reasons else ''}.")
        return cls(target, tuple(columns), left_out, holes, na, weight, offset, exposure)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns of X: ``rooms``, ``rooms is missing``, ``ocean_proximity=INLAND``, ``date: days``."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def kinds(self) -> dict[str, str]:
        """What the table's columns are (``number``, ``text``, ...), for :func:`fallline.rows.table.read_table`."""
        sides = {side: "number" for side in (self.weight, self.offset, self.exposure) if side is not None}
        return {column.name: column.kind for column in self.columns} | sides

    def form(self, rows: int) -> str:
        """What X is for so many rows: ``dense``, ``csr``, or ``coded`` (numbers beside codes)."""
        total, filled = len(self.features), sum(column.filled for column in self.columns)
        if rows > total and rows * total > CODED_FROM and filled < CODED_SHARE * total:
            return "coded"
        return "csr" if total > MOST_DENSE and filled < SPARSE_SHARE * total else "dense"

    def transform(self, table: Any) -> tuple[Any, Report]:
        """X for the rows of `table`, float64 (see above), and what was met on the way.

        The columns may come in any order; more of them are ignored and reported. Levels that have no column count as
        ``(other)`` where there is that, else as the reference. Rows with holes are dropped after ``na="drop"`` (see
        ``Report.kept``) and raise DataError after ``na="refuse"``.
        Raises SchemaError for missing columns and for columns of another kind, DataError for infinities.
        """
        frame = as_frame(table)
        self._check_columns(frame)
        cells = {column.name: column.read(frame[column.name]) for column in self.columns}
        holed = {name: count for name, values in cells.items() if (count := values.null_count())}
        if self.na == "refuse" and holed:
            raise DataError(_refused(frame, holed))
        kept = None
        if self.na == "drop" and holed:
            full = ~np.logical_or.reduce([cells[name].is_null().to_numpy() for name in holed])
            kept = np.flatnonzero(full)
            cells = {name: values.filter(full) for name, values in cells.items()}
        notes = Notes()
        pieces = [piece for column in self.columns for piece in column.encode(cells[column.name], notes)]
        rows = frame.height if kept is None else len(kept)
        X: Any = {"dense": dense, "csr": csr, "coded": coded}[self.form(rows)](pieces, rows)
        known = {self.target, *self.kinds, *self.left_out}
        report = Report(
            rows, kept, frame.height - rows, notes.holes, tuple(name for name in notes.holes if name not in self.holes),
            notes.unseen, tuple(name for name in frame.columns if name not in known),
        )  # fmt: skip
        return X, report

    def _check_columns(self, frame: pl.DataFrame) -> None:
        missing = [column.name for column in self.columns if column.name not in frame.columns]
        if missing:
            hint = suggest(missing[0], [name for name in frame.columns if name not in self.kinds])
            raise SchemaError(
                f"The table lacks {len(missing)} of the {len(self.columns)} columns that the model was trained on: "
                f"{_told(tuple(missing))}.{hint}"
            )

    def to_json(self) -> str:
        """All of it as JSON text; :meth:`from_json` makes it again."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields["columns"] = [_packed(column) for column in self.columns]
        return json.dumps({"format": FORMAT, **fields})

    @classmethod
    def from_json(cls, text: str) -> Encoder:
        """The encoder that :meth:`to_json` wrote. Raises ModelFileError when `text` is something else."""
        try:
            fields = json.loads(text)
            if fields.pop("format") != FORMAT:
                raise ModelFileError("The model's columns are written in a newer form; update fallline to read them.")
            return cls(columns=tuple(_unpacked(column) for column in fields.pop("columns")), **_checked(fields))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, ModelFileError):
                raise
            raise ModelFileError(f"The model's columns cannot be read: {error}.") from None


def _learn(features: pl.DataFrame, rule: Rule) -> tuple[list[Column], dict[str, str]]:
    learned = {name: learn_column(features[name], rule) for name in features.columns}
    columns = [column for column in learned.values() if isinstance(column, Column)]
    return columns, {name: reason for name, reason in learned.items() if isinstance(reason, str)}


def _finite(frame: pl.DataFrame) -> None:
    import polars as pl

    floats = [name for name, kind in frame.schema.items() if kind.is_float()]
    if not floats:
        return
    bad = frame.select(pl.col(name).is_infinite().sum() for name in floats).row(0, named=True)
    for name, count in bad.items():
        if count:
            row = int(frame[name].is_infinite().arg_max() or 0)
            raise DataError(
                f"Column '{name}' is infinite in {count:,} of {frame.height:,} rows (first: row {row:,}, "
                f"{frame[name][row]}). Correct these cells or leave them empty."
            )


def _require(frame: pl.DataFrame, name: str) -> None:
    if name not in frame.columns:
        raise DataError(f"The table has no column '{name}'.{suggest(name, frame.columns)}")


def _hole(cells: pl.Series) -> pl.Series:
    return cells.is_null() | cells.is_nan().fill_null(True) if cells.dtype.is_float() else cells.is_null()


def _holes(frame: pl.DataFrame, columns: list[Column]) -> dict[str, int]:
    counts = {column.name: int(_hole(frame[column.name]).sum()) for column in columns}
    return {name: count for name, count in counts.items() if count}


def _any_hole(frame: pl.DataFrame, columns: list[Column]) -> pl.Series:
    holes = _hole(frame[columns[0].name])
    for column in columns[1:]:
        holes = holes | _hole(frame[column.name])
    return holes


def _refused(frame: pl.DataFrame, holes: dict[str, int]) -> str:
    told = [
        f"'{name}' in {count:,} {'row' if count == 1 else 'rows'} (first: row {int(_hole(frame[name]).arg_max() or 0):,})"
        for name, count in list(holes.items())[:MOST_NAMED]
    ]
    return (
        f"D20: {len(holes)} {'column has' if len(holes) == 1 else 'columns have'} empty cells: {', '.join(told)}"
        f"{', ...' if len(holes) > MOST_NAMED else ''}. Fill them first, or use na='auto' (--na auto), which fills and "
        "marks them, or na='drop'."
    )


def _mark_once(columns: list[Column], features: pl.DataFrame, left_out: dict[str, str]) -> list[Column]:
    """Columns whose holes are in the same rows share one indicator: two that are equal have no weights of their own."""
    first: dict[bytes, str] = {}
    kept: list[Column] = []
    for column in columns:
        if isinstance(column, (Number, Moment)) and column.marked:
            rows = np.packbits(_hole(features[column.name]).to_numpy()).tobytes()
            if rows in first:
                left_out[f"{column.name} is missing"] = f"the same rows as '{first[rows]} is missing'"
                column = dataclasses.replace(column, marked=False)
            else:
                first[rows] = column.name
        if column.features:
            kept.append(column)
        else:
            left_out[column.name] = "it has one value only, and its holes are marked already"
    return kept


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _told(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names[:MOST_NAMED]) + ", ..." * (len(names) > MOST_NAMED)


def _packed(column: Column) -> dict[str, Any]:
    fields = {f.name: getattr(column, f.name) for f in dataclasses.fields(column)}
    if isinstance(column, Moment):
        fields["parts"] = [_packed(part) for part in column.parts]
    return {"is": next(name for name, make in MAKES.items() if isinstance(column, make)), **fields}


def _unpacked(fields: dict[str, Any], makes: tuple[str, ...] = tuple(MAKES)) -> Column:
    make = fields.pop("is")
    if make not in makes or not all(isinstance(fields.get(name, []), list) for name in ("parts", "levels")):
        raise ValueError(f"{make!r} is not a kind of column, or its parts are not lists")
    if "parts" in fields:
        fields["parts"] = tuple(_unpacked(part, ("number", "levels")) for part in fields["parts"])
    if "levels" in fields:
        fields["levels"] = tuple(fields["levels"])
    column = MAKES[make](**_checked(fields))
    if isinstance(column, Moment):
        datetime.date.fromisoformat(column.first)
    if isinstance(column, Levels) and len({column.reference, *column.levels}) <= len(column.levels):
        raise ValueError(f"column {column.name!r} has a level twice")
    return column


def _checked(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a file, which a stranger may have written, each of the kind that it must be."""
    for name, value in fields.items():
        wanted = FIELDS[name]
        inner = value.keys() if isinstance(value, dict) else value if name == "levels" else ()
        if not isinstance(value, wanted) or not all(isinstance(word, str) for word in inner):
            raise ValueError(f"{name!r} is {value!r}")
    if fields.get("source", "number") not in PLURALS or fields.get("na", "auto") not in WAYS:
        raise ValueError("a setting is not one that there is")
    if not math.isfinite(fields.get("fill", 0.0)):
        raise ValueError("a number is not finite")
    return fields
