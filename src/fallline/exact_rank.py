"""The rank of a matrix of floating-point numbers as they stand, not as rounding lets it seem.

A floating-point number is an integer times a power of two, so columns either depend on one another exactly or they do not,
and no tolerance is needed to tell. The rank is found by Gaussian elimination modulo a prime P, in integers. Modulo P it is
never larger than it is, and smaller only where every minor of that size is a multiple of P, which happens by chance once in
about P times. (Dixon 1982; Kaltofen and Saunders 1991.)
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fallline.rows._base import Rows
from fallline.rows.arrays import ArrayRows

Integers = NDArray[np.int64]

# The second largest prime below 2^31, so that products of two residues fit into 64 bits. The largest one, 2^31 - 1, would take
# 2^31 for 1, and powers of two are common in floating-point numbers.
P: Final = 2_147_483_629
MANTISSA: Final = 53  # bits of a float64
LEAST_EXPONENT: Final = -1074 - MANTISSA
# 2^e modulo P, from the least exponent on.
POWERS: Final = np.array([pow(2, e, P) for e in range(LEAST_EXPONENT, 1025)], dtype=np.int64)
AT_ONCE: Final = 250_000  # numbers of a chunk: its residues and products stay near the processor
MOST_UNKNOWNS: Final = 1000  # columns: elimination of so many takes about two seconds

_known: weakref.WeakKeyDictionary[Rows, dict[bool, int]] = weakref.WeakKeyDictionary()


def column_rank(rows: Rows, intercept: bool) -> int | None:
    """The rank of the columns of `rows`, beside a column of ones where there is an intercept.

    Rows of no weight do not count. None where there are more columns than ``MOST_UNKNOWNS``. Costs about ten passes of NumPy;
    the answer is kept with the rows.

    >>> X = np.array([[1.0, 2.0, 0.1], [3.0, 6.0, 0.3], [0.1, 0.2, 0.7]])
    >>> column_rank(ArrayRows(X, np.zeros(3)), intercept=False)
    2
    >>> X[0, 1] = np.nextafter(2.0, 3.0)
    >>> column_rank(ArrayRows(X, np.zeros(3)), intercept=False)
    3
    """
    if rows.n + intercept > MOST_UNKNOWNS:
        return None
    known = _known.setdefault(rows, {})
    if intercept not in known:
        known[intercept] = rank(_chunks(rows, intercept), rows.n + intercept)
    return known[intercept]


def row_rank(rows: ArrayRows, intercept: bool) -> int | None:
    """The same number for fewer rows than columns, found at the cost of the smaller side."""
    used = np.ones(rows.m, dtype=bool) if rows.weight is None else rows.weight > 0.0
    m = int(used.sum())
    if m > MOST_UNKNOWNS:
        return None

    def columns() -> Iterator[Integers]:
        if intercept:
            yield np.ones((1, m), dtype=np.int64)
        step = max(1, AT_ONCE // max(m, 1))
        for begin in range(0, rows.n, step):
            yield np.ascontiguousarray(residues(_dense(rows.X[:, begin : begin + step])[used]).T)

    return rank(columns(), m)


def rank(chunks: Iterable[Integers], width: int) -> int:
    """The rank, modulo P, of rows of residues that come in chunks (k, width)."""
    basis = _Echelon(width)
    rng = np.random.default_rng(0)
    for chunk in chunks:
        rest = chunk
        # A row within the span of the basis is orthogonal to every vector that the basis is orthogonal to; one outside of it
        # is so to a random one of them once in P times.
        while len(basis.pivots) < width and len(rest):
            outside = np.flatnonzero(combined(rest, basis.random_orthogonal(rng)))
            if not len(outside):
                break
            basis.add(rest[outside[0]])
            rest = rest[outside[0] + 1 :]
        if len(basis.pivots) == width:
            break
    return len(basis.pivots)


def residues(X: NDArray[np.floating]) -> Integers:
    """Finite numbers modulo P: a negative power of two is an inverse there."""
    mantissa, exponent = np.frexp(np.asarray(X, dtype=np.float64))
    whole = (mantissa * 2.0**MANTISSA).astype(np.int64) % P
    return np.asarray(whole * POWERS[exponent - MANTISSA - LEAST_EXPONENT] % P)


class _Echelon:
    """Rows in reduced echelon form modulo P: each has a 1 where all others have a 0."""

    def __init__(self, width: int) -> None:
        self.rows = np.zeros((0, width), dtype=np.int64)
        self.pivots: list[int] = []

    def random_orthogonal(self, rng: np.random.Generator) -> Integers:
        """A random vector that is orthogonal to all rows."""
        v = rng.integers(1, P, self.rows.shape[1])
        v[self.pivots] = 0
        v[self.pivots] = (P - combined(self.rows, v)) % P
        return v

    def add(self, row: Integers) -> None:
        """One more row, which is not within the span of the others."""
        if self.pivots:
            row = (row - combined(np.ascontiguousarray(self.rows.T), row[self.pivots])) % P
        where = np.flatnonzero(row)
        if not len(where):
            return
        pivot = int(where[0])
        row = row * pow(int(row[pivot]), -1, P) % P
        factors = self.rows[:, pivot]
        touched = np.flatnonzero(factors)
        self.rows[touched] = (self.rows[touched] - factors[touched, None] * row) % P
        self.rows = np.vstack([self.rows, row])
        self.pivots.append(pivot)


def combined(A: Integers, v: Integers) -> Integers:
    """A @ v modulo P, of residues."""
    return np.asarray((A * v % P).sum(axis=1) % P)


def _chunks(rows: Rows, intercept: bool) -> Iterator[Integers]:
    step = max(1, AT_ONCE // (rows.n + 1))
    for batch in rows.blocks(rows.n):
        for begin in range(0, len(batch.y), step):
            some = slice(begin, begin + step)
            found = residues(_dense(batch.X[some]))
            if batch.weight is not None:
                found = found[batch.weight[some] > 0.0]
            yield np.column_stack([found, np.ones(len(found), dtype=np.int64)]) if intercept else found


def _dense(X: Any) -> NDArray[np.floating]:
    return np.asarray(X.toarray() if hasattr(X, "toarray") else X)
