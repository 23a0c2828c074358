"""The folder where rows lie while they are trained on, and where a run that was killed finds them again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from fallline import __version__
from fallline.errors import DataError
from fallline.private import FILE, FOLDER, not_private, user_cache
from fallline.rows.index import FORMAT, INDEX, Index
from fallline.rows.sources import Source
from fallline.tables.asked import Asked
from fallline.tables.spill import no_room

NAME, ONCE = "rows-", "rows-once-"  # of folders; the second ones nobody could find again
STALE = 7 * 86_400  # seconds after which what a killed run left behind is deleted
TRIES = 5  # for a folder of one's own, before a cleanup takes it for one that was left behind
NO_LOCK = -1  # where the system has no locks


class Cache:
    """A folder named after what is read and how. Its owner alone may read it, and one run at a time uses it.

    A lock says that it is in use: the system lets go of it when the run ends, however that comes about. `note` tells why
    rows of an earlier run could not be used, where that is so.
    """

    def __init__(self, home: Path, made_of: str | None, keep: bool) -> None:
        self.home, self.made_of, self.keep = home, made_of, keep
        self.folder: Path | None = None
        self.note: str | None = None
        self._lock: int | None = None
        self._lock_file: Path | None = None

    @classmethod
    def of(cls, source: Source, asked: Asked) -> Cache:
        """The cache for this source and these settings; nothing is written yet."""
        import polars

        told, fingerprint = asked.told(), source.fingerprint
        made_of = None
        if fingerprint is not None and told is not None:
            parts = json.dumps([__version__, polars.__version__, FORMAT, fingerprint, told], sort_keys=True)
            made_of = hashlib.blake2b(parts.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
        return cls(asked.cache or _home(), made_of, asked.cache is not None)

    @property
    def digest(self) -> str | None:
        """The name of the folder, of which another run would know; None where there is none."""
        return None if self.made_of is None else self.made_of[:20]

    def find(self) -> tuple[Path, Index] | None:
        """What an earlier run left, if it is whole and no other run is at it: the folder, now this run's, and its index."""
        if self.keep:
            self._check_home()
        if self.made_of is None:
            return None
        folder = self.home / f"{NAME}{self.digest}"
        try:
            usable = folder.is_dir() and not folder.is_symlink() and not_private(self.home) is None
            if not usable or not self._taken(folder):
                return None
            reason = not_private(folder)
            if reason is not None:
                raise DataError(f"{folder} {reason}")
            index = Index.read(folder / "train", self.made_of)
        except (OSError, DataError) as error:
            self.discard(str(error))
            return None
        if index is None:  # the run before did not come so far
            return None
        self.folder = folder
        return folder, index

    def discard(self, reason: str) -> None:
        """Say why what lies there cannot be used; ``open`` makes it anew."""
        self.folder = None
        self.note = f"{reason.partition('. Run again')[0].rstrip('.')}; so the rows were made anew"

    def open(self) -> Path:
        """The folder, empty; raises DataError where none can be made."""
        if self.folder is None:
            try:
                self.home.mkdir(mode=FOLDER, parents=True, exist_ok=True)
                self._check_home()
                _sweep(self.home, self.keep)
                self.folder = self._made_again() or self._made_once()
            except OSError as error:
                raise no_room(self.home, error) from None
        return self.folder

    def close(self, finished: bool) -> None:
        """Delete the folder unless it is to be kept: because the user named it, or because the run is not finished."""
        folder, self.folder = self.folder, None
        whole = folder is not None and (folder / "train" / INDEX).exists()
        kept = whole and not _is_once(folder) and (self.keep or not finished)
        if folder is not None and not kept:
            _delete(folder)
        if self._lock is not None and not kept and not (folder is not None and folder.exists()):
            _delete(self._lock_file)  # while it is held: who waits for it sees that it is gone
        self._let_go()

    def _made_again(self) -> Path | None:
        """The folder that another run would find; None where one is at it, or what is there cannot be deleted."""
        folder = self.home / f"{NAME}{self.digest}"
        try:
            if self.made_of is None or not self._taken(folder):
                return None
        except OSError:  # a file system without locks
            return None
        _delete(folder)
        try:
            folder.mkdir(mode=FOLDER)
        except FileExistsError:
            return None
        return folder

    def _made_once(self) -> Path:
        self._let_go()
        for _ in range(TRIES):
            folder = Path(tempfile.mkdtemp(prefix=ONCE, dir=self.home))
            try:
                if self._taken(folder):
                    return folder
            except OSError:  # a file system without locks: cleanups leave alone what has none
                return folder
        raise OSError("it is being cleaned up all the time")

    def _taken(self, folder: Path) -> bool:
        """Whether the lock of this folder is this run's, from now on. Raises OSError where there are no locks."""
        if self._lock is None:
            self._lock_file = _lock_of(folder)
            self._lock = _locked(self._lock_file)
        return self._lock is not None

    def _let_go(self) -> None:
        if self._lock is not None:
            _unlock(self._lock)
        self._lock = self._lock_file = None

    def _check_home(self) -> None:
        """Raise DataError where others could change what lies there."""
        try:
            reason = not_private(self.home)
        except FileNotFoundError:
            return
        except OSError as error:
            raise no_room(self.home, error) from None
        if reason is None and not self.keep:  # our own, maybe of a version that let others look in
            with contextlib.suppress(OSError):
                self.home.chmod(FOLDER)
        if reason is not None:
            raise DataError(
                f"The cache folder {self.home} {reason}, and what is trained on must be yours alone. Give a folder of "
                "your own (--cache DIR, cache=), or the name of one that is to be made."
            )


def _home() -> Path:
    """Beside other caches of the user; without a home in the folder for temporary files, one for each user."""
    base = user_cache()
    if base is None:
        user = os.geteuid() if hasattr(os, "geteuid") else "own"
        return Path(tempfile.gettempdir(), f"fallline-rows-{user}")
    return base / "fallline" / "rows"


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _is_once(folder: Path | None) -> bool:
    return folder is not None and folder.name.startswith(ONCE)


def _locked(path: Path) -> int | None:
    """A handle on the lock of this name, or None where another run has it.

    Raises OSError where it cannot be made, or the file system has no locks.
    """
    try:
        import fcntl
    except ImportError:  # Windows: two runs at once on the same table and settings are on their own
        return NO_LOCK
    handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, FILE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_ino == path.stat().st_ino:
            return handle
    except (BlockingIOError, FileNotFoundError):  # another run has it, or has just deleted it
        pass
    except OSError:
        os.close(handle)
        raise
    os.close(handle)
    return None


def _unlock(lock: int) -> None:
    if lock != NO_LOCK:
        with contextlib.suppress(OSError):
            os.close(lock)


def _delete(path: Path | None) -> None:
    """Delete a file, or a folder with all that is in it: the index first, so that no half of it looks whole."""
    if path is None:
        return
    if path.is_dir() and not path.is_symlink():
        with contextlib.suppress(OSError):
            (path / "train" / INDEX).unlink()
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _sweep(home: Path, keep: bool) -> None:
    """Delete what runs left behind that nobody can take up again, or has not for long. What a run uses is locked.

    In a folder that a user named, only what nobody could find again: it may hold other things of such names.
    """
    for folder in home.glob(f"{ONCE if keep else NAME}*"):
        path = folder if folder.suffix == ".lock" else _lock_of(folder)
        if folder.suffix == ".lock" and folder.with_suffix("").exists():
            continue  # comes with its folder
        with contextlib.suppress(OSError):
            dead = _is_once(folder) and path.exists()  # a run makes the lock at once, and lets go of it when it ends
            if not dead and (keep or not _stale(folder)):
                continue
            lock = _locked(path)
            if lock is None:
                continue
            _delete(folder)
            _delete(path)
            _unlock(lock)


def _stale(folder: Path) -> bool:
    """Whether nothing was written there for long."""
    newest = max(path.stat().st_mtime for path in [folder, *folder.rglob("*")])
    return time.time() - newest > STALE
