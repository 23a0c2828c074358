"""Files that hold somebody's rows: nobody else may read them, whatever the umask says."""

from __future__ import annotations

import os
import stat
from io import BufferedIOBase
from pathlib import Path
from typing import cast

FILE, FOLDER = 0o600, 0o700  # modes: the owner alone
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def open_private(path: Path, mode: str) -> BufferedIOBase:
    """``open(path, mode)`` of bytes; a file that it makes is the owner's alone.

    Links are not followed, and what is no file but a pipe is not waited for: nothing is read from it.
    """
    return cast(BufferedIOBase, open(path, mode, opener=_owners))


def _owners(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), FILE)


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
