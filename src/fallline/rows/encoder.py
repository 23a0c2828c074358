"""From a table to X: what training learned of every column, used in the same way on every later table."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.errors import DataError, ModelFileError, SchemaError, SettingError
from fallline.family import suggest
from fallline.rows.assemble import coded, csr, dense
from fallline.rows.columns import Column, Levels, Moment, Notes, Number, Term
from fallline.rows.facts import Facts, facts_of, hole
from fallline.rows.learning import MOST_LEVELS, Middle, Read, Rule, check_references, learn_column, rare_below
from fallline.rows.report import MOST_NAMED, Report, told
from fallline.rows.slopes import Slopes
from fallline.rows.table import as_frame
from fallline.rows.target import target_column, with_target
from fallline.rows.vectors import Vectors
from fallline.rows.written import WAYS, check_terms, checked, packed, unpacked

if TYPE_CHECKING:
    import polars as pl

MOST_DENSE = 200  # columns of X up to which it is always dense
SPARSE_SHARE = 0.25  # above that it is sparse where fewer of its cells than this share are not zero
CODED_FROM, CODED_SHARE = 1_000_000, 0.5  # cells of X from which codes pay, where fewer than this share are not zero
MARKED = ("auto",)  # ways that mark the holes that they fill
FORMAT = 1  # of the JSON


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
    columns: tuple[Term, ...]
    left_out: dict[str, str]  # columns of the table that X does not hold, and why
    holes: dict[str, int]  # holes of the training rows, by column
    na: str = "auto"
    weight: str | None = None
    offset: str | None = None
    exposure: str | None = None
    formula: dict[str, Any] | None = None  # whose terms the columns are; see fallline/tables/formula.py

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
        hashed: bool = False,
        full: bool = False,
        references: tuple[tuple[str, str], ...] = (),
        formula: dict[str, Any] | None = None,
    ) -> Encoder:
        """Learn from the rows of `table` that have a target.

        `na` says what becomes of holes: ``"auto"`` fills and marks them (numbers: the median and a 0/1 column; text: a
        level of its own), ``"median"`` and ``"mean"`` fill them only (text: with the most frequent level), ``"drop"``
        leaves their rows out, ``"refuse"`` raises DataError. `weight`, `offset` and `exposure` name columns that are no features.
        A level of text gets a column when at least `rare` rows hold it (by default 1 in 100, at least 2 and never more
        than 10), up to `most_levels`; two or more that do not share ``(other)``. With `hashed`, texts of more levels
        than that become so many columns (:mod:`fallline.rows.hashed`). The most frequent level has no column, unless
        `full`; `references` are (column, level) that have none instead. Nothing here is random.
        `formula`: whose factors the table's columns are; the terms are made of them (``fallline.tables.formula``).
        Left out and named, with the reason: empty and constant columns, and text that is different in (nearly) every row.

        Raises DataError: no such column, infinities, no rows with a target, no column to learn from.
        """
        rule = check_rule(na, rare, most_levels)._replace(hashed=hashed, full=full, references=references)
        frame = as_frame(table)
        target_column(frame, target)
        sides = [side for side in (weight, offset, exposure) if side is not None]
        for side in sides:
            _require(frame, side)
        frame, _ = with_target(frame.drop(sides), target)
        features = frame.drop(target)
        facts = table_facts(features)
        columns, left_out = _learn(facts, rule, features)
        holes = {column.name: facts[column.name].holes for column in columns if facts[column.name].holes}
        if na == "refuse" and holes:
            raise DataError(refused({name: first_hole(features, name) for name in holes}, holes), code="D20")
        if na == "drop" and holes:
            features = features.filter(~_any_hole(features, columns))
            if features.height == 0:
                raise DataError(f"Every row has an empty cell ({told(tuple(holes))}), so na='drop' leaves none.")
            facts = table_facts(features.select(c.name for c in columns))
            columns, constant = _learn(facts, rule, features)
            left_out |= constant
        return cls.of(columns, left_out, facts, target, holes, formula, na, weight, offset, exposure)

    @classmethod
    def learn_facts(
        cls, facts: dict[str, Facts], middle: Middle, target: str, *, na: str = "auto", weight: str | None = None,
        offset: str | None = None, exposure: str | None = None, rare: int | None = None, most_levels: int = MOST_LEVELS,
        hashed: bool = False, full: bool = False, references: tuple[tuple[str, str], ...] = (),
        formula: dict[str, Any] | None = None,
    ) -> Encoder:  # fmt: skip
        """The same from what a stream of rows has told of its columns; `middle` finds the median of one of them."""
        rule = check_rule(na, rare, most_levels)._replace(hashed=hashed, full=full, references=references)
        columns, left_out = _learned(facts, rule, middle)
        holes = {column.name: facts[column.name].holes for column in columns if facts[column.name].holes}
        return cls.of(columns, left_out, facts, target, holes, formula, na, weight, offset, exposure)

    @classmethod
    def of(
        cls, columns: list[Column], left_out: dict[str, str], facts: dict[str, Facts], target: str, holes: dict[str, int],
        formula: dict[str, Any] | None, na: str, *sides: str | None,
    ) -> Encoder:  # fmt: skip
        """From columns that were learned; raises DataError where there are none."""
        terms: list[Term] = [*_mark_once(columns, facts, left_out)]
        if formula is not None:
            from fallline.tables.formula import Formula

            terms = Formula.stored(formula).terms_of(terms, left_out)
        if not terms:
            reasons = "; ".join(f"'{name}': {why}" for name, why in list(left_out.items())[:MOST_NAMED])
            raise DataError(f"No column is left to learn '{target}' from{f' ({reasons})' if reasons else ''}.")
        weight, offset, exposure = sides
        return cls(target, tuple(terms), left_out, holes, na, weight, offset, exposure)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns of X: ``rooms``, ``rooms is missing``, ``ocean_proximity=INLAND``, ``date: days``."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def numbered(self) -> bool:
        """Whether some of its columns of X are those of vectors, whose names are their numbers."""
        return any(isinstance(term, Vectors) for term in self.columns)

    @property
    def reads(self) -> dict[str, Column]:
        """The columns of the table that it reads (of a formula: of the table of its terms), by name."""
        return {column.name: column for term in self.columns for column in term.reads}

    @property
    def spare(self) -> dict[str, str]:
        """One column of X of each set that stands for all levels of a text, and whose: it follows from the others.

        The columns of a text add up to 1, its slopes to the number, where that has a column of its own.
        """
        numbers = {term.name for term in self.columns if isinstance(term, Number)}
        parts = [part for term in self.columns for part in (term.parts if isinstance(term, Moment) else (term,))]
        full = [part for part in parts if isinstance(part, Levels) and part.reference is None]
        slopes = [
            term for term in self.columns
            if isinstance(term, Slopes) and term.text.reference is None and term.number.name in numbers
        ]  # fmt: skip
        return {part.features[0]: part.name for part in [*full, *slopes]}

    @property
    def kinds(self) -> dict[str, str]:
        """What the table's columns are (``number``, ``text``, ...), for :func:`fallline.rows.table.read_table`."""
        sides = {side: "number" for side in (self.weight, self.offset, self.exposure) if side is not None}
        return {name: column.kind for name, column in self.reads.items()} | sides

    def form(self, rows: int) -> str:
        """What X is for so many rows: ``dense``, ``csr``, or ``coded`` (numbers beside codes)."""
        total = sum(len(column.features) for column in self.columns)
        filled = sum(column.filled for column in self.columns)
        slopes = sum(len(term.features) for term in self.columns if isinstance(term, Slopes))  # numbers, to codes
        large = rows > total and rows * total > CODED_FROM
        if large and filled < CODED_SHARE * total and slopes <= MOST_DENSE and not self.numbered:
            return "coded"
        return "csr" if total > MOST_DENSE and filled < SPARSE_SHARE * total else "dense"

    def transform(self, table: Any, form: str | None = None) -> tuple[Any, Report]:
        """X for the rows of `table`, float64 (see above), and what was met on the way.

        `form` settles what X is, where the rows do not. The columns may come in any order; more of them are ignored and
        reported. Levels that have no column count as
        ``(other)`` where there is that, else as the reference. Rows with holes are dropped after ``na="drop"`` (see
        ``Report.kept``) and raise DataError after ``na="refuse"``.
        Raises SchemaError for missing columns and for columns of another kind, DataError for infinities.
        """
        frame = as_frame(table)
        if self.formula is not None:
            from fallline.tables.formula import Formula

            frame = Formula.stored(self.formula).apply(frame, target=False)
        self._check_columns(frame)
        cells = {name: column.read(frame[name]) for name, column in self.reads.items()}
        holed = {name: count for name, values in cells.items() if (count := values.null_count())}
        if self.na == "refuse" and holed:
            raise DataError(refused({name: first_hole(frame, name) for name in holed}, holed), code="D20")
        kept = None
        if self.na == "drop" and holed:
            full = ~np.logical_or.reduce([cells[name].is_null().to_numpy() for name in holed])
            kept = np.flatnonzero(full)
            cells = {name: values.filter(full) for name, values in cells.items()}
        notes = Notes()
        pieces = [piece for term in self.columns for piece in term.pieces(cells, notes)]
        rows = frame.height if kept is None else len(kept)
        X: Any = {"dense": dense, "csr": csr, "coded": coded}[form or self.form(rows)](pieces, rows)
        known = {self.target, *self.kinds, *self.left_out}
        report = Report(
            rows, kept, frame.height - rows, notes.holes, tuple(name for name in notes.holes if name not in self.holes),
            notes.unseen, tuple(name for name in frame.columns if name not in known),
        )  # fmt: skip
        return X, report

    def _check_columns(self, frame: pl.DataFrame) -> None:
        missing = [name for name in self.reads if name not in frame.columns]
        if missing:
            hint = suggest(missing[0], [name for name in frame.columns if name not in self.kinds])
            raise SchemaError(
                f"The table lacks {len(missing)} of the {len(self.reads)} columns that the model was trained on: "
                f"{told(tuple(missing))}.{hint}"
            )

    def to_json(self) -> str:
        """All of it as JSON text; :meth:`from_json` makes it again."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields["columns"] = [packed(term) for term in self.columns]
        return json.dumps({"format": FORMAT, **fields})

    @classmethod
    def from_json(cls, text: str) -> Encoder:
        """The encoder that :meth:`to_json` wrote. Raises ModelFileError when `text` is something else."""
        try:
            fields = json.loads(text)
            if fields.pop("format") != FORMAT:
                raise ModelFileError("The model's columns are written in a newer form; update fallline to read them.")
            terms = tuple(unpacked(term) for term in fields.pop("columns"))
            check_terms(terms)
            return cls(columns=terms, **checked(fields))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, ModelFileError):
                raise
            raise ModelFileError(f"The model's columns cannot be read: {error}.") from None


def check_rule(na: str, rare: int | None = None, most_levels: int = MOST_LEVELS) -> Rule:
    """The rule of the settings; `rare` None is settled by the rows. Raises SettingError."""
    if na not in WAYS:
        raise SettingError(f"na: got {na!r}; it must be one of {', '.join(WAYS)}.{suggest(str(na), list(WAYS))}")
    for setting, value in (("rare", rare), ("most_levels", most_levels)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise SettingError(f"{setting}: got {value!r}; it must be a whole number, 1 or more.")
    return Rule(na in MARKED, rare or 0, most_levels, na == "mean")


def table_facts(frame: pl.DataFrame, row: int = 0) -> dict[str, Facts]:
    """The facts of each column of these rows, the first of which is row `row`. Raises DataError for infinities."""
    return {name: facts_of(frame[name], row) for name in frame.columns}


def _learn(facts: dict[str, Facts], rule: Rule, features: pl.DataFrame) -> tuple[list[Column], dict[str, str]]:
    def middle(name: str, read: Read) -> float:
        found = read(features[name]).median()
        assert isinstance(found, (int, float))
        return float(found)

    return _learned(facts, rule, middle)


def _learned(facts: dict[str, Facts], rule: Rule, middle: Middle) -> tuple[list[Column], dict[str, str]]:
    rows = max((column.cells for column in facts.values()), default=0)
    rule = rule._replace(rare=rule.rare or rare_below(rows))
    check_references(rule, facts)
    learned = {name: learn_column(column, rule, middle) for name, column in facts.items()}
    columns = [column for column in learned.values() if isinstance(column, Column)]
    return columns, {name: reason for name, reason in learned.items() if isinstance(reason, str)}


def _require(frame: pl.DataFrame, name: str) -> None:
    if name not in frame.columns:
        raise DataError(f"The table has no column '{name}'.{suggest(name, frame.columns)}")


def _any_hole(frame: pl.DataFrame, columns: list[Column]) -> pl.Series:
    holes = hole(frame[columns[0].name])
    for column in columns[1:]:
        holes = holes | hole(frame[column.name])
    return holes


def first_hole(frame: pl.DataFrame, name: str) -> int:
    """The first row where the column has a hole."""
    return int(hole(frame[name]).arg_max() or 0)


def refused(first: dict[str, int], holes: dict[str, int]) -> str:
    """Why na="refuse" refuses: `holes` counts those of each column, `first` has the rows of the first ones."""
    told = [
        f"'{name}' in {count:,} {'row' if count == 1 else 'rows'} (first: row {first[name]:,})"
        for name, count in list(holes.items())[:MOST_NAMED]
    ]
    return (
        f"{len(holes)} {'column has' if len(holes) == 1 else 'columns have'} empty cells: {', '.join(told)}"
        f"{', ...' if len(holes) > MOST_NAMED else ''}. Fill them first, or use na='auto' (--na auto), which fills and "
        "marks them, or na='drop'."
    )


def _mark_once(columns: list[Column], facts: dict[str, Facts], left_out: dict[str, str]) -> list[Column]:
    """Columns whose holes are in the same rows share one indicator: two that are equal have no weights of their own."""
    first: dict[int, str] = {}
    kept: list[Column] = []
    for column in columns:
        if isinstance(column, (Number, Moment)) and column.marked:
            mask = facts[column.name].mask
            if mask in first:
                left_out[f"{column.name} is missing"] = f"the same rows as '{first[mask]} is missing'"
                column = dataclasses.replace(column, marked=False)
            else:
                first[mask] = column.name
        if column.features:
            kept.append(column)
        else:
            left_out[column.name] = "it has one value only, and its holes are marked already"
    return kept
