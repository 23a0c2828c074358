"""What rows are: something to sum over, and something to sweep in mini-batches."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Summand = TypeVar("Summand")


class Batch(NamedTuple):
    """Some rows: features (dense or CSR), targets, weights and offsets."""

    X: Any
    y: Array
    weight: Array | None
    offset: Array | None
    share: float  # multiplies a sum over this batch's weighted rows to estimate the weighted mean over all rows


class Rows(abc.ABC):
    """The training rows, wherever they are.

    Gradient, mean, Gram matrix, curvature and ranges are all sums over rows, so ``sum`` is all that the full-batch
    methods need; mini-batch rules need ``sweep``.
    """

    m: int  # number of rows
    n: int  # number of columns
    total_weight: float

    @abc.abstractmethod
    def blocks(self, width: int | None = None) -> Iterator[Batch]:
        """All rows once, in order, in pieces.

        With `width`, pieces small enough to hold `width` numbers a row beside.
        """

    @abc.abstractmethod
    def sweep(self, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch: all rows once in a new random order, `batch_size` at a time (the last batch may be smaller)."""

    @abc.abstractmethod
    def sample(self, count: int, rng: np.random.Generator) -> Rows:
        """At most `count` rows drawn without replacement."""

    def sum(self, f: Callable[[Batch], Summand], width: int | None = None) -> Summand:
        """The sum of f(batch) over all rows; f returns a number, an array, or a tuple of them."""
        return functools.reduce(_add, map(f, self.blocks(width)))


def _add(a: Any, b: Any) -> Any:
    return tuple(x + y for x, y in zip(a, b, strict=True)) if isinstance(a, tuple) else a + b
