"""What is learned of one column of a table: its middle, its levels, its dates, or why it is left out."""

from __future__ import annotations

import datetime
from collections.abc import Callable
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
    part_of,
)
from fallline.rows.facts import CROWDED, Facts, dates_in, levels_in

if TYPE_CHECKING:
    import polars as pl

RARE_SHARE, RARE_LEAST, RARE_MOST = 100, 2, 10  # a level needs 1 row in 100, at least 2 and never more than 10
MOST_LEVELS = 5000  # columns of X that one text column may become

Read = Callable[["pl.Series"], "pl.Series"]  # the cells of a column as numbers, holes as nulls
Middle = Callable[[str, Read], float]  # the median of a column, read so


class Rule(NamedTuple):
    """How columns are learned: what fills holes and whether they are marked, and which levels of text get a column."""

    mark: bool
    rare: int  # rows that a level needs; all rarer ones share "(other)"
    most_levels: int
    mean: bool = False  # holes of numbers are filled with the mean, not the median


def rare_below(rows: int) -> int:
    """The rows that a level needs to get a column of its own: 1 in 100, at least 2 and never more than 10.

    >>> [rare_below(m) for m in (20, 500, 100_000)]
    [2, 5, 10]
    """
    return min(max(-(-rows // RARE_SHARE), RARE_LEAST), RARE_MOST)


def learn_column(facts: Facts, rule: Rule, middle: Middle) -> Column | str:
    """The rule for this column, or the reason why it is left out."""
    if facts.filled == 0:
        return "every cell is empty"
    if facts.kind == "text":
        return _levels(facts, rule)
    if facts.kind == "date":
        return _moment(facts, rule, middle)
    if facts.kind == "other":
        return f"its cells ({facts.told}) are neither numbers nor text nor dates"
    return _number(facts, rule, middle)


def _number(facts: Facts, rule: Rule, middle: Middle) -> Column | str:
    marked = rule.mark and facts.holes > 0
    if facts.low == facts.high and not marked:
        return f"it has one value only ({facts.first})"
    if facts.low == facts.high:
        return Number(facts.name, facts.low, True, False, facts.kind)
    if rule.mean or not facts.holes:  # where there are none, what later tables may lack
        fill = facts.total / facts.filled
    else:
        fill = middle(facts.name, lambda cells: as_floats(cells, facts.kind))
    return Number(facts.name, float(fill >= 0.5) if facts.kind == "boolean" else fill, marked, True, facts.kind)


def _levels(facts: Facts, rule: Rule) -> Column | str:
    """Frequent levels in alphabetical order, then ``(other)`` for the rest and ``(missing)`` for holes."""
    counts = levels_in(facts)
    different, marked = len(counts) + facts.pruned, rule.mark and facts.holes > 0
    if different == 1 and not marked:
        return f"it has one value only ({counts[0][0]!r})"
    if different > 1 and different >= CROWDED * facts.filled:
        return (
            f"{different:,} of its {facts.filled:,} cells are different: it names rows, and tells nothing of new ones"
        )
    frequent = [str(level) for level, rows in counts if rows >= rule.rare][: rule.most_levels + 1]
    if not frequent and different > 2:
        return f"none of its {different:,} levels has {rule.rare} rows"
    reference = str(counts[0][0])
    pooled = different - max(len(frequent), 1)
    if pooled == 1:  # one rare level alone keeps its name: there is nothing to share
        frequent, pooled = [str(level) for level, _ in counts], 0
    named = sorted({*frequent} - {reference, OTHER, MISSING})
    extra = [OTHER] * (pooled > 0 or OTHER in frequent) + [MISSING] * (marked or MISSING in frequent)
    return Levels(facts.name, tuple(named + [level for level in extra if level != reference]), reference)


def _moment(facts: Facts, rule: Rule, middle: Middle) -> Column | str:
    dates, name = dates_in(facts), facts.name
    origin, rows = str(dates[0]), dict(levels_in(facts))
    parts: list[Number | Levels] = []

    def number(part: str) -> Number:
        return Number(part, middle(name, lambda cells: part_of(as_stamps(cells), part, origin)))

    if len(dates) > 1:
        parts.append(number(f"{name}: days"))
    if len(dates) >= MANY_DATES_A_WEEK:
        parts += _calendar(f"{name}: weekday", rows, "%a", WEEKDAYS)
    if len(dates) >= MANY_DATES_A_YEAR and (dates[-1] - dates[0]).days >= LONG:
        parts += _calendar(f"{name}: month", rows, "%b", MONTHS)
    if facts.low != facts.high:
        parts.append(number(f"{name}: time of day"))
    marked = rule.mark and facts.holes > 0
    if not parts and not marked:
        return f"it has one value only ({facts.first})"
    return Moment(name, origin, tuple(parts), marked)


def _calendar(name: str, dates: dict[datetime.date, int], form: str, order: tuple[str, ...]) -> list[Number | Levels]:
    """Weekdays or months in their own order, the most frequent one as the reference."""
    rows: dict[str, int] = {}
    for date, count in dates.items():
        word = order[date.weekday() if form == "%a" else date.month - 1]
        rows[word] = rows.get(word, 0) + count
    present = [level for level in order if level in rows]
    if len(present) < 2:
        return []
    reference = max(present, key=lambda level: rows[level])
    return [Levels(name, tuple(level for level in present if level != reference), reference)]
