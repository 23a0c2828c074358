"""``fallline fit --resume`` with a file that somebody else made: nothing that it names is opened, and its options are checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import safetensors
import safetensors.numpy
from click.testing import CliRunner, Result

import fallline
from fallline import modelfile
from fallline.cli import main

ROWS = "select range as a, (range * 7) % 11 as b, range * 2.0 + ((range * 7) % 11) * 3 + range % 3 as y from range(200)"


def call(*words: object, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], input=answer)


def rewritten(model: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The same file with another command in it, and a right checksum."""
    with safetensors.safe_open(model, framework="numpy") as file:
        sealed = json.loads(file.metadata()["fallline"])
    tensors = dict(safetensors.numpy.load_file(model))
    change(sealed["model"]["settings"]["command"])
    sealed["sha256"] = modelfile._digest(sealed["model"], tensors)
    other = Path("other.fall")
    other.write_bytes(safetensors.numpy.save(tensors, metadata={"fallline": json.dumps(sealed)}))
    return other


@pytest.fixture(name="model")
def _model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of sales.csv that is not finished."""
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"a": [k * 0.37 % 5 for k in range(200)], "b": [k * 7 % 11 for k in range(200)]}).with_columns(
        y=2.0 * pl.col("a") + 3.0 * pl.col("b") + pl.col("b") % 3
    ).write_csv("sales.csv")
    done = call("fit", "sales.csv", "--target", "y", "--optimizer", "descent", "--max-passes", "3", "--quiet")
    assert done.exit_code == 5, done.stderr
    return tmp_path / "sales.fall"


def test_the_command_that_is_printed_names_the_data_again_and_works(model: Path) -> None:
    first = call("fit", "sales.csv", "--target", "y", "--optimizer", "descent", "--max-passes", "3", "--cache", "kept")
    assert "fallline fit --resume sales.fall sales.csv --cache kept" in first.stderr
    assert call("fit", "--resume", "sales.fall", "sales.csv", "--cache", "kept", "--max-passes", "2").exit_code == 5
    assert fallline.load(model).passes > 3


def test_a_file_that_the_model_names_is_not_read(model: Path) -> None:
    for name in ("sales.csv", "http://127.0.0.1:9/sales.csv", "/dev/zero"):
        other = rewritten(model, lambda command, name=name: command.update(file=name))
        done = call("fit", "--resume", other, "--out", "out.fall")
        assert done.exit_code == 2 and "Name the data again" in done.stderr and not Path("out.fall").exists()
        assert len(done.stderr.strip()) <= 300


@pytest.mark.parametrize("db", ["duckdb://", "sqlite:///new.db", "postgresql://127.0.0.1:9/x"])
def test_a_query_that_the_model_names_is_not_run(model: Path, db: str) -> None:
    sql = "copy (select 1) to 'stolen.csv'; " + ROWS
    other = rewritten(model, lambda command: command.update(file=None, sql=sql, db=db))
    done = call("fit", "--resume", other)
    assert done.exit_code == 2 and "--sql QUERY --db URI" in done.stderr
    assert not Path("stolen.csv").exists() and not Path("new.db").exists()


class Terminal:
    """Standard input and standard error, as a terminal's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import fallline.commands.resume as resume

        class Stream:
            @staticmethod
            def isatty() -> bool:
                return True

        monkeypatch.setattr(resume, "sys", type("Sys", (), {"stdin": Stream, "stderr": Stream}))


def test_on_a_terminal_it_is_shown_and_asked(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Terminal(monkeypatch)
    refused = call("fit", "--resume", "sales.fall", answer="n\n")
    assert refused.exit_code == 2 and "    sales.csv" in refused.stderr and "nothing was read" in refused.stderr
    assert call("fit", "--resume", "sales.fall", answer="\n").exit_code == 2  # no is what is meant by nothing
    agreed = call("fit", "--resume", "sales.fall", "--max-passes", "2", answer="y\n")
    assert agreed.exit_code == 5 and "from sales.fall" in agreed.stderr, agreed.stderr


def test_what_is_asked_is_shown_whole_and_inert(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Terminal(monkeypatch)
    hidden = rewritten(model, lambda command: command.update(file="a\x1b[8m\x9b2J\u202e\rb.csv"))
    shown = call("fit", "--resume", hidden, answer="n\n").stderr
    assert r"a\x1b[8m\x9b2J\u202e\rb.csv" in shown and "\x1b" not in shown and "\u202e" not in shown
    for long in ("x" * 2000 + ".csv", "https://ann:***@host/sales.csv"):
        other = rewritten(model, lambda command, long=long: command.update(file=long))
        assert "Name the data again" in call("fit", "--resume", other, answer="y\n").stderr


def test_the_folder_of_the_cache_is_not_taken_from_the_file(model: Path) -> None:
    other = rewritten(model, lambda command: command["options"].update(cache="made", out="made.fall", plot="made.png"))
    done = call("fit", "--resume", other, "sales.csv", "--out", "out.fall", "--memory", "50MB", "--quiet")
    assert done.exit_code in (0, 5) and not list(Path().glob("made*"))


ODD: dict[str, tuple[Any, ...]] = {
    "target": (None, 3, "", "\0", "y ~", ["y"], "a" * 200_000), "loss": (3, "no such", ""), "optimizer": (None, "no such", []),
    "lr": (0.1, "-1", "x", None), "batch_size": (0, -1, 1.5, "8", True), "l1": (-1.0, "x", {"$float": "nan"}, {"$float": "inf"}),
    "l2": (-1.0, True, 10**400), "lower": ("x", {"$float": "nan"}, {"$float": "inf"}), "na": ("some", 3),
    "scale": ("yes", 1, None), "intercept": (0,), "weight": (3, []), "offset": ({},), "exposure": (True,),
    "drop": ("a", [1], [["a"]]),
    "check": (1.0, -0.1, 2, {"$float": "nan"}, "0.2"), "early_stopping": (3,), "inference": ("x",),
    "tol": (-1, {"$float": "nan"}), "max_passes": (-1, "9"), "max_seconds": (-1, None), "seed": (-1, 1.5, None),
    "shuffle": (None,), "auto_fix": ("",),
    "memory": (3, "1..2GB", "1KB", "9GBGB"), "reference": (["rarest"], "none"), "levels": (3, "hash:1", "9" * 5000),
}  # fmt: skip


@pytest.mark.parametrize("name", list(ODD))
def test_options_of_the_file_are_checked_as_those_of_a_user(model: Path, name: str) -> None:
    for value in ODD[name]:
        other = rewritten(model, lambda command, value=value: command["options"].update({name: value}))
        done = call("fit", "--resume", other, "sales.csv", "--max-passes", "1", "--out", "out.fall")
        told = done.stderr.strip()
        assert done.exit_code in (2, 4) and "other.fall" in told and "\n" not in told and len(told) <= 300, (
            value,
            told,
        )
        assert not Path("out.fall").exists()


def test_options_named_again_win_over_those_of_the_file(model: Path) -> None:
    call("fit", "--resume", "sales.fall", "sales.csv", "--tol", "0.5", "--max-passes", "9")
    kept = fallline.load(model).settings["command"]["options"]
    assert (kept["tol"], kept["max_passes"], kept["optimizer"]) == (0.5, 9.0, "descent")


def test_a_query_goes_on_when_it_is_named_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    where = ("--sql", ROWS, "--db", "duckdb://")
    first = call("fit", *where, "--target", "y", "--optimizer", "descent", "--max-passes", "3", "--out", "q.fall")
    assert first.exit_code == 5 and f"fallline fit --resume q.fall --sql '{ROWS}' --db duckdb://" in first.stderr, (
        first.stderr
    )
    assert call("fit", "--resume", "q.fall", *where, "--max-passes", "2").exit_code == 5
    assert call("fit", "--resume", "q.fall", "--sql", ROWS).exit_code == 2  # the database of the file is not taken
