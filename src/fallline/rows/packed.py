"""Encoded rows on disk: blocks of targets and features, ready for the kernels, behind an index that says what is where.

A block holds, one after the other and without gaps, the targets (and weights, and offsets) of its rows as float64, then
the features: row by row for dense rows; numbers and then codes column by column for coded ones; of sparse ones values, row
starts and columns. The index is JSON. It is written last and renamed into place, so a folder with an index is whole; every
block has its checksum there.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.errors import DataError
from fallline.rows._base import Array
from fallline.rows.coded import Coded, code_type

FORMAT = 2
INDEX, ROWS = "index.json", "rows.bin"
DENSE, SPARSE = -1, -2
VALUE, START = 12, 8  # bytes of an entry and its column, and of where a row begins


@dataclass
class Shape:
    """What is in a packed file."""

    n: int  # columns of X
    places: list[int]  # of coded rows: the columns that are numbers
    groups: int  # of coded rows: codes in each row; DENSE, SPARSE
    sides: list[str] = field(default_factory=lambda: ["y"])
    m: int = 0
    total_weight: float = 0.0
    blocks: list[tuple[int, int, int]] = field(default_factory=list)  # (first byte, rows, checksum)
    entries: list[int] = field(default_factory=list)  # of sparse rows: those of each block

    @property
    def coded(self) -> bool:
        """Whether rows are numbers beside codes."""
        return self.groups >= 0

    @property
    def stored(self) -> int:
        """Numbers and codes in all rows."""
        if self.groups == SPARSE:
            return sum(self.entries)
        return self.m * (len(self.places) + self.groups if self.coded else self.n)

    def bytes_of(self, rows: int, entries: int) -> int:
        """Of so many rows, with so many entries if they are sparse, on disk and in memory."""
        sides = 8 * rows * len(self.sides)
        if self.groups == SPARSE:
            return sides + VALUE * entries + START * (rows + 1)
        if self.coded:
            return sides + rows * (8 * len(self.places) + self.groups * np.dtype(code_type(self.n)).itemsize)
        return sides + 8 * rows * self.n


class Block:
    """Some rows, read from disk."""

    __slots__ = ("X", "offset", "weight", "y")

    def __init__(self, X: Any, y: Array, weight: Array | None = None, offset: Array | None = None) -> None:
        self.X, self.y, self.weight, self.offset = X, y, weight, offset


class Writer:
    """Writes blocks to a folder; ``finish`` makes it whole."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        self.folder, self.shape = folder, shape
        self._file = (folder / ROWS).open("wb")

    def add(self, X: Any, sides: dict[str, Array], room: int) -> None:
        """Append encoded rows, about `room` bytes in a block."""
        m = X.shape[0]
        sparse = self.shape.groups == SPARSE
        rows = max(1, m * room // max(1, self.shape.bytes_of(m, X.nnz if sparse else 0)))
        for begin in range(0, m, rows):
            part = slice(begin, begin + rows)
            pieces: list[Any] = [np.ascontiguousarray(sides[name][part], np.float64) for name in self.shape.sides]
            if sparse:
                some = X[part]
                self.shape.entries.append(int(some.nnz))
                pieces += [some.data.astype(np.float64, copy=False), some.indptr.astype(np.int64, copy=False)]
                pieces.append(some.indices.astype(np.int32, copy=False))
            elif self.shape.coded:
                pieces += [np.ascontiguousarray(X.numbers[part].T), np.ascontiguousarray(X.codes[part].T)]
            else:
                pieces.append(np.ascontiguousarray(X[part], np.float64))
            check = 0
            where = self._file.tell()
            for piece in pieces:
                check = zlib.crc32(piece, check)
                self._file.write(piece.data if piece.size else b"")
            count = len(pieces[0])
            self.shape.blocks.append((where, count, check))
            self.shape.m += count
            weight = sides.get("weight")
            self.shape.total_weight += float(count if weight is None else weight[part].sum())

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def finish(self, more: dict[str, Any]) -> None:
        """Write the index, with `more` beside it; from now on the folder is whole."""
        self._file.flush()
        os.fsync(self._file.fileno())
        beside = self.folder / f".{INDEX}.part"
        beside.write_text(json.dumps({"format": FORMAT, "shape": asdict(self.shape), **more}), encoding="utf-8")
        beside.replace(self.folder / INDEX)


def read_index(folder: Path) -> tuple[Shape, dict[str, Any]] | None:
    """What a folder holds and what was written beside it; None where it is not whole, or of another version."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if index.pop("format") != FORMAT:
            return None
        shape = Shape(**index.pop("shape"))
        shape.blocks = [(int(a), int(b), int(c)) for a, b, c in shape.blocks]
        return shape, index
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Reader:
    """Reads blocks of a folder; each is checked against its checksum when it is first read."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        self.path, self.shape = folder / ROWS, shape
        self._checked: set[int] = set()

    def block(self, k: int) -> Block:
        """Block k. Raises DataError where the file is damaged."""
        where, rows, check = self.shape.blocks[k]
        size = self.shape.bytes_of(rows, self.shape.entries[k] if self.shape.groups == SPARSE else 0)
        buffer = np.empty(size, np.uint8)
        try:
            with self.path.open("rb") as file:
                file.seek(where)
                got = file.readinto(buffer.data)
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror or error}.") from None
        if got != size or (k not in self._checked and zlib.crc32(buffer.data) != check):
            raise DataError(f"{self.path} is damaged: delete the folder {self.path.parent} and run again.")
        self._checked.add(k)
        return self._taken_apart(buffer, rows, k)

    def sides(self) -> Iterator[Block]:
        """Targets, weights and offsets alone, block by block; X is empty."""
        with self.path.open("rb") as file:
            for where, rows, _ in self.shape.blocks:
                file.seek(where)
                columns = np.fromfile(file, np.float64, rows * len(self.shape.sides)).reshape(-1, rows)
                yield Block(None, **dict(zip(self.shape.sides, columns, strict=True)))

    def _taken_apart(self, buffer: NDArray[np.uint8], rows: int, k: int) -> Block:
        shape, at = self.shape, 0

        def line(count: int, dtype: Any) -> NDArray[Any]:
            nonlocal at
            begin, at = at, at + count * np.dtype(dtype).itemsize
            return buffer[begin:at].view(dtype)

        def take(count: int, dtype: Any) -> NDArray[Any]:
            return line(count * rows, dtype).reshape(count, rows)

        sides = dict(zip(shape.sides, take(len(shape.sides), np.float64), strict=True))
        if shape.groups == SPARSE:
            from scipy.sparse import csr_matrix

            values, starts = line(shape.entries[k], np.float64), line(rows + 1, np.int64)
            where = line(shape.entries[k], np.int32)  # a block has fewer entries than int32 can count
            return Block(csr_matrix((values, where, starts.astype(np.int32)), shape=(rows, shape.n)), **sides)
        if shape.coded:
            numbers, codes = take(len(shape.places), np.float64).T, take(shape.groups, code_type(shape.n)).T
            return Block(Coded(numbers, np.array(shape.places, dtype=np.intp), codes, shape.n), **sides)
        return Block(take(shape.n, np.float64).reshape(rows, shape.n), **sides)
