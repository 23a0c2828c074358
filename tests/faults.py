"""Faults at the N-th call that changes the disk, as SQLite's own tests make them: a full disk, an I/O error, or a kill."""

from __future__ import annotations

import builtins
import errno
import io
import os
from types import TracebackType
from typing import Any

CALLS = ("mkdir", "replace", "rename", "unlink", "rmdir", "fsync", "chmod")  # of os


class Killed(BaseException):
    """The process is dead: from here on nothing changes the disk."""


class Faults:
    """Within: the `at`-th call that changes the disk fails with `error` (a number of errno), or kills the run (None).

    With `lasting` all later calls fail as well; after a kill they do in any case. A write that fails has written half of
    its bytes. Handles that the run holds are closed at the end, as the system does for a process that is gone. `count`
    tells how many calls there were; with `at` 0 none of them fails.
    """

    def __init__(self, at: int = 0, error: int | None = None, lasting: bool = False) -> None:
        self.at, self.error, self.lasting = at, error, lasting or error is None
        self.count = 0
        self._own: dict[str, Any] = {}
        self._handles: set[int] = set()
        self._open = builtins.open

    @property
    def hit(self) -> bool:
        return 0 < self.at <= self.count

    def __enter__(self) -> Faults:
        self._own = {name: getattr(os, name) for name in (*CALLS, "open", "close")}
        for name in CALLS:
            setattr(os, name, self._failing(self._own[name]))
        os.open, os.close = self._os_open, self._os_close
        builtins.open = io.open = self._opened
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, own in self._own.items():
            setattr(os, name, own)
        builtins.open = io.open = self._open
        for handle in self._handles:
            os.close(handle)

    def fail(self) -> None:
        """Count a call, and raise where it is to fail."""
        self.count += 1
        if self.at and (self.count == self.at or (self.lasting and self.count > self.at)):
            if self.error is None:
                raise Killed
            raise OSError(self.error, os.strerror(self.error))

    def _failing(self, call: Any) -> Any:
        def failing(*args: Any, **how: Any) -> Any:
            self.fail()
            return call(*args, **how)

        return failing

    def _os_open(self, path: Any, flags: int, *rest: Any, **how: Any) -> int:
        if flags & os.O_CREAT:
            self.fail()
        handle: int = self._own["open"](path, flags, *rest, **how)
        if flags & os.O_CREAT:
            self._handles.add(handle)
        return handle

    def _os_close(self, handle: int) -> None:
        self._handles.discard(handle)
        self._own["close"](handle)

    def _opened(self, file: Any, mode: str = "r", *rest: Any, **how: Any) -> Any:
        opened = self._open(file, mode, *rest, **how)
        if set(mode) & set("wax+") and not isinstance(file, int):
            self._handles.discard(opened.fileno())  # the file closes it
            return _File(opened, self)
        return opened


class _File:
    """A file whose writes can fail, and are on the disk at once where they do not."""

    def __init__(self, file: Any, faults: Faults) -> None:
        self._file, self._faults = file, faults

    def write(self, data: Any) -> int:
        whole = memoryview(data).cast("B") if len(data) else memoryview(b"")
        try:
            self._faults.fail()
        except BaseException:
            self._file.write(whole[: len(whole) // 2])
            self._file.flush()
            raise
        self._file.write(whole)
        self._file.flush()
        return len(whole)

    def truncate(self, *size: int) -> int:
        self._faults.fail()
        return int(self._file.truncate(*size))

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


ERRORS = {"full": errno.ENOSPC, "broken": errno.EIO, "forbidden": errno.EACCES}
