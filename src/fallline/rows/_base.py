"""What rows are: something to sum over, and something to sweep in mini-batches."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fallline.losses._base import Loss

if TYPE_CHECKING:
    from fallline.rows.arrays import ArrayRows

Array = NDArray[np.floating]
Summand = TypeVar("Summand")


class Batch(NamedTuple):
    """Some rows: features (dense or CSR), targets, weights and offsets."""

    X: Any
    y: Array
    weight: Array | None
    offset: Array | None
    share: float  # multiplies a sum over this batch's weighted rows to estimate the weighted mean over all rows
    first: int = 0  # the number of its first row, where it is one of the blocks in order


class Pass(NamedTuple):
    """What one pass over the rows has summed, not yet divided by anything."""

    loss: float  # sum of weight_i phi(y_i, z_i)
    back: Array  # X^T r, r_i = weight_i dphi/dz_i
    slopes: float  # sum of r_i


class ClassPass(NamedTuple):
    """The same for K classes."""

    loss: float
    back: Array  # X^T r, (n, K)
    slopes: Array  # (K,)


class Moments(NamedTuple):
    """Of each column, weighted: mean, mean square about it; and the lowest and highest value."""

    mean: NDArray[np.float64]
    square: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


class Products(NamedTuple):
    """Sums over unweighted rows, about a centre: of (x - centre) (x - centre)^T, of x - centre, and how many there are."""

    centre: NDArray[np.float64]
    squares: NDArray[np.float64]
    sums: NDArray[np.float64]
    rows: float


class Rows(abc.ABC):
    """The training rows, wherever they are.

    Gradient, mean, Gram matrix, curvature and ranges are all sums over rows, so ``sum`` is all that the full-batch
    methods need; mini-batch rules need ``sweep``.
    """

    m: int  # number of rows
    n: int  # number of columns
    total_weight: float
    products: Products | None = None  # where whoever made these rows has summed them up already

    @abc.abstractmethod
    def blocks(self, width: int | None = None) -> Iterator[Batch]:
        """All rows once, in order, in pieces.

        With `width`, pieces small enough to hold `width` numbers a row beside.
        """

    @abc.abstractmethod
    def sweep(self, batch_size: int, rng: np.random.Generator | None, every: int = 1) -> Iterator[tuple[Batch, Any]]:
        """One epoch: all rows once in a new random order, `batch_size` at a time (the last batch may be smaller).

        Without `rng`, in the order that they have.

        Yields about every `every`-th batch, and the rows of those between it and the next (a ``Stretch``).
        """

    @abc.abstractmethod
    def sides(self) -> Iterator[tuple[Array, Array | None, Array | None]]:
        """Targets, weights and offsets of all rows, in pieces, without the features."""

    @abc.abstractmethod
    def sample(self, count: int, rng: np.random.Generator) -> ArrayRows:
        """At most `count` rows drawn without replacement; their means estimate the means over all."""

    @abc.abstractmethod
    def as_part(self, total_weight: float) -> Rows:
        """These rows as a part of others whose weights sum to `total_weight`: their sums are a part of the others'."""

    @property
    @abc.abstractmethod
    def stored(self) -> int:
        """How many numbers the features hold."""

    def fused(self, loss: Loss, coef: Array, b: Any) -> Pass | ClassPass | None:
        """Forward, loss and backward in one compiled pass, z = X @ coef + b + offset; None where that does not pay."""
        return None

    def moments(self) -> Moments | None:
        """Means, spreads and extremes of the columns in one compiled pass; None where that does not pay."""
        return None

    def sum(self, f: Callable[[Batch], Summand], width: int | None = None, room: int = 1) -> Summand:
        """The sum of f(batch) over all rows; f returns a number, an array, or a tuple of them.

        `width`: see ``blocks``. `room` tells how many numbers f returns, where those are many: several may be kept at
        once.
        """
        return functools.reduce(add, map(f, self.blocks(width)))

    def gram(self, c: Array) -> tuple[Array, Array]:
        """(sum_i c_i x_i x_i^T, sum_i c_i x_i) of sparse rows, c (m,)."""
        G, pull = np.zeros((self.n, self.n)), np.zeros(self.n)
        for batch in self.blocks():
            own = c[batch.first : batch.first + len(batch.y)]
            G += (batch.X.T @ batch.X.multiply(own[:, None]).tocsr()).toarray()
            pull += batch.X.T @ own
        return G, pull

    def begin(self, settings: Callable[[], str | None]) -> None:
        """A run begins: rows that keep a journal take up that of an earlier one with the same settings.

        `settings` gives their digest; None: they cannot be told from others, so nothing is kept.
        """
        return None

    def remembered(
        self, what: str, of: tuple[Any, ...], make: Callable[[], Summand], like: Callable[[Any], Summand]
    ) -> Summand:
        """make(), or what an earlier run that was killed found at this point; `like` makes it of numbers and arrays.

        `of`: all that it is computed from, beside the rows and the settings.
        """
        return make()

    def each(self, f: Callable[[Batch], Array], width: int | None = None) -> Array:
        """f(batch), one number a row, of all rows in order: (m,)."""
        return np.concatenate([f(batch) for batch in self.blocks(width)])


def add(a: Any, b: Any) -> Any:
    return tuple(x + y for x, y in zip(a, b, strict=True)) if isinstance(a, tuple) else a + b
