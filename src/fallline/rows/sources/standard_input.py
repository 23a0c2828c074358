"""CSV from standard input, by way of a file: its columns are typed before they are read."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from fallline.errors import DataError, OutputError
from fallline.rows.sources.text import TextSource
from fallline.system_errors import read_reason, write_reason

if TYPE_CHECKING:
    import polars as pl

NAME = "standard input"
PIECE = 1 << 20  # bytes that are read at once


class StandardInput(TextSource):
    """What comes on standard input, which must be CSV.

    The file has no name where the system can do without one (Linux), so that nothing is left of a process that is killed.
    """

    def __init__(self, kinds: Mapping[str, str] | None = None) -> None:
        with contextlib.ExitStack() as stack:
            try:
                file, self._spool = _opened(stack)
                size = _copy(file)
            except OSError as error:
                raise OutputError(
                    f"{NAME} was not written to the folder for temporary files: {write_reason(error)}. TMPDIR names another "
                    "folder."
                ) from None
            try:
                super().__init__([Path(self._spool)], NAME, None, size, kinds)
            except DataError as error:
                raise self._named(error) from None
            weakref.finalize(self, stack.pop_all().close)

    def frames(self, room: int | None = None) -> Iterator[pl.DataFrame]:
        """The rows; errors speak of standard input."""
        try:
            yield from super().frames(room)
        except DataError as error:
            raise self._named(error) from None

    def _named(self, error: DataError) -> DataError:
        return type(error)(str(error.args[0]).replace(self._spool, NAME), code=error.code)


def _opened(stack: contextlib.ExitStack) -> tuple[IO[bytes], str]:
    """A new file and its path; closing the stack deletes it."""
    handle, path = tempfile.mkstemp(prefix="fallline-", suffix=".csv")
    if Path("/proc/self/fd").is_dir():
        os.unlink(path)
        path = f"/proc/self/fd/{handle}"
    else:
        stack.callback(os.unlink, path)
    return stack.enter_context(os.fdopen(handle, "wb", buffering=0)), path


def _copy(file: IO[bytes]) -> int:
    """Write all that comes on standard input to the file; return how many bytes that were."""
    if sys.stdin is None:
        raise DataError(f"{NAME} is closed; give the name of a file, or send a table to it.")
    while True:
        try:
            piece = memoryview(sys.stdin.buffer.read(PIECE))
        except OSError as error:
            raise DataError(f"{NAME} cannot be read: {read_reason(error)}.") from None
        if not len(piece):
            return file.tell()
        while len(piece):
            piece = piece[file.write(piece) :]
