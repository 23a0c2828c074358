"""What is learned of one column of a table: its median, its levels, its dates, or why it is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fallline.rows.columns import (
    LONG,
    MANY_DATES_A_WEEK,
    MANY_DATES_A_YEAR,
    MISSING,
    MONTHS,
    OTHER,
    WEEKDAYS,
    Column,
    Levels,
    Moment,
    Number,
    as_floats,
    as_stamps,
    as_text,
    part_of,
)

if TYPE_CHECKING:
    import polars as pl

NEARLY_ALL = 0.9  # text of which this share of the cells are different is an identifier or free text, not levels
RARE_SHARE, RARE_LEAST, RARE_MOST = 100, 2, 10  # a level needs 1 row in 100, at least 2 and never more than 10
MOST_LEVELS = 5000  # columns of X that one text column may become


class Rule(NamedTuple):
    """How columns are learned: whether holes are marked, and which levels of text get a column."""

    mark: bool
    rare: int  # rows that a level needs; all rarer ones share "(other)"
    most_levels: int


def rare_below(rows: int) -> int:
    """The rows that a level needs to get a column of its own: 1 in 100, at least 2 and never more than 10.

    >>> [rare_below(m) for m in (20, 500, 100_000)]
    [2, 5, 10]
    """
    return min(max(-(-rows // RARE_SHARE), RARE_LEAST), RARE_MOST)


def learn_column(cells: pl.Series, rule: Rule) -> Column | str:
    """The rule for this column, or the reason why it is left out. Raises DataError for infinities."""
    import polars as pl

    kind = cells.dtype
    if cells.null_count() == len(cells):
        return "every cell is empty"
    if kind.is_numeric():
        return _number(cells, "number", rule)
    if kind == pl.Boolean:
        return _number(cells, "boolean", rule)
    if kind in (pl.Duration, pl.Time):
        return _number(cells, "duration" if kind == pl.Duration else "time", rule)
    if kind in (pl.String, pl.Categorical, pl.Enum):
        return _levels(as_text(cells), rule)
    if kind in (pl.Date, pl.Datetime):
        return _moment(cells, rule)
    return f"its cells ({kind}) are neither numbers nor text nor dates"


def _number(cells: pl.Series, source: str, rule: Rule) -> Column | str:
    floats = as_floats(cells, source)
    holes = floats.null_count()
    if holes == len(floats):
        return "every cell is empty"
    fill, low = _middle(floats), floats.min()
    if source == "boolean":
        fill = float(fill >= 0.5)
    if low != floats.max():
        return Number(cells.name, fill, rule.mark and holes > 0, True, source)
    if rule.mark and holes:
        return Number(cells.name, fill, True, False, source)
    return f"it has one value only ({cells.drop_nulls()[0]})"


def _levels(cells: pl.Series, rule: Rule) -> Column | str:
    """Frequent levels in alphabetical order, then ``(other)`` for the rest and ``(missing)`` for holes."""
    filled = cells.drop_nulls()
    counts = filled.alias("level").value_counts(name="rows").sort(["rows", "level"], descending=[True, False])
    different, marked = counts.height, rule.mark and len(filled) < len(cells)
    if different == 1 and not marked:
        return f"it has one value only ({filled[0]!r})"
    if different > 1 and different >= NEARLY_ALL * len(filled):
        return f"{different:,} of its {len(filled):,} cells are different: it names rows, and tells nothing of new ones"
    frequent = counts.filter(counts["rows"] >= rule.rare)["level"].head(rule.most_levels + 1).to_list()
    if not frequent and different > 2:
        return f"none of its {different:,} levels has {rule.rare} rows"
    reference = counts["level"][0]
    pooled = different - max(len(frequent), 1)
    if pooled == 1:  # one rare level alone keeps its name: there is nothing to share
        frequent, pooled = counts["level"].to_list(), 0
    named = sorted({*frequent} - {reference, OTHER, MISSING})
    extra = [OTHER] * (pooled > 0 or OTHER in frequent) + [MISSING] * (marked or MISSING in frequent)
    return Levels(cells.name, tuple(named + [level for level in extra if level != reference]), reference)


def _moment(cells: pl.Series, rule: Rule) -> Column | str:
    stamps = as_stamps(cells)
    dates = stamps.dt.date()
    different, name, origin = dates.drop_nulls().n_unique(), cells.name, str(dates.min())
    days = part_of(stamps, f"{name}: days", origin)
    parts: list[Number | Levels] = []
    if different > 1:
        parts.append(Number(days.name, _middle(days)))
    if different >= MANY_DATES_A_WEEK:
        parts += _calendar(part_of(stamps, f"{name}: weekday", origin), WEEKDAYS)
    if different >= MANY_DATES_A_YEAR and (days >= LONG).any():
        parts += _calendar(part_of(stamps, f"{name}: month", origin), MONTHS)
    clock = part_of(stamps, f"{name}: time of day", origin)
    if clock.min() != clock.max():
        parts.append(Number(clock.name, _middle(clock)))
    marked = rule.mark and stamps.null_count() > 0
    if not parts and not marked:
        return f"it has one value only ({cells.drop_nulls()[0]})"
    return Moment(name, origin, tuple(parts), marked)


def _calendar(cells: pl.Series, order: tuple[str, ...]) -> list[Number | Levels]:
    """Weekdays or months in their own order, the most frequent one as the reference."""
    counts = cells.drop_nulls().alias("level").value_counts(name="rows").rows()
    rows = {str(level): int(count) for level, count in counts}
    present = [level for level in order if level in rows]
    if len(present) < 2:
        return []
    reference = max(present, key=lambda level: rows[level])
    return [Levels(cells.name, tuple(level for level in present if level != reference), reference)]


def _middle(numbers: pl.Series) -> float:
    middle = numbers.median()
    assert isinstance(middle, (int, float))
    return float(middle)
