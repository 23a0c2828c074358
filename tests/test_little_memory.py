"""What is read in little memory is the same table; what would take more than there is, is refused with one sentence."""

from __future__ import annotations

import datetime
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from fallline.errors import DataError, SettingError
from fallline.rows.sources import SqlSource, as_source, parquet
from fallline.tables import Asked
from fallline.tables.asked import memory_budget


def table(rows: int = 5_000) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "a": rng.normal(size=rows), "k": rng.integers(0, 9, rows).astype(np.int16), "yes": rng.random(rows) < 0.5,
            "town": pl.Series(rng.choice(["Rome", "Oslo"], rows)).cast(pl.Categorical),
            "word": pl.Series(rng.choice(["x", "y"], rows)).set(pl.Series(rng.random(rows) < 0.1), None),
            "day": [datetime.date(2024, 1, 1)] * rows, "at": [datetime.datetime(2024, 1, 1, 5)] * rows,
        }
    )  # fmt: skip


@pytest.mark.parametrize("pages", [0, 1 << 30])
@pytest.mark.parametrize("group", [700, 5_000])
def test_parquet_in_little_memory_is_the_same_table(
    pages: int, group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(parquet, "MOST_PAGES", pages)
    table().write_parquet(tmp_path / "t.parquet", row_group_size=group)
    frames = list(as_source(tmp_path / "t.parquet").frames(200_000))
    assert max(frame.height for frame in frames) <= 2_000
    assert_frame_equal(pl.concat(frames), table())
    assert not list((tmp_path / "cache").rglob("*.arrow"))
    rest = as_source(tmp_path / "t.parquet").without(["a", "town"])
    assert_frame_equal(pl.concat(list(rest.frames(200_000))), table().drop("a", "town"))


def test_a_row_group_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Polars would read all of it for each frame."""
    pytest.importorskip("pyarrow")
    table().write_parquet(tmp_path / "t.parquet", row_group_size=5_000)

    def whole(*_: object) -> None:
        raise AssertionError("read by Polars")

    monkeypatch.setattr("fallline.rows.sources.frames.slices", whole)
    assert sum(frame.height for frame in as_source(tmp_path / "t.parquet").frames(200_000)) == 5_000


@pytest.mark.parametrize("index", [3_000_000, 99_999_999])
def test_a_high_column_in_a_small_libsvm_file_is_refused(index: int, tmp_path: Path) -> None:
    file = tmp_path / "t.libsvm"
    file.write_text("".join(f"{i % 2} {1 + i}:1\n" for i in range(40)) + f"1 {index}:1\n")
    with pytest.raises(DataError, match=f"columns go up to {index:,}, and only 41 entries"):
        list(as_source(file).frames())
    file.write_text("1 " + "1" * 300_000)
    with pytest.raises(DataError, match="line 1"):
        list(as_source(file).frames())


def test_a_libsvm_line_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallline.rows.pieces.LONGEST", 100_000)
    monkeypatch.setattr("fallline.rows.sources.libsvm.CHUNK", 10_000)
    (tmp_path / "t.libsvm").write_text("1 1:2\n1 2:" + "1" * 300_000)
    with pytest.raises(DataError, match="line 2: the line is longer"):
        list(as_source(tmp_path / "t.libsvm").frames())


@pytest.mark.parametrize(
    "given",
    [".", "1..2GB", "", "GB", "-5MB", "1e3GB", "nan", "inf", "\u0663GB", "1,5GB", "60 M B", "60MBs", True, [], float("nan"), "0",
     "9" * 41, "1" + "0" * 39 + "MB and more", -(10**5000)],
    ids=lambda given: f"{given!r:.20}" if isinstance(given, str) else type(given).__name__,
)  # fmt: skip
def test_memory_that_is_no_amount_is_one_sentence(given: Any) -> None:
    with pytest.raises(SettingError, match="memory: got"):
        memory_budget(given)


def test_amounts_of_memory() -> None:
    assert memory_budget(".5GB") == 500_000_000 and memory_budget("60.mb") == 60_000_000
    assert memory_budget("9" * 30 + "TB") == 2**62 and memory_budget(10**5000) == 2**62


@pytest.mark.parametrize("share", [float("nan"), -0.1, 1.0, float("inf")])
def test_a_share_of_check_rows_that_cannot_be_is_refused(share: float) -> None:
    with pytest.raises(SettingError, match="check: got"):
        Asked("y", check=share)


def test_numbers_and_text_in_a_column_of_sqlite_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("adbc_driver_sqlite")
    connection = sqlite3.connect(tmp_path / "t.db")
    connection.execute("create table t (a, b text, y real)")
    connection.executemany("insert into t values (?, ?, ?)", [("many" if i == 3 else i, str(i), i) for i in range(90)])
    connection.commit()
    connection.close()
    for query in ("select a, y from t", "select * from t; ", "select a, y from t -- all of it"):
        with pytest.raises(DataError, match='column "a" holds numbers and text. CAST'):
            list(SqlSource(query, str(tmp_path / "t.db")).frames())
    assert next(iter(SqlSource("select b, y from t", str(tmp_path / "t.db")).frames())).height == 90
