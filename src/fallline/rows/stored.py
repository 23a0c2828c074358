"""Rows on disk: the same sums as of rows in memory, a block at a time, the next one being read meanwhile."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fallline.identity import identity
from fallline.losses._base import Loss
from fallline.rows._base import Array, Batch, ClassPass, Moments, Pass, Rows, Summand, add
from fallline.rows.arrays import ArrayRows, Stretch, shuffled
from fallline.rows.coded import Coded
from fallline.rows.journal import Journal
from fallline.rows.packed import Reader
from fallline.threads import ahead


class StoredRows(Rows):
    """The rows of a packed file, which lie there in one random order.

    So any block of them is a sample of all, and mini-batches need no more than another order of the blocks each epoch.
    """

    def __init__(self, reader: Reader, journal: Journal | None = None) -> None:
        self.reader, shape = reader, reader.shape
        self.journal = journal
        self.m, self.n, self.total_weight = shape.m, shape.n, shape.total_weight
        self._first = np.cumsum([0, *(rows for _, rows, *_ in shape.blocks)])

    @property
    def stored(self) -> int:
        return self.reader.shape.stored

    def parts(self, order: Sequence[int] | None = None) -> Iterator[tuple[int, ArrayRows]]:
        """(number of the first row, rows) of each block: parts of all, in memory while they are used."""
        chosen = range(len(self.reader.shape.blocks)) if order is None else order
        for k, block in zip(chosen, ahead(self.reader.block, chosen), strict=True):
            part = ArrayRows(block.X, block.y, block.weight, block.offset, self.total_weight)
            part.whole = self.stored
            yield int(self._first[k]), part

    def blocks(self, width: int | None = None) -> Iterator[Batch]:
        for first, part in self.parts():
            for batch in part.blocks(width):
                yield batch._replace(first=first + batch.first)

    def sum(self, f: Callable[[Batch], Summand], width: int | None = None, room: int = 1) -> Summand:
        def make() -> Summand:
            return functools.reduce(add, (part.sum(_moved(f, first), width, room) for first, part in self.parts()))

        total: Summand = self.remembered("sum", (f,), make, _as_it_is)
        return total

    def each(self, f: Callable[[Batch], Array], width: int | None = None) -> Array:
        return np.concatenate([part.each(_moved(f, first), width) for first, part in self.parts()])

    def sides(self) -> Iterator[tuple[Array, Array | None, Array | None]]:
        return ((block.y, block.weight, block.offset) for block in self.reader.sides())

    def fused(self, loss: Loss, coef: Array, b: Any) -> Pass | ClassPass | None:
        kind: Any = Pass if coef.ndim == 1 else ClassPass

        def make() -> Any:
            total: Any = None
            for _, part in self.parts():
                found = part.fused(loss, coef, b)
                if found is None:
                    return None
                total = found if total is None else kind(*(x + y for x, y in zip(total, found, strict=True)))
            return total

        whole: Pass | ClassPass | None = self.remembered(
            "pass", (loss, coef, b), make, lambda found: None if found is None else kind(*found)
        )
        return whole

    def remembered(
        self, what: str, of: tuple[Any, ...], make: Callable[[], Summand], like: Callable[[Any], Summand]
    ) -> Summand:
        if self.journal is None:
            return make()
        # A run may take another way than the one that was killed (a budget of time, Ctrl-C): a key must answer nothing else.
        return self.journal.remembered(f"{what} {identity(*of)}", make, like)

    def begin(self, settings: Callable[[], str | None]) -> None:
        if self.journal is not None:
            self.journal.begin(settings())

    def gram(self, c: Array) -> tuple[Array, Array]:
        G, pull = np.zeros((self.n, self.n)), np.zeros(self.n)
        for first, part in self.parts():
            more, other = part.gram(c[first : first + part.m])
            G += more
            pull += other
        return G, pull

    def moments(self) -> Moments | None:
        return self.remembered("moments", (), self._moments, lambda found: None if found is None else Moments(*found))

    def _moments(self) -> Moments | None:
        """Joined by the parallel formula of Chan, Golub and LeVeque (1983)."""
        found: Moments | None = None
        weight = 0.0
        for _, part in self.parts():
            own = part.m if part.weight is None else float(part.weight.sum())
            own_rows = ArrayRows(part.X, part.y, part.weight)
            own_rows.whole = part.whole
            more = own_rows.moments()
            if more is None or own <= 0.0:
                return None
            if found is not None:
                gap, joint = more.mean - found.mean, weight + own
                square = (found.square * weight + more.square * own + gap * gap * (weight * own / joint)) / joint
                low, high = np.minimum(found.low, more.low), np.maximum(found.high, more.high)
                more = Moments(found.mean + gap * (own / joint), square, low, high)
            found, weight = more, weight + own
        return found

    def sample(self, count: int, rng: np.random.Generator) -> ArrayRows:
        order = rng.permutation(len(self.reader.shape.blocks))
        parts, left = [], min(count, self.m)
        for k in order:
            _, rows, *_ = self.reader.shape.blocks[k]
            some = slice(0, min(rows, left))
            block = self.reader.block(int(k))
            parts.append((block.X[some], block.y[some], _some(block.weight, some), _some(block.offset, some)))
            left -= some.stop
            if not left:
                break
        X, y, weight, offset = zip(*parts, strict=True)
        return ArrayRows(_stacked(X), np.concatenate(y), _joined(weight), _joined(offset))

    def as_part(self, total_weight: float) -> Rows:
        other = StoredRows(self.reader)
        other.total_weight = total_weight
        return other

    def sweep(
        self, batch_size: int, rng: np.random.Generator | None, every: int = 1
    ) -> Iterator[tuple[Batch, Stretch]]:
        assert rng is not None  # the rows were scattered when they were read: they have no order to keep
        left: ArrayRows | None = None  # rows of a block that fill no batch go before the next
        order = [int(k) for k in rng.permutation(len(self.reader.shape.blocks))]
        for k, (_, part) in zip(order, self.parts(order), strict=True):
            rows = part if left is None else _after(left, part)
            numbers = shuffled(part.m, part.stored, rng)
            if left is not None:
                numbers = np.concatenate([np.arange(left.m), left.m + numbers])
            full = rows.m if k == order[-1] else rows.m // batch_size * batch_size
            yield from rows.swept(numbers[:full], batch_size, every, self.m)
            left = rows.chosen(numbers[full:]) if full < rows.m else None


def _after(first: ArrayRows, then: ArrayRows) -> ArrayRows:
    """Both, one after the other, as a part of the same whole."""
    weight, offset = _joined([first.weight, then.weight]), _joined([first.offset, then.offset])
    return ArrayRows(_stacked([first.X, then.X]), np.concatenate([first.y, then.y]), weight, offset, first.total_weight)


def _as_it_is(found: Any) -> Any:
    return found


def _moved(f: Callable[[Batch], Summand], first: int) -> Callable[[Batch], Summand]:
    return lambda batch: f(batch._replace(first=first + batch.first))


def _some(values: Array | None, some: slice) -> Array | None:
    return None if values is None else values[some]


def _joined(parts: Sequence[Array | None]) -> Array | None:
    return None if parts[0] is None else np.concatenate([part for part in parts if part is not None])


def _stacked(parts: Sequence[Any]) -> Any:
    if isinstance(parts[0], Coded):
        numbers, codes = (np.concatenate([getattr(p, name) for p in parts]) for name in ("numbers", "codes"))
        return Coded(numbers, parts[0].places, codes, parts[0].n)
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    from scipy.sparse import vstack

    return vstack(parts, format="csr")
