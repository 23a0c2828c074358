"""Formulas: the columns that formulaic makes, in memory and streamed, and again when the model predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


# A number times text: slopes by level, with the coding of formulaic

SLOPES = [
    ("price ~ carat:cut", "price ~ carat:C(cut)"),
    ("price ~ carat*cut", "price ~ carat*C(cut, contr.treatment('ideal'))"),
    ("price ~ cut + log(carat):cut", "price ~ C(cut, contr.treatment('ideal')) + np.log(carat):C(cut)"),
    (
        "price ~ carat + cut:carat + carat:color",
        "price ~ carat + carat:C(cut, contr.treatment('ideal')) + carat:C(color)",
    ),
    ("price ~ carat:cut + carat:color", "price ~ carat:C(cut) + carat:C(color)"),
    ("price ~ carat:depth:cut - 1", "price ~ carat:depth:C(cut) - 1"),
    ("price ~ cut + carat - 1", "price ~ C(cut) + carat - 1"),
    ("price ~ carat:C(year) + depth", "price ~ carat:C(year) + depth"),
    ("price ~ carat + carat:cut:color", "price ~ carat + carat:pair"),
]


def slopes(rows: int = 3000) -> pl.DataFrame:
    frame = stones(rows).rename({"my depth": "depth"})
    cut = pl.when(pl.int_range(rows) % 3 == 0).then(pl.lit("ideal")).otherwise(pl.col("cut"))  # the most frequent one
    frame = frame.with_columns(cut=cut).with_columns(
        price=pl.col("carat") * pl.when(pl.col("cut") == "fair").then(2.0).otherwise(3.0)
        + pl.col("depth")
        + pl.col("price")
    )
    return frame.with_columns(pair=pl.col("cut") + pl.col("color"))


@pytest.mark.parametrize(("ours", "theirs"), SLOPES)
def test_slopes_by_level_span_what_formulaic_spans(ours: str, theirs: str) -> None:
    frame = slopes()
    result = fallline.fit(frame, ours, tol=1e-12)
    y, X = formulaic.model_matrix(theirs, frame.to_pandas())
    A = X.to_numpy(float)
    fitted = A @ np.linalg.lstsq(A, y.to_numpy(float), rcond=None)[0]
    np.testing.assert_allclose(result.predict(frame), fitted[:, 0], rtol=1e-6, atol=1e-7)
    assert len(result.feature_names) + (result.intercept != 0.0) == np.linalg.matrix_rank(A) == A.shape[1]
    assert (str(result.verdict), [f.code for f in result.findings if "every row" in f.sentence]) == ("converged", [])


def test_slopes_have_the_coefficients_of_formulaic() -> None:
    frame = slopes()
    result = fallline.fit(frame, "price ~ carat*cut", tol=1e-13)
    y, X = formulaic.model_matrix("price ~ carat*C(cut, contr.treatment('ideal'))", frame.to_pandas())
    theirs = dict(
        zip(X.columns, np.linalg.lstsq(X.to_numpy(float), y.to_numpy(float), rcond=None)[0][:, 0], strict=True)
    )
    cut = "C(cut, contr.treatment('ideal'))"
    names = {"carat": "carat", "cut=fair": f"{cut}[T.fair]", "carat:cut=fair": f"carat:{cut}[T.fair]",
             "carat:cut=good": f"carat:{cut}[T.good]"}  # fmt: skip
    ours = dict(zip(result.feature_names, result.coef, strict=True))
    np.testing.assert_allclose([ours[n] for n in names], [theirs[n] for n in names.values()], rtol=1e-5)
    assert result.feature_names == ("carat", "cut=fair", "cut=good", "carat:cut=fair", "carat:cut=good")


@pytest.mark.parametrize("rows", [3000, 300_000])  # dense, and numbers beside codes
def test_slopes_streamed_saved_and_with_holes(rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "LEAST_MEMORY", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    few = rows < 10_000
    frame = slopes(rows).with_columns(
        cut=pl.when(pl.int_range(rows) % 7 == 3).then(None).otherwise(pl.col("cut")),
        carat=pl.when(pl.int_range(rows) % 11 == 3).then(None).otherwise(pl.col("carat")),
    ).select("price", "carat", "cut", "color")  # fmt: skip
    frame.write_parquet(tmp_path / "t.parquet")
    formula = "price ~ carat:cut + cut*color"
    whole, part = (
        fallline.fit(tmp_path / "t.parquet", formula, l2=1e-3, tol=1e-10, memory=m)
        for m in (None, 50_000 if few else 4_000_000)
    )
    assert part.feature_names == whole.feature_names
    assert {"carat:cut=(missing)", "carat:cut=ideal", "carat is missing"} < set(whole.feature_names)
    np.testing.assert_allclose(part.coef, whole.coef, rtol=1e-5, atol=1e-6)
    whole.save(tmp_path / "m.fall")
    again = fallline.load(tmp_path / "m.fall")
    some = frame[:50].with_columns(cut=pl.lit(None), carat=pl.col("carat").cast(pl.String).cast(pl.Float64))
    np.testing.assert_array_equal(again.predict(some), whole.predict(some))  # a text that is empty everywhere is text
    if few:
        X = whole.encoder.transform(frame)[0]
        at = {name: k for k, name in enumerate(whole.feature_names)}
        np.testing.assert_array_equal(
            X[3, [at["carat is missing"], at["carat:cut=(missing)"]]], [1.0, whole_fill(whole)]
        )
        assert X[3, at["carat:cut=ideal"]] == 0.0
        dropped = fallline.fit(frame, "price ~ carat:cut", na="drop")
        assert dropped.summary.rows == frame.drop_nulls(["carat", "cut"]).height


def whole_fill(result: fallline.Result) -> float:
    return next(part.fill for part in result.encoder.reads.values() if part.name == "carat")


def test_many_slopes_stay_sparse_in_memory() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"x": rng.random(30_000), "t": [f"L{k % 300}" for k in range(30_000)], "y": rng.random(30_000)}
    )
    result = fallline.fit(frame, "y ~ x + t + x:t", l2=0.1)
    X = result.encoder.transform(frame)[0]
    assert X.shape == (30_000, 599) and X.nnz <= 3 * 30_000
    t = frame["t"].to_numpy() == "L7"
    np.testing.assert_array_equal(
        X[:, [result.feature_names.index("x:t=L7")]].toarray()[:, 0], frame["x"].to_numpy() * t
    )


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("price ~ caret", SchemaError, "'carat'"),
        ("price ~ open('x')", SettingError, "more than fallline computes"),
        ("price ~ __import__('os').system('x')", SettingError, "formula"),
        ("price ~ cut:day", SettingError, "text with dates"),
        ("price ~ carat + price:cut", SettingError, "is among the terms"),
        ("price ~ 1", SettingError, "at least one column"),
        ("~ carat", SettingError, "one target"),
        ("price ~ carat +* cut", SettingError, "formula"),
    ],
)
def test_what_is_no_formula_is_said(text: str, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        fallline.fit(
            stones(100).with_columns(day=pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 4, 9), eager=True)), text
        )
    assert Formula.read("a ~ b").terms == (("b",),)


# Arithmetic in double precision


def small_numbers(rows: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    a, b = rng.integers(1, 100, rows), rng.integers(1, 100, rows)
    return pl.DataFrame({"a": a, "b": b, "y": rng.normal(size=rows)})


TYPES = [pl.Int8, pl.UInt8, pl.Int16, pl.UInt32, pl.Int64, pl.Float32, pl.Decimal(20, 2)]


@pytest.mark.parametrize("kind", TYPES, ids=str)
@pytest.mark.parametrize("term", ["a:b", "I(a*b)", "I(a+b)", "I(a-b)", "I(-a)", "I(a**12)", "2**a", "a**(-1)"])
def test_arithmetic_does_not_overflow_whatever_the_columns_types_are(term: str, kind: Any) -> None:
    frame = small_numbers()
    typed = frame.with_columns(pl.col("a", "b").cast(kind))
    term = term if term.startswith(("a:", "I(")) else f"I({term})"
    made, wanted = (
        Formula.read(f"y ~ {term}").apply(each, target=False).to_series(0)
        for each in (typed, frame.with_columns(pl.col("a", "b").cast(pl.Float64)))
    )
    assert made.dtype == pl.Float64
    np.testing.assert_array_equal(made.to_numpy(), wanted.to_numpy())


def test_true_and_false_are_one_and_zero_in_arithmetic() -> None:
    frame = small_numbers().with_columns(b=pl.col("b") > 50)
    made = Formula.read("y ~ a:b + I(a + b)").apply(frame, target=False)
    a, b = frame["a"].to_numpy(), frame["b"].to_numpy()
    np.testing.assert_array_equal(made["a:b"].to_numpy(), a * b)
    np.testing.assert_array_equal(made["I(a + b)"].to_numpy(), a + b)


def test_levels_of_whole_numbers_keep_all_their_digits() -> None:
    frame = pl.DataFrame({"k": [2**53, 2**53 + 1], "y": [1.0, 2.0]})
    assert Formula.read("y ~ C(k)").apply(frame, target=False)["C(k)"].n_unique() == 2


@pytest.mark.parametrize("term", ["I(when + 1)", "a:when", "I(town * 2)", "log(when)"])
def test_arithmetic_on_what_is_no_number_is_refused(term: str) -> None:
    import datetime

    frame = small_numbers().with_columns(town=pl.lit("Rome"), when=pl.lit(datetime.date(2024, 1, 1)))
    with pytest.raises(SchemaError, match="needs numbers"):
        Formula.read(f"y ~ {term}").apply(frame, target=False)


@pytest.mark.parametrize(
    "terms",
    [
        "(a + b + c)**60", "a**1000000000", "((a + b)**9 * (a + b)**9)**2", "*".join("abcdefghijklmnopqrstuvwx"),
        " + ".join(f"x{k}" for k in range(9_000)), "I(" + "(" * 5000 + "a" + ")" * 5000 + ")",
        "I(" + "+".join(["a"] * 3000) + ")", f"I(a * {'9' * 400})",
    ],
    ids=range(8),
)  # fmt: skip
def test_a_formula_of_huge_size_is_one_sentence(terms: str) -> None:
    frame = small_numbers()
    with pytest.raises(SettingError) as caught:
        Formula.read(f"y ~ {terms}").apply(frame, target=False)
    assert len(str(caught.value)) <= 300 and "\n" not in str(caught.value)


def test_many_terms_are_not_too_many() -> None:
    assert len(Formula.read(f"y ~ ({' + '.join(f'x{k}' for k in range(40))})**2").terms) == 40 + 40 * 39 // 2
