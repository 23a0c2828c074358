"""Files that fallline writes: a regular file is replaced whole or not at all, anything else is written to.

A file is written without a name or under a random one, brought to the disk and then renamed, so that there is always the
old one or the new one. Of two processes that write the same name the last one wins. Devices, pipes and the process's
own open files (``/dev/stdout``) are never replaced: the bytes go to them. Of a symbolic link the file that it points at is
written.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fallline.errors import OutputError, SettingError, SettingTypeError
from fallline.private import MOST_LINKS
from fallline.system_errors import WRITE_REASONS, write_reason
from fallline.visible import shortened

# Of file systems that have no permissions, owners or flushing of folders: nothing is lost by doing without.
UNSUPPORTED: Final = (errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF)
OWN_FILE: Final = re.compile(r"(?:/proc/(\d+)(?:/task/\d+)?|/dev)/fd/(\d+)")
LONGEST_NAME: Final = 75  # characters of a path in a message
PRIVATE: Final = 0o600


def as_path(path: Any) -> Path:
    """The path of a file name that a user gave. Raises SettingError and SettingTypeError for what cannot be one."""
    try:
        if isinstance(path, bytes):
            raise TypeError
        text = os.fsdecode(os.fsencode(path))
    except (TypeError, UnicodeError):
        raise SettingTypeError(f"path: got {path!r:.80}; it must be a file name.") from None
    if "\0" in text or not text:
        raise SettingError(f"path: got {text!r:.80}; it must be a file name.")
    return Path(text)


def shown(path: Any) -> str:
    """A path for a message: on one line, and shortened in the middle."""
    return shortened(str(path), LONGEST_NAME)


def write_whole(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`; raises OutputError when it cannot be written, and then an existing file is as it was."""
    with writing(path) as output:
        output.write(data)


@contextlib.contextmanager
def writing(given: str | Path) -> Iterator[Output]:
    """Yield what takes the bytes of a file; the file is in place once the block has ended without an error.

    Raises OutputError when it cannot be written; an existing file is then as it was. What went to a device or a pipe before
    the error cannot be taken back.
    """
    path = as_path(given)
    try:
        in_place = _is_written_in_place(path)
    except OSError as error:
        raise unwritten(path, error) from None
    with _in_place(path) if in_place else _replaced(path) as output:
        yield output


def refusal(path: Path) -> str:
    """Why nothing can be written to `path`, as far as that is known before the work is done; empty if it seems possible."""
    try:
        status = _status(path)
        if status is not None and stat.S_ISDIR(status.st_mode):
            return "is a folder; give the name of a file to write."
        if status is not None and stat.S_ISSOCK(status.st_mode):
            return "is a socket; give the name of a file to write."
        if status is None and _own_file(path) is not None:
            return "is not open."
        target = os.path.realpath(path)
        folder = os.path.dirname(target)
        if not os.path.isdir(folder):
            return f"there is no folder {shown(path.parent)!r}; make it first."
        if status is not None and not os.access(path, os.W_OK):
            return "is read-only; give another name to write to."
        if not _is_written_in_place(path) and not os.access(folder, os.W_OK | os.X_OK):
            return f"no file can be made in {shown(folder)!r}: {WRITE_REASONS[errno.EACCES]}."
    except OSError as error:
        return f"cannot be written: {write_reason(error)}."
    return ""


class Output:
    """Takes the bytes of one file; what cannot be written raises OutputError."""

    def __init__(self, handle: int, path: Path, before: str) -> None:
        self._handle, self._path, self._before = handle, path, before
        self.error: OutputError | None = None  # for libraries that put an error of their own in its place

    def write(self, data: bytes) -> int:
        """Write all of `data`. The system may take a part only, and tells the reason at the next attempt."""
        rest = memoryview(data)
        while len(rest):
            try:
                rest = rest[os.write(self._handle, rest) :]
            except OSError as error:
                self.error = unwritten(self._path, error, self._before)
                raise self.error from None
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""


def unwritten(path: Path, error: OSError, before: str = " Nothing was changed.") -> OutputError:
    """The error to raise for one of the system; `before` is a sentence about what was there."""
    return OutputError(f"{shown(path)} was not written: {write_reason(error)}.{before}")


def _status(path: str | Path) -> os.stat_result | None:
    """What is there, behind links; None where there is nothing."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _own_file(path: Path) -> int | None:
    """The number of this process's open file that the path stands for, as ``/dev/stdout`` and ``/dev/fd/3`` do."""
    place = str(path)
    for _ in range(MOST_LINKS):
        folder, name = os.path.split(place)
        place = os.path.join(os.path.realpath(folder or "."), name)
        found = OWN_FILE.fullmatch(place)
        if found is not None:
            return int(found[2]) if found[1] in (None, str(os.getpid())) else None
        if not os.path.islink(place):
            return None
        place = os.path.join(os.path.dirname(place), os.readlink(place))
    return None


def _is_written_in_place(path: Path) -> bool:
    """Whether the bytes go to what is there: an open file of this process, a device, a pipe, a mounted file."""
    status = _status(path)
    if _own_file(path) is not None:
        return True
    return status is not None and (not stat.S_ISREG(status.st_mode) or os.path.ismount(os.path.realpath(path)))


@contextlib.contextmanager
def _in_place(path: Path) -> Iterator[Output]:
    try:
        own = _own_file(path)
        if own is not None:  # opening it anew would begin at the start of a file that the shell has begun to write
            handle = os.dup(own)
        else:
            handle = os.open(path, os.O_WRONLY | os.O_TRUNC | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise unwritten(path, error) from None
    try:
        yield Output(handle, path, "")
    except BaseException:
        with contextlib.suppress(OSError):
            os.close(handle)
        raise
    try:
        os.close(handle)
    except OSError as error:
        raise unwritten(path, error, "") from None


@contextlib.contextmanager
def _replaced(path: Path) -> Iterator[Output]:
    target = os.path.realpath(path)  # the file behind a link, not the link
    try:
        before = _status(target)
        if before is not None and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "read-only")
        part = _Part(target, before)
    except OSError as error:
        raise unwritten(path, error) from None
    try:
        yield Output(part.handle, path, " Nothing was changed.")
        try:
            part.put_in_place()
        except OSError as error:
            raise unwritten(path, error) from None
    finally:
        part.discard()
    _flush_folder(path, os.path.dirname(target))


class _Part:
    """The new file while it is written: nobody else can read it, and nothing is left of it after an error.

    On Linux it has no name before it is whole, so that nothing is left of a process that is killed either. Elsewhere, and on
    file systems that cannot do that, it is ``.HEX.part`` in the same folder.
    """

    def __init__(self, target: str, before: os.stat_result | None) -> None:
        self.target, self.before = target, before
        self.name = ""  # it has none yet
        self.handle = -1
        try:
            if not self._open_unnamed():
                self._create()
        except BaseException:
            self.discard()
            raise

    def put_in_place(self) -> None:
        """Bring it to the disk and give it its name."""
        self._settle()
        whole = False
        if not self.name:
            try:
                whole = self._link()
            except OSError:  # hard links are forbidden here
                self._copy()
                self._settle()
        self._close()
        if not whole:
            os.replace(self.name, self.target)
        self.name = ""

    def discard(self) -> None:
        """Delete it, unless it is in place."""
        with contextlib.suppress(OSError):
            self._close()
        if self.name:
            with contextlib.suppress(OSError):
                os.unlink(self.name)

    def _mode(self) -> int:
        """What it is made with: a new file has what the umask leaves, one that replaces another gets the old one's mode."""
        return 0o666 if self.before is None else PRIVATE

    def _open_unnamed(self) -> bool:
        """Open a file without a name in the folder, where there are such."""
        if not hasattr(os, "O_TMPFILE") or not os.path.isdir("/proc/self/fd"):
            return False
        try:
            self.handle = os.open(os.path.dirname(self.target), os.O_RDWR | os.O_TMPFILE, self._mode())
        except OSError:  # where there is another reason than the file system, the next attempt tells it
            return False
        self._hide()
        return True

    def _create(self) -> None:
        name = self._beside()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self.handle = os.open(name, flags, self._mode())
        self.name = name
        self._hide()

    def _hide(self) -> None:
        """Let nobody else read it while it is written; remember the permissions that it is to have."""
        self.permissions = stat.S_IMODE(os.fstat(self.handle).st_mode)
        self._set_mode(PRIVATE)

    def _beside(self) -> str:
        return os.path.join(os.path.dirname(self.target), f".{secrets.token_hex(8)}.part")

    def _settle(self) -> None:
        """Give it the permissions and the owner of the file that it replaces, and bring its bytes to the disk."""
        if self.before is not None:
            self.permissions = stat.S_IMODE(self.before.st_mode)
            self._take_owner(self.before)
            self._take_attributes()
        self._set_mode(self.permissions)
        os.fsync(self.handle)

    def _set_mode(self, mode: int) -> None:
        with _tolerant():
            os.chmod(self.handle if os.chmod in os.supports_fd else self.name, mode)

    def _take_owner(self, before: os.stat_result) -> None:
        """Only an administrator may give files away. Without its group the group's permissions are those of others."""
        now = os.fstat(self.handle)
        if not hasattr(os, "fchown") or (now.st_uid, now.st_gid) == (before.st_uid, before.st_gid):
            return
        for owner in (before.st_uid, -1):
            with contextlib.suppress(OSError):
                os.fchown(self.handle, owner, before.st_gid)
                break
        now = os.fstat(self.handle)
        if now.st_uid != before.st_uid:
            self.permissions &= 0o777  # no right to run as somebody else
        if now.st_gid != before.st_gid:
            self.permissions = self.permissions & 0o707 | (self.permissions & 0o007) << 3

    def _take_attributes(self) -> None:
        """Access control lists and what users have noted."""
        if not hasattr(os, "listxattr"):
            return
        with contextlib.suppress(OSError):
            for name in os.listxattr(self.target):
                if name.startswith("user.") or name == "system.posix_acl_access":
                    with contextlib.suppress(OSError):
                        os.setxattr(self.handle, name, os.getxattr(self.target, name))

    def _link(self) -> bool:
        """Name the file without a name; True if it stands under its own name, False if beside an older one."""
        source = f"/proc/self/fd/{self.handle}"
        # Python follows the link in /proc only if a folder is given; it is not used, for the paths are absolute.
        try:
            os.link(source, self.target, src_dir_fd=self.handle, follow_symlinks=True)
            return True
        except FileExistsError:
            name = self._beside()
            os.link(source, name, src_dir_fd=self.handle, follow_symlinks=True)
            self.name = name
            return False

    def _copy(self) -> None:
        """Go on under a name, with what was written."""
        unnamed = self.handle
        self._create()
        os.lseek(unnamed, 0, os.SEEK_SET)
        with os.fdopen(unnamed, "rb") as source, os.fdopen(os.dup(self.handle), "wb") as copy:
            shutil.copyfileobj(source, copy)

    def _close(self) -> None:
        handle, self.handle = self.handle, -1
        if handle >= 0:
            os.close(handle)


@contextlib.contextmanager
def _tolerant() -> Iterator[None]:
    """Within: what the file system does not support is left out."""
    try:
        yield
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def _flush_folder(path: Path, folder: str) -> None:
    """Bring the new name to the disk; a folder that cannot be opened, as on Windows, is left to the system."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        with _tolerant():
            os.fsync(handle)
    except OSError as error:
        raise OutputError(f"{shown(path)} may not be on the disk yet: {write_reason(error)}.") from None
    finally:
        os.close(handle)
