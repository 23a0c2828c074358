"""Row numbers for errors: those of the user's data, also where only some of its rows are looked at.

Checks see arrays from which rows without a target, without weight, or of another split are gone already. Whoever leaves
rows out says which are left, and an error that names a row asks here for its number. Rows count from 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Numbering(NamedTuple):
    """The number of the first row, the places of the rows that are left (None: all), and whether these are rows at all."""

    first: int = 0
    rows: NDArray[np.intp] | None = None
    known: bool = True


_numbering: ContextVar[Numbering | None] = ContextVar("fallline_numbering", default=None)


def _now() -> Numbering:
    return _numbering.get() or Numbering()


@contextmanager
def numbered(rows: NDArray[np.intp] | None, first: int = 0) -> Iterator[None]:
    """Within: the arrays that are checked hold `rows` (all, where None) of a table whose first row has number `first`.

    >>> with numbered(np.array([3, 8])):
    ...     row_number(1)
    8
    """
    token = _numbering.set(Numbering(first, rows))
    try:
        yield
    finally:
        _numbering.reset(token)


@contextmanager
def numbered_from(first: int) -> Iterator[None]:
    """Within: the first row of what is checked has the number `first`, where nothing better is known."""
    now = _now()
    with numbered(now.rows, now.first or first):
        yield


@contextmanager
def unnumbered() -> Iterator[None]:
    """Within: the arrays that are checked hold distinct values, which are in no row."""
    token = _numbering.set(Numbering(known=False))
    try:
        yield
    finally:
        _numbering.reset(token)


def row_number(place: int) -> int:
    """The row of the user's data that lies at `place` of what is checked."""
    first, rows, _ = _now()
    return first + int(place if rows is None else rows[place])


def rows_told(bad: NDArray[np.bool_], value: str = "") -> str:
    """``3 rows (first: row 812, y = -2)``: where `bad` is true, with the first value; ``some rows`` where unknown.

    >>> rows_told(np.array([False, True]))
    '1 row (first: row 1)'
    """
    count = int(np.count_nonzero(bad))
    how_many = f"{count:,} {'row' if count == 1 else 'rows'}" if _now().known else "some rows"
    return f"{how_many}{_first(bad, value)}"


def values_told(bad: NDArray[np.bool_], value: str) -> str:
    """``3 are not (first: row 812, y = -2)``: where `bad` is true, with the first value; ``some are not`` where unknown."""
    count = int(np.count_nonzero(bad))
    how_many = f"{count:,} {'is' if count == 1 else 'are'} not" if _now().known else "some are not"
    return f"{how_many}{_first(bad, value)}"


def _first(bad: NDArray[np.bool_], value: str) -> str:
    if not _now().known:
        return f" (such as {value})" if value else ""
    return f" (first: row {row_number(int(np.argmax(bad))):,}{f', {value}' if value else ''})"


def row_told(place: int) -> str:
    """``row 812``, or ``a row`` where it is not known which."""
    return f"row {row_number(place):,}" if _now().known else "a row"
