"""A file is itself, whatever its name: marks of patterns in it mean other files only where there is no such file."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from fallline.commands.training import opened
from fallline.errors import FalllineError
from fallline.rows.sources import as_source
from fallline.rows.sources.sql import SqlSource
from fallline.rows.table import read_table

NAMES = [
    ("data[1]", "data1"),
    ("x*", "xyz"),
    ("q?", "q1"),
    ("b[!x]", "by"),
    ("in[1]/t", "in1/t"),
    ("{a,b}", "a"),
    ("[", "l"),
]
WRITE = {
    "csv": "write_csv",
    "parquet": "write_parquet",
    "arrow": "write_ipc",
    "jsonl": "write_ndjson",
    "tsv": "write_csv",
}


@pytest.mark.parametrize("kind", sorted(WRITE))
@pytest.mark.parametrize(("name", "other"), NAMES)
def test_a_file_that_is_there_is_that_file(
    name: str, other: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for k, each in enumerate((name, other)):
        file = Path(f"{each}.{kind}")
        file.parent.mkdir(exist_ok=True)
        getattr(pl.DataFrame({"a": [10 * k + 1, 10 * k + 2], "b": [0.5, 1.5]}), WRITE[kind])(file)
    path = f"{name}.{kind}"
    ways: dict[str, Any] = {
        "whole": [read_table(path)], "at once": as_source(path).frames(), "in frames": as_source(path).frames(1000),
        "to predict": opened(path, None, {"a": "number"}), "to predict, streamed": opened(path, "50MB", {"a": "number"}),
    }  # fmt: skip
    for way, frames in ways.items():
        assert pl.concat(list(frames))["a"].to_list() == [1, 2], way


def test_a_pattern_is_one_where_there_is_no_such_file(tmp_path: Path) -> None:
    for k in range(3):
        pl.DataFrame({"a": [k], "b": [1.5]}).write_csv(tmp_path / f"part{k}.csv")
        pl.DataFrame({"a": [k], "b": [1.5]}).write_ndjson(tmp_path / f"part{k}.jsonl")
        pl.DataFrame({"a": [k], "b": [1.5]}).write_ipc(tmp_path / f"part{k}.arrow")
    for kind in ("csv", "jsonl", "arrow"):
        assert pl.concat(list(as_source(str(tmp_path / f"part[01].{kind}")).frames()))["a"].to_list() == [0, 1]


def _not_utf8(folder: Path, kind: str) -> Path:
    """A table whose name holds a byte that is not UTF-8."""
    plain = folder / f"plain.{kind}"
    frame = pl.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    if kind == "csv.gz":
        plain.write_bytes(gzip.compress(frame.write_csv().encode()))
    else:
        getattr(frame, WRITE[kind])(plain)
    named = folder / os.fsdecode(b"n\xff." + kind.encode())
    try:
        plain.rename(named)
    except OSError:
        pytest.skip("this file system holds names in UTF-8 only")
    return named


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "csv.gz"])
def test_text_is_read_under_a_name_that_is_not_utf8(kind: str, tmp_path: Path) -> None:
    file = _not_utf8(tmp_path, kind)
    for room in (None, 1000):
        assert pl.concat(list(as_source(str(file)).frames(room)))["a"].to_list() == [1, 2]
    if kind != "csv.gz":
        assert read_table(file)["a"].to_list() == [1, 2]


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_other_formats_are_refused_under_a_name_that_is_not_utf8(kind: str, tmp_path: Path) -> None:
    file = _not_utf8(tmp_path, kind)
    for read in (read_table, lambda path: list(as_source(str(path)).frames())):
        with pytest.raises(FalllineError, match="names in UTF-8 only"):
            read(file)


def test_a_query_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(FalllineError, match="not UTF-8"):
        SqlSource("select '\udcff'", "duckdb://")
