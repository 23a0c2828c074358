"""The standard streams: data that cannot be written is an error at once, words for people are one at the end."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from fallline.errors import OutputError
from fallline.system_errors import write_reason

STANDARD_STREAMS = 3  # the numbers 0 to 2


class Checked:
    """Standard output whose errors are OutputErrors, also where click writes: help and version.

    Once it has failed it goes on failing: click looks at the kind of a stream by writing nothing to it, whatever that raises.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write it; raises OutputError when that fails."""
        raw = getattr(self._stream, "buffer", None)
        if isinstance(raw, io.RawIOBase):  # python -u
            self.attempt(lambda: _write_all(raw, text.encode(self._stream.encoding, self._stream.errors or "strict")))
        else:
            self.attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Write what is held back; raises OutputError when that fails."""
        self.attempt(self._stream.flush)

    def attempt(self, write: Callable[[], Any]) -> Any:
        """What `write` returns; raises OutputError when it fails, or something failed before."""
        try:
            if self.error is not None:
                raise self.error
            return write()
        except OSError as error:
            self.error = error
            raise OutputError(f"Standard output was not written whole: {write_reason(error)}.") from None

    def give_up(self) -> None:
        """Send what could not be written to nowhere: Python would complain of it once more at its end."""
        if self.error is None:
            return
        with contextlib.suppress(OSError):
            number, nowhere = self._stream.fileno(), os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Forgiving(Checked):
    """Standard error: work goes on where its words cannot be written, for a model is worth more than they are."""

    def attempt(self, write: Callable[[], Any]) -> Any:
        """What `write` returns; 0 where it fails."""
        try:
            return super().attempt(write)
        except OutputError:
            return 0


@contextlib.contextmanager
def checked_streams() -> Iterator[Callable[[], bool]]:
    """Within: the standard streams are as above. Yields a function that says whether words were lost.

    Standard streams that are closed get numbers that lead nowhere: the next file to be opened would get them, and all that
    libraries write to them would go to that file.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) < STANDARD_STREAMS:
        pass
    out, err = sys.stdout, sys.stderr
    with os.fdopen(number, "w", encoding="utf-8") as nowhere:
        data: Any = Checked(nowhere if out is None else out)
        words: Any = Forgiving(nowhere if err is None else err)
        if out is None:
            data.error = OSError(errno.EBADF, os.strerror(errno.EBADF))
        sys.stdout, sys.stderr = data, words
        try:
            yield lambda: words.error is not None
        finally:
            sys.stdout, sys.stderr = out, err
            for stream in (data, words):
                stream.give_up()


def check_standard_output() -> None:
    """Raise OutputError where it is closed, before any work is done."""
    if isinstance(sys.stdout, Checked):
        sys.stdout.flush()


def write_out(data: bytes) -> None:
    """Write all of `data`, text in UTF-8, to standard output, at once; raises OutputError when that fails."""
    stream: Any = sys.stdout
    checked: Any = stream if isinstance(stream, Checked) else Checked(stream)
    binary = getattr(stream, "buffer", None)
    if binary is None:  # a stream of text that somebody has put there
        checked.write(data.decode())
        checked.flush()
    else:
        checked.attempt(lambda: _write_all(binary, data))


def _write_all(stream: Any, data: bytes) -> None:
    """An unbuffered stream may take only a part of the data, and tells the reason at the next attempt."""
    rest = memoryview(data)
    while len(rest):
        rest = rest[stream.write(rest) or 0 :]
    stream.flush()
