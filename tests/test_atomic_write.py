"""What is written goes where it was meant: whole, with its permissions, and never in the place of a device or a pipe."""

from __future__ import annotations

import errno
import os
import pickle
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import fallline
from fallline.atomic_write import refusal, shown, write_whole, writing
from fallline.errors import OutputError, SettingError
from fallline.loggers.csv import CsvLogger
from fallline.loggers.jsonl import JsonLinesLogger
from fallline.report.figure import save_png
from fallline.rows.write import write_table

posix = pytest.mark.skipif(os.name != "posix", reason="devices, pipes and permissions as POSIX has them")


@pytest.fixture(scope="module")
def model() -> fallline.Result:
    x = np.arange(40.0)[:, None]
    return fallline.fit(x, 3.0 * x[:, 0] + np.cos(x[:, 0]), check=0.2)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in which no temporary file is left at the end."""
    yield tmp_path
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


@pytest.fixture(params=["without a name", "named"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the new file is made: without a name, as on Linux, and as everywhere else."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    return str(request.param)


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A device that takes nothing. An administrator's mistake here would replace the machine's own, so it gets another."""
    path = tmp_path / "full"
    if os.name != "posix" or not os.path.exists("/dev/full"):
        pytest.skip("no device that is always full")
    if os.geteuid() != 0:
        path.symlink_to("/dev/full")
        return path
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 7))
        os.close(os.open(path, os.O_WRONLY))
    except OSError:
        pytest.skip("no devices can be made here")
    return path


def frames(*, fail: bool = False) -> Iterator[pl.DataFrame]:
    yield pl.DataFrame({"predicted y": np.arange(50_000.0)})
    if fail:
        raise SettingError("the reading failed")
    yield pl.DataFrame({"predicted y": np.arange(50_000.0)})


DOORS: dict[str, Callable[[fallline.Result, Path], Any]] = {
    "model": lambda model, path: model.save(path),
    "page": lambda model, path: model.report(path),
    "comparison": lambda model, path: fallline.compare([model, model]).report(path),
    "json": lambda model, path: model.to_json(path),
    "onnx": lambda model, path: model.to_onnx(path),
    "picture": lambda model, path: save_png(model.plot(), path),
    "csv": lambda _, path: write_table(frames(), path),
}
LOGGERS: dict[str, Callable[[fallline.Result, Path], Any]] = {
    "csv logger": lambda _, path: CsvLogger(path).add("a,b"),
    "jsonl logger": lambda _, path: JsonLinesLogger(path).log(3, {"loss": 1.0}),
}


def reading(path: Path) -> tuple[threading.Thread, list[bytes]]:
    data: list[bytes] = []
    thread = threading.Thread(target=lambda: data.append(path.read_bytes()), daemon=True)
    thread.start()
    return thread, data


@posix
@pytest.mark.parametrize("door", DOORS)
def test_a_pipe_is_written_to_and_stays(door: str, model: fallline.Result, folder: Path) -> None:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    reader, data = reading(pipe)
    DOORS[door](model, pipe)
    reader.join(30)
    assert len(data[0]) > 100 and stat.S_ISFIFO(pipe.lstat().st_mode)


@pytest.mark.parametrize("door", [*DOORS, *LOGGERS])
def test_a_device_that_takes_nothing_is_an_error_and_stays(
    door: str, model: fallline.Result, folder: Path, full: Path
) -> None:
    with pytest.raises(OutputError, match="full was not written: the disk is full") as caught:
        (DOORS | LOGGERS)[door](model, full)
    assert caught.value.exit_code == 7 and len(str(caught.value)) <= 300
    assert stat.S_ISCHR(full.stat().st_mode)


@posix
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_predictions_to_a_pipe_whose_reader_has_gone(suffix: str, folder: Path) -> None:
    pipe = folder / f"pipe{suffix}"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: os.close(os.open(pipe, os.O_RDONLY)), daemon=True)
    reader.start()
    with pytest.raises(OutputError, match="the program that was reading it has ended"):
        write_table(frames(), pipe)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)


@posix
def test_of_a_link_the_file_that_it_points_at_is_written(folder: Path, way: str) -> None:
    old, new = folder / "old", folder / "new"
    old.write_bytes(b"before")
    for target, name in ((old, "to an old one"), (new, "to none yet")):
        link = folder / name
        link.symlink_to(target.name)
        write_whole(link, b"data")
        assert link.is_symlink() and not target.is_symlink() and target.read_bytes() == b"data"


@posix
def test_names_that_somebody_has_planted_are_not_followed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = folder / "victim"
    victim.write_bytes(b"precious")
    for name in (".out.csv.part", ".00.part"):
        (folder / name).symlink_to(victim)
    write_table(frames(), folder / "out.csv")
    monkeypatch.setattr("secrets.token_hex", lambda _: "00")  # an attacker who could guess it
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    with pytest.raises(OutputError):
        write_whole(folder / "out.csv", b"data")
    assert victim.read_bytes() == b"precious" and (folder / "out.csv").stat().st_size > 100_000
    for name in (".out.csv.part", ".00.part"):
        (folder / name).unlink()


@posix
def test_permissions_are_kept_and_new_files_follow_the_umask(folder: Path, way: str) -> None:
    for mode in (0o600, 0o640, 0o664):
        old = folder / f"{mode:o}"
        old.write_bytes(b"before")
        old.chmod(mode)
        write_whole(old, b"data")
        assert (stat.S_IMODE(old.stat().st_mode), old.read_bytes()) == (mode, b"data")
    for umask in (0o022, 0o027, 0o077):
        before = os.umask(umask)
        try:
            write_whole(folder / f"umask {umask:o}", b"data")
        finally:
            os.umask(before)
        assert stat.S_IMODE((folder / f"umask {umask:o}").stat().st_mode) == 0o666 & ~umask


@posix
def test_nobody_else_can_read_a_file_while_it_is_written(folder: Path, way: str) -> None:
    old = folder / "old"
    old.write_bytes(b"before")
    old.chmod(0o644)
    for path in (old, folder / "new"):
        with writing(path) as output:
            output.write(b"data")
            handle = output._handle
            assert stat.S_IMODE(os.fstat(handle).st_mode) == 0o600
        assert stat.S_IMODE(path.stat().st_mode) & 0o400


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_the_owner_is_kept(folder: Path, way: str) -> None:
    path = folder / "file"
    path.write_bytes(b"before")
    os.chown(path, 1234, 2345)
    path.chmod(0o640)
    write_whole(path, b"data")
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 2345, 0o640)


@posix
def test_a_group_that_cannot_be_kept_gets_no_more_than_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "file"
    path.write_bytes(b"before")
    path.chmod(0o660)
    status = os.stat(path)

    class Elsewhere:
        st_mode, st_uid, st_gid = status.st_mode, status.st_uid, status.st_gid + 1

    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "not yours")

    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr("fallline.atomic_write._status", lambda _: Elsewhere)
    write_whole(path, b"data")
    monkeypatch.undo()
    assert (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) == (0o600, b"data")


def test_of_two_runs_to_one_name_both_go_well_and_one_wins(folder: Path, way: str) -> None:
    path = folder / "out.csv"
    contents = [bytes([65 + k]) * 200_000 for k in range(6)]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(5):
            list(pool.map(lambda data: write_whole(path, data), contents))
            assert path.read_bytes() in contents


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_predictions_that_break_off_leave_the_old_file(
    suffix: str, folder: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / f"p{suffix}"
    write_whole(path, b"before")
    with pytest.raises(SettingError, match="the reading failed"):
        write_table(frames(fail=True), path)
    real, left = os.write, [1000]

    def write(handle: int, data: Any) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = real(handle, data[: left[0]])
        left[0] -= taken
        return taken

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(OutputError, match="the disk is full. Nothing was changed"):
            write_table(frames(), path)
    assert path.read_bytes() == b"before" and os.listdir(folder) == [path.name]


def test_a_system_that_takes_a_few_bytes_at_a_time_gets_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda handle, data: real(handle, data[:7]))
        write_whole(folder / "file", bytes(range(256)))
    assert (folder / "file").read_bytes() == bytes(range(256))


@pytest.mark.parametrize("call", ["fsync", "replace", "close", "chmod"])
def test_a_step_that_fails_leaves_the_old_file(
    call: str, folder: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "file"
    write_whole(path, b"before")
    real, calls = getattr(os, call), [0]

    def fail(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        if call == "close":
            real(*arguments)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        patch.setattr(os, "supports_fd", {*os.supports_fd, os.chmod})
        with pytest.raises(OutputError, match="Input/output error|I/O"):
            write_whole(path, b"data")
    assert calls[0] and path.read_bytes() == b"before" and os.listdir(folder) == ["file"]


def test_where_hard_links_are_forbidden_it_is_done_with_a_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EPERM, "no links")

    old = folder / "old"
    write_whole(old, b"before")
    old.chmod(0o600)
    monkeypatch.setattr(os, "link", refuse)
    for path in (old, folder / "new"):
        write_whole(path, b"data" * 1000)
        assert path.read_bytes() == b"data" * 1000
    assert os.name != "posix" or stat.S_IMODE(old.stat().st_mode) == 0o600


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="files without a name are Linux's")
def test_a_process_that_is_killed_leaves_nothing(folder: Path) -> None:
    try:
        os.close(os.open(folder, os.O_WRONLY | os.O_TMPFILE, 0o600))
    except OSError:
        pytest.skip("this file system has no files without a name")
    code = """
import os, signal, sys
from fallline.atomic_write import writing
with writing(sys.argv[1]) as output:
    output.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    write_whole(folder / "old", b"before")
    for name in ("old", "new"):
        done = subprocess.run([sys.executable, "-c", code, str(folder / name)], timeout=60, check=False)
        assert done.returncode == -9
    assert os.listdir(folder) == ["old"] and (folder / "old").read_bytes() == b"before"


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="no names for open files")
def test_an_open_file_is_written_on_where_it_stands(folder: Path) -> None:
    with (folder / "log").open("wb") as file:
        file.write(b"first\n")
        file.flush()
        write_whole(f"/dev/fd/{file.fileno()}", b"second\n")
        link = folder / "link"
        link.symlink_to(f"/dev/fd/{file.fileno()}")
        write_whole(link, b"third\n")
        assert link.is_symlink()
        file.write(b"last\n")
    assert (folder / "log").read_bytes() == b"first\nsecond\nthird\nlast\n"
    with pytest.raises(OutputError):
        write_whole("/dev/fd/987", b"data")


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux")
@pytest.mark.parametrize("name", ["n" * 255, "bad\udcff\udcfe", "two\nlines", "\x1b[31m", " ", "*[a]"])
def test_any_name_that_the_system_takes(name: str, model: fallline.Result, folder: Path) -> None:
    path = folder / name
    for _ in range(2):
        assert refusal(path) == ""
        model.save(path)
        write_table(frames(), path.with_name(name[:-4] + ".pq"))
    assert fallline.load(path).theta.tolist() == model.theta.tolist()
    assert "\n" not in shown(path) and len(shown(path)) <= 80


def test_what_cannot_be_written_is_refused_before_the_work(folder: Path) -> None:
    assert "is a folder" in refusal(folder)
    assert "there is no folder" in refusal(folder / "nowhere" / "file")
    assert refusal(folder / "file") == ""
    (folder / "file").touch()
    assert refusal(folder / "file") == ""
    assert "no folder" in refusal(folder / "file" / "below")
    if os.name == "posix":
        assert "too long" in refusal(folder / ("n" * 256))
        assert "is not open" in refusal(Path("/dev/fd/987"))
        (folder / "loop").symlink_to("loop")
        assert "cannot be written" in refusal(folder / "loop")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_files_and_folders_are_refused_before_the_work(folder: Path) -> None:
    path = folder / "file"
    path.touch()
    path.chmod(0o400)
    assert "is read-only" in refusal(path)
    folder.chmod(0o500)
    assert "no file can be made" in refusal(folder / "other")
    folder.chmod(0o700)


@posix
@pytest.mark.parametrize("kind", [CsvLogger, JsonLinesLogger])
def test_a_logger_to_a_pipe_keeps_it_open_until_the_run_ends(kind: Any, folder: Path) -> None:
    pipe, file = folder / "pipe", folder / "file"
    os.mkfifo(pipe)
    reader, data = reading(pipe)
    x = np.arange(20.0)[:, None]
    for path in (pipe, file):
        logger = kind(path)
        fallline.fit(x, np.cos(x[:, 0]), optimizer="descent", max_passes=5, callback=logger)
        assert pickle.loads(pickle.dumps(logger)).path == path
    reader.join(30)
    lines = data[0].splitlines()
    assert len(lines) >= 3 and len(lines) == len(file.read_bytes().splitlines())
