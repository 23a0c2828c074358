"""A large table of numbers without holes: its rows are laid down while it is read, and its columns are not kept.

Most large tables are that, and to keep their columns, and turn them into rows when all are there, takes as long as to
read them. With a column of anything else, or the first hole, it is a table again and goes the usual way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fallline import kernels
from fallline.rows.arrays import ArrayRows, taken
from fallline.rows.columns import LARGEST_WHOLE
from fallline.rows.facts import Facts
from fallline.tables.asked import Asked

if TYPE_CHECKING:
    import polars as pl

TILE = 4096  # rows that are laid down together, which stay near the processor from column to column
MOST_PIECES = 4  # of a frame that are laid down one by one: to join more is faster
SEEN = 1 << 16  # rows that are summed up together, whatever frames they come in: so the sums are always the same


class Plain:
    """The rows of such a table as far as it was read: `m` of them, whose columns are of these `kinds`."""

    def __init__(self, frame: pl.DataFrame, target: str, rows: int) -> None:
        self.kinds = {name: kind for name, kind in frame.schema.items() if name != target}
        self.target, self.order, self.m = target, frame.columns, 0
        self._X = np.empty((rows, len(self.kinds)))
        self._targets: list[pl.Series] = [frame[target].clear()]
        self._parts: list[Any] = []  # what is known of the columns

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
            X, self._X = self._X, np.empty((max(end, 2 * len(self._X)), len(columns)))
            self._X[: self.m] = X[: self.m]
        _lay(columns, self._X[self.m : end])
        if not self._sum_up(end, end // SEEN):
            return False
        self._targets.append(target)
        self.m = end
        return True

    def _sum_up(self, end: int, parts: int) -> bool:
        """What is to be known of the columns, of the first so many parts of `end` rows; False where they are not finite."""
        from fallline.rows.compiled import part_moments

        for k in range(len(self._parts), parts):
            with np.errstate(all="ignore"):
                part = part_moments(self._X, None, (k * SEEN, min((k + 1) * SEEN, end)))
            if not np.isfinite(part.square).all():
                return False
            self._parts.append(part)
        return True

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
        """All rows are there; False where the last of them are not finite."""
        return self._sum_up(self.m, -(-self.m // SEEN))

    def rows(self, chosen: NDArray[np.intp] | None, y: NDArray[np.float64]) -> ArrayRows:
        """These of the rows, or all; `y` are the targets of all."""
        X = self._X[: self.m]
        return ArrayRows(X, y) if chosen is None else ArrayRows(taken(X, chosen), y[chosen])

    def facts(self, rows: ArrayRows) -> dict[str, Facts]:
        """What the usual way learns of each column, of these rows, who know it from then on."""
        import polars as pl

        from fallline.rows.compiled import joined, moments

        found = joined(self._parts) if rows.m == self.m else moments(rows)
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


def _lay(columns: list[pl.Series], X: NDArray[np.float64]) -> None:
    """X[i, j] = columns[j][i]."""
    import polars as pl

    floats = [cells if cells.dtype == pl.Float64 else cells.cast(pl.Float64) for cells in columns]
    pieces = [cells.get_chunks() for cells in floats]
    alike = len({tuple(map(len, own)) for own in pieces}) == 1  # as a rule all columns come in the same pieces
    if not alike or len(pieces[0]) > MOST_PIECES:
        pieces = [[cells.rechunk()] for cells in floats]
    first = 0
    for some in zip(*pieces, strict=True):
        values = [cells.to_numpy() for cells in some]
        for begin in range(0, len(values[0]), TILE):
            part = X[first + begin : first + min(begin + TILE, len(values[0]))]
            for j, own in enumerate(values):
                part[:, j] = own[begin : begin + TILE]
        first += len(values[0])
