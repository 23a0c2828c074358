"""Compile a kernel, and keep what was compiled on disk for the next process.

What is kept lies in a folder named after everything it was made from: every source file of the kernels, losses and
rules, and the versions of Numba, NumPy and Python. Change a formula and the name changes, so nothing out of date can
ever be used. (Numba's own cache looks at the file of the kernel alone.) Kernels of a user's own loss or rule are not
kept: their source may be anywhere, and compiling takes a second.
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

VARIABLE = "FALLLINE_CACHE_DIR"
# Sums may be reordered, which is what lets several rows be added at once; infinity and NaN stay what they are.
LENIENT = {"reassoc", "contract", "nsz", "arcp"}
PACKAGE = Path(__file__).resolve().parent.parent
MADE_FROM = ("kernels", "losses", "optimizers")


class Kernel:
    """A function, compiled when it is first called with arguments of new types."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._kept: Any = numba.njit(nogil=True, error_model="numpy", fastmath=LENIENT)(function)
        self._fresh: Any = numba.njit(nogil=True, error_model="numpy", fastmath=LENIENT)(function)
        _keep_on_disk(self._kept)

    def __call__(self, *args: Any, keep: bool = True) -> Any:
        """Run it. `keep` False: a user's own formula is among the arguments, so leave the disk alone."""
        return (self._kept if keep else self._fresh)(*args)


def cache_folder() -> Path:
    """Where compiled kernels of these very sources are kept.

    Under ``FALLLINE_CACHE_DIR`` where that is set; else beside the sources; else, where those cannot be written to, in
    the user's cache folder; else in a temporary one.
    """
    name = f"kernels-{_digest()}"
    for home in _homes():
        with contextlib.suppress(OSError):
            (home / name).mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=home / name).close()
            return home / name
    return Path(tempfile.mkdtemp(prefix="fallline-"))


def clear_kernel_cache() -> int:
    """Delete the compiled kernels that are kept on disk, of this version and of others; return how many files.

    Nothing is lost but time: a kernel is compiled again when it is next needed, in about a second.
    """
    gone = 0
    for home in _homes():
        for folder in home.glob("kernels-*"):
            gone += sum(path.is_file() for path in folder.rglob("*"))
            shutil.rmtree(folder, ignore_errors=True)
    return gone


def _homes() -> list[Path]:
    given = os.environ.get(VARIABLE)
    if given:
        return [Path(given).expanduser()]
    if sys.platform == "win32":
        user = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        user = Path.home() / "Library" / "Caches"
    else:
        user = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return [PACKAGE / "__pycache__", user / "fallline"]


@cache
def _digest() -> str:
    """Of every source file that a kernel may be made from, and of what compiles them."""
    made_of = hashlib.sha256(f"{numba.__version__} {np.__version__} {sys.version} {sys.platform}".encode())
    for folder in MADE_FROM:
        for path in sorted((PACKAGE / folder).glob("*.py")):
            made_of.update(path.name.encode() + path.read_bytes())
    return made_of.hexdigest()[:16]


def _keep_on_disk(dispatcher: Any) -> None:
    """Numba's own cache of compiled functions, in our folder: it asks its configuration where, just once."""
    before = numba.config.CACHE_DIR
    try:
        numba.config.CACHE_DIR = str(cache_folder())
        with contextlib.suppress(RuntimeError, OSError):  # nowhere to write: compiled anew in each process
            dispatcher.enable_caching()
    finally:
        numba.config.CACHE_DIR = before
