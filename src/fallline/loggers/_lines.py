"""A logger that adds lines to a file."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallline.atomic_write import Output, as_path, unwritten
from fallline.loggers._base import Logger

if TYPE_CHECKING:
    from fallline.result import Result


class LineLogger(Logger):
    """Adds lines to `path`, each as it comes. Raises OutputError when one cannot be written.

    A file is opened for each line, so that it may be moved away meanwhile. A pipe or a device stays open until the end of
    the run: the reader of a pipe would take the end of the first line for the end of all.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = as_path(path)
        self._open = -1  # the pipe or device

    def finish(self, result: Result | None) -> None:
        super().finish(result)
        handle, self._open = self._open, -1
        if handle >= 0:
            with contextlib.suppress(OSError):  # each write has told whether it went well
                os.close(handle)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": -1}

    def is_empty(self) -> bool:
        """Whether nothing is there yet."""
        try:
            return os.stat(self.path).st_size == 0
        except OSError:  # there is no file, or adding to it says why it cannot be
            return True

    def add(self, line: str) -> None:
        """Add a line, in one piece: other processes may add theirs."""
        try:
            handle = self._open
            if handle < 0:
                handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            kept = self._open >= 0 or not stat.S_ISREG(os.fstat(handle).st_mode)
        except OSError as error:
            raise unwritten(self.path, error, "") from None
        try:
            if kept:
                self._open = handle
            Output(handle, self.path, "").write(f"{line}\n".encode())
        finally:
            if not kept:
                os.close(handle)
