"""What is learned of one column of a table: its middle, its levels, its dates, or why it is left out."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from fallline.errors import DataError
from fallline.family import suggest
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
from fallline.rows.hashed import Hashed, bucket
from fallline.rows.vectors import Vectors

if TYPE_CHECKING:
    import polars as pl

RARE_SHARE, RARE_LEAST, RARE_MOST = 100, 2, 10  # a level needs 1 row in 100, at least 2 and never more than 10
MOST_LISTED = 12  # levels that an error lists, the most frequent first
MOST_WIDE = 100_000_000  # columns of vectors, 0.4 KB each; the widest of LIBSVM's files, kdd2012, names 54,686,452
MOST_LEVELS = 5000  # columns of X that one text column may become

Read = Callable[["pl.Series"], "pl.Series"]  # the cells of a column as numbers, holes as nulls
Middle = Callable[[str, Read], float]  # the median of a column, read so


class Rule(NamedTuple):
    """How columns are learned: what fills holes and whether they are marked, and which levels of text get a column."""

    mark: bool
    rare: int  # rows that a level needs; all rarer ones share "(other)"
    most_levels: int
    mean: bool = False  # holes of numbers are filled with the mean, not the median
    hashed: bool = False  # a text of more levels than most_levels becomes so many buckets
    full: bool = False  # every level has a column: there is no reference
    references: tuple[tuple[str, str], ...] = ()  # (column, level): the level that has none, where one was named

    def reference(self, name: str, usual: str, known: list[str]) -> str | None:
        """The level of column `name` that has no column. Raises DataError for one that is not there."""
        named = dict(self.references).get(name)
        if named is not None and named not in known:
            raise no_level(name, named, known)
        return named if named is not None else None if self.full else usual


def no_level(name: str, level: str, known: list[str]) -> DataError:
    """What is said of a reference that is not there."""
    listed = ", ".join(known[:MOST_LISTED]) + (", ..." if len(known) > MOST_LISTED else "")
    return DataError(
        f"reference: column {name!r} has no level {level!r} in the rows to train on.{suggest(level, known)} "
        f"Its levels are: {listed}."
    )


def check_references(rule: Rule, facts: dict[str, Facts]) -> None:
    """Raise DataError for references of columns that have no levels."""
    for name, _ in rule.references:
        whole = name if name in facts else name.rpartition(": ")[0]  # "date: weekday" is a part of "date"
        if whole not in facts:
            raise DataError(f"reference: there is no column {name!r}.{suggest(name, list(facts))}")
        kind = facts[whole].kind
        if kind != ("text" if whole == name else "date") and kind:
            parts = f"; name '{name}: weekday' or '{name}: month'" if kind == "date" else ""
            raise DataError(f"reference: column {name!r} holds {facts[whole].told}, not text with levels{parts}.")


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
    if facts.kind == "vectors":
        return _vectors(facts)
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
    usual, special = str(counts[0][0]), (OTHER, MISSING)
    met = [str(level) for level, _ in counts]
    reference = rule.reference(facts.name, usual, [*met, *special])  # whether these are there is known later
    if rule.hashed and different > rule.most_levels:
        return _hashed(facts, met, reference, marked, rule.most_levels)
    most = rule.most_levels + (reference is not None)
    frequent = [str(level) for level, rows in counts if rows >= rule.rare][:most]
    if not frequent and different > 2:
        return f"none of its {different:,} levels has {rule.rare} rows"
    chosen = {*frequent, usual} | ({usual if reference is None else reference} - {*special})
    pooled = different - len(chosen)
    if pooled == 1:  # one rare level alone keeps its name: there is nothing to share
        chosen, pooled = set(met), 0
    extra = [OTHER] * (pooled > 0 or OTHER in chosen) + [MISSING] * (marked or MISSING in chosen)
    if reference in special and reference not in extra:
        raise no_level(facts.name, str(reference), met)
    known = [*sorted(chosen - {*special}), *extra]
    others = tuple(level for level in known if level != reference)
    return Levels(facts.name, others, reference, "" if usual == reference else usual)


def _hashed(facts: Facts, levels: list[str], reference: str | None, marked: bool, buckets: int) -> Column | str:
    """Buckets of all levels, rare or not; where some were counted no further, all buckets there are."""
    met = range(buckets) if facts.pruned else {bucket(level, buckets) for level in levels}
    known = [*map(str, sorted(met)), *[MISSING] * marked]
    own = reference if reference is None or reference == MISSING else str(bucket(reference, buckets))
    if reference is not None and own not in known:
        raise no_level(facts.name, reference, levels)
    if len(known) < 2:
        return "its levels share one bucket"
    usual = str(bucket(levels[0], buckets))
    return Hashed(facts.name, tuple(k for k in known if k != own), own, "" if usual == own else usual, buckets)


def _vectors(facts: Facts) -> Column | str:
    """From column 1 on, which is where libsvm's files begin to count, unless these begin with 0."""
    if not facts.total:
        return "it has no entries"
    lowest = int(min(facts.low, 1.0))
    if facts.high >= MOST_WIDE:
        raise DataError(
            f"Column '{facts.name}{facts.high:.0f}' is named; columns may have numbers below {MOST_WIDE:,}. If they are hashes, "
            "take them modulo a power of two."
        )
    return Vectors(facts.name, lowest, int(facts.high) + 1 - lowest, facts.total / facts.filled)


def _moment(facts: Facts, rule: Rule, middle: Middle) -> Column | str:
    dates, name = dates_in(facts), facts.name
    origin, rows = str(dates[0]), dict(levels_in(facts))
    parts: list[Number | Levels] = []

    def number(part: str) -> Number:
        return Number(part, middle(name, lambda cells: part_of(as_stamps(cells), part, origin)))

    if len(dates) > 1:
        parts.append(number(f"{name}: days"))
    if len(dates) >= MANY_DATES_A_WEEK:
        parts += _calendar(f"{name}: weekday", rows, "%a", WEEKDAYS, rule)
    if len(dates) >= MANY_DATES_A_YEAR and (dates[-1] - dates[0]).days >= LONG:
        parts += _calendar(f"{name}: month", rows, "%b", MONTHS, rule)
    if facts.low != facts.high:
        parts.append(number(f"{name}: time of day"))
    marked = rule.mark and facts.holes > 0
    if not parts and not marked:
        return f"it has one value only ({facts.first})"
    return Moment(name, origin, tuple(parts), marked)


def _calendar(
    name: str, dates: dict[datetime.date, int], form: str, order: tuple[str, ...], rule: Rule
) -> list[Number | Levels]:
    """Weekdays or months in their own order, the most frequent one as the reference."""
    rows: dict[str, int] = {}
    for date, count in dates.items():
        word = order[date.weekday() if form == "%a" else date.month - 1]
        rows[word] = rows.get(word, 0) + count
    present = [level for level in order if level in rows]
    if len(present) < 2:
        return []
    usual = max(present, key=lambda level: rows[level])
    reference = rule.reference(name, usual, present)
    others = tuple(level for level in present if level != reference)
    return [Levels(name, others, reference, "" if usual == reference else usual)]
