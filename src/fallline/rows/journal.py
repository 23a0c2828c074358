"""What passes over the rows have found, kept on disk as they are made: a run that was killed takes up where it was.

Training is a function of what its passes find. So nothing of its state need be saved: the run is made again from the
start, and passes that the journal knows are answered from it, to the last bit. Only the pass that was under way when the
run was killed is made twice.

Each finding is kept with its key, which tells all that it is computed from, and a checksum over itself and the checksum
before it. The first one is bound to the rows, the settings and the versions of what computes. So a finding that was
changed, moved, doubled, or that comes from another journal ends the reading: it and those after it are made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fallline.private import open_private

Found = TypeVar("Found")

FORMAT = 2  # of the file
LARGEST = 16 << 20  # bytes of a finding that is kept; larger ones are made again
HEAD = struct.Struct("<QQ")  # bytes of the key and of the finding
CHECKSUM = 16  # bytes


class Journal:
    """A file of findings in the order in which they were made.

    `bound`: what tells the rows from all others. Where the file cannot be read or written, passes are made as if there
    were none.
    """

    def __init__(self, path: Path, bound: str = "") -> None:
        self.path, self.bound = path, bound
        self._begun = self._writing = False
        self._known = True  # whether the file may go on after `_end`
        self._end, self._before = 0, b""  # where the next finding begins, and the checksum of the one before
        self._answered = 0

    def begin(self, settings: str | None) -> None:
        """Take up the findings of a run with these settings; forget those of any other.

        None: settings that cannot be told apart, of which nothing is kept.
        """
        if self._begun:
            return
        self._begun = True
        if settings is None:
            return
        first = hashlib.blake2b(json.dumps([FORMAT, self.bound, settings]).encode()).digest()
        self._writing = True
        if self._next() != ("begin", first):
            self._end, self._before, self._known = 0, b"", False
            self._append("begin", first)

    @property
    def answered(self) -> int:
        """How many findings were answered from the file."""
        return self._answered

    def remembered(self, key: str, make: Callable[[], Found], like: Callable[[Any], Found]) -> Found:
        """What was found under this key at this point of the run; `make` finds it where that is not known.

        `like` makes the finding of its numbers and arrays.
        """
        if not self._writing:
            return make()
        before = self._end, self._before
        entry = self._next() if self._known else None
        if entry is not None and entry[0] == key:
            if not entry[1]:  # it was too large to be kept
                return make()
            try:
                answer = like(_unpacked(entry[1]))
            except (ValueError, TypeError, KeyError, IndexError, AttributeError):  # of another form than is asked for
                pass
            else:
                self._answered += 1
                return answer
        self._end, self._before = before
        self._known = False  # the end; or damage, or another run: what follows says nothing
        found = make()
        packed = _packed(found)
        self._append(key, packed if len(packed) <= LARGEST else b"")
        return found

    def _next(self) -> tuple[str, bytes] | None:
        """The next key and finding; None at the end, and where the file is damaged."""
        try:
            with open_private(self.path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(self._end)
                head = file.read(HEAD.size)
                if len(head) < HEAD.size:
                    return None
                name, finding = HEAD.unpack(head)
                end = self._end + HEAD.size + name + finding + CHECKSUM
                if end > size or max(name, finding) > LARGEST:  # killed while it wrote this; or never written so
                    return None
                rest = file.read(name + finding + CHECKSUM)
        except OSError:
            return None
        told, checksum = rest[:-CHECKSUM], rest[-CHECKSUM:]
        if checksum != self._checksum(head + told):
            return None
        self._end, self._before = end, checksum
        return told[:name].decode("utf-8", "replace"), told[name:]

    def _append(self, key: str, packed: bytes) -> None:
        """Write after what is known, and over what is not; a journal that cannot be written is given up."""
        name = key.encode()
        told = HEAD.pack(len(name), len(packed)) + name + packed
        checksum = self._checksum(told)
        try:
            with open_private(self.path, "r+b" if self._end else "wb") as file:
                self._write(file, told + checksum)
        except OSError:
            self._writing = False
            return
        self._end, self._before = self._end + len(told) + CHECKSUM, checksum

    def _write(self, file: BufferedIOBase, entry: bytes) -> None:
        file.seek(self._end)
        file.truncate()
        file.write(entry)

    def _checksum(self, told: bytes) -> bytes:
        return hashlib.blake2b(self._before + told, digest_size=CHECKSUM).digest()


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
    return len(head).to_bytes(8, "little") + head + b"".join(arrays)


def _unpacked(packed: bytes) -> Any:
    size = int.from_bytes(packed[:8], "little")
    at = 8 + size

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

    return made(json.loads(packed[8 : 8 + size]))
