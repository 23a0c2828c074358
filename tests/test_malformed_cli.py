"""Malformed tables and options on the command line: the exit code that is documented, one line, nothing written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

from fallline.cli import main
from fallline.errors import MOST_LETTERS

M = 40
ROWS = np.arange(M)
NUMBERS = {"a": ROWS * 0.5, "b": (ROWS * 7 % 5).astype(float), "y": (ROWS * 3 % 7).astype(float)}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def fitted(*options: object, **columns: Any) -> Result:
    pl.DataFrame(NUMBERS | columns).write_parquet("t.parquet")
    return call("fit", "t.parquet", "--target", "y", "--out", "m.fall", "--quiet", *options)


def with_cell(name: str, row: int, cell: Any) -> list[Any]:
    values: list[Any] = NUMBERS[name].tolist()
    values[row] = cell
    return values


DATA: list[tuple[dict[str, Any], list[str], str]] = [
    ({"y": [[1, 2]] * M}, [], "holds List"),
    ({"y": [{"q": 1}] * M}, [], "holds Struct"),
    ({"y": [b"x", b"z"] * (M // 2)}, [], "holds Binary"),
    ({"y": with_cell("y", 9, np.inf)}, [], "not finite in 1 row (first: row 9"),
    ({"a": with_cell("a", 33, -np.inf)}, ["--check", "0.5"], "infinite in 1 row (first: row 33"),
    ({"a": with_cell("a", 33, np.inf), "y": with_cell("y", 3, None)}, [], "infinite in 1 row (first: row 33"),
    ({"y": with_cell("y", 9, -1.0)}, ["--loss", "poisson"], "1 is not (first: row 9, y = -1)"),
    ({"y": [None, None, *[0.0, 1.0] * 19]}, ["--loss", "gamma"], "19 are not (first: row 2, y = 0)"),
    ({"y": ["u"] * M}, [], "one class only"),
    ({"y": NUMBERS["y"] * 1e300}, [], "Divide it by"),
    ({"y": NUMBERS["y"] * 1e-300}, [], "Multiply it by"),
    ({"a": NUMBERS["a"] * 1e305}, [], "Divide the column"),
    ({"a": NUMBERS["a"] * 1e-310}, [], "Multiply the column"),
    ({"w": with_cell("a", 9, -1.0)}, ["--weight", "w"], "1 row (first: row 9, -1)"),
    ({"w": with_cell("a", 9, np.inf)}, ["--weight", "w"], "1 row (first: row 9, inf)"),
    ({"w": [0.0] * M}, ["--weight", "w"], "No row is left"),
    ({"w": ["x"] * M}, ["--weight", "w"], "weights, offsets and exposures are numbers"),
    ({"o": with_cell("a", 9, np.inf)}, ["--offset", "o"], "not in 1 row (first: row 9)"),
    ({"e": with_cell("a", 9, -1.0)}, ["--exposure", "e", "--loss", "poisson"], "negative in 1 row (first: row 9)"),
    ({"a": [[1, 2]] * M, "b": [1.0] * M}, [], "No column is left"),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "options", "words"), DATA, ids=[case[2] for case in DATA])
def test_data_that_cannot_be_trained_on(columns: dict[str, Any], options: list[str], words: str) -> None:
    done = fitted(*options, **columns)
    assert done.exit_code == 4, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert words in line and len(line.removeprefix("error: ")) <= MOST_LETTERS + len(" (fallline explain D00)")
    assert [p.name for p in Path().iterdir()] == ["t.parquet"]


OPTIONS = ["check", "l1", "l2", "tol", "max-passes", "max-seconds", "lower", "upper"]


@pytest.mark.parametrize("command", [["fit"], ["compare", "--optimizers", "auto"]], ids=["fit", "compare"])
@pytest.mark.parametrize("option", OPTIONS)
def test_no_option_takes_nan(option: str, command: list[str]) -> None:
    pl.DataFrame(NUMBERS).write_parquet("t.parquet")
    done = call(*command, "t.parquet", "--target", "y", f"--{option}", "nan")
    assert done.exit_code == 2, done.stderr
    assert "nan" in done.stderr and "something went wrong" not in done.stderr
    assert [p.name for p in Path().iterdir()] == ["t.parquet"]


@pytest.mark.parametrize(("value", "exit_code"), [("inf", 0), ("1e308", 0), ("-1", 2), ("x", 2)])
def test_budgets_at_the_ends_of_the_range(value: str, exit_code: int) -> None:
    assert fitted("--max-passes", value).exit_code == exit_code


def test_a_constant_target_and_two_shares_are_fitted() -> None:
    assert fitted(y=[5.0] * M).exit_code == 0
    assert call("predict", "m.fall", "t.parquet").stdout.splitlines()[1] == "5.0"
    done = fitted("--loss", "logistic", y=[0.1, 0.12] * (M // 2))
    assert done.exit_code == 0, done.stderr
    assert call("predict", "m.fall", "t.parquet").stdout.splitlines()[0] == "predicted y"
    assert float(call("predict", "m.fall", "t.parquet").stdout.splitlines()[1]) == pytest.approx(0.11, abs=0.02)


def test_counts_of_zero_alone_have_no_finite_optimum() -> None:
    done = fitted("--loss", "poisson", y=[0] * M)
    assert done.exit_code == 3 and "all targets are zero" in " ".join(done.stderr.split())


@pytest.mark.parametrize("budget", [[], ["--memory", "50MB"]])
def test_streamed_rows_are_numbered_as_those_read_whole(budget: list[str]) -> None:
    m = 300_000  # six times 9.6 MB is beyond the budget
    rows = np.arange(m)
    y = (rows * 7 % 11).astype(float)
    y[:10] = np.nan
    frame = {"a": rows * 0.5, "b": rows % 7 * 1.0, "c": rows % 3 * 1.0, "y": y}
    bad = frame["b"].copy()
    bad[250_000] = np.inf
    pl.DataFrame(frame | {"b": bad}).write_parquet("t.parquet", row_group_size=50_000)
    done = call("fit", "t.parquet", "--target", "y", *budget)
    assert done.exit_code == 4 and "row 250,000" in done.stderr, done.stderr
    y[240_000] = -1.0
    pl.DataFrame(frame).write_parquet("t.parquet", row_group_size=50_000)
    done = call("fit", "t.parquet", "--target", "y", "--loss", "poisson", *budget)
    assert done.exit_code == 4 and "row 240,000, y = -1" in done.stderr, done.stderr


def test_a_closed_standard_input_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from fallline.errors import DataError
    from fallline.rows.sources import as_source

    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(DataError, match="standard input is closed"):
        as_source("-")


def test_rows_that_cannot_be_predicted_are_numbered_through() -> None:
    assert fitted().exit_code == 0
    m = 300_000
    cells = np.resize(NUMBERS["a"], m)
    cells[250_000] = np.inf
    pl.DataFrame({"a": cells, "b": np.resize(NUMBERS["b"], m)}).write_parquet("n.parquet", row_group_size=50_000)
    for budget in ([], ["--memory", "50MB"]):
        done = call("predict", "m.fall", "n.parquet", "--out", "p.csv", *budget)
        assert done.exit_code == 4 and "row 250,000, inf" in done.stderr, done.stderr
