"""Rows that lie in memory: a dense array (any order, float32 or float64) or a CSR matrix."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline import kernels
from fallline.losses._base import Loss
from fallline.rows._base import Array, Batch, ClassPass, Moments, Pass, Rows, Summand, add
from fallline.threads import cut, each

BLOCK_NUMBERS = 1_000_000  # numbers in a block (8 MB): small beside X, large beside the overhead of a NumPy call
MOST_PIECES, ROOM = 16, 10_000_000  # sums made at once, and numbers in them together (80 MB)
IN_CACHE = 2_000_000  # numbers in X (16 MB): so many stay near the processor, and any order is as fast
BLOCK_ROWS, BLOCKS = 16, 64  # rows that are read together, and blocks whose rows are mixed with one another


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
        if total_weight is None:
            total_weight = float(self.m) if weight is None else float(weight.sum())
        self.total_weight = total_weight

    def blocks(self, width: int | None = None) -> Iterator[Batch]:
        a_row = self.n if isinstance(self.X, np.ndarray) else self.stored // max(self.m, 1)
        per_block = max(1, BLOCK_NUMBERS // max(a_row, width or 0, 1))
        for begin in range(0, self.m, per_block):
            yield self._take(slice(begin, begin + per_block), 1.0 / self.total_weight)

    def sum(self, f: Callable[[Batch], Summand], width: int | None = None, room: int = 1) -> Summand:
        blocks = list(self.blocks(width))
        pieces = cut(len(blocks), max(1, min(MOST_PIECES, ROOM // room)))
        if len(pieces) == 1:
            return functools.reduce(add, map(f, blocks))
        return functools.reduce(add, each(lambda piece: functools.reduce(add, map(f, blocks[slice(*piece)])), pieces))

    def sweep(
        self, batch_size: int, rng: np.random.Generator, every: int = 1
    ) -> Iterator[tuple[Batch, NDArray[np.intp]]]:
        order = shuffled(self.m, self.stored, rng)
        for begin in range(0, self.m, batch_size * every):
            chosen, rest = np.split(order[begin : begin + batch_size * every], [batch_size])
            yield self._take(chosen, self.m / (len(chosen) * self.total_weight)), rest

    def fused(self, loss: Loss, coef: Array, b: Any) -> Pass | ClassPass | None:
        if self.stored * (coef.shape[1] if coef.ndim == 2 else 1) < kernels.FROM_NUMBERS:
            return None
        from fallline.rows import compiled

        return compiled.fused_classes(self, loss, coef, b) if coef.ndim == 2 else compiled.fused(self, loss, coef, b)

    def moments(self) -> Moments | None:
        if self.stored < kernels.FROM_NUMBERS:
            return None
        from fallline.rows import compiled

        return compiled.moments(self) if isinstance(self.X, np.ndarray) else compiled.sparse_moments(self)

    @property
    def stored(self) -> int:
        return int(self.X.size if isinstance(self.X, np.ndarray) else self.X.nnz)

    def sample(self, count: int, rng: np.random.Generator) -> ArrayRows:
        if count >= self.m:
            return self
        part = self._take(np.sort(rng.choice(self.m, count, replace=False)), 0.0)
        return ArrayRows(part.X, part.y, part.weight, part.offset)

    def as_part(self, total_weight: float) -> ArrayRows:
        return ArrayRows(self.X, self.y, self.weight, self.offset, total_weight)

    def _take(self, chosen: Any, share: float) -> Batch:
        whole = isinstance(chosen, slice) and chosen.start == 0 and chosen.stop >= self.m
        return Batch(
            X=self.X if whole else self.X[chosen],
            y=self.y[chosen],
            weight=None if self.weight is None else self.weight[chosen],
            offset=None if self.offset is None else self.offset[chosen],
            share=share,
        )


def shuffled(m: int, stored: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The numbers 0 ... m - 1 in a random order that memory can follow.

    A row read from a random place costs five times one read in its turn. So blocks of `BLOCK_ROWS` neighbours are drawn
    in a random order, and the rows of `BLOCKS` blocks at a time are mixed: neighbours in the order are from all over the
    data, but for about one in `BLOCKS`. Data that fits the cache is mixed altogether.
    """
    if stored <= IN_CACHE:
        return rng.permutation(m)
    whole = m // BLOCK_ROWS
    first = rng.permutation(whole) * BLOCK_ROWS
    groups = np.split(first, range(BLOCKS, whole, BLOCKS)) if whole else []
    mixed = [rng.permutation((group[:, None] + np.arange(BLOCK_ROWS)).ravel()) for group in groups]
    left = rng.permutation(np.arange(whole * BLOCK_ROWS, m))
    at = int(rng.integers(len(mixed) + 1))  # the few rows after the last whole block go anywhere
    return np.concatenate([*mixed[:at], left, *mixed[at:]])
