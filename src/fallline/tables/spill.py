"""Rows on their way to disk: scattered at random over files, so that each file, shuffled by itself, ends a full shuffle."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fallline.errors import DataError
from fallline.private import open_private
from fallline.system_errors import read_reason, write_reason

if TYPE_CHECKING:
    import polars as pl

BUCKET = "\0bucket"  # a column that no table has
MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # SplitMix64's


def row_hashes(first: int, count: int, seed: int) -> NDArray[np.uint64]:
    """A random number for each row, which depends on its number and the seed alone (SplitMix64; Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        z = (np.arange(first, first + count, dtype=np.uint64) + np.uint64(seed % 2**64) * MIX[1] + np.uint64(1)) * MIX[
            0
        ]
        z = (z ^ (z >> np.uint64(30))) * MIX[1]
        z = (z ^ (z >> np.uint64(27))) * MIX[2]
        return np.asarray(z ^ (z >> np.uint64(31)))


class Spill:
    """Frames scattered over `buckets` files, as Arrow streams; in memory they are at most `room` bytes."""

    def __init__(self, folder: Path, name: str, buckets: int, room: int) -> None:
        self.files = [folder / f"{name}-{k}.spill" for k in range(buckets)]
        self._chunks: list[list[tuple[int, int, int]]] = [[] for _ in range(buckets)]  # (first byte, bytes, checksum)
        self._room, self._held, self._waiting = room, 0, list["pl.DataFrame"]()
        self.rows = 0

    def add(self, frame: pl.DataFrame, hashes: NDArray[np.uint64]) -> None:
        """Scatter these rows by their hashes."""
        import polars as pl

        self._waiting.append(frame.with_columns(pl.Series(BUCKET, hashes % np.uint64(len(self.files)))))
        self._held += int(frame.estimated_size())
        self.rows += frame.height
        if self._held > self._room:
            self.flush()

    def flush(self) -> None:
        """Write what waits. Raises DataError where the disk is full."""
        import polars as pl

        if not self._waiting:
            return
        frame = pl.concat(self._waiting)
        self._waiting, self._held = [], 0
        where = frame[BUCKET].to_numpy()
        order = np.argsort(where, kind="stable")
        frame = frame.drop(BUCKET)[order]
        edges = np.searchsorted(where[order], np.arange(len(self.files) + 1))
        for k, file in enumerate(self.files):
            if edges[k] < edges[k + 1]:
                self._append(k, file, frame[int(edges[k]) : int(edges[k + 1])])

    def bucket(self, k: int) -> pl.DataFrame | None:
        """The rows of one file, in the order in which they came; None where it has none.

        Raises DataError where it does not hold what was written.
        """
        import polars as pl

        if not self._chunks[k]:
            return None
        parts, path = [], self.files[k]
        try:
            with open_private(path, "rb") as file:
                for begin, size, check in self._chunks[k]:
                    file.seek(begin)
                    packed = file.read(size)
                    if zlib.crc32(packed) != check:
                        raise DataError(f"{path} is damaged: it does not hold what was written. Run again.")
                    parts.append(pl.read_ipc_stream(io.BytesIO(packed)))
        except OSError as error:
            raise DataError(f"{path} cannot be read: {read_reason(error)}. Run again.") from None
        return pl.concat(parts)

    def buckets(self) -> Iterator[pl.DataFrame]:
        """All rows, a file at a time."""
        for k in range(len(self.files)):
            frame = self.bucket(k)
            if frame is not None:
                yield frame

    def remove(self, k: int | None = None) -> None:
        """Delete one file, or all."""
        for file in self.files if k is None else [self.files[k]]:
            file.unlink(missing_ok=True)

    def _append(self, k: int, file: Path, part: pl.DataFrame) -> None:
        packed = io.BytesIO()
        part.write_ipc_stream(packed)
        try:
            with open_private(file, "ab") as out:
                begin = out.tell()
                out.write(packed.getbuffer())
        except OSError as error:
            raise no_room(file.parent, error) from None
        self._chunks[k].append((begin, len(packed.getbuffer()), zlib.crc32(packed.getbuffer())))


def no_room(folder: Path, error: OSError) -> DataError:
    """What to say where the cache cannot be written."""
    return DataError(
        f"The cache in {folder} cannot be written: {write_reason(error)}. It takes the size of the rows, twice for a "
        "moment: name another folder (--cache DIR, cache=), or allow more memory (--memory, memory=)."
    )
