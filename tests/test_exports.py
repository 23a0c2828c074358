"""Models that travel: what comes out there is what fallline says."""

from __future__ import annotations

import datetime
import json
import re
import sqlite3

import duckdb
import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_iris

import fallline
from fallline import GDClassifier, GDRegressor
from fallline.errors import ModelFileError, SettingError

onnxruntime = pytest.importorskip("onnxruntime")

rng = np.random.default_rng(5)
X = rng.normal(size=(200, 3))
Z = X @ [1.0, -0.5, 0.3] + 0.2
IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
NUMBERS = {
    "squared": Z + rng.normal(size=200),
    "huber": Z + rng.standard_t(2, size=200),
    "poisson": rng.poisson(np.exp(Z)),
    "gamma": np.exp(Z) * rng.gamma(2.0, size=200),
}
CLASSIFIERS = {
    "two": (GDClassifier(), X, Z + rng.logistic(size=200) > 0),
    "two words": (GDClassifier(), X, np.where(Z + rng.logistic(size=200) > 0, "yes", "no")),
    "softmax": (GDClassifier(), IRIS, NAMES),
    "softmax of two": (GDClassifier("softmax"), X, np.where(Z + rng.logistic(size=200) > 0, 7, 3)),
    "one-vs-rest": (GDClassifier(multi_class="one-vs-rest"), IRIS, SPECIES),
    "margin": (GDClassifier("squared hinge"), X, np.where(Z > 0.1, 2.0, 1.0)),
    "margins": (GDClassifier("squared hinge"), IRIS, NAMES),
}


def session(proto):
    return onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("loss", NUMBERS)
def test_onnx_and_scikit_learn_of_numbers(loss):
    model = GDRegressor(loss).fit(X, NUMBERS[loss])
    for made in (model, model.result_):
        (out,) = session(made.to_onnx()).run(None, {"X": X.astype(np.float32)})
        assert_allclose(out, model.predict(X), rtol=2e-6, atol=1e-6)
        (exact,) = session(made.to_onnx(dtype="float64")).run(None, {"X": X})
        assert_allclose(exact, model.predict(X), rtol=1e-12)
        theirs = made.to_sklearn()
        assert type(theirs).__module__.startswith("sklearn.")
        assert_allclose(theirs.predict(X), model.predict(X), rtol=1e-12)


def test_several_outputs(tmp_path):
    model = GDRegressor().fit(X, np.column_stack([Z, 2 * Z, rng.normal(size=200)]))
    model.to_onnx(tmp_path / "m.onnx")
    (out,) = onnxruntime.InferenceSession(tmp_path / "m.onnx").run(None, {"X": X.astype(np.float32)})
    assert_allclose(out, model.predict(X), rtol=2e-6, atol=1e-6)
    assert_allclose(model.to_sklearn().predict(X), model.predict(X), rtol=1e-12)
    assert len(json.loads(model.to_json())["coefficients"]["x0"]) == 3
    with pytest.raises(SettingError, match="several outputs"):
        model.to_sql()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_onnx_and_scikit_learn_of_classes(name):
    model, data, y = CLASSIFIERS[name]
    model.fit(data, y)
    run = session(model.to_onnx())
    out = dict(zip([o.name for o in run.get_outputs()], run.run(None, {"X": data.astype(np.float32)}), strict=True))
    assert (out["label"] == model.predict(data)).mean() > 0.995  # float32 may turn what lies on the edge
    theirs = model.to_sklearn()
    assert (theirs.predict(data) == model.predict(data)).all()
    if hasattr(model, "predict_proba"):
        assert_allclose(out["probabilities"], model.predict_proba(data), rtol=1e-5, atol=1e-6)
        assert_allclose(theirs.predict_proba(data), model.predict_proba(data), rtol=1e-9, atol=1e-12)
    else:
        assert "probabilities" not in out
        assert_allclose(theirs.decision_function(data), model.decision_function(data), rtol=1e-12, atol=1e-12)


def houses(rows=400):
    words = np.array(["north", "south", "o'hare", None, "rare"], dtype=object)
    return pl.DataFrame(
        {
            "area m2": [None if k % 17 == 3 else float(v) for k, v in enumerate(rng.uniform(20, 200, rows))],
            "town": pl.Series(words[rng.choice(5, rows, p=[0.4, 0.3, 0.2, 0.09, 0.01])].tolist(), dtype=pl.String),
            "new": rng.random(rows) > 0.5,
            "sold": [
                None if k % 23 == 5 else datetime.date(2020, 1, 1) + datetime.timedelta(days=int(d))
                for k, d in enumerate(rng.integers(0, 900, rows))
            ],
            "rooms": rng.integers(1, 6, rows),
            "price": rng.normal(100.0, 10.0, rows),
        }
    )


def in_duckdb(frame, expression):
    with duckdb.connect() as db:
        db.register("t", frame.to_arrow())
        return db.execute(f"SELECT {expression} AS p FROM t").fetchnumpy()["p"]


@pytest.mark.parametrize(
    ("loss", "target"), [("squared", "price"), ("poisson", "rooms"), ("logistic", "new"), ("softmax", "town")]
)
def test_sql_of_a_table_in_duckdb(loss, target):
    table = houses().drop_nulls("town")
    result = fallline.fit(table, target, loss=loss, l2=1e-3)
    later = pl.concat([houses(50), houses(1).with_columns(town=pl.lit("never seen", pl.String))])
    found = in_duckdb(later, result.to_sql())
    if loss == "softmax":
        assert list(found) == list(result.predict(later))
    elif loss == "logistic":
        assert_allclose(found, result.predict_probability(later)[:, 1], rtol=1e-10)
    else:
        assert_allclose(found, result.predict(later), rtol=1e-10)


def test_sql_of_stamps_and_decimals():
    stamps = [datetime.datetime(2021, 1, 1, 3, 30) + datetime.timedelta(hours=11 * k) for k in range(1000)]
    table = pl.DataFrame({"at": stamps, "y": rng.normal(size=1000)})
    result = fallline.fit(table, "y", l2=1e-3)
    assert any("time of day" in name for name in result.feature_names)
    assert_allclose(in_duckdb(table, result.to_sql()), result.predict(table), rtol=1e-9, atol=1e-12)
    whole = pl.DataFrame({"a": [10**12, 2, 3], "b": [1, 5, 2], "y": [1.0, 2.0, 4.0]})
    model = fallline.fit(whole.select("a", "b"), whole["y"], l2=1e-3)
    assert_allclose(in_duckdb(whole, model.to_sql()), model.predict(whole.select("a", "b")), rtol=1e-10)


def test_sql_in_sqlite():
    table = houses().drop("sold")
    result = fallline.fit(table, "new", l2=1e-3)
    db = sqlite3.connect(":memory:")
    db.execute('CREATE TABLE t ("area m2" REAL, town TEXT, rooms INTEGER, price REAL)')
    db.executemany("INSERT INTO t VALUES (?,?,?,?)", table.select("area m2", "town", "rooms", "price").rows())
    found = [row[0] for row in db.execute(f"SELECT {result.to_sql('sqlite')} FROM t")]
    assert_allclose(found, result.predict_probability(table)[:, 1], rtol=1e-10)
    with pytest.raises(SettingError, match="SQLite has no type for"):
        fallline.fit(houses(), "price").to_sql("sqlite")


def test_sql_says_what_it_cannot():
    with pytest.raises(SettingError, match="from a formula"):
        fallline.fit(houses(), "price ~ log(rooms)").to_sql()
    with pytest.raises(SettingError, match="Did you mean 'ansi'"):
        fallline.fit(X, Z).to_sql("ansy")
    with pytest.raises(SettingError, match="a point"):
        fallline.minimize(lambda x: float(x @ x), np.ones(2), grad=lambda x: 2 * x).to_json()


def test_sql_margins_of_far_away_rows():
    y = Z > 0.1
    model = GDClassifier().fit(X, y)
    far = pl.DataFrame({"x0": [1e6, -1e6], "x1": [0.0, 0.0], "x2": [0.0, 0.0]})
    assert_allclose(in_duckdb(far, model.to_sql()), model.predict_proba(far.to_numpy())[:, 1], atol=1e-12)
    hinge = GDClassifier("squared hinge").fit(X, np.where(y, "a'b", "c"))
    frame = pl.DataFrame(X, schema=["x0", "x1", "x2"])
    assert list(in_duckdb(frame, hinge.to_sql())) == list(hinge.predict(X))


def test_json_is_enough_to_predict(tmp_path):
    model = GDClassifier().fit(IRIS, NAMES)
    data = json.loads(model.to_json(tmp_path / "m.json"))
    assert json.loads((tmp_path / "m.json").read_text()) == data
    z = IRIS @ np.array(list(data["coefficients"].values())) + data["intercept"]
    assert (np.array(data["classes"])[z.argmax(axis=1)] == model.predict(IRIS)).all()
    with pytest.raises(ModelFileError, match="no such folder"):
        model.to_json(tmp_path / "nowhere" / "m.json")


def test_onnx_says_what_it_cannot():
    with pytest.raises(SettingError, match="'float32' or 'float64'"):
        fallline.fit(X, Z).to_onnx(dtype="float16")


def test_shares_levels_like_our_own_words_and_awkward_names():
    shares = fallline.fit(X, 1.0 / (1.0 + np.exp(-Z - rng.normal(size=200))), loss="logistic")
    (out,) = session(shares.to_onnx(dtype="float64")).run(None, {"X": X})
    assert_allclose(out, shares.predict(X), rtol=1e-12)
    with pytest.raises(SettingError, match="of shares"):
        shares.to_sklearn()
    words = pl.DataFrame({"lev": ["(missing)", "", "x", "(other)"] * 75, "y": rng.normal(size=300)})
    told = fallline.fit(words, "y")
    assert_allclose(in_duckdb(words, told.to_sql()), told.predict(words), rtol=1e-10)
    named = pl.DataFrame(IRIS, schema=["z0", "z1", "fallline_z0", "FALLLINE_Z_1"])
    model = fallline.fit(named.with_columns(y=pl.Series(NAMES)), "y", l2=1e-3)
    assert list(in_duckdb(named, model.to_sql())) == list(model.predict(named))


STRANGE = [
    "it's",
    "\\",
    "\\' OR 1=1 --",
    "a\nb",
    "\x1b[2J",
    "\u202e",
    "=cmd|' /C calc'!A0",
    "",
    '"',
    "'; DROP TABLE t; --",
]


def test_whatever_names_and_levels_are_the_sql_is_the_model():
    """Quotes, backslashes, line ends, controls, comments: in DuckDB and in SQLite, and no backslash within quotes."""
    m = 60 * len(STRANGE)
    column = "we\"ird\\'\n\x1b]; --"
    effect = np.arange(m) % len(STRANGE)
    cells = {column: [STRANGE[k] for k in effect], "a=b": rng.normal(size=m), "-x": rng.normal(size=m)}
    frame = pl.DataFrame(cells | {"y": effect + rng.normal(size=m)})
    model = fallline.fit(frame, "y")
    assert_allclose(in_duckdb(frame, model.to_sql()), model.predict(frame), rtol=1e-9)
    with sqlite3.connect(":memory:") as base:
        names = ", ".join('"' + name.replace('"', '""') + '"' for name in frame.columns)
        base.execute(f"CREATE TABLE t ({names})")
        base.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", frame.rows())
        told = [row[0] for row in base.execute(f"SELECT {model.to_sql('sqlite')} FROM t")]
    base.close()
    assert_allclose(told, model.predict(frame), rtol=1e-9)
    assert not re.search(r"'[^']*\\[^']*'", model.to_sql().replace(column.replace('"', '""'), ""))
    labels = frame.with_columns(y=pl.Series([STRANGE[k % 3] for k in effect]))
    classes = fallline.fit(labels, "y", l2=1e-2)
    assert list(in_duckdb(labels, classes.to_sql())) == list(classes.predict(labels))


def test_whatever_names_and_labels_are_onnx_and_json_have_them():
    names = ["a\nb", '<x>"\x1b', "\u202e"]
    model = fallline.fit(X, np.where(Z > 0, STRANGE[1], STRANGE[4]), loss="logistic", l2=0.01, feature_names=names)
    made = session(model.to_onnx())
    assert (made.run(None, {"X": X.astype(np.float32)})[0] == model.predict(X)).mean() > 0.99
    assert json.loads(made.get_modelmeta().custom_metadata_map["columns"]) == names
    assert list(json.loads(model.to_json())["coefficients"]) == names
    for name in ("a\0b", "a\ud800"):
        odd = fallline.fit(X, Z, feature_names=[name, "b", "c"], target_name=name)
        with pytest.raises(SettingError, match="which no database can; rename it"):
            odd.to_sql()
        assert list(json.loads(odd.to_json())["coefficients"])[0] == name
    with pytest.raises(SettingError, match="half of a surrogate pair, which ONNX cannot"):
        odd.to_onnx()
