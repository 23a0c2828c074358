"""Large tables of numbers become rows while they are read: the same rows, the same model, as on the usual way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import fallline
from fallline import kernels
from fallline.losses import as_loss
from fallline.objective import ModelObjective
from fallline.penalties import as_penalty
from fallline.rows.sources import as_source
from fallline.scaling import Scaling
from fallline.tables.asked import Asked
from fallline.tables.plain import TILE, Plain
from fallline.tables.prepare import prepare

M = 32 * TILE + 777
HOLED = M - 5  # the row of the first hole: nearly all rows are laid down when it comes


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    rng = np.random.default_rng(3)
    X = rng.standard_normal((M, 4)) * [1.0, 1e3, 1e-3, 1.0] + [0.0, 5e3, 0.0, 1.0]
    z = X @ [1.0, 1e-3, 5e2, -2.0] + rng.standard_normal(M)
    frame = pl.DataFrame(X, schema=["a", "b", "c", "d"])
    return frame.with_columns(
        whole=pl.Series(rng.integers(0, 9, M)), small=pl.Series(rng.integers(0, 99, M), dtype=pl.UInt8),
        single=pl.col("a").cast(pl.Float32), alike=pl.lit(7), y=pl.Series(z), side=pl.Series(np.where(z > 3.0, "up", "no")),
    )  # fmt: skip


def prepared(frame: Any, target: str, monkeypatch: pytest.MonkeyPatch, plain: bool, **how: Any) -> Any:
    laid: list[bool] = []
    finished = Plain.finished
    monkeypatch.setattr(Plain, "finished", lambda self: laid.append(finished(self)) or laid[-1])
    monkeypatch.setattr(kernels, "FROM_NUMBERS", 10 if plain else 10**9)
    found = prepare(as_source(frame), Asked(target, **{"check": 0.0} | how))
    return found, laid == [True]


@pytest.mark.parametrize("how", [{}, {"check": 0.3}, {"drop": ("b", "side")}], ids=str)
@pytest.mark.parametrize("target", ["y", "side", "whole"])
@pytest.mark.parametrize("kind", ["frame", "pieces", "parquet"])
def test_the_rows_are_those_of_the_usual_way(
    table: pl.DataFrame, how: dict[str, Any], target: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = table.drop("side") if target != "side" else table
    how = how | {"drop": tuple(name for name in how["drop"] if name in frame.columns)} if "drop" in how else how
    if target == "side" and "drop" in how:
        how = {"drop": ("b",)}
    given: Any = frame
    if kind == "pieces":  # columns of several chunks, which end in different rows
        given = pl.concat([frame[:50_000], frame[50_000:70_001], frame[70_001:]], rechunk=False)
    if kind == "parquet":
        given = tmp_path / "table.parquet"
        frame.write_parquet(given, row_group_size=30_000)
    usual, no = prepared(given, target, monkeypatch, plain=False, **how)
    ours, laid = prepared(given, target, monkeypatch, plain=True, **how)
    assert laid and not no
    for mine, theirs in ((ours.rows, usual.rows), (ours.held, usual.held)):
        if theirs is not None:
            np.testing.assert_array_equal(mine.X, theirs.X)
            np.testing.assert_array_equal(mine.y, theirs.y)
    assert (ours.held is None) == (usual.held is None)
    assert ours.encoder.features == usual.encoder.features
    assert ours.encoder.left_out == usual.encoder.left_out == {"alike": "it has one value only (7)"}
    for mine, theirs in zip(ours.encoder.columns, usual.encoder.columns, strict=True):
        assert mine.fill == pytest.approx(theirs.fill, rel=1e-12, abs=1e-12)
    for mine, theirs in zip(ours.rows.moments(), (np.mean, np.var, np.min, np.max), strict=True):
        np.testing.assert_allclose(mine, theirs(usual.rows.X, axis=0), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("cell", [None, float("nan")], ids=str)
@pytest.mark.parametrize("column", ["a", "whole", "y"])
def test_a_hole_makes_it_a_table_again(
    table: pl.DataFrame, column: str, cell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if column == "whole" and cell is not None:
        cell = 2**60  # in double precision another number
    holed = pl.when(pl.int_range(pl.len()) == HOLED).then(pl.lit(cell)).otherwise(column).alias(column)
    frame = table.drop("side").with_columns(holed)
    usual, _ = prepared(frame, "y", monkeypatch, plain=False)
    ours, laid = prepared(frame, "y", monkeypatch, plain=True)
    assert not laid
    np.testing.assert_array_equal(ours.rows.X, usual.rows.X)
    assert ours.encoder == usual.encoder and ours.holes == usual.holes and ours.dropped == usual.dropped


def test_what_is_infinite_is_told_with_its_row(table: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = table.drop("side").with_columns(
        d=pl.when(pl.int_range(pl.len()) == HOLED).then(pl.lit(float("inf"))).otherwise("d")
    )
    with pytest.raises(fallline.errors.DataError, match=f"'d' is infinite in 1 row .first: row {HOLED:,}"):
        prepared(frame, "y", monkeypatch, plain=True)


def test_more_than_the_memory_is_streamed(table: pl.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kernels, "FROM_NUMBERS", 10)
    frame = table.drop("side")
    streamed = fallline.fit(frame, "y", memory="50MB", cache=tmp_path)
    assert streamed.coef == pytest.approx(fallline.fit(frame, "y").coef, rel=1e-6)


def test_threads_change_no_bit(table: pl.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kernels, "FROM_NUMBERS", 10)
    table.write_parquet(tmp_path / "table.parquet")
    how: dict[str, Any] = {"drop": ("side",), "check": 0.2}
    one, two = (fallline.fit(tmp_path / "table.parquet", "y", n_threads=n, **how) for n in (1, 2))
    np.testing.assert_array_equal(one.theta, two.theta)
    assert one.best_loss == two.best_loss


@pytest.mark.parametrize("row", [3, 180_000])
@pytest.mark.parametrize("line", ["NA,1.5,2", "7,nan,3", "8,,null"])
def test_a_word_for_nothing_is_a_hole_wherever_it_comes(row: int, line: str, tmp_path: Path) -> None:
    lines = [line if i == row else f"{i},{i / 2},{i % 7}" for i in range(300_000)]
    file = tmp_path / "table.csv"
    file.write_text("a,b,c\n" + "\n".join(lines) + "\n")
    theirs = pl.read_csv(file, null_values=["NA", "nan", "null"], schema_overrides={"b": pl.Float64})
    ours, usual = (fallline.fit(table, "b", na="drop") for table in (file, theirs))
    assert ours.summary.rows == usual.summary.rows == 300_000 - 1
    np.testing.assert_allclose(ours.theta, usual.theta, rtol=1e-9, atol=1e-9)
    assert (ours.encoder.holes, ours.encoder.features) == (usual.encoder.holes, usual.encoder.features)


def test_a_number_that_is_none_ends_it_where_there_are_more_rows_than_was_thought(table: pl.DataFrame) -> None:
    frame = table.select("a", "b", "y")
    holed = frame.with_columns(a=pl.when(pl.int_range(pl.len()) == 10).then(float("nan")).otherwise("a"))
    plain = Plain(holed, "y", 2 * TILE)
    assert plain.add(holed[: 2 * TILE]) and not plain.add(holed[2 * TILE : 9 * TILE])
    assert plain.frame().equals(holed[: 2 * TILE])


def second_derivatives(rows: Any) -> np.ndarray:
    scaling = Scaling(rows.X.mean(axis=0), rows.X.std(axis=0), True)
    objective = ModelObjective(as_loss("squared"), as_penalty(None), scaling)
    return objective.hessian(np.zeros(rows.n + 1), rows)


@pytest.mark.parametrize("drop", [(), ("b",)], ids=str)
def test_the_products_of_the_columns_come_with_them(
    table: pl.DataFrame, drop: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, laid = prepared(table.drop("side", "alike"), "y", monkeypatch, plain=True, drop=drop)
    assert laid and ours.rows.products is not None and ours.rows.products.rows == M
    found = second_derivatives(ours.rows)
    ours.rows.products = None
    np.testing.assert_allclose(found, second_derivatives(ours.rows), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("size", [1.0, 1e-160, 1e130])
@pytest.mark.parametrize("step", [1.0, 1e6])
def test_sums_about_first_rows_that_are_unlike_the_others_are_not_trusted(
    size: float, step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).standard_normal(M)
    x[TILE:] += step  # where all other rows are far from these, differences of their squares would lose digits
    frame = pl.DataFrame({"x": size * x, "flat": np.full(M, 0.1), "y": x})
    ours, laid = prepared(frame, "y", monkeypatch, plain=True)
    assert laid and (ours.rows.products is None) == (step > 1.0 or size != 1.0)
    mean, square, low, high = (own[0] for own in ours.rows.moments())
    assert (low, high) == (size * x.min(), size * x.max()) and mean == pytest.approx(size * x.mean(), rel=1e-12)
    if size >= 1.0:
        assert np.sqrt(square) == pytest.approx(size * np.std(x), rel=1e-10)
