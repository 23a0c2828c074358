"""Encoded rows on disk: blocks of targets and features, ready for the kernels, behind an index that says what is where.

A block holds, one after the other and without gaps, the targets (and weights, and offsets) of its rows as float64, then
the features: row by row for dense rows; numbers and then codes column by column for coded ones; of sparse ones values, row
starts and columns. The index (:mod:`fallline.rows.index`) holds the checksum of every block, and one of its targets
alone, which are read alone, too.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.errors import DataError
from fallline.private import open_private
from fallline.rows._base import Array
from fallline.rows.coded import Coded, code_type
from fallline.system_errors import read_reason
from fallline.threads import each

ROWS = "rows.bin"
DENSE, SPARSE = -1, -2
VALUE, START = 12, 8  # bytes of an entry and its column, and of where a row begins
AT_ONCE = 1 << 20  # bytes that are read together where only their checksum is wanted


@dataclass
class Shape:
    """What is in a packed file."""

    n: int  # columns of X
    places: list[int]  # of coded rows: the columns that are numbers
    groups: int  # of coded rows: codes in each row; DENSE, SPARSE
    sides: list[str] = field(default_factory=lambda: ["y"])
    m: int = 0
    total_weight: float = 0.0
    # (first byte, rows, checksum of their targets, weights and offsets, checksum of all)
    blocks: list[tuple[int, int, int, int]] = field(default_factory=list)
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

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        if not self.blocks:
            return 0
        where, rows, *_ = self.blocks[-1]
        return where + self.bytes_of(rows, self.entries[-1] if self.groups == SPARSE else 0)

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
    """Writes blocks to a folder, and what they are into `shape`; ``finish`` ends the file."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        self.shape = shape
        self._file = open_private(folder / ROWS, "wb")

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
            check = beside = 0
            where = self._file.tell()
            for k, piece in enumerate(pieces):
                check = zlib.crc32(piece, check)
                beside = check if k < len(self.shape.sides) else beside
                self._file.write(piece.data if piece.size else b"")
            count = len(pieces[0])
            self.shape.blocks.append((where, count, beside, check))
            self.shape.m += count
            weight = sides.get("weight")
            self.shape.total_weight += float(count if weight is None else weight[part].sum())

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def finish(self) -> None:
        """All of it is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())


class Reader:
    """Reads blocks of a folder; each is checked against its checksum when it is first read.

    Raises DataError where the file is damaged, or cannot be read.
    """

    def __init__(self, folder: Path, shape: Shape) -> None:
        self.path, self.shape = folder / ROWS, shape
        self._checked: set[int] = set()
        self._checked_sides: set[int] = set()

    def verify(self) -> None:
        """Read all of the file once, and compare every checksum; raises DataError."""
        try:
            size = self.path.lstat().st_size
        except OSError as error:
            raise self._unreadable(error) from None
        if size != self.shape.size:
            raise self._damaged()
        each(self._verify, range(len(self.shape.blocks)))

    def block(self, k: int) -> Block:
        """Block k."""
        where, rows, _, check = self.shape.blocks[k]
        size = self._size(k)
        buffer = np.empty(size, np.uint8)
        try:
            with open_private(self.path, "rb") as file:
                file.seek(where)
                got = file.readinto(buffer.data)
        except OSError as error:
            raise self._unreadable(error) from None
        if got != size or (k not in self._checked and zlib.crc32(buffer.data) != check):
            raise self._damaged()
        self._checked.add(k)
        return self._taken_apart(buffer, rows, k)

    def sides(self) -> Iterator[Block]:
        """Targets, weights and offsets alone, block by block; X is empty."""
        for k, (where, rows, check, _) in enumerate(self.shape.blocks):
            columns = np.empty((len(self.shape.sides), rows))
            try:
                with open_private(self.path, "rb") as file:
                    file.seek(where)
                    got = file.readinto(columns.data.cast("B"))
            except OSError as error:
                raise self._unreadable(error) from None
            known = k in self._checked_sides or k in self._checked
            if got != columns.nbytes or (not known and zlib.crc32(columns.data) != check):
                raise self._damaged()
            self._checked_sides.add(k)
            yield Block(None, **dict(zip(self.shape.sides, columns, strict=True)))

    def _verify(self, k: int) -> None:
        where, rows, *checks = self.shape.blocks[k]
        beside, size = 8 * rows * len(self.shape.sides), self._size(k)
        try:
            with open_private(self.path, "rb") as file:
                file.seek(where)
                own = _checksum(file, beside, 0)
                found = [own, _checksum(file, size - beside, own)]
        except OSError as error:
            raise self._unreadable(error) from None
        if found != checks:
            raise self._damaged()
        self._checked.add(k)

    def _size(self, k: int) -> int:
        return self.shape.bytes_of(self.shape.blocks[k][1], self.shape.entries[k] if self.shape.groups == SPARSE else 0)

    def _damaged(self) -> DataError:
        return DataError(
            f"{self.path} is damaged: it does not hold what was written. Run again: it is made anew from the table."
        )

    def _unreadable(self, error: OSError) -> DataError:
        return DataError(
            f"{self.path} cannot be read: {read_reason(error)}. Run again: it is made anew from the table."
        )

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


def _checksum(file: Any, size: int, before: int) -> int:
    """Of the next `size` bytes, after what has the checksum `before`."""
    room = memoryview(bytearray(min(size, AT_ONCE)))
    while size > 0:
        got = file.readinto(room[:size])
        if not got:  # the file ends too soon: no checksum fits
            return -1
        before, size = zlib.crc32(room[:got], before), size - got
    return before
