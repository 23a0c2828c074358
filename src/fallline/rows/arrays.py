"""Rows that lie in memory: a dense array (any order, float32 or float64), a CSR matrix, or numbers beside codes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline import kernels
from fallline.losses._base import Loss
from fallline.rows._base import Array, Batch, ClassPass, Moments, Pass, Products, Rows, Summand, add
from fallline.rows.coded import Coded
from fallline.threads import cut, each

BLOCK_NUMBERS = 1_000_000  # numbers in a block (8 MB): small beside X, large beside the overhead of a NumPy call
SPARSE = 20  # times the room of a number that a stored entry takes, with its index and what products make of it
MOST_PIECES, ROOM = 16, 10_000_000  # sums made at once, and numbers in them together (80 MB)
IN_CACHE = 2_000_000  # numbers in X (16 MB): so many stay near the processor, and any order is as fast
BLOCK_ROWS, BLOCKS = 16, 64  # rows that are read together, and blocks whose rows are mixed with one another
WAYS = 16  # of mixing the rows of a group, drawn anew for each epoch; groups, which are random, take turns


class Stretch(NamedTuple):
    """Rows to go through, mini-batch by mini-batch, in this order."""

    rows: ArrayRows
    order: NDArray[np.intp]


class ArrayRows(Rows):
    """An array X (m, n) with targets y (m,), weights (m,) or None, offsets (m,) or None; nothing is copied.

    `total_weight` is what sums are divided by: the number of rows, or the sum of their weights, unless these rows stand
    for others.
    """

    def __init__(
        self,
        X: Any,
        y: Array,
        weight: Array | None = None,
        offset: Array | None = None,
        total_weight: float | None = None,
    ) -> None:
        self.X, self.y, self.weight, self.offset = X, y, weight, offset
        self.m, self.n = X.shape
        self.whole = (
            0  # numbers in all rows, where these are a block of others: what is worth it for those is for these
        )
        self.known: Moments | None = None  # where whoever made them has looked already
        if total_weight is None:
            total_weight = float(self.m) if weight is None else float(weight.sum())
        self.total_weight = total_weight

    def blocks(self, width: int | None = None) -> Iterator[Batch]:
        return map(self._block, self._spans(width))

    def sum(self, f: Callable[[Batch], Summand], width: int | None = None, room: int = 1) -> Summand:
        spans = self._spans(width)  # blocks of sparse rows are copies: made one at a time, by the thread that needs it

        def some(piece: tuple[int, int]) -> Summand:
            return functools.reduce(add, (f(self._block(span)) for span in spans[slice(*piece)]))

        return functools.reduce(add, each(some, cut(len(spans), max(1, min(MOST_PIECES, ROOM // room)))))

    def each(self, f: Callable[[Batch], Array], width: int | None = None) -> Array:
        return np.concatenate(each(lambda span: f(self._block(span)), self._spans(width)))

    def _spans(self, width: int | None) -> list[slice]:
        a_row = self.n if isinstance(self.X, np.ndarray) else SPARSE * self.stored // max(self.m, 1)
        per_block = max(1, BLOCK_NUMBERS // max(a_row, width or 0, 1))
        return [slice(begin, begin + per_block) for begin in range(0, self.m, per_block)]

    def _block(self, span: slice) -> Batch:
        return self._take(span, 1.0 / self.total_weight)

    def sweep(
        self, batch_size: int, rng: np.random.Generator | None, every: int = 1
    ) -> Iterator[tuple[Batch, Stretch]]:
        order = np.arange(self.m) if rng is None else shuffled(self.m, self.stored, rng)
        return self.swept(order, batch_size, every, self.m)

    def swept(self, order: NDArray[np.intp], batch_size: int, every: int, of: int) -> Iterator[tuple[Batch, Stretch]]:
        """The mini-batches of these rows in this order; they are a part of `of` rows."""
        for begin in range(0, len(order), batch_size * every):
            chosen, rest = np.split(order[begin : begin + batch_size * every], [batch_size])
            yield self._take(chosen, of / (len(chosen) * self.total_weight)), Stretch(self, rest)

    def chosen(self, rows: NDArray[np.intp]) -> ArrayRows:
        """Some of the rows, in this order, as a part of the same whole."""
        weight, offset = (None if v is None else v[rows] for v in (self.weight, self.offset))
        return ArrayRows(self.X[rows], self.y[rows], weight, offset, self.total_weight)

    def sides(self) -> Iterator[tuple[Array, Array | None, Array | None]]:
        yield self.y, self.weight, self.offset

    def fused(self, loss: Loss, coef: Array, b: Any) -> Pass | ClassPass | None:
        few = max(self.stored, self.whole) * (coef.shape[1] if coef.ndim == 2 else 1) < kernels.FROM_NUMBERS
        if few and not isinstance(self.X, Coded):  # whose products NumPy has to make in another form
            return None
        from fallline.rows import compiled

        return compiled.fused_classes(self, loss, coef, b) if coef.ndim == 2 else compiled.fused(self, loss, coef, b)

    def moments(self) -> Moments | None:
        if self.known is not None:
            return self.known
        if max(self.stored, self.whole) < kernels.FROM_NUMBERS and not isinstance(self.X, Coded):
            return None
        from fallline.rows import compiled

        if isinstance(self.X, Coded):
            return compiled.coded_moments(self)
        return compiled.moments(self) if isinstance(self.X, np.ndarray) else compiled.sparse_moments(self)

    def gram(self, c: Array) -> tuple[Array, Array]:
        if self.stored**2 < kernels.FROM_NUMBERS * self.m:  # products: a row with k entries has k^2 of them
            return super().gram(c)
        from fallline.rows import compiled

        return compiled.gram(self, c)

    @property
    def stored(self) -> int:
        return int(self.X.size if isinstance(self.X, np.ndarray) else self.X.nnz)

    def sample(self, count: int, rng: np.random.Generator) -> ArrayRows:
        if count >= self.m:
            return self
        chosen = np.sort(rng.choice(self.m, count, replace=False))
        part = self._take(chosen, 0.0)
        return ArrayRows(self.X[chosen] if isinstance(self.X, Coded) else part.X, part.y, part.weight, part.offset)

    def as_part(self, total_weight: float) -> ArrayRows:
        return ArrayRows(self.X, self.y, self.weight, self.offset, total_weight)

    def beside(self, X: Any) -> ArrayRows:
        """Other columns of the same rows."""
        return ArrayRows(X, self.y, self.weight, self.offset, self.total_weight)

    def narrowed(self, columns: NDArray[np.intp]) -> ArrayRows:
        """The same rows with these of the columns, in their order."""
        if len(columns) == self.n:
            return self
        rows = self.beside(np.take(self.X, columns, axis=1))
        rows.known = None if self.known is None else Moments(*(of[columns] for of in self.known))
        if self.products is not None:
            centre, squares, sums, count = self.products
            rows.products = Products(centre[columns], squares[np.ix_(columns, columns)], sums[columns], count)
        return rows

    def _take(self, chosen: Any, share: float) -> Batch:
        whole = isinstance(chosen, slice) and chosen.start == 0 and chosen.stop >= self.m
        X = self.X if whole else self.X[chosen]
        if isinstance(X, Coded):
            X = X.tocsr()
        return Batch(
            X=X if X.dtype == np.float64 else X.astype(np.float64),  # a block at a time: sums want the digits
            y=self.y[chosen],
            weight=None if self.weight is None else self.weight[chosen],
            offset=None if self.offset is None else self.offset[chosen],
            share=share,
            first=chosen.start if isinstance(chosen, slice) else 0,
        )


def taken(X: Array, rows: NDArray[np.intp]) -> Array:
    """X[rows], by all threads."""
    some = np.empty((len(rows), X.shape[1]), X.dtype)

    def take(piece: tuple[int, int]) -> None:
        np.take(X, rows[slice(*piece)], axis=0, out=some[slice(*piece)], mode="clip")

    each(take, cut(len(rows), MOST_PIECES))
    return some


def shuffled(m: int, stored: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The numbers 0 ... m - 1 in a random order that memory can follow.

    A row read from a random place costs several times one read in its turn. So `BLOCK_ROWS` neighbours are read about
    the same time: groups of `BLOCKS` blocks, one from each part of the data (so that a group is like the whole, also
    where a file is sorted), whose rows are mixed. Data that fits the cache is mixed altogether.
    """
    if stored <= IN_CACHE:
        return rng.permutation(m)
    blocks, size = m // BLOCK_ROWS, BLOCKS * BLOCK_ROWS
    groups = blocks // BLOCKS
    spare = np.zeros(blocks, dtype=bool)  # the few blocks that fill no group are from anywhere, and go anywhere
    spare[rng.choice(blocks, blocks - groups * BLOCKS, replace=False)] = True
    first = np.arange(blocks) * BLOCK_ROWS
    parts = rng.permuted(first[~spare].reshape(BLOCKS, groups), axis=1).T
    ways = rng.permuted(np.tile(np.arange(size), (WAYS, 1)), axis=1)
    rest = (first[spare][:, None] + np.arange(BLOCK_ROWS)).ravel()
    left = rng.permutation(np.concatenate([rest, np.arange(blocks * BLOCK_ROWS, m)]))
    at = int(rng.integers(groups + 1))
    order = np.empty(m, np.intp)  # written once: the groups up to `at`, what is left, the other groups
    before, between, after = np.split(order, [at * size, at * size + len(left)])
    between[:] = left
    for some, mixed in ((parts[:at], before.reshape(-1, size)), (parts[at:], after.reshape(-1, size))):
        for k, (block, row) in enumerate(zip(*np.divmod(ways, BLOCK_ROWS), strict=True)):
            np.add(np.take(some[k::WAYS], block, axis=1, mode="clip"), row, out=mixed[k::WAYS])
    return order
