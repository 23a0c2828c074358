"""A large table of numbers without holes: its rows are laid down while it is read, and its columns are not kept.

Most large tables are that, and to keep their columns, and turn them into rows when all are there, takes as long as to
read them. With a column of anything else, or the first hole, it is a table again and goes the usual way.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fallline import kernels
from fallline.grams import MODERATE, NARROW, NEAR
from fallline.rows._base import Moments, Products
from fallline.rows.arrays import ArrayRows, taken
from fallline.rows.columns import LARGEST_WHOLE
from fallline.rows.facts import Facts
from fallline.tables.asked import Asked
from fallline.threads import meanwhile

if TYPE_CHECKING:
    import polars as pl

TILE = 4096  # rows that are laid down, and summed up, together: they stay near the processor from column to column
MOST_PIECES = 4  # of a frame that are laid down one by one: to join more is faster


class Plain:
    """The rows of such a table as far as it was read: `m` of them, whose columns are of these `kinds`."""

    def __init__(self, frame: pl.DataFrame, target: str, rows: int) -> None:
        self.kinds = {name: kind for name, kind in frame.schema.items() if name != target}
        self.target, self.order, self.m = target, frame.columns, 0
        self._X = np.empty((rows, len(self.kinds)))
        self._targets: list[pl.Series] = [frame[target].clear()]
        n = len(self.kinds)
        self._summed = 0  # rows whose products are summed up, about `centre`
        # Least squares, most likely, which needs them.
        self._for_products = frame[target].dtype.is_float() and n <= NARROW
        self._centre, self._sums, self._squares = np.zeros(n), np.zeros(n), np.zeros((n, n))
        self._low, self._high = np.full(n, np.inf), np.full(n, -np.inf)
        self._summing: Future[None] | None = None
        self._moments: Moments | None = None

    @classmethod
    def begun(cls, frame: pl.DataFrame, asked: Asked, rows: int | None) -> Plain | None:
        """For a table of about so many rows that begins so; None where it goes the usual way."""
        sides = any(name is not None for name in (asked.weight, asked.offset, asked.exposure))
        if rows is None or rows * (frame.width - 1) < kernels.FROM_NUMBERS or sides:
            return None
        features = (kind for name, kind in frame.schema.items() if name != asked.target)
        return cls(frame, asked.target, rows) if all(k.is_float() or k.is_integer() for k in features) else None

    def add(self, frame: pl.DataFrame) -> bool:
        """Lay the next rows down; False, and nothing done, where they hold anything but finite numbers."""
        target, columns = frame[self.target], [frame[name] for name in self.kinds]
        if target.null_count() or (target.dtype.is_float() and target.is_nan().any()) or not all(map(_exact, columns)):
            return False
        end = self.m + frame.height
        if end > len(self._X):  # more than was thought
            if not self._finite():
                return False
            X, self._X = self._X, np.empty((max(end, 2 * len(self._X)), len(columns)))
            self._X[: self.m] = X[: self.m]
        first = self.m
        for values in _pieces(columns):
            part = self._X[first : first + len(values[0])]
            for begin in range(0, len(part), TILE):
                for j, cells in enumerate(values):
                    part[begin : begin + TILE, j] = cells[begin : begin + TILE]
            first += len(part)
        if not self._finite():
            return False
        if self._for_products:
            self._summing = meanwhile(functools.partial(self._sum_up, end - end % TILE))
        self._targets.append(target)
        self.m = end
        return True

    def _finite(self) -> bool:
        """Whether all that was summed up so far are numbers."""
        if self._summing is not None:
            self._summing.result()
        return bool(np.isfinite(self._sums).all())

    def _sum_up(self, end: int) -> None:
        """The rows up to `end` that are not summed up yet, while the next are laid down; in tiles, whatever frames they came in.

        About the means of the first tile, so that nothing cancels.
        """
        from fallline.kernels import dense

        some = self._X[self._summed : end]
        with np.errstate(all="ignore"):
            if not self._summed and end:
                first = some[:TILE]
                alike = first.min(axis=0) == first.max(axis=0)  # their mean may miss them by a digit
                self._centre = np.where(alike, first[0], first.mean(axis=0))
            weight, scale = np.ones(len(some)), np.ones(some.shape[1])
            dense.gram(some, weight, self._centre, scale, self._squares, self._sums, self._low, self._high)
        self._summed = max(self._summed, end)

    def _known(self) -> tuple[Moments, Products | None] | None:
        """What is known of all rows; None where the sums say too little: the first rows were unlike the others."""
        if self._moments is not None:
            return self._moments, None
        off = self._sums / self.m
        square = np.maximum(np.diag(self._squares) / self.m - off * off, 0.0)
        moderate = (square > 1.0 / MODERATE) & (square < MODERATE) | (self._low == self._high)
        if not np.all(moderate & (np.abs(off) <= NEAR * np.sqrt(square))):
            return None
        whole = self._squares + np.tril(self._squares, -1).T
        found = Moments(self._centre + off, square, self._low, self._high)
        return found, Products(self._centre, whole, self._sums, float(self.m))

    def frame(self) -> pl.DataFrame:
        """What was laid down, as a table again."""
        import polars as pl

        cells = [pl.Series(name, self._X[: self.m, j]).cast(kind) for j, (name, kind) in enumerate(self.kinds.items())]
        return pl.DataFrame([*cells, self.targets]).select(self.order)

    @property
    def targets(self) -> pl.Series:
        """The column to predict."""
        import polars as pl

        return pl.concat(self._targets)

    def finished(self) -> bool:
        """All rows are there; False where some of them are not finite."""
        from fallline.rows.compiled import moments

        if self._for_products:
            if self._finite():
                self._sum_up(self.m)
            return self._finite()
        self._moments = moments(self.rows(None, self._sums))
        return self._moments is not None and bool(np.isfinite(self._moments.square).all())

    def rows(self, chosen: NDArray[np.intp] | None, y: NDArray[np.float64]) -> ArrayRows:
        """These of the rows, or all; `y` are the targets of all."""
        X = self._X[: self.m]
        return ArrayRows(X, y) if chosen is None else ArrayRows(taken(X, chosen), y[chosen])

    def facts(self, rows: ArrayRows) -> dict[str, Facts]:
        """What the usual way learns of each column, of these rows, who know it from then on."""
        import polars as pl

        from fallline.rows.compiled import moments

        known = self._known() if rows.m == self.m else None
        found, rows.products = (moments(rows), None) if known is None else known
        assert found is not None
        rows.known = found

        def of(name: str, kind: Any, first: float, mean: float, low: float, high: float) -> Facts:
            told = pl.Series([first]).cast(kind)[0]
            return Facts(name, "number", str(kind), rows.m, 0, told, low, high, mean * rows.m)

        numbers = np.array([rows.X[0], found.mean, found.low, found.high]).T.tolist()
        return {name: of(name, kind, *own) for (name, kind), own in zip(self.kinds.items(), numbers, strict=True)}


def _exact(cells: pl.Series) -> bool:
    """Whether there is no hole, and every number is in double precision what it is."""
    import polars as pl

    if cells.null_count():
        return False
    large = cells.dtype in (pl.Int64, pl.UInt64)
    return not large or float(np.abs(cells.cast(pl.Float64).to_numpy()).max(initial=0.0)) <= LARGEST_WHOLE


def _pieces(columns: list[pl.Series]) -> Iterator[list[NDArray[np.float64]]]:
    """The columns in double precision, in pieces of the same rows."""
    import polars as pl

    floats = [cells if cells.dtype == pl.Float64 else cells.cast(pl.Float64) for cells in columns]
    pieces = [cells.get_chunks() for cells in floats]
    alike = len({tuple(map(len, own)) for own in pieces}) == 1  # as a rule all columns come in the same pieces
    if not alike or len(pieces[0]) > MOST_PIECES:
        pieces = [[cells.rechunk()] for cells in floats]
    for some in zip(*pieces, strict=True):
        if len(some[0]):
            yield [cells.to_numpy() for cells in some]
