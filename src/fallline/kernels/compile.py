"""Compile a kernel, and keep what was compiled on disk for the next process.

What is kept lies in a folder named after everything it was made from: every source file of the kernels, losses and
rules, and the versions of Numba, NumPy and Python. Change a formula and the name changes, so nothing out of date can
ever be used. (Numba's own cache looks at the file of the kernel alone.) Kernels of a user's own loss or rule are not
kept: their source may be anywhere, and compiling takes a second.

What Numba keeps are pickles, and reading a pickle runs what its writer wanted. So they are read only from a folder that
nobody but this user and root can write to or replace (:mod:`fallline.private`), and never from one that is relative to the
current folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.caching import FunctionCache
from numba.core.compiler_lock import global_compiler_lock

from fallline.kernels import BEGAN, CompilerOff
from fallline.private import is_private, made_private, user_cache
from fallline.threads import aside

VARIABLE = "FALLLINE_CACHE_DIR"
# Sums may be reordered, which is what lets several rows be added at once; infinity and NaN stay what they are.
LENIENT = {"reassoc", "contract", "nsz", "arcp"}
PACKAGE = Path(__file__).resolve().parent.parent
DIGITS = 16  # of a digest, in the name of a folder
MADE_FROM = ("kernels", "losses", "optimizers")


class Kernel:
    """A function, compiled when it is first called with arguments of new types."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._seen: set[Any] = set()
        if numba.config.DISABLE_JIT:  # then njit gives the function back as it is
            return
        self._kept: Any = numba.njit(nogil=True, error_model="numpy", fastmath=LENIENT)(function)
        self._fresh: Any = numba.njit(nogil=True, error_model="numpy", fastmath=LENIENT)(function)
        _keep_on_disk(self._kept)

    def __call__(self, *args: Any, keep: bool = True) -> Any:
        """Run it. `keep` False: a user's own formula is among the arguments, so leave the disk alone.

        Arguments of new types are compiled for aside from the main thread: Ctrl-C in the middle of that would leave the
        compiler half set up.
        """
        if numba.config.DISABLE_JIT:
            raise CompilerOff(
                "NUMBA_DISABLE_JIT is set, and this data (streamed, or with columns of text) needs compiled code. Unset it."
            )
        run, kinds = self._kept if keep else self._fresh, (keep, *map(_kind, args))
        if kinds in self._seen:
            return run(*args)
        result = aside(lambda: run(*args))
        self._seen.add(kinds)
        return result


def _kind(value: Any) -> Any:
    """What the compiler tells apart."""
    if not isinstance(value, np.ndarray):
        return type(value)
    flags = value.flags
    return value.dtype, value.ndim, flags.c_contiguous, flags.f_contiguous, flags.writeable


def cache_folder() -> Path | None:
    """Where compiled kernels of these very sources are kept; None where there is no place that is this user's alone.

    Under ``FALLLINE_CACHE_DIR`` where that is set; else beside the sources; else, where those cannot be written to, in
    the user's cache folder. Without a place, kernels are compiled anew in each process.
    """
    if any(path.stat().st_mtime > BEGAN for path in _sources()):
        return None  # edited since they were imported: what is compiled now is not what the files say
    name = f"kernels-{_digest()}"
    for home in _homes():
        with contextlib.suppress(OSError):
            made_private(home / name)
            if is_private(home / name):
                tempfile.TemporaryFile(dir=home / name).close()
                return home / name
    return None


def clear_kernel_cache() -> int:
    """Delete the compiled kernels that are kept on disk, of this version and of others; return how many files.

    Nothing is lost but time: a kernel is compiled again when it is next needed, in about a second.
    """
    gone = 0
    for home in _homes():
        for folder in home.glob(f"kernels-{'[0-9a-f]' * DIGITS}"):
            gone += sum(path.is_file() for path in folder.rglob("*"))
            shutil.rmtree(folder, ignore_errors=True)
    return gone


def _homes() -> list[Path]:
    """Absolute places alone: a relative one is in whatever folder the program was started from."""
    given = os.environ.get(VARIABLE)
    if given:
        return [home for home in (_expanded(given),) if home.is_absolute()]
    if sys.platform == "win32":
        user: Path | None = _expanded(os.environ.get("LOCALAPPDATA") or "~/AppData/Local")
    elif sys.platform == "darwin":
        user = _expanded("~/Library/Caches")
    else:
        user = user_cache()
    homes = [PACKAGE / "__pycache__", *([] if user is None else [user / "fallline"])]
    return [home for home in homes if home.is_absolute()]


def _expanded(path: str) -> Path:
    """With the user's home for ~, where there is one; Path.expanduser would raise where there is none."""
    return Path(os.path.expanduser(path))


def _sources() -> list[Path]:
    return [path for folder in MADE_FROM for path in sorted((PACKAGE / folder).glob("*.py"))]


@cache
def _digest() -> str:
    """Of every source file that a kernel may be made from, and of what compiles them."""
    made_of = hashlib.sha256(f"{numba.__version__} {np.__version__} {sys.version} {sys.platform}".encode())
    for path in _sources():
        made_of.update(path.name.encode() + path.read_bytes())
    return made_of.hexdigest()[:DIGITS]


def _keep_on_disk(dispatcher: Any) -> None:
    """Numba's own cache of compiled functions, in our folder: it asks its configuration where, just once."""
    folder = cache_folder()
    if folder is None:
        return  # compiled anew in each process
    before = numba.config.CACHE_DIR
    try:
        numba.config.CACHE_DIR = str(folder)
        with contextlib.suppress(RuntimeError, OSError):
            dispatcher._cache = Forgiving(FunctionCache(dispatcher.py_func))
    finally:
        numba.config.CACHE_DIR = before


class Forgiving:
    """Numba's cache, which may lose what it holds: a damaged file or a full disk costs a compilation, never a fit."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, *key: Any) -> Any:
        """What is kept for these types, or None."""
        try:
            return self._cache.load_overload(*key)
        except Exception:  # whatever reading half a file raises
            with contextlib.suppress(Exception):
                self._cache.flush()  # an index that cannot be read would refuse what is saved next
            return None

    def save_overload(self, *data: Any) -> None:
        """Keep it where that is possible."""
        with contextlib.suppress(Exception):
            self._cache.save_overload(*data)


if hasattr(os, "register_at_fork"):  # a child forked while another thread compiles would wait for that thread for ever
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )
