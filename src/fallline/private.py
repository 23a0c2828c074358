"""Files and folders that are this user's alone: somebody's rows, which nobody else may read; compiled kernels, which run.

Rows lie in a folder that the user may name, so that it must be the user's and closed to others (``not_private``). Of kernels
the whole way to them is looked at, too (``is_private``), since who puts a folder in its place has code run.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Final, cast

FILE: Final = 0o600  # mode: the owner alone
FOLDER: Final = 0o700
OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
OTHERS_ENTER: Final = stat.S_IRWXG | stat.S_IRWXO
MOST_LINKS: Final = 40  # symbolic links in a row, as many as Linux follows


def user_cache() -> Path | None:
    """The user's cache folder; None where there is none, because there is no home.

    It is absolute. A relative one, which the XDG standard says to ignore, would be in whatever folder the program was
    started from.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    found = (
        given if given.is_absolute() else Path(os.path.expanduser("~/.cache"))
    )  # Path.expanduser raises without a home
    return found if found.is_absolute() else None


def open_private(path: Path, mode: str) -> BufferedIOBase:
    """``open(path, mode)`` of bytes; a file that it makes is the owner's alone.

    Links are not followed, and what is no file but a pipe is not waited for: nothing is read from it.
    """
    return cast(BufferedIOBase, open(path, mode, opener=_owners))


def not_private(folder: Path) -> str | None:
    """Why a folder is no place for private files: another user's, or others may write there; None where it is one.

    Raises OSError where it cannot be looked at.
    """
    found = folder.stat()
    if not hasattr(os, "geteuid"):  # Windows: folders below the user's own are the user's alone
        return None
    if found.st_uid != os.geteuid():
        return "belongs to another user"
    return "can be written to by others" if found.st_mode & OTHERS_WRITE else None


def made_private(folder: Path) -> None:
    """Make the folder, and those above it that are missing, for this user alone; raises OSError where that cannot be."""
    for path in reversed([folder, *folder.parents]):
        if not path.exists():
            path.mkdir(mode=FOLDER, exist_ok=True)


def is_private(folder: Path) -> bool:
    """Whether `folder`, what lies in it, and the way to it are this user's or root's, and nobody else can write there.

    Links on the way are followed one by one: each must be of this user or of root, and so must what it leads to. On the way
    a sticky folder such as /tmp will do, for there nobody can rename what is another's. On Windows, where the profile of a
    user is private as it is, nothing is looked at. Raises OSError where it cannot be looked at.
    """
    if not hasattr(os, "geteuid"):
        return True
    *way, last = _way(folder)
    if not all(map(_may_lead, way)) or not _ours(last.lstat()):
        return False
    closed = not last.lstat().st_mode & OTHERS_ENTER  # nobody else can enter, so modes within are of no account
    return all(_ours(found, closed) for found in _contents(last))


def _owners(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), FILE)


def _way(path: Path) -> Iterator[Path]:
    """Every folder and link that opening `path` passes, the root first, what it comes to last."""
    at, parts, links = Path(path.anchor), list(path.parts[1:]), 0
    yield at
    while parts:
        part = parts.pop(0)
        if part == "..":
            at = at.parent
            continue
        step = at / part
        yield step
        if not step.is_symlink():
            at = step
            continue
        links += 1
        if links > MOST_LINKS:
            raise OSError(f"{path}: too many links")
        target = Path(os.readlink(step))
        at = Path(target.anchor) if target.is_absolute() else at
        parts = [*target.parts[bool(target.anchor) :], *parts]
    yield at


def _contents(folder: Path) -> Iterator[os.stat_result]:
    for top, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(top, name)
            try:
                yield path.lstat()
            except FileNotFoundError:  # another process has just replaced this file of its own
                continue


def _may_lead(path: Path) -> bool:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):  # its mode says nothing
        return found.st_uid in (0, os.geteuid())
    return _ours(found, closed=bool(found.st_mode & stat.S_ISVTX))


def _ours(found: os.stat_result, closed: bool = False) -> bool:
    """Whether it is a folder or a file of this user or of root that others cannot write to; `closed`: or replace."""
    own = found.st_uid in (0, os.geteuid()) and (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode))
    return own and (closed or not found.st_mode & OTHERS_WRITE)
