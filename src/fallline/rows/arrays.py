"""Rows that lie in memory: a dense array (any order, float32 or float64) or a CSR matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fallline.rows._base import Array, Batch, Rows

BLOCK_NUMBERS = (
    4_000_000  # a block holds about this many numbers (32 MB): small beside X, large beside a BLAS call's overhead
)


class ArrayRows(Rows):
    """An array X (m, n) with targets y (m,), weights (m,) or None, offsets (m,) or None; nothing is copied."""

    def __init__(self, X: Any, y: Array, weight: Array | None = None, offset: Array | None = None) -> None:
        self.X, self.y, self.weight, self.offset = X, y, weight, offset
        self.m, self.n = X.shape
        self.total_weight = float(self.m) if weight is None else float(weight.sum())

    def blocks(self, width: int | None = None) -> Iterator[Batch]:
        if isinstance(self.X, np.ndarray):
            per_block = max(1, BLOCK_NUMBERS // max(self.n, width or 0, 1))
        else:  # a slice of a CSR matrix is a copy: take it whole unless memory asks for pieces
            per_block = max(1, BLOCK_NUMBERS // width) if width else self.m
        for begin in range(0, self.m, per_block):
            yield self._take(slice(begin, begin + per_block), 1.0 / self.total_weight)

    def sweep(self, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        order = rng.permutation(self.m)
        for begin in range(0, self.m, batch_size):
            chosen = order[begin : begin + batch_size]
            yield self._take(chosen, self.m / (len(chosen) * self.total_weight))

    def sample(self, count: int, rng: np.random.Generator) -> ArrayRows:
        if count >= self.m:
            return self
        part = self._take(np.sort(rng.choice(self.m, count, replace=False)), 0.0)
        return ArrayRows(part.X, part.y, part.weight, part.offset)

    def _take(self, chosen: Any, share: float) -> Batch:
        whole = isinstance(chosen, slice) and chosen.start == 0 and chosen.stop >= self.m
        return Batch(
            X=self.X if whole else self.X[chosen],
            y=self.y[chosen],
            weight=None if self.weight is None else self.weight[chosen],
            offset=None if self.offset is None else self.offset[chosen],
            share=share,
        )
