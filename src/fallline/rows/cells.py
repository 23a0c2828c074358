"""Cells of text become numbers, true or false, dates and times, and holes.

By all cells of a column, not by a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from fallline.errors import DataError
from fallline.visible import shell_word

if TYPE_CHECKING:
    import polars as pl

EMPTY_WORDS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")  # cells that hold nothing
FEW_BAD = 0.05  # a column with at most this share of cells that are not numbers is a column of numbers with mistakes
SHOWN = 40  # characters of a cell or a name that an error repeats
ENOUGH_GOOD = 4  # and so is one with a single such cell beside at least this many numbers

CODE = r"^[+-]?0\d+$"  # 007 is a code: as a number it would lose its zeros
WHOLE_YEAR = r"\d{4}"  # 31.12.24 is not read: as a year, 24 is long ago
DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d %b %Y", "%d-%b-%Y")
EITHER_DAYS = (("%d/%m/%Y", "%m/%d/%Y"), ("%d-%m-%Y", "%m-%d-%Y"))  # the day first or the month first
CLOCKS = ("%H:%M:%S%.f", "%H:%M")
ZONED = tuple(f"%Y-%m-%d{gap}{clock}%#z" for gap in "T " for clock in CLOCKS)


class Kind(NamedTuple):
    """How the cells of a column of text are read: "text", "truth", "whole", "number", "comma" or "date"."""

    what: str
    form: str = ""  # of dates, time stamps and times of day


@dataclass(frozen=True)
class Facts:
    """What the cells of one column are: how many of them are not empty, and how many read as what."""

    cells: int
    wholes: int
    numbers: int
    commas: int  # numbers when a comma is the decimal point
    codes: int
    truths: int

    def __add__(self, other: Facts) -> Facts:
        return Facts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def kind(self, must: bool, decimal_comma: bool) -> Kind | None:
        """The kind of them, if it is no date; None where that is to be seen, or where some are mistakes."""
        if self.cells == 0 or (self.codes and not must):
            return Kind("text")
        if self.truths == self.cells:
            return Kind("truth")
        if self.wholes == self.cells:
            return Kind("whole")
        if self.numbers == self.cells:
            return Kind("number")
        return Kind("comma") if decimal_comma and self.commas == self.cells else None

    def mistakes(self, must: bool, decimal_comma: bool) -> bool:
        """Whether it is a column of numbers with a few cells that are none; of those that have no ``kind``."""
        good = self.commas if decimal_comma else self.numbers
        return must or _few(self.cells - good, good)


NOTHING = Facts(0, 0, 0, 0, 0, 0)


def type_text(
    frame: pl.DataFrame,
    place: Callable[[int], str],
    *,
    text: Collection[str] = (),
    numbers: Collection[str] = (),
    decimal_comma: bool = False,
) -> pl.DataFrame:
    """Give every text column of `frame` the type that all its cells have; what has none stays text.

    In this order: a column with a code such as 007 stays text; true and false; whole numbers; numbers; dates, time
    stamps (those with a zone turned into UTC) and times of day. Words for nothing (NA, null, ...) become holes.
    Columns in `text` stay text whatever they hold; columns in `numbers` must be numbers. `place(row)` says where a row
    is, for errors: "line 7". Raises DataError for a column that is numbers (or dates) but for a few cells, and for
    dates that could be read in two ways.
    """
    import polars as pl

    names = [name for name, kind in frame.schema.items() if kind == pl.String]
    frame = frame.with_columns(emptied(names)) if names else frame
    tried = [name for name in names if name not in text]
    if not tried:
        return frame
    rows = facts_of(frame, tried)
    typed = []
    for name in tried:
        kind = kind_of(frame[name], rows[name], place, name in numbers, decimal_comma)
        typed.append(read_as(frame[name], kind).alias(name))
    return frame.with_columns(typed)


def facts_of(frame: pl.DataFrame, names: Collection[str]) -> dict[str, Facts]:
    """Of these columns, which are text that was ``emptied``."""
    if not names:
        return {}
    import polars as pl

    cell = pl.col(list(names))
    each = (
        cell.count(), cell.cast(pl.Int64, strict=False).count(), cell.cast(pl.Float64, strict=False).count(),
        _comma_numbers(cell).count(), cell.str.contains(CODE).sum(), cell.str.to_lowercase().is_in(["true", "false"]).sum(),
    )  # fmt: skip
    found = [frame.select(of).row(0) for of in each]
    return {name: Facts(*own) for name, own in zip(names, zip(*found, strict=True), strict=True)}


def kind_of(
    cells: pl.Series, facts: Facts, place: Callable[[int], str], must: bool = False, decimal_comma: bool = False
) -> Kind:
    """What these cells are, all of them; raises DataError where nearly all are the same, or dates can be read in two ways.

    `must`: whether they must be numbers.
    """
    kind = facts.kind(must, decimal_comma)
    if kind is not None:
        return kind
    if facts.mistakes(must, decimal_comma):
        good = Kind("comma" if decimal_comma else "number")
        refuse_mistakes(cells, read_as(cells, good), "number", place)
    form = date_form(cells, place)
    return Kind("text") if form is None else Kind("date", form)


def read_as(cells: pl.Series, kind: Kind) -> pl.Series:
    """The cells in their type, null where they do not fit it."""
    import polars as pl

    if kind.what == "truth":
        lower = cells.str.to_lowercase()
        return pl.select(pl.when(lower.is_in(["true", "false"])).then(lower == "true")).to_series()
    if kind.what == "whole":
        return cells.cast(pl.Int64, strict=False)
    if kind.what == "number":
        return cells.cast(pl.Float64, strict=False)
    if kind.what == "comma":
        read: pl.Series = _comma_numbers(cells)
        return read
    return read_dates(cells, kind.form) if kind.what == "date" else cells


def date_text(frame: pl.DataFrame, place: Callable[[int], str]) -> pl.DataFrame:
    """Text columns that hold dates throughout become dates; all else stays as the file declares it."""
    import polars as pl

    names = [name for name, kind in frame.schema.items() if kind == pl.String]
    return frame.with_columns(dated(frame[name], place).alias(name) for name in names)


def emptied(names: Collection[str]) -> pl.Expr:
    """The cells of these columns without blanks around them; words for nothing become holes.

    One expression for all columns: of 8,000, one each took a minute.
    """
    import polars as pl

    cell = pl.col(list(names)).str.strip_chars()
    return pl.when(~cell.is_in(EMPTY_WORDS)).then(cell).otherwise(None)


def _comma_numbers(cell: Any) -> Any:
    import polars as pl

    return cell.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)


def _few(bad: int, good: int) -> bool:
    return bad <= FEW_BAD * (bad + good) or (bad == 1 and good >= ENOUGH_GOOD)


def refuse_mistakes(cells: pl.Series, read: pl.Series, kind: str, place: Callable[[int], str]) -> NoReturn:
    """Raise DataError for the first of the cells that were not read."""
    wrong = cells.is_not_null() & read.is_null()
    row, bad, good = int(wrong.arg_max() or 0), int(wrong.sum()), int(read.count())
    raise DataError(mistake(cells.name, place(row), cells[row], kind, bad, good))


def mistake(name: str, place: str, cell: str, kind: str, bad: int, good: int) -> str:
    """What to say of a cell that is not of the kind of the others."""
    others = f"the other {good:,} {'cell is' if good == 1 else 'cells are'}"
    told = f"({others})" if bad == 1 else f"({bad:,} such cells; {others})"
    return (
        f"column '{one_line(name)}', {place}: {cell[:SHOWN]!r} is not a {kind} {told}. "
        f"Correct the cell or leave it empty; {without(name)} leaves the column out."
    )


def one_line(name: str) -> str:
    """The name of a column as errors have it."""
    return " ".join(name.split())[:SHOWN]


def without(name: str) -> str:
    """The option that leaves a column out, quoted for a shell; without the name where that is too long to be repeated.

    >>> print(without("price"), without("a; b"), without("x" * 41))
    --drop price --drop 'a; b' --drop COL
    """
    try:
        return f"--drop {shell_word(name) if len(name) <= SHOWN else 'COL'}"
    except ValueError:  # a NUL, or half of a surrogate pair
        return "--drop COL"


def dated(cells: pl.Series, place: Callable[[int], str]) -> pl.Series:
    """Dates, time stamps or times of day when the cells are that, else the cells as they are."""
    form = date_form(cells, place)
    return cells if form is None else read_dates(cells, form)


def date_form(cells: pl.Series, place: Callable[[int], str]) -> str | None:
    """The form in which all cells are dates, time stamps or times of day; None where they are not.

    Raises DataError where nearly all are, and where the day could be the month.
    """
    first = next(iter(cells.drop_nulls().head(1)), None)
    if first is None or not may_be_date(first):
        return None
    for form in (*DAYS, *_stamps(DAYS), *ZONED, *CLOCKS):
        read = _read_as(cells, form)
        if read is not None:
            good = int(read.count())
            if good == cells.count():
                return form
            if _few(int(cells.count()) - good, good):
                refuse_mistakes(cells, read, "time of day" if form in CLOCKS else "date", place)
    for pair in EITHER_DAYS:
        for forms in (pair, *zip(_stamps(pair[:1]), _stamps(pair[1:]), strict=True)):
            found = [(form, read) for form in forms if (read := _whole(cells, form)) is not None]
            if len(found) == 2 and not found[0][1].equals(found[1][1]):
                raise DataError(
                    f"column '{one_line(cells.name)}': dates such as {first[:SHOWN]!r} could have the day first or the month "
                    "first, and no cell of the column settles it. Write them as 2024-03-31; "
                    f"{without(cells.name)} leaves the column out."
                )
            if found:
                return found[0][0]
    return None


def may_be_date(cell: str) -> bool:
    """Whether a cell looks like a date, a time stamp or a time of day."""
    return cell[:1].isdigit() and any(mark in cell for mark in "-/.: ")


def _stamps(days: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{day}{gap}{clock}" for day in days for gap in " T" for clock in CLOCKS)


def _whole(cells: pl.Series, form: str) -> pl.Series | None:
    read = _read_as(cells, form)
    return read if read is not None and read.count() == cells.count() else None


def _read_as(cells: pl.Series, form: str) -> pl.Series | None:
    """The cells read by one format, null where they do not fit it; None when the first few already do not."""
    few = cells.drop_nulls().head(8)
    if read_dates(few, form).count() < min(2, len(few)):
        return None
    return read_dates(cells, form)


def read_dates(cells: pl.Series, form: str) -> pl.Series:
    """The cells read by one form, null where they do not fit it."""
    if form in CLOCKS:
        return cells.str.to_time(form, strict=False)
    cells = cells.set(~cells.str.contains(WHOLE_YEAR), None)
    if "%H" not in form:
        return cells.str.to_date(form, strict=False)
    read = cells.str.to_datetime(form, strict=False, time_unit="us")
    return read.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if form in ZONED else read
