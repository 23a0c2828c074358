"""Levels of text: which one is left out, or none, and very many of them hashed into few columns."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

import fallline
from fallline.cli import main
from fallline.errors import DataError, ModelFileError, SettingError, SettingTypeError
from fallline.rows.encoder import Encoder
from fallline.rows.hashed import bucket
from fallline.rows.sources import as_source
from fallline.tables import asked
from fallline.tables.cache import Cache

ROWS = 2000


def homes(rows: int = ROWS) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    town, kind = rng.choice(["A", "B", "C", "D"], rows, p=[0.5, 0.3, 0.15, 0.05]), rng.choice(["flat", "house"], rows)
    area, year = rng.random(rows) * 100 + 20, rng.integers(2020, 2024, rows)
    price = area + 10.0 * (town == "B") + 30.0 * (town == "D") + 5.0 * (kind == "house") + rng.normal(size=rows)
    return pl.DataFrame({"area": area, "town": town, "kind": kind, "year": year, "price": price, "dear": price > 80})


def streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame: pl.DataFrame, **how: object) -> fallline.Result:
    monkeypatch.setattr(asked, "LEAST_MEMORY", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    frame.write_parquet(tmp_path / "t.parquet")
    return fallline.fit(tmp_path / "t.parquet", "price", memory=50_000, **how)


# Which level is left out


def test_a_column_for_each_level_is_that_of_pandas_and_tabmat() -> None:
    pd, tabmat = pytest.importorskip("pandas"), pytest.importorskip("tabmat")
    frame = homes().select("town", "kind", "price")
    encoder = Encoder.learn(frame, "price", full=True)
    X, _ = encoder.transform(frame)
    theirs = pd.get_dummies(frame.to_pandas()[["town", "kind"]], prefix_sep="=", dtype=float)
    assert encoder.features == tuple(theirs.columns)
    np.testing.assert_array_equal(X, theirs.to_numpy())
    np.testing.assert_array_equal(X[:, :4], tabmat.CategoricalMatrix(frame["town"].to_numpy()).toarray())


def test_with_a_ridge_it_is_the_model_of_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    frame, l2 = homes().select("town", "kind", "price", "dear"), 0.05
    how = dict(reference="none", l2=l2, standardize=False, tol=1e-13)
    result = fallline.fit(frame.drop("dear"), "price", **how)
    X = result.encoder.transform(frame)[0]
    ridge = linear.Ridge(alpha=l2 * ROWS, tol=1e-14).fit(X, frame["price"])
    np.testing.assert_allclose(result.coef, ridge.coef_, rtol=1e-6)
    assert (result.verdict, str(result.certainty), result.findings) == ("converged", "proved", [])
    classes = fallline.fit(frame.drop("price"), "dear", **how)
    theirs = linear.LogisticRegression(C=1 / (l2 * ROWS), tol=1e-12, max_iter=1000).fit(X, frame["dear"])
    np.testing.assert_allclose(classes.coef, theirs.coef_[0], rtol=1e-5)
    assert abs(result.coef[:4].sum()) < 1e-8  # the levels shrink toward their common mean


def test_without_a_ridge_it_ends_in_a_proof_and_says_that_weights_are_not_unique() -> None:
    frame = homes().drop("dear")
    for loss in ("squared", "gamma"):
        usual, full = (
            fallline.fit(frame, "price", loss=loss, reference=r, tol=1e-10) for r in ("most-frequent", "none")
        )
        assert (full.verdict, str(full.certainty)) == ("converged", "proved")
        np.testing.assert_allclose(full.predict(frame), usual.predict(frame), rtol=1e-5)
        told = [f.sentence for f in full.findings if f.code == "D11"]
        assert len(told) == 1 and told[0].startswith("Every level of 'town' has a column")
        assert [f for f in usual.findings if f.code == "D11"] == []
    without = fallline.fit(frame.drop("kind"), "price", reference="none", fit_intercept=False)  # one text: unique
    assert [f.sentence for f in without.findings if f.code == "D11"] == [] and without.verdict == "converged"
    doubled = fallline.fit(frame.with_columns(twice=pl.col("area") * 2), "price", reference="none", l2=0.1)
    assert any(f.code == "D11" and "in every row" in f.sentence for f in doubled.findings)  # others are still told of


def test_the_example_of_the_documentation() -> None:
    town = np.repeat(["A", "B", "C", "D"], [500, 300, 150, 50])
    price = np.where(town == "A", 100.0, 0.0)
    asked_for = pl.DataFrame({"town": ["A", "B", "C", "D", "new"]})
    told = {}
    for reference in ("A", "D", "none"):
        how = {"town": reference} if reference != "none" else "none"
        result = fallline.fit(
            pl.DataFrame({"town": town, "price": price}), "price", loss="squared", l2=0.1, reference=how
        )
        told[reference] = result.predict(asked_for).round(1).tolist()
    assert told == {
        "A": [93.3, 6.1, 7.3, 8.1, 93.3], "D": [96.3, 1.5, 1.8, 22.6, 96.3], "none": [97.1, 2.6, 3.1, 3.5, 40.0]
    }  # fmt: skip


def test_of_a_named_level_the_predictions_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = homes().drop("dear")
    usual = fallline.fit(frame, "price", tol=1e-12)
    other = fallline.fit(frame, "price", tol=1e-12, reference={"town": "D"})
    assert {"town=A", "town=B", "town=C", "kind=flat", "kind=house"} > set(other.feature_names[1:5])
    assert "town=D" in usual.feature_names and "town=D" not in other.feature_names and "town=A" in other.feature_names
    np.testing.assert_allclose(other.predict(frame), usual.predict(frame), rtol=1e-6)
    strange = frame[:3].with_columns(town=pl.Series(["Z", "A", None]))  # count as the most frequent, as ever
    np.testing.assert_allclose(other.predict(strange), usual.predict(strange), rtol=1e-6)
    part = streamed(tmp_path, monkeypatch, frame, tol=1e-12, reference={"town": "D"})
    assert part.feature_names == other.feature_names
    np.testing.assert_allclose(part.coef, other.coef, rtol=1e-6, atol=1e-8)


def test_streamed_saved_exported_and_predicted_without_a_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = homes().drop("dear").with_columns(
        town=pl.when(pl.int_range(ROWS) % 9 == 0).then(None).otherwise(pl.col("town")),
        on=datetime.date(2022, 1, 1) + pl.duration(days=pl.int_range(ROWS) % 500),
    )  # fmt: skip
    whole = fallline.fit(frame, "price", l2=0.1, tol=1e-12, reference="none")
    assert {"town=A", "town=(missing)", "on: weekday=Mon", "on: month=Jan", "kind=flat"} < set(whole.feature_names)
    part = streamed(tmp_path, monkeypatch, frame, l2=0.1, tol=1e-12, reference="none")
    assert part.feature_names == whole.feature_names
    np.testing.assert_allclose(part.coef, whole.coef, rtol=1e-6, atol=1e-8)
    whole.save(tmp_path / "m.fall")
    again = fallline.load(tmp_path / "m.fall")
    new = frame[:3].with_columns(town=pl.Series(["Z", None, "A"]))
    np.testing.assert_array_equal(again.predict(new), whole.predict(new))
    X, report = whole.encoder.transform(new)
    town = [k for k, name in enumerate(whole.feature_names) if name.startswith("town=")]
    assert X[:, town].sum(axis=1).tolist() == [0.0, 1.0, 1.0]  # a level that nobody knows is none of them
    assert (
        "'town': 1 cell of levels without a column of their own ('Z'), counted as none of the known ones."
        in report.sentences()
    )
    assert len(whole.to_sklearn().coef_) == len(whole.feature_names) and '"town=A"' in whole.to_json()


@pytest.mark.parametrize("how", [{"reference": "none", "l2": 0.1}, {"reference": {"town": "D", "on: weekday": "Sun"}}])
def test_a_database_says_the_same(how: dict[str, object]) -> None:
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("pyarrow")
    frame = homes().drop("dear").with_columns(on=datetime.date(2022, 1, 1) + pl.duration(days=pl.int_range(ROWS) % 99))
    result = fallline.fit(frame, "price", **how)
    new = frame[:40].with_columns(
        town=pl.when(pl.int_range(40) < 9).then(pl.lit("Z")).otherwise(pl.col("town")),
        on=pl.when(pl.int_range(40) < 20).then(None).otherwise(pl.col("on")),
    )
    new = new.with_columns(town=pl.when(pl.int_range(40) < 3).then(None).otherwise(pl.col("town")))
    told = duckdb.sql(f"select {result.to_sql()} as z from new").pl()["z"]
    np.testing.assert_allclose(told.to_numpy(), result.predict(new), rtol=1e-12)


def test_in_formulas(tmp_path: Path) -> None:
    pytest.importorskip("formulaic")
    frame = homes()
    result = fallline.fit(frame, "price ~ area + C(year) + town:kind + area:kind", reference="none", l2=0.01)
    assert {"C(year)=2020", "C(year)=2023", "area:kind=flat", "area:kind=house"} < set(result.feature_names)
    assert sum(name.startswith("town:kind=") for name in result.feature_names) == 8
    assert [f for f in result.findings if f.code == "D11" and "every row" in f.sentence] == []
    named = fallline.fit(frame, "price ~ area*kind + C(year)", reference={"C(year)": "2023", "kind": "house"})
    assert named.feature_names == (
        "area", "kind=flat", "C(year)=2020", "C(year)=2021", "C(year)=2022", "area:kind=flat"
    )  # fmt: skip
    named.save(tmp_path / "m.fall")
    np.testing.assert_array_equal(fallline.load(tmp_path / "m.fall").predict(frame), named.predict(frame))


def test_inference_says_that_weights_are_not_unique() -> None:
    result = fallline.fit(homes().drop("dear"), "price", reference="none", inference=True)
    assert result.inference is None and "2 too many" in result.no_inference


@pytest.mark.parametrize(
    ("how", "kind", "says"),
    [
        ({"reference": "first"}, SettingError, "reference: got 'first'; give most-frequent, none or COLUMN=LEVEL"),
        ({"reference": None}, SettingTypeError, "reference: got None"),
        ({"reference": {"tuwn": "A"}}, DataError, "no column 'tuwn'. Did you mean 'town'"),
        (
            {"reference": {"town": "Q"}},
            DataError,
            "column 'town' has no level 'Q' in the rows to train on.* Its levels are: ",
        ),
        ({"reference": {"town": "(other)"}}, DataError, "no level"),
        ({"reference": {"area": "20"}}, DataError, "column 'area' holds Float64, not text with levels"),
        ({"levels": "hash"}, SettingError, "levels: got 'hash'; give a number of columns such as 500, or 'hash:4096'"),
        ({"levels": 0}, SettingError, "levels: got 0"),
        ({"levels": True}, SettingError, "levels: got True"),
        ({"levels": "hash:1"}, SettingError, "levels: got 'hash:1'"),
    ],
)
def test_what_cannot_be_is_said(how: dict[str, object], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says.replace("(", r"\(").replace(")", r"\)")):
        fallline.fit(homes(), "price", **how)


def test_rows_that_were_kept_are_of_these_levels_only(tmp_path: Path) -> None:
    homes(9).write_parquet(tmp_path / "t.parquet")
    source = as_source(tmp_path / "t.parquet")
    ways = ({}, {"reference": ("none",)}, {"reference": ("town=D",)}, {"levels": 2}, {"levels": "hash:2"})
    assert len({Cache.of(source, asked.Asked("price", **way)).digest for way in (*ways, *ways)}) == len(ways)


def test_of_arrays_there_are_no_levels() -> None:
    for how in ({"reference": "none"}, {"levels": 10}):
        with pytest.raises(SettingError, match="is for tables"):
            fallline.fit(np.eye(3), np.arange(3.0), **how)


# Very many levels


def shops(rows: int = 20_000) -> pl.DataFrame:
    rng = np.random.default_rng(2)
    which = rng.zipf(1.3, rows) % 3000
    name = np.array([f"shop {k}" for k in range(3000)])[which]
    return pl.DataFrame({"shop": name, "size": rng.random(rows), "price": which % 7 + rng.normal(size=rows)})


def test_buckets_are_the_same_everywhere() -> None:
    assert [bucket(level, 1 << 20) for level in ("", "ATL", "Zürich", "東京")] == [42724, 845152, 554096, 332270]


def test_hashed_levels_are_one_column_a_bucket() -> None:
    frame = shops()
    encoder = Encoder.learn(frame, "price", most_levels=64, hashed=True, full=True)
    X, _ = encoder.transform(frame)
    own = np.array([bucket(name, 64) for name in frame["shop"]])
    np.testing.assert_array_equal(X.toarray()[:, :-1], np.eye(64)[own])
    assert encoder.features[:2] == ("shop#0", "shop#1") and encoder.features[-1] == "size"
    less = Encoder.learn(frame, "price", most_levels=64, hashed=True)
    usual = bucket(frame["shop"].mode()[0], 64)
    assert len(less.features) == 64 and f"shop#{usual}" not in less.features
    assert Encoder.from_json(less.to_json()) == less
    few = Encoder.learn(frame, "price", most_levels=5000, hashed=True)  # not more levels than that: as ever
    assert few == Encoder.learn(frame, "price", most_levels=5000)
    named = Encoder.learn(frame, "price", most_levels=64, hashed=True, references=(("shop", "shop 5"),))
    assert f"shop#{bucket('shop 5', 64)}" not in named.features and f"shop#{usual}" in named.features


def test_hashed_streamed_saved_and_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = shops().with_columns(shop=pl.when(pl.int_range(20_000) % 50 == 0).then(None).otherwise(pl.col("shop")))
    how = dict(levels="hash:256", l2=1e-3, tol=1e-12)
    whole = fallline.fit(frame, "price", **how)
    part = streamed(tmp_path, monkeypatch, frame, **how)
    assert part.feature_names == whole.feature_names and "shop=(missing)" in whole.feature_names
    np.testing.assert_allclose(part.coef, whole.coef, rtol=1e-6, atol=1e-8)
    whole.save(tmp_path / "m.fall")
    new = pl.DataFrame({"shop": ["never met", "shop 5", None], "size": [0.5, 0.5, 0.5]})
    told = fallline.load(tmp_path / "m.fall").predict(new)
    np.testing.assert_array_equal(told, whole.predict(new))
    weights = dict(zip(whole.feature_names, whole.coef, strict=True))
    own = [weights.get(f"shop#{bucket(name, 256)}", 0.0) for name in ("never met", "shop 5")] + [
        weights["shop=(missing)"]
    ]
    np.testing.assert_allclose(told, whole.intercept + 0.5 * weights["size"] + own, rtol=1e-12)
    assert whole.encoder.transform(new)[1].sentences() == []
    with pytest.raises(SettingError, match="column 'shop' are hashed, by a function that databases do not have"):
        whole.to_sql()
    assert '"shop#0"' in whole.to_json() and len(whole.to_sklearn().coef_) == len(whole.coef)
    capped = fallline.fit(frame, "price", levels=10)
    assert sum(name.startswith("shop=") for name in capped.feature_names) == 12  # ten, (other) and (missing)


def test_more_texts_than_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    from fallline.rows import facts

    monkeypatch.setattr(facts, "MOST_COUNTED", 1000)
    encoder = Encoder.learn(shops(), "price", most_levels=64, hashed=True, full=True)
    assert encoder.features[:64] == tuple(f"shop#{k}" for k in range(64))


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shops(5000).with_columns(town=pl.Series(["A", "B", "C", "A"] * 1250)).write_csv("t.csv")
    call = CliRunner().invoke
    done = call(
        main,
        ["fit", "t.csv", "--target", "price", "--reference", "none", "--reference", "town=C", "--levels", "hash:64"],
    )
    assert done.exit_code == 0, done.stderr
    assert "shop: 64 of 64 buckets, each with a column" in done.stderr
    assert "town: 3 levels, compared with 'C'" in done.stderr
    assert "--reference none --reference town=C --levels hash:64" in " ".join(done.stderr.split()).replace(
        "'", ""
    )  # D11's remedy
    assert call(main, ["predict", "t.fall", "t.csv", "--out", "p.csv"]).exit_code == 0
    again = call(main, ["fit", "--resume", "t.fall", "t.csv"])
    assert again.exit_code == 0, again.stderr
    wrong = call(main, ["fit", "t.csv", "--target", "price", "--levels", "many"])
    assert wrong.exit_code == 2 and "levels: got 'many'" in wrong.stderr


# However X is held, and whatever a file says


@pytest.mark.parametrize("reference", ["most-frequent", "none"])
def test_dense_sparse_and_codes_hold_the_same(reference: str) -> None:
    pytest.importorskip("formulaic")
    frame = homes().with_columns(shop=shops(ROWS)["shop"])
    result = fallline.fit(frame, "price ~ area*town + shop + area:shop", reference=reference, l2=0.1, levels="hash:16")
    new = frame[:50].with_columns(
        town=pl.when(pl.int_range(50) % 4 == 0).then(pl.lit("Z")).otherwise(pl.col("town")),
        area=pl.when(pl.int_range(50) % 5 == 0).then(None).otherwise(pl.col("area")),
    )
    dense, csr, coded = (result.encoder.transform(new, form)[0] for form in ("dense", "csr", "coded"))
    np.testing.assert_array_equal(csr.toarray(), dense)
    np.testing.assert_array_equal(coded.toarray(), dense)
    assert csr.has_sorted_indices and csr.shape[1] == len(result.feature_names)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"buckets": 16', '"buckets": 0'), ('"buckets": 16', '"buckets": "16"'), ('"is": "slopes"', '"is": "moment"'),
        ('"text": {"is": "levels"', '"text": {"is": "number"'), ('"number": {"is": "number"', '"number": {"is": "slopes"'),
        ('"varies": true', '"varies": false'), ('"usual": ""', '"usual": "Q"'), ('"number": {', '"number": [], "x": {'),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused(before: str, after: str) -> None:
    pytest.importorskip("formulaic")
    frame = homes(200).with_columns(shop=shops(200)["shop"])
    whole = fallline.fit(frame, "price ~ area*town + shop", levels="hash:16").encoder
    text = whole.to_json()
    assert len(Encoder.from_json(text).columns) == 4 and before in text
    with pytest.raises(ModelFileError, match="The model's columns cannot be read"):
        Encoder.from_json(text.replace(before, after))
