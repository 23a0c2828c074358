"""Compiled kernels are pickles: they are read only from folders that nobody else can write to or replace."""

from __future__ import annotations

import os
import pickle
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fallline import kernels
from fallline.kernels import compile as compiling
from fallline.private import is_private, made_private

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="folders have no owners here")
SOURCES = str(Path(kernels.__file__).parents[2])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made_private(tmp_path / "a" / "b")
    return tmp_path / "a" / "b"


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path | None]:
    """The folder of kernels as it is in an empty current folder, where site-packages cannot be written to."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compiling, "PACKAGE", Path(os.devnull))
    monkeypatch.setattr(compiling, "_sources", list)

    def found(**environment: str) -> Path | None:
        for name in ("FALLLINE_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return compiling.cache_folder()

    return found


def test_what_we_make_is_private_and_ours(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and is_private(folder)
    (folder / "index").write_bytes(b"")
    os.chmod(folder / "index", 0o666)  # which nobody can reach
    assert is_private(folder)


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_write_to_is_none(folder: Path, mode: int) -> None:
    os.chmod(folder, mode)
    assert not is_private(folder)


def test_nor_is_one_with_files_that_others_write_to_or_links(folder: Path) -> None:
    os.chmod(folder, 0o755)
    file = folder / "index"
    file.write_bytes(b"")
    os.chmod(file, 0o666)
    assert not is_private(folder)
    os.chmod(file, 0o644)
    assert is_private(folder)
    (folder / "link").symlink_to(file)
    assert not is_private(folder)


def test_nor_one_that_others_can_replace(folder: Path) -> None:
    os.chmod(folder.parent, 0o777)
    assert not is_private(folder)
    os.chmod(folder.parent, 0o1777)  # as /tmp is
    assert is_private(folder)


def test_every_link_on_the_way_is_looked_at(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "own").symlink_to("a")
    assert is_private(tmp_path / "own" / "b")
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "next").symlink_to(folder.parent)
    os.chmod(tmp_path / "open", 0o777)
    (tmp_path / "first").symlink_to(Path("open", "next"))
    assert not is_private(tmp_path / "first" / "b")
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError):
        is_private(tmp_path / "round" / "b")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_nor_one_of_another_user(folder: Path, tmp_path: Path) -> None:
    for path in (folder, folder.parent):
        os.chown(path, 12345, -1)
        assert not is_private(folder)
        os.chown(path, 0, -1)
    (folder / "index").write_bytes(b"")
    os.chown(folder / "index", 12345, -1)
    assert not is_private(folder)
    os.chown(folder / "index", 0, -1)
    (tmp_path / "link").symlink_to("a")
    os.chown(tmp_path / "link", 12345, -1, follow_symlinks=False)
    assert not is_private(tmp_path / "link" / "b") and is_private(folder)


@pytest.mark.parametrize("relative", ["", ".", "cache", "./cache", "~nobody-of-this-name"])
def test_nothing_is_read_from_the_current_folder(
    where: Callable[..., Path | None], tmp_path_factory: pytest.TempPathFactory, relative: str
) -> None:
    home = tmp_path_factory.mktemp("home")
    if relative:  # which was meant, and cannot be had
        assert where(HOME=str(home), FALLLINE_CACHE_DIR=relative) is None
    for name in ("FALLLINE_CACHE_DIR", "XDG_CACHE_HOME") if not relative else ("XDG_CACHE_HOME",):
        told = where(HOME=str(home), **{name: relative})
        assert told is not None and home in told.parents
    told = where(HOME=relative)
    assert told is None or told.is_absolute() and Path.cwd() not in told.parents
    assert list(Path.cwd().iterdir()) == []


PROBE = """
from fallline.kernels.compile import Kernel
def doubled(x):
    return 2.0 * x
print(Kernel(doubled)(3.0))
"""


def test_a_planted_pickle_does_not_run(tmp_path: Path) -> None:
    """A folder that others can write to, with an index of Numba's that would leave a mark."""
    mark, cache, script = tmp_path / "mark", tmp_path / "cache", tmp_path / "probe.py"
    script.write_text(PROBE, encoding="utf-8")

    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (mark,)

    def run() -> str:
        environment = {**os.environ, "PYTHONPATH": SOURCES, "FALLLINE_CACHE_DIR": str(cache)}
        told = subprocess.run(
            [sys.executable, str(script)], env=environment, capture_output=True, check=True, timeout=300
        )
        return told.stdout.decode().strip()

    assert run() == "6.0"
    (index,) = cache.rglob("*.nbi")
    index.write_bytes(pickle.dumps(pickle.loads(index.read_bytes())) + pickle.dumps(Evil()))
    os.chmod(cache, 0o777)
    assert run() == "6.0" and not mark.exists()
    os.chmod(cache, 0o700)
    assert run() == "6.0" and mark.exists()  # else this would show nothing


WITHOUT = """
import numpy as np, fallline
from fallline import kernels
rng = np.random.default_rng(0)
X = rng.normal(size=(1000, 5))
y = X[:, 0] + rng.normal(size=len(X))
assert kernels.FROM_NUMBERS > 10**12
print(fallline.fit(X, y).verdict, fallline.fit(X, y, l1=0.1).verdict)
from fallline.kernels.compile import Kernel
try:
    Kernel(len)("")
except fallline.FalllineError as error:
    print(error)
"""


def test_without_the_compiler_numpy_does_it_or_one_sentence_says_why_not() -> None:
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT], env={**os.environ, "PYTHONPATH": SOURCES, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True, text=True, check=True, timeout=300,
    ).stdout.splitlines()  # fmt: skip
    assert told[0] == "converged converged"
    assert told[-1].startswith("NUMBA_DISABLE_JIT is set, and this data")
