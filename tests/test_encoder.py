"""From a table to X and back through JSON: what is learned of each column, and what becomes of later tables."""

from __future__ import annotations

import datetime
import json
import math

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline
from fallline.errors import DataError, ModelFileError, SchemaError, SettingError, TargetError
from fallline.rows.assemble import csr, dense
from fallline.rows.coded import Coded
from fallline.rows.encoder import Encoder
from fallline.rows.learning import rare_below
from fallline.rows.table import read_table

pl = pytest.importorskip("polars")

START = datetime.date(2023, 1, 2)  # a Monday


def table(**columns):
    """A table with a target beside these columns; short ones are repeated to 40 rows."""
    grown = {name: (list(cells) * 40)[:40] for name, cells in columns.items()}
    return pl.DataFrame({**grown, "y": np.arange(40.0)}, strict=False)


def encoded(frame, **how):
    """What is learned of a table, and X by column name."""
    encoder = Encoder.learn(frame, "y", **how)
    X, report = encoder.transform(frame)
    assert X.shape == (report.rows, len(encoder.features))
    assert Encoder.from_json(encoder.to_json()) == encoder
    full = X.toarray() if scipy.sparse.issparse(X) else X
    return encoder, dict(zip(encoder.features, full.T, strict=True)), report


# Kinds of columns


def test_numbers_booleans_durations_and_times() -> None:
    frame = table(
        i=[1, 2], f=[0.5, 1.5], b=[True, False], d=[datetime.timedelta(hours=1), datetime.timedelta(0)],
        t=[datetime.time(6), datetime.time(12)],
    ).with_columns(m=pl.Series([1.25, 2.5] * 20).cast(pl.Decimal(10, 2)), s=pl.Series([3, 4] * 20, dtype=pl.UInt8))  # fmt: skip
    encoder, X, report = encoded(frame)
    first = {"i": 1.0, "f": 0.5, "b": 1.0, "d": 3600.0, "t": 0.25, "m": 1.25, "s": 3.0}
    assert {name: values[0] for name, values in X.items()} == first
    assert encoder.kinds == {
        "i": "number", "f": "number", "b": "boolean", "d": "duration", "t": "time", "m": "number", "s": "number",
    }  # fmt: skip
    assert report.sentences() == []


def test_text_is_compared_with_the_most_frequent_level() -> None:
    encoder, X, _ = encoded(table(town=["B", "A", "C", "B"]))
    assert encoder.features == ("town=A", "town=C")
    assert [X[name][:4].tolist() for name in encoder.features] == [[0, 1, 0, 0], [0, 0, 1, 0]]
    kinds = (pl.Categorical, pl.Enum(["C", "B", "A"]))
    for kind in kinds:
        frame = table(town=["B", "A", "C", "B"]).with_columns(pl.col("town").cast(kind))
        assert Encoder.learn(frame, "y") == encoder


def test_one_hot_equals_that_of_pandas_and_scikit_learn(shared) -> None:
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    pd = pytest.importorskip("pandas")
    cells = read_table(shared("housing.csv")).select("ocean_proximity", y="median_house_value")
    encoder, X, _ = encoded(cells)
    ours = np.column_stack(list(X.values()))
    names = [name.removeprefix("ocean_proximity=") for name in encoder.features]
    text = cells["ocean_proximity"].to_list()
    np.testing.assert_array_equal(ours, pd.get_dummies(pd.Series(text), dtype=float)[names].to_numpy())
    theirs = preprocessing.OneHotEncoder(drop=["<1H OCEAN"], sparse_output=False)
    np.testing.assert_array_equal(ours, theirs.fit_transform(np.array(text)[:, None]))
    assert names == theirs.categories_[0].tolist()[1:]


def test_rare_levels_share_a_column() -> None:
    cells = ["A"] * 20 + ["B"] * 17 + ["C", "D", "D"]
    encoder, X, report = encoded(table(town=cells), rare=3)
    assert encoder.features == ("town=B", "town=(other)")
    assert X["town=(other)"].sum() == 3
    assert report.unseen["town"].cells == 3
    assert "town=D" in encoded(table(town=cells), rare=2)[0].features  # C alone keeps its name
    assert encoded(table(town=cells), most_levels=1)[0].features == ("town=B", "town=(other)")
    assert [rare_below(m) for m in (10, 300, 10**6)] == [2, 3, 10]


def test_levels_with_our_own_names() -> None:
    _, X, _ = encoded(table(town=["A"] * 20 + ["(other)"] * 15 + ["B", "C", None, "(missing)", None]), rare=3)
    assert {name: values.sum() for name, values in X.items()} == {"town=(other)": 17.0, "town=(missing)": 3.0}
    assert encoded(table(town=["(other)"] * 30 + ["B"] * 10))[0].features == ("town=B",)


def test_dates_become_days_weekdays_and_months() -> None:
    days = [START + datetime.timedelta(days=i) for i in range(400)]
    frame = pl.DataFrame({"on": days, "y": np.arange(400.0)})
    encoder, X, _ = encoded(frame)
    np.testing.assert_array_equal(X["on: days"], np.arange(400.0))
    assert encoder.features[:7] == (
        "on: days",
        *(f"on: weekday={d}" for d in ("Tue", "Wed", "Thu", "Fri", "Sat", "Sun")),
    )
    assert [X[f"on: weekday={d}"][i] for i, d in enumerate(("Tue", "Wed"), start=1)] == [1.0, 1.0]
    assert len(encoder.features) == 7 + 11 and "on: month=Jan" not in encoder.features  # January is the most frequent
    assert X["on: month=Feb"].sum() == 28 + 5
    assert encoded(frame.head(13))[0].features == ("on: days",)
    assert len(encoded(frame.head(300))[0].features) == 7


def test_time_stamps_have_a_time_of_day() -> None:
    stamps = [datetime.datetime(2024, 1, 1, 6), datetime.datetime(2024, 1, 2, 18)]
    encoder, X, _ = encoded(table(at=stamps))
    assert {name: values[:2].tolist() for name, values in X.items()} == {
        "at: days": [0.0, 1.0], "at: time of day": [0.25, 0.75],
    }  # fmt: skip
    zoned = table(at=stamps).with_columns(pl.col("at").dt.replace_time_zone("Europe/Paris"))
    _, X, _ = encoded(zoned)
    np.testing.assert_allclose(X["at: time of day"][:2], [5 / 24, 17 / 24], rtol=1e-15)
    late, _ = encoder.transform(pl.DataFrame({"at": ["2023-12-31 12:00", None]}))
    np.testing.assert_array_equal(late, [[-1.0, 0.5], [0.5, 0.5]])  # a hole takes the medians


def test_what_is_left_out_and_why() -> None:
    frame = table(
        same=[5.0], word=["x"], empty=[None], id=[f"r{i}" for i in range(40)], list=[[1], [2]], x=[1, 2],
        when=[START], nan=[math.nan],
    )  # fmt: skip
    encoder, X, _ = encoded(frame)
    assert list(X) == ["x"]
    assert encoder.left_out == {
        "same": "it has one value only (5.0)",
        "word": "it has one value only ('x')",
        "empty": "every cell is empty",
        "id": "40 of its 40 cells are different: it names rows, and tells nothing of new ones",
        "list": "its cells (List(Int64)) are neither numbers nor text nor dates",
        "when": "it has one value only (2023-01-02)",
        "nan": "every cell is empty",
    }


def test_no_column_is_left() -> None:
    with pytest.raises(DataError, match="No column is left to learn 'y' from.*'same': it has one value only"):
        Encoder.learn(table(same=[1]), "y")


# Holes


def holed():
    return table(
        n=[1.0, 2.0, 9.0, None], b=[True, True, False, None], t=["A", "A", "B", None], d=[START, None], x=[1, 2]
    )


def test_holes_are_filled_and_marked() -> None:
    encoder, X, report = encoded(holed())
    assert {name: values[3] for name, values in X.items()} == {
        "n": 2.0, "n is missing": 1.0, "b": 1.0, "t=B": 0.0, "t=(missing)": 1.0, "d is missing": 1.0, "x": 2.0,
    }  # fmt: skip
    assert encoder.holes == report.holes == {"n": 10, "b": 10, "t": 10, "d": 20}
    assert encoder.left_out == {"b is missing": "the same rows as 'n is missing'"}
    assert report.new_holes == ()


def test_holes_are_filled_only() -> None:
    encoder, X, _ = encoded(holed(), na="median")
    assert {name: values[3] for name, values in X.items()} == {"n": 2.0, "b": 1.0, "t=B": 0.0, "x": 2.0}
    assert list(encoder.left_out) == ["d"]


def test_rows_with_holes_are_dropped() -> None:
    frame = holed().drop("d").with_columns(empty=pl.lit(None))
    encoder, X, report = encoded(frame, na="drop")
    assert report.dropped == 10 and report.rows == 30
    assert report.kept.tolist() == [i for i in range(40) if i % 4 != 3]
    assert list(X) == ["n", "b", "t=B", "x"] and list(encoder.left_out) == ["empty"]
    with pytest.raises(DataError, match="Every row has an empty cell"):
        Encoder.learn(table(a=[1, None, 2, None], b=[None, 1, None, 2]), "y", na="drop")


def test_holes_are_refused() -> None:
    with pytest.raises(DataError, match=r"D20: 3 columns .*'n' in 10 rows \(first: row 3\).*'t' in 10 rows"):
        Encoder.learn(holed(), "y", na="refuse")
    encoder = Encoder.learn(table(n=[1, 2]), "y", na="refuse")
    with pytest.raises(DataError, match=r"'n' in 1 row \(first: row 1\)"):
        encoder.transform(pl.DataFrame({"n": [1, None]}))


def test_nan_is_a_hole() -> None:
    frame = table(n=[1.0, 2.0, 4.0, math.nan])
    assert encoded(frame)[0] == encoded(table(n=[1.0, 2.0, 4.0, None]))[0]


def test_one_value_and_holes_leave_the_indicator() -> None:
    _, X, _ = encoded(table(n=[7, None], t=["x", None, "x", "x"]))
    assert list(X) == ["n is missing", "t=(missing)"]


def test_rows_without_a_target_teach_nothing() -> None:
    frame = table(n=[1.0, 2.0, 3.0, 900.0], t=["A", "B", "A", "Z"])
    frame = frame.with_columns(y=pl.when(pl.col("n") > 100).then(math.nan).otherwise(pl.col("y")))
    encoder = Encoder.learn(frame, "y")
    assert encoder.features == ("n", "t=B")
    assert encoder == Encoder.learn(frame.filter(pl.col("n") < 100), "y")
    with pytest.raises(TargetError, match="empty in all 40 rows"):
        Encoder.learn(frame.with_columns(y=pl.lit(None)), "y")


# Later tables


def test_levels_and_holes_that_training_did_not_meet() -> None:
    encoder = Encoder.learn(
        table(n=[1.0, 2.0, 3.0], t=["A", "A", "B"], r=["A"] * 30 + ["B"] * 7 + ["C", "D", "E"]), "y"
    )
    X, report = encoder.transform(
        pl.DataFrame({"n": [None, 5.0], "t": ["Q", None], "r": ["Q", "A"]}, schema_overrides={"n": pl.Float64})
    )
    named = [dict(zip(encoder.features, row, strict=True)) for row in X]
    assert named[0] == {"n": 1.975, "t=B": 0.0, "r=B": 0.0, "r=(other)": 1.0}
    assert named[1] == {"n": 5.0, "t=B": 0.0, "r=B": 0.0, "r=(other)": 0.0}
    assert report.new_holes == ("n", "t") and report.holes == {"n": 1, "t": 1}
    told = " ".join(report.sentences())
    assert "'t': 1 cell of levels without a column of their own ('Q'), counted as 'A'." in told
    assert "counted as '(other)'" in told and "training met none" in told


def test_columns_in_any_order_and_more_of_them() -> None:
    frame = table(a=[1, 2], t=["u", "v", "v"], w=[1, 2], same=[1]).with_columns(extra=pl.lit(1))
    encoder = Encoder.learn(frame.drop("extra"), "y", weight="w")
    X, report = encoder.transform(frame.select(sorted(frame.columns, reverse=True)))
    np.testing.assert_array_equal(X, encoder.transform(frame)[0])
    assert report.ignored == ("extra",)
    assert encoder.kinds["w"] == "number"
    assert encoder.features == ("a", "t=u")


def test_missing_columns() -> None:
    encoder = Encoder.learn(table(rooms=[1, 2], sea=["u", "v"], x=[1, 2]), "y")
    with pytest.raises(SchemaError, match=r"lacks 2 of the 3 columns .*: 'rooms', 'sea'. Did you mean 'room'\?"):
        encoder.transform(pl.DataFrame({"room": [1], "x": [1]}))


@pytest.mark.parametrize(
    ("trained", "given", "told"),
    [
        ([1, 2], ["1", "x"], "Column 'c', row 1: 'x' is text; the model was trained on numbers"),
        ([1, 2], [START], "Column 'c' holds dates; the model was trained on numbers"),
        ([True, False], ["yes"], "row 0: 'yes' is text; the model was trained on true and false"),
        ([START, START + datetime.timedelta(1)], [5], "Column 'c' holds numbers; the model was trained on dates"),
        ([START, START + datetime.timedelta(1)], ["soon"], "row 0: 'soon' is not a date"),
        ([datetime.timedelta(1), datetime.timedelta(2)], [5], "Column 'c' holds numbers; .* on durations"),
        ([datetime.time(1), datetime.time(2)], ["x"], "row 0: 'x' is text; the model was trained on times of day"),
        (["a", "b"], [[1]], "Column 'c' holds List"),
    ],
)  # fmt: skip
def test_columns_of_another_kind(trained, given, told) -> None:
    encoder = Encoder.learn(table(c=trained), "y")
    with pytest.raises(SchemaError, match=told):
        encoder.transform(pl.DataFrame({"c": given}))


@pytest.mark.parametrize(
    ("trained", "given"),
    [
        ([1, 2], ["1", " 2"]), ([1, 2], [True, False]), ([True, False], ["TRUE", "0"]), ([True, False], [1, 0]),
        (["1", "2"], [1.0, 2.0]), ([START, START + datetime.timedelta(1)], ["2023-01-02", "2023-01-03"]),
        ([1, 2], [None, None]), (["a", "b"], [None, None]), ([START, START + datetime.timedelta(1)], [None, None]),
    ],
)  # fmt: skip
def test_columns_that_can_be_read_all_the_same(trained, given) -> None:
    encoder = Encoder.learn(table(c=trained), "y")
    for kind in (None, pl.String) if given == [None, None] else (None,):
        X, _ = encoder.transform(pl.DataFrame({"c": pl.Series(given, dtype=kind)}))
        assert np.isfinite(X).all() and X.shape == (2, 1)


def test_infinities() -> None:
    frame = table(n=[1.0, 2.0]).with_columns(n=pl.when(pl.col("y") >= 7).then(math.inf).otherwise(pl.col("n")))
    with pytest.raises(DataError, match=r"Column 'n' is infinite in 33 rows \(first: row 7, inf\)"):
        Encoder.learn(frame, "y")
    encoder = Encoder.learn(table(n=[1.0, 2.0]), "y")
    with pytest.raises(DataError, match=r"'n' is infinite in 1 row \(first: row 1, -inf\)"):
        encoder.transform(pl.DataFrame({"n": [0.0, -math.inf]}))


def test_columns_that_are_asked_for_and_not_there() -> None:
    frame = table(rooms=[1, 2])
    with pytest.raises(DataError, match="'price'"):
        Encoder.learn(frame.rename({"y": "prices"}), "price")
    with pytest.raises(DataError, match="no column 'romms'. Did you mean 'rooms'"):
        Encoder.learn(frame, "y", weight="romms")


@pytest.mark.parametrize("how", [{"na": "mode"}, {"rare": 0}, {"rare": 0.5}, {"most_levels": -1}, {"rare": True}])
def test_settings_that_cannot_be(how) -> None:
    with pytest.raises(SettingError, match=next(iter(how))):
        Encoder.learn(table(a=[1, 2]), "y", **how)


def test_a_pandas_frame() -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = holed().drop("d")
    encoder = Encoder.learn(frame, "y")
    np.testing.assert_array_equal(encoder.transform(frame.to_pandas())[0], encoder.transform(frame)[0])


# Dense and sparse


def test_many_levels_make_a_sparse_matrix() -> None:
    rng = np.random.default_rng(0)
    m = 3_000
    frame = pl.DataFrame(
        {
            "n": rng.normal(size=m), "b": rng.random(m) < 0.5, "t": [f"L{i % 300}" for i in rng.permutation(m)],
            "d": [START + datetime.timedelta(days=int(i)) for i in rng.integers(0, 700, m)],
            "h": [None if i % 7 == 0 else float(i % 5) for i in range(m)], "y": rng.normal(size=m),
        }
    )  # fmt: skip
    encoder = Encoder.learn(frame, "y")
    X, _ = encoder.transform(frame)
    assert scipy.sparse.issparse(X) and X.format == "csr" and X.dtype == np.float64
    assert X.indices.dtype == X.indptr.dtype == np.int32
    X.check_format(full_check=True)
    assert X.has_sorted_indices and X.has_canonical_format and (X.data != 0).all()
    narrow = Encoder.learn(frame.drop("t"), "y")
    assert narrow.form(m) == "dense"
    columns = [encoder.features.index(name) for name in narrow.features]
    np.testing.assert_array_equal(X[:, columns].toarray(), narrow.transform(frame)[0])
    levels = [name.removeprefix("t=") for name in encoder.features if name.startswith("t=")]
    column = encoder.features.index(f"t={levels[17]}")
    np.testing.assert_array_equal(X[:, [column]].toarray()[:, 0], (frame["t"] == levels[17]).to_numpy())


def test_a_large_table_with_text_keeps_codes() -> None:
    rng = np.random.default_rng(0)
    m = 30_000
    frame = pl.DataFrame(
        {
            "n": rng.normal(size=m), "t": [f"L{i % 60}" for i in rng.permutation(m)], "b": rng.random(m) < 0.5,
            "h": [None if i % 7 == 0 else f"{i % 5}" for i in range(m)], "y": rng.normal(size=m),
        }
    )  # fmt: skip
    encoder = Encoder.learn(frame, "y")
    X, _ = encoder.transform(frame)
    assert isinstance(X, Coded) and X.codes.dtype == np.uint16 and X.shape == (m, len(encoder.features))
    small, _ = encoder.transform(frame[:500])
    assert isinstance(small, np.ndarray)
    np.testing.assert_array_equal(X[:500].toarray(), small)
    theta = rng.standard_normal(X.shape[1])
    np.testing.assert_allclose(X @ theta, X.tocsr() @ theta, rtol=1e-12, atol=1e-12)
    y = X @ theta + rng.standard_normal(m)
    coded, csr_fit = (fallline.fit(A, y, l2=1e-3, tol=1e-12) for A in (X, X.tocsr()))
    assert str(coded.certainty) == "proved"
    np.testing.assert_allclose(coded.coef, csr_fit.coef, rtol=0, atol=1e-8)


def test_many_numbers_stay_dense() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(rng.normal(size=(30, 251)), schema=[f"x{j}" for j in range(250)] + ["y"])
    X, _ = Encoder.learn(frame, "y").transform(frame)
    assert isinstance(X, np.ndarray) and X.flags.c_contiguous
    np.testing.assert_array_equal(X, frame.drop("y").to_numpy())


@pytest.mark.parametrize("rows", [0, 1, 65_536, 65_537])
def test_blocks_of_rows_join_without_a_seam(rows) -> None:
    from fallline.rows.columns import Piece

    rng = np.random.default_rng(rows)
    pieces = [
        Piece(1, values=rng.integers(0, 3, rows).astype(float)),
        Piece(4, codes=rng.integers(-1, 4, rows).astype(np.int32)),
        Piece(1, values=rng.normal(size=rows)),
    ]
    sparse = csr(pieces, rows)
    np.testing.assert_array_equal(sparse.toarray(), dense(pieces, rows))
    sparse.check_format(full_check=True)


# JSON


def test_json_is_plain() -> None:
    frame = holed().with_columns(at=pl.Series([datetime.datetime(2024, 1, 1, 6), datetime.datetime(2024, 1, 2)] * 20))
    encoder = Encoder.learn(frame, "y", na="auto")
    text = encoder.to_json()
    again = Encoder.from_json(text)
    assert again == encoder and again.to_json() == text
    np.testing.assert_array_equal(again.transform(frame)[0], encoder.transform(frame)[0])
    assert json.loads(text)["format"] == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(format=2),
        lambda d: d.pop("format"),
        lambda d: d.update(columns=5),
        lambda d: d["columns"][0].update({"is": "os.system"}),
        lambda d: d["columns"][0].update(fill="x"),
        lambda d: d["columns"][0].update(fill=math.nan),
        lambda d: d["columns"][0].update(source="text"),
        lambda d: d["columns"][0].update(more=1),
        lambda d: d["columns"][0].pop("fill"),
        lambda d: d["columns"][1].update(levels=[1, 2]),
        lambda d: d["columns"][1].update(levels="AB"),
        lambda d: d["columns"][1].update(levels=["A", "B", "B"]),
        lambda d: d["columns"][1].update(reference="B"),
        lambda d: d["columns"][2].update(first="yesterday"),
        lambda d: d["columns"][2].update(parts=[d["columns"][2].copy()]),
        lambda d: d["columns"][2].update(parts=[{}]),
        lambda d: d.update(na="perhaps"),
        lambda d: d.update(target=None),
        lambda d: d.update(left_out=[]),
        lambda d: d.update(extra=1),
    ],
)
def test_json_of_strangers(change) -> None:
    encoder = Encoder.learn(table(n=[1, 2], t=["A", "B"], d=[START, START + datetime.timedelta(3)]), "y")
    data = json.loads(encoder.to_json())
    change(data)
    with pytest.raises(ModelFileError):
        Encoder.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "null", "[]", "5", "{", "{}", "[" * 100_000])
def test_json_that_is_something_else(text) -> None:
    with pytest.raises(ModelFileError):
        Encoder.from_json(text)


# Any small table

CELLS = {
    "numbers": st.floats(allow_nan=True, allow_infinity=False, width=32),
    "wholes": st.integers(-(2**40), 2**40),
    "truths": st.booleans(),
    "text": st.sampled_from(["a", "b", "c", "", "(other)", "(missing)", "é"]),
    "names": st.text(max_size=4),
    "dates": st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 1, 1)),
    "stamps": st.datetimes(datetime.datetime(1990, 1, 1), datetime.datetime(2030, 1, 1)),
    "spans": st.timedeltas(datetime.timedelta(-1000), datetime.timedelta(1000)),
    "times": st.times(),
}
DTYPES = {
    "numbers": "Float64", "wholes": "Int64", "truths": "Boolean", "text": "String", "names": "String", "dates": "Date",
    "stamps": "Datetime", "spans": "Duration", "times": "Time",
}  # fmt: skip


@st.composite
def tables(draw, rows=None):
    m = draw(st.integers(1, 30)) if rows is None else rows
    kinds = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    columns = {}
    for j, kind in enumerate(kinds):
        cell = st.one_of(st.none(), CELLS[kind]) if draw(st.booleans()) else CELLS[kind]
        cells = draw(st.lists(cell, min_size=m, max_size=m))
        columns[f"{kind}{j}"] = pl.Series(cells, dtype=getattr(pl, DTYPES[kind]), strict=False)
    return pl.DataFrame(columns).with_columns(y=pl.Series(np.arange(m) * 1.0))


@given(frame=tables(), na=st.sampled_from(["auto", "median", "drop"]), data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_small_table(frame, na, data) -> None:
    """X is finite, of the right shape, equal after JSON, and has no constant column but by dropping rows."""
    try:
        encoder = Encoder.learn(frame, "y", na=na)
    except DataError:
        return
    X, report = encoder.transform(frame)
    assert isinstance(X, np.ndarray) and X.shape == (report.rows, len(encoder.features))
    assert np.isfinite(X).all()
    assert report.rows + report.dropped == frame.height
    assert {*encoder.kinds, *encoder.left_out} >= {*frame.columns} - {"y"}
    if na != "drop":
        assert (X.max(axis=0) > X.min(axis=0)).all()
    again = Encoder.from_json(encoder.to_json())
    assert again == encoder
    order = data.draw(st.permutations(range(frame.height)))
    if na != "drop":
        np.testing.assert_array_equal(again.transform(frame[order])[0], X[order])
        assert Encoder.learn(frame[order], "y", na=na).features == encoder.features


# Real files


def test_housing(shared) -> None:
    frame = read_table(shared("housing.csv"))
    encoder = Encoder.learn(frame, "median_house_value")
    X, report = encoder.transform(frame)
    assert X.shape == (20_640, 13) and np.isfinite(X).all()
    assert encoder.features[4:6] == ("total_bedrooms", "total_bedrooms is missing")
    assert encoder.features[-4:] == tuple(
        f"ocean_proximity={level}" for level in ("INLAND", "ISLAND", "NEAR BAY", "NEAR OCEAN")
    )
    assert X[:, 5].sum() == 207 and encoder.holes == {"total_bedrooms": 207}
    assert X[X[:, 5] == 1, 4][0] == frame["total_bedrooms"].median()
    assert report.sentences() == []


def test_motorcycles(shared) -> None:
    frame = read_table(shared("motorcycle_claims.csv"))
    encoder = Encoder.learn(frame, "antskad", exposure="duration")
    assert encoder.features == ("agarald", "kon=K", "zon", "mcklass", "fordald", "bonuskl", "skadkost")
    assert encoder.kinds["duration"] == "number"


@pytest.mark.slow
def test_flights(shared) -> None:
    frame = read_table(shared("flights.parquet"))
    encoder = Encoder.learn(frame, "arr_delay", na="drop")
    X, report = encoder.transform(frame)
    assert isinstance(X, Coded) and report.rows == len(report.kept) == X.shape[0]
    assert 3_000 < X.shape[1] < 4_500 and X.nbytes < 45e6
    X = X.tocsr()
    tail = [j for j, name in enumerate(encoder.features) if name.startswith("tailnum=")]
    assert len(tail) > 3_000 and "tailnum=(other)" in encoder.features
    plane = "N14228"
    column = X[:, [encoder.features.index(f"tailnum={plane}")]].toarray()[:, 0]
    np.testing.assert_array_equal(column, (frame["tailnum"][report.kept] == plane).to_numpy())
