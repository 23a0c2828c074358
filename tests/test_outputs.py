"""The command line's outputs: standard streams that fail, and a model that is saved before anything else may fail."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

import fallline
from fallline import stopping
from fallline.cli import main
from fallline.errors import DataError, OutputError
from fallline.report import ending, figure
from fallline.rows.sources import scan_files
from fallline.rows.write import write_csv
from fallline.tables import asked

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
posix = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


@pytest.fixture(name="table")
def _table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small table in a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    a = np.arange(200.0)
    pl.DataFrame({"a": a, "b": a % 7, "y": 3.0 * a + np.cos(a)}).write_csv("t.csv")
    return "t.csv"


@pytest.fixture(name="model")
def _model(table: str) -> str:
    assert call("fit", table, "--target", "y", "--out", "m.fall") == 0
    return "m.fall"


def call(*arguments: str) -> int:
    """The exit code of a command; it uses the standard streams as they are."""
    with pytest.raises(SystemExit) as end:
        main(list(arguments), prog_name="fallline")
    return int(end.value.code or 0)


class Grudging(io.RawIOBase):
    """An unbuffered stream that takes a few bytes at a time, and after `room` bytes none."""

    def __init__(self, room: float = float("inf")) -> None:
        self.taken, self.room = b"", room

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        some = bytes(data)[: int(min(5, self.room - len(self.taken)))]
        if data and not some:
            raise OSError(28, "No space left on device")
        self.taken += some
        return len(some)


@needs_full
@pytest.mark.parametrize("command", [
    ["--help"], ["--version"], ["fit", "--help"], ["explain"], ["explain", "D02"], ["predict", "m.fall", "t.csv"],
    ["export", "m.fall", "--to", "sql"], ["fit", "t.csv", "--target", "y", "--json"],
    ["fit", "t.csv", "--target", "y", "--jsonl"],
], ids=" ".join)  # fmt: skip
@pytest.mark.parametrize("buffered", [True, False])
def test_a_full_standard_output_is_an_error_with_a_sentence(
    command: list[str], buffered: bool, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with FULL.open("wb", buffering=-1 if buffered else 0) as raw, monkeypatch.context() as patch:
        stream = io.TextIOWrapper(raw, encoding="utf-8", write_through=not buffered)
        patch.setattr(sys, "stdout", stream)
        assert call(*command) == 7
    told = capsys.readouterr().err
    assert "error: Standard output was not written whole: the disk is full." in told and "Traceback" not in told
    if command[0] == "fit" and "--help" not in command:
        assert Path("t.fall").exists() and fallline.load("t.fall").verdict == "converged"


def test_an_unbuffered_standard_output_gets_all(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def output_of(*command: str) -> bytes:
        raw = Grudging()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8", write_through=True))
        assert call(*command) == 0
        return raw.taken

    assert len(pl.read_csv(output_of("predict", model, "t.csv"))) == 200
    assert json.loads(output_of("fit", "t.csv", "--target", "y", "--json"))["verdict"] == "converged"
    assert output_of("explain", "D02").decode() == CliRunner().invoke(main, ["explain", "D02"]).stdout


def test_a_disk_that_fills_up_under_an_unbuffered_standard_output(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["predict", model, "t.csv"], ["--help"]):
        raw = Grudging(room=102)
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8", write_through=True))
        assert call(*command) == 7 and len(raw.taken) == 102
        assert "the disk is full" in capsys.readouterr().err


@posix
def test_a_reader_that_goes_away_is_told_once(model: str) -> None:
    pl.DataFrame({"a": np.arange(50_000.0), "b": 1.0}).write_csv("long.csv")
    code = "from fallline.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "predict", model, "long.csv", "--quiet"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == b"predicted y\n"
    process.stdout.close()
    told = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 7
    assert told == "error: Standard output was not written whole: the program that was reading it has ended.\n"


def test_closed_streams(model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["explain"], ["predict", model, "t.csv"], ["fit", "t.csv", "--target", "y", "--json"]):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", None)
            assert call(*command) == 7
        told = capsys.readouterr().err
        assert told == "error: Standard output was not written whole: it is closed.\n"  # before any work is done
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", None)
        assert call("fit", "t.csv", "--target", "y", "--out", "n.fall") == 0
        patch.setattr(sys, "stdin", None)
        with pytest.raises(DataError, match="standard input is closed"):
            scan_files("-")


@needs_full
def test_words_that_cannot_be_told_do_not_cost_the_model(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with FULL.open("w", encoding="utf-8") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        assert call("fit", table, "--target", "y") == 7
        assert call("fit", "none.csv", "--target", "y") == 4
    assert fallline.load("t.fall").verdict == "converged"


def press(times: int = 1) -> Callable[..., None]:
    def do(*_: Any, **__: Any) -> None:
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)

    do.__name__ = f"press {times}"
    return do


def refuse(*_: Any, **__: Any) -> None:
    raise OutputError("the picture cannot be drawn")


@posix
@pytest.mark.parametrize(("where", "what", "code"), [
    ("picture", press(2), 0), ("picture", refuse, 7), ("verdict", press(), 1), ("verdict", press(2), 1),
    ("saving", press(), 0), ("saving", press(2), 0), ("closing", press(2), 0),
], ids=lambda value: getattr(value, "__name__", str(value)))  # fmt: skip
def test_whatever_comes_after_training_keeps_the_model(
    where: str, what: Callable[..., None], code: int, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fallline.tables import Prepared

    monkeypatch.setattr(stopping, "_pressed_at", -float("inf"))
    place, name = {
        "picture": (figure, "save_png"), "verdict": (ending, "show_verdict"), "saving": (fallline.Result, "save"),
        "closing": (Prepared, "close"),
    }[where]  # fmt: skip
    real = getattr(place, name)

    def first(*arguments: Any, **options: Any) -> Any:
        what()
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(place, name, first)
        done = CliRunner().invoke(main, ["fit", table, "--target", "y", "--plot", "p.png"])
    assert done.exit_code == code and "Traceback" not in done.stderr
    model = fallline.load(Path(table).with_suffix(".fall"))
    assert model.verdict == "converged" and ("t.fall" in done.stderr) == (where != "verdict")


@posix
def test_a_model_for_a_pipe_that_nobody_reads_can_be_given_up(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "_pressed_at", -float("inf"))
    monkeypatch.setattr(fallline.Result, "save", press(stopping.PATIENCE))
    assert CliRunner().invoke(main, ["fit", table, "--target", "y"]).exit_code == 1


@needs_full
def test_where_the_model_cannot_be_saved_the_rows_stay_for_the_next_run(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "LEAST_MEMORY", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = tmp_path / "cache" / "fallline" / "rows"

    def save(self: fallline.Result, path: Path) -> None:
        raise OutputError(f"{path} was not written: the disk is full. Nothing was changed.")

    with monkeypatch.context() as patch:
        patch.setattr(fallline.Result, "save", save)
        done = CliRunner().invoke(main, ["fit", table, "--target", "y", "--memory", "5000"])
    assert done.exit_code == 7 and "the disk is full" in done.stderr and not Path("t.fall").exists()
    (kept,) = rows.glob("rows-*/train")
    assert kept.parent.name in done.stderr and "the same command again" in done.stderr
    done = CliRunner().invoke(main, ["fit", table, "--target", "y", "--memory", "5000"])
    assert done.exit_code == 0 and Path("t.fall").exists() and not list(rows.glob("rows-*/train"))


@pytest.mark.parametrize(("command", "words"), [
    (["fit", "none.csv", "--target", "y", "--out", "nowhere/m.fall"], "no folder 'nowhere'"),
    (["fit", "none.csv", "--target", "y", "--out", "n" * 256], "too long"),
    (["fit", "none.csv", "--target", "y", "--plot", "nowhere/p.png"], "no folder 'nowhere'"),
    (["fit", "t.csv", "--target", "y", "--out", "t.csv"], "is being read"),
    (["fit", "*.csv", "--target", "y", "--out", "./t.csv"], "is being read"),
    (["fit", ".", "--target", "y", "--out", "t.csv"], "is being read"),
    (["fit", "t.csv", "--target", "y", "--out", "x.png", "--plot", "./x.png"], "where the model goes"),
    (["predict", "m.fall", "t.*", "--out", "t.csv"], "is being read"),
    (["predict", "m.fall", "t.csv", "--out", "m.fall"], "is being read"),
    (["report", "m.fall", "--out", "nowhere/r.html"], "no folder 'nowhere'"),
    (["export", "m.fall", "--to", "json", "--out", "."], "is a folder"),
    (["compare", "none.csv", "--target", "y", "--optimizers", "adam", "--plot", "nowhere/p.png"], "no folder"),
    (["demo", "--out", "nowhere/m.fall"], "no folder"),
], ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "")  # fmt: skip
def test_places_that_cannot_be_written_are_refused_before_the_work(
    command: list[str], words: str, table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in Path().iterdir()}
    assert call(*command) == 2
    told = capsys.readouterr().err
    assert words in told and len(told) <= 301 and told.count("\n") == 1
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_columns_of_predictions_with_any_name_are_read_as_they_are() -> None:
    names = ['a"b', "a,b", "a\nb", "a\rb", " a ", "=1+1", "\x1b[31m", "é"]
    values = [0.1, 1e308, 5e-324, -1.0 / 3.0]
    frame = pl.DataFrame({name: values for name in names} | {"label": ['"', ",", "\r", "a\nb"]})
    written = io.BytesIO()
    write_csv(iter([frame, frame]), written.write)
    import csv

    rows = list(csv.reader(io.StringIO(written.getvalue().decode(), newline="")))
    assert rows[0] == frame.columns and len(rows) == 9
    assert [[*map(float, row[:-1]), row[-1]] for row in rows[1:5]] == [list(row) for row in frame.rows()]


def spooled(text: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    return scan_files("-")


def test_standard_input_leaves_nothing_and_is_called_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = spooled(b"a,y\n" + b"1,2\n" * 50, tmp_path, monkeypatch)
    if sys.platform == "linux":
        assert list(tmp_path.iterdir()) == []  # while it is read, too: a run that is killed leaves nothing
    assert sum(frame.height for frame in source.frames()) == 50
    del source
    assert list(tmp_path.iterdir()) == []
    for text in (b"", b"a,y\n", b"a,y\n" + b"1,2\n" * 2500 + b"1,2,3\n", b"a,y\n" + b"1,2\n" * 2500 + b"x,2\n"):
        with pytest.raises(DataError, match="standard input") as caught:
            list(spooled(text, tmp_path, monkeypatch).frames(1000))
        assert "/proc" not in str(caught.value) and str(tmp_path) not in str(caught.value)


@posix
def test_no_room_for_standard_input_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OutputError, match="standard input was not written .* larger than is allowed.* TMPDIR"):
            spooled(b"a,y\n" + b"1,2\n" * 5000, tmp_path, monkeypatch)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="no such folder"):
        spooled(b"a,y\n1,2\n", tmp_path / "nowhere", monkeypatch)
