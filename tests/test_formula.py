"""Formulas: the columns that formulaic makes, in memory and streamed, and again when the model predicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fallline
from fallline.errors import SchemaError, SettingError
from fallline.tables import asked
from fallline.tables.formula import Formula

formulaic = pytest.importorskip("formulaic")


def stones(rows: int = 3000) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    carat, cut = rng.random(rows) * 2 + 0.2, rng.choice(["fair", "good", "ideal"], rows)
    color, year = rng.choice(["D", "E"], rows), rng.integers(2020, 2024, rows)
    price = np.exp(1.7 * np.log(carat) + (cut == "ideal") * 0.3 + (year == 2022) * 0.1 + rng.normal(size=rows) * 0.1)
    return pl.DataFrame(
        {"carat": carat, "cut": cut, "color": color, "year": year, "price": price, "my depth": rng.random(rows)}
    )


def test_it_is_the_model_that_formulaic_describes() -> None:
    frame = stones()
    result = fallline.fit(
        frame, "log(price) ~ log(carat) + I(carat ** 2) + cut + C(year) + carat:`my depth`", tol=1e-12
    )
    theirs = "np.log(price) ~ np.log(carat) + I(carat ** 2) + cut + C(year) + carat:`my depth`"
    y, X = formulaic.model_matrix(theirs, frame.to_pandas())
    fitted = X.to_numpy(float) @ np.linalg.lstsq(X.to_numpy(float), y.to_numpy(float), rcond=None)[0]
    np.testing.assert_allclose(result.predict(frame), fitted[:, 0], rtol=1e-6, atol=1e-7)
    assert result.feature_names[:2] == ("log(carat)", "I(carat ** 2)") and "C(year)=2022" in result.feature_names


def test_pairs_of_levels_and_no_intercept(tmp_path: Path) -> None:
    frame = stones()
    result = fallline.fit(frame, "price ~ cut:color + carat - 1", tol=1e-10)
    assert result.intercept == 0.0 and "cut:color=fair x D" in result.feature_names
    result.save(tmp_path / "m.fall")
    again = fallline.load(tmp_path / "m.fall")
    np.testing.assert_array_equal(again.predict(frame[:9]), result.predict(frame[:9]))
    with pytest.raises(SchemaError, match="no column 'color'"):
        again.predict(frame.drop("color"))


def test_streamed_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "LEAST_MEMORY", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    stones().write_parquet(tmp_path / "t.parquet")
    formula = "price ~ log(carat) + cut*color"
    whole, part = (fallline.fit(tmp_path / "t.parquet", formula, l2=1e-3, tol=1e-12, memory=m) for m in (None, 50_000))
    assert part.feature_names == whole.feature_names
    np.testing.assert_allclose(part.coef, whole.coef, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("price ~ caret", SchemaError, "'carat'"),
        ("price ~ open('x')", SettingError, "more than fallline computes"),
        ("price ~ __import__('os').system('x')", SettingError, "formula"),
        ("price ~ cut:carat", SettingError, "text with numbers"),
        ("price ~ 1", SettingError, "at least one column"),
        ("~ carat", SettingError, "one target"),
        ("price ~ carat +* cut", SettingError, "formula"),
    ],
)
def test_what_is_no_formula_is_said(text: str, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        fallline.fit(stones(100), text)
    assert Formula.read("a ~ b").names == ("b",)
