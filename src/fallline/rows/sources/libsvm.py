"""libsvm's text: ``target number:value number:value ...``, a line a row; what is not named is zero."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fallline.errors import DataError
from fallline.rows.sources._base import Source
from fallline.rows.sources.frames import stamp

if TYPE_CHECKING:
    import polars as pl

LIBSVM = (".libsvm", ".svm", ".svmlight")
TARGET = "target"
MOST_COLUMNS = 5_000  # as columns of a table; wider files are matrices, not tables
LINES = 20_000  # that are read together


class LibsvmSource(Source):
    """A file as a table with the columns ``target``, ``x1``, ``x2``, ... up to the highest number in it."""

    def __init__(self, path: Path) -> None:
        self.path, self.name, self._stamp = path, str(path), stamp([path])
        highest = 0
        for lines in self._pieces():
            for line in lines:
                last = line.rpartition(":")[0].rpartition(" ")[2]
                highest = max(highest, int(last) if last.isdigit() else 0)
        if highest > MOST_COLUMNS:
            raise DataError(
                f"{path}: has {highest:,} columns, too many for a table. Read it as a CSR matrix "
                "(sklearn.datasets.load_svmlight_file) and give that to fallline.fit."
            )
        self.columns = [f"x{j}" for j in range(1, highest + 1)]

    def frames(self, room: int | None = None) -> Iterator[pl.DataFrame]:
        import polars as pl

        row = 0
        for lines in self._pieces():
            X = np.zeros((len(lines), 1 + len(self.columns)))
            try:
                counts = np.array([line.count(":") for line in lines])
                words = np.array(" ".join(lines).replace(":", " ").split(), dtype=np.float64)
                starts = np.concatenate([[0], np.cumsum(2 * counts + 1)])
                if starts[-1] != len(words):
                    raise ValueError
                X[:, 0] = words[starts[:-1]]
                pairs = np.delete(words, starts[:-1]).reshape(-1, 2)
                X[np.repeat(np.arange(len(lines)), counts), pairs[:, 0].astype(np.intp)] = pairs[:, 1]
            except (ValueError, IndexError):
                raise DataError(self._first_bad(lines, row)) from None
            row += len(lines)
            yield pl.DataFrame(X, schema=[TARGET, *self.columns])

    @property
    def fingerprint(self) -> str:
        return self._stamp

    @property
    def changed(self) -> bool:
        return stamp([self.path]) != self._stamp

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def _pieces(self) -> Iterator[list[str]]:
        with self.path.open(encoding="utf-8") as file:
            filled = (text for line in file if (text := line.partition("#")[0].strip()))
            while lines := list(itertools.islice(filled, LINES)):
                yield lines

    def _first_bad(self, lines: list[str], row: int) -> str:
        for k, line in enumerate(lines):
            target, _, rest = line.partition(" ")
            try:
                float(target)
                for pair in rest.split():
                    number, _, value = pair.partition(":")
                    if not 1 <= int(number) <= len(self.columns):
                        raise ValueError
                    float(value)
            except ValueError:
                return f"{self.path}, row {row + k:,}: {line[:60]!r} is not 'target number:value number:value ...'."
        return f"{self.path}: some of its rows {row:,} to {row + len(lines):,} are not as they should be."
