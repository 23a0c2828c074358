"""What passes over the rows have found, kept on disk as they are made: a run that was killed takes up where it was.

Training is a function of what its passes find. So nothing of its state need be saved: the run is made again from the
start, and passes that the journal knows are answered from it, to the last bit. Only the pass that was under way when the
run was killed is made twice.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fallline.errors import DataError

Found = TypeVar("Found")

LARGEST = 16 << 20  # bytes of a finding that is kept; larger ones are made again
LENGTH = 8  # bytes of a number in the file


class Journal:
    """A file of findings in the order in which they were made, each with its key and its checksum."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: list[tuple[str, bytes]] = []
        self._at = 0
        self._started = False

    def begin(self, settings: str) -> None:
        """Take up the findings of a run with these settings; forget those of any other."""
        if self._started:
            return
        self._started = True
        entries = self._read()
        first = ("settings", hashlib.blake2b(settings.encode()).digest())
        if entries[:1] == [first]:
            self._known = entries[1:]
            self._rewrite(entries)  # without what was half written
        else:
            self._rewrite([first])

    @property
    def answered(self) -> int:
        """How many findings were answered from the file."""
        return self._at

    def remembered(self, key: str, make: Callable[[], Found], like: Callable[[Any], Found]) -> Found:
        """What was found under this key at this point of the run; `make` finds it where that is not known.

        `like` makes the finding of its numbers and arrays.
        """
        if not self._started:
            return make()
        if self._at < len(self._known):
            known, packed = self._known[self._at]
            if known == key:
                self._at += 1
                return like(_unpacked(packed))
            self._known = self._known[: self._at]  # another run than this: what follows says nothing
            self._rewrite([("settings", self._settings), *self._known])
        found = make()
        packed = _packed(found)
        if len(packed) <= LARGEST:
            self._at += 1
            self._known.append((key, b""))
            self._append(key, packed)
        return found

    def _append(self, key: str, packed: bytes) -> None:
        try:
            with self.path.open("ab") as file:
                file.write(_entry(key, packed))
        except OSError as error:
            raise DataError(f"{self.path} cannot be written: {error.strerror or error}.") from None

    def _rewrite(self, entries: list[tuple[str, bytes]]) -> None:
        self._settings = entries[0][1]
        beside = self.path.with_suffix(".part")
        try:
            beside.write_bytes(b"".join(_entry(*entry) for entry in entries))
            beside.replace(self.path)
        except OSError as error:
            raise DataError(f"{self.path} cannot be written: {error.strerror or error}.") from None

    def _read(self) -> list[tuple[str, bytes]]:
        try:
            data = self.path.read_bytes()
        except OSError:
            return []
        entries, at = [], 0
        while at + 3 * LENGTH <= len(data):
            sizes = [int.from_bytes(data[at + k * LENGTH : at + (k + 1) * LENGTH], "little") for k in range(3)]
            begin, end = at + 3 * LENGTH, at + 3 * LENGTH + sizes[0] + sizes[1]
            if end > len(data) or zlib.crc32(data[begin:end]) != sizes[2]:
                break  # the run was killed while it wrote this
            entries.append((data[begin : begin + sizes[0]].decode(), data[begin + sizes[0] : end]))
            at = end
        return entries


def digest(*arrays: Any) -> str:
    """Of some arrays of numbers, for keys."""
    told = hashlib.blake2b(digest_size=8)
    for array in arrays:
        told.update(np.ascontiguousarray(array, np.float64).tobytes())
    return told.hexdigest()


def _entry(key: str, packed: bytes) -> bytes:
    name = key.encode()
    sizes = (len(name), len(packed), zlib.crc32(name + packed))
    return b"".join(size.to_bytes(LENGTH, "little") for size in sizes) + name + packed


def _packed(found: Any) -> bytes:
    """Numbers and arrays, in tuples within tuples, as bytes: what they are as JSON, then the arrays."""
    arrays: list[bytes] = []

    def told(value: Any) -> Any:
        if isinstance(value, tuple):
            return [told(part) for part in value]
        if value is None or isinstance(value, (bool, int)):
            return {"is": value}
        array = np.ascontiguousarray(value)
        arrays.append(array.tobytes())
        return {"type": array.dtype.str, "shape": list(np.shape(value)), "plain": not isinstance(value, np.ndarray)}

    head = json.dumps(told(found)).encode()
    return len(head).to_bytes(LENGTH, "little") + head + b"".join(arrays)


def _unpacked(packed: bytes) -> Any:
    size = int.from_bytes(packed[:LENGTH], "little")
    at = LENGTH + size

    def made(told: Any) -> Any:
        nonlocal at
        if isinstance(told, list):
            return tuple(made(part) for part in told)
        if "is" in told:
            return told["is"]
        dtype, shape = np.dtype(told["type"]), tuple(told["shape"])
        count = int(np.prod(shape)) * dtype.itemsize
        array = np.frombuffer(packed[at : at + count], dtype).reshape(shape).copy()
        at += count
        return array.item() if told["plain"] else array

    return made(json.loads(packed[LENGTH : LENGTH + size]))
