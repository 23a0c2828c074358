"""Malformed arrays: each is refused in one line that names the place, or read for what it is; never a wrong number."""

from __future__ import annotations

import datetime
import decimal
import fractions
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

import fallline
from fallline import FalllineError, GDClassifier, GDRegressor
from fallline.errors import MOST_LETTERS

RNG = np.random.default_rng(0)
M = 40
X = RNG.normal(size=(M, 3))
Y = X @ [1.0, 2.0, 3.0] + 0.1 * RNG.normal(size=M)
LABELS = np.where(Y > 0.0, 1, 0)
RAGGED = [[1.0, 2.0], [3.0]] * (M // 2)
with warnings.catch_warnings():  # NumPy advises against them
    warnings.simplefilter("ignore")
    MATRIX = np.asmatrix(X)


@pytest.fixture(scope="module")
def model() -> Any:
    return fallline.fit(X, Y)


def masked(values: Any, place: int = 4) -> Any:
    return np.ma.array(values, mask=np.arange(np.size(values)).reshape(np.shape(values)) == place)


def with_cell(cell: Any) -> Any:
    values = X.astype(object)
    values[5, 1] = cell
    return values


def refusal(call: Callable[[], Any]) -> str:
    """The message with which `call` refuses, without a warning before it."""
    with warnings.catch_warnings(), pytest.raises(FalllineError) as caught:
        warnings.simplefilter("error")
        call()
    told = str(caught.value)
    assert "\n" not in told and len(told) <= MOST_LETTERS
    return told


# What may stand for X, and what the refusal says. (name, maker, words)
STRANGE = [
    ("a mask", lambda: masked(X), "masked in 1 row (first: row 1)"),
    ("a list of masked rows", lambda: [masked(row, 0) for row in X], "masked in 40 rows"),
    ("a masked cell in a list", lambda: [[1.0, 2.0, np.ma.masked]] * M, "masked in 40 rows"),
    ("complex numbers", lambda: X + 1j, "Complex"),
    ("complex without an imaginary part", lambda: X + 0j, "Complex"),
    ("a complex cell", lambda: with_cell(1j), "column 1, row 5: Complex"),
    ("NumPy's complex cell", lambda: with_cell(np.complex64(1j)), "column 1, row 5: Complex"),
    ("dates", lambda: np.full((M, 3), "2020-01-01", "M8[D]"), "holds dates"),
    ("NaT", lambda: np.full((M, 3), "NaT", "M8[ns]"), "holds dates"),
    ("a date", lambda: with_cell(datetime.date(2020, 1, 1)), "column 1, row 5: holds dates"),
    ("durations", lambda: np.ones((M, 3), "m8[s]"), "holds durations"),
    ("NumPy's duration", lambda: with_cell(np.timedelta64(1, "s")), "column 1, row 5: holds durations"),
    ("a huge whole number", lambda: with_cell(10**400), "column 1, row 5"),
    ("a number of 5,000 digits", lambda: with_cell(10**5000), "column 1, row 5"),
    ("text", lambda: with_cell("oops"), "column 1, row 5: 'oops'"),
    ("a list in a cell", lambda: with_cell([1.0]), "column 1, row 5"),
    ("ragged rows", lambda: RAGGED, "row 0 has 2 cells and row 1 has 1 cells"),
    ("records", lambda: np.zeros(M, [("a", float)]), "records"),
    ("one dimension", lambda: X[:, 0], "reshape(-1, 1)"),
    ("three dimensions", lambda: X[None], "dimension"),
    ("a number", lambda: np.array(3.0), "dimension"),
    ("nothing", lambda: None, "dimension"),
    ("infinity", lambda: np.where(np.arange(M)[:, None] == 7, np.inf, X), "first: row 7"),
    ("a signalling NaN", lambda: with_cell(decimal.Decimal("sNaN")), "row 5"),
    ("beyond double precision", lambda: X.astype(np.longdouble) * np.longdouble("1e4000"), "not finite"),
    ("numbers whose sums overflow", lambda: np.sign(X) * 1e305, "beyond 1e+302"),
    ("dates in a frame", lambda: pd.DataFrame({"when": pd.date_range("2020", periods=M)}), "holds dates"),
    ("lists in a frame", lambda: pl.DataFrame({"a": [[1, 2]] * M}), "column 'a', row 0"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "words"), [case[1:] for case in STRANGE], ids=[case[0] for case in STRANGE])
def test_strange_features_are_refused(make: Callable[[], Any], words: str) -> None:
    assert words in refusal(lambda: fallline.fit(make(), Y))


SKLEARN = [case for case in STRANGE if case[0] not in ("nothing", "a number", "three dimensions", "text")]


@pytest.mark.parametrize("make", [case[1] for case in SKLEARN], ids=[case[0] for case in SKLEARN])
def test_the_estimators_refuse_them_too(make: Callable[[], Any]) -> None:
    refusal(lambda: GDRegressor().fit(make(), Y))
    refusal(lambda: GDClassifier().partial_fit(make(), LABELS))


@pytest.mark.parametrize("strange", [masked(X), X + 1j, np.ones((M, 3), "m8[s]"), with_cell(10**400)])
def test_predicting_and_checking_refuse_them_too(model: Any, strange: Any) -> None:
    refusal(lambda: model.predict(strange))
    refusal(lambda: model.look_at(strange))
    refusal(lambda: fallline.gradient_descent(strange, Y))
    refusal(lambda: GDRegressor().fit(X, Y).predict(strange))
    assert refusal(lambda: fallline.fit(X, Y, check=(strange, Y))).startswith("check: ")


VECTORS = [
    masked(np.ones(M)), [np.ma.masked, *[1.0] * (M - 1)], np.ones(M) + 1j, np.ones(M, "M8[D]"), ["a"] * M, [10**400] * M,
    [np.nan] * M, [np.inf] * M, RAGGED, np.ones(M - 1), np.ones((M, 2)), "abc", {1: 2}, sp.csr_matrix(np.ones((M, 1))),
    [None] * M, np.zeros(M, "V8"),
]  # fmt: skip


@pytest.mark.parametrize("strange", VECTORS, ids=range(len(VECTORS)))
def test_strange_targets_weights_offsets_and_starts_are_refused(model: Any, strange: Any) -> None:
    refusal(lambda: fallline.fit(X, Y, sample_weight=strange))
    refusal(lambda: fallline.fit(X, Y, offset=strange))
    refusal(lambda: fallline.fit(X, Y, check=(X, Y, strange)))
    refusal(lambda: fallline.fit(X, Y, start=strange))
    refusal(lambda: model.predict(X, strange))
    refusal(lambda: GDRegressor().fit(X, Y, sample_weight=strange))
    refusal(lambda: GDRegressor().fit(X, Y, offset=strange))
    if isinstance(strange, str):  # the name of a column
        return
    refusal(lambda: fallline.fit(X, strange))
    if getattr(strange, "shape", None) != (M, 2):  # two targets
        refusal(lambda: GDRegressor().fit(X, strange))
        refusal(lambda: GDRegressor().partial_fit(X, strange))


def damaged(form: str, **fields: Callable[[Any], Any]) -> Any:
    matrix = sp.csr_matrix(np.where(np.abs(X) > 0.3, X, 0.0)).asformat(form)
    for name, change in fields.items():
        setattr(matrix, name, change(getattr(matrix, name).copy()))
    return matrix


def setting(place: int, value: int) -> Callable[[Any], Any]:
    def change(values: Any) -> Any:
        values[place] = value
        return values

    return change


DAMAGE: list[tuple[str, dict[str, Callable[[Any], Any]]]] = [
    *[
        (form, {name: change})
        for form in ("csr", "csc", "bsr")
        for name, change in [
            ("indices", setting(0, 999)), ("indices", setting(0, -1)), ("indptr", setting(1, 10**6)), ("indptr", setting(0, 1)),
            ("indptr", lambda a: a[:-1]), ("data", lambda a: a[:-2]),
        ]
    ],
    ("coo", {"row": setting(0, 999)}),
    ("coo", {"col": setting(0, -1)}),
]  # fmt: skip


@pytest.mark.parametrize(("form", "change"), DAMAGE)
def test_damaged_sparse_matrices_are_refused_before_they_are_converted(model: Any, form: str, change: Any) -> None:
    matrix = damaged(form, **change)
    assert "damaged" in refusal(lambda: fallline.fit(matrix, Y))
    refusal(lambda: model.predict(matrix))
    refusal(lambda: GDRegressor().fit(matrix, Y))
    refusal(lambda: GDRegressor().partial_fit(matrix, Y))


def test_sparse_matrices_of_other_cells_and_shapes_are_refused() -> None:
    assert "Complex" in refusal(lambda: fallline.fit(sp.csr_matrix(X + 1j), Y))
    assert "two dimensions" in refusal(lambda: fallline.fit(sp.coo_array(Y), Y))


ROWS, COLUMNS = np.repeat(np.arange(M), 3), np.tile(np.arange(3), M)
FINE: list[Any] = [
    np.ma.array(X), [np.ma.array(row) for row in X], MATRIX, X.astype(object), X.astype(">f8"), np.asfortranarray(X),
    X.astype(np.longdouble), [[decimal.Decimal(repr(v)) for v in row] for row in X.tolist()],
    [[fractions.Fraction(v) for v in row] for row in X.tolist()], pd.DataFrame(X).convert_dtypes(), pl.DataFrame(X),
    *[sp.csr_matrix(X).asformat(form) for form in ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")],
    *[sp.csr_array(X).asformat(form) for form in ("csr", "csc", "coo")],
    sp.coo_matrix((np.tile(X.ravel(), 2) / 2.0, (np.tile(ROWS, 2), np.tile(COLUMNS, 2)))),
]  # fmt: skip


@pytest.mark.parametrize("same", FINE, ids=range(len(FINE)))
def test_the_same_numbers_in_another_form_give_the_same_model(model: Any, same: Any) -> None:
    np.testing.assert_allclose(fallline.fit(same, Y).coef, model.coef, rtol=1e-5)


SETTINGS = [
    {"callback": 3}, {"callback": "x"}, {"start": "x"}, {"start": {}}, {"feature_names": 3}, {"feature_names": "abc"},
    {"check": [X, Y]}, {"check": (X[:, :2], Y)}, {"alpha": 1.0}, {"check": "x" * 1000},
]  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS, ids=[next(iter(s)) for s in SETTINGS])
def test_strange_settings_are_refused(settings: dict[str, Any]) -> None:
    assert next(iter(settings)) in refusal(lambda: fallline.fit(X, Y, **settings))


def test_arguments_that_a_function_does_not_take_are_named() -> None:
    assert "'optimiser'. Did you mean 'optimizer'?" in refusal(lambda: fallline.fit(X, Y, optimiser="adam"))
    assert "'y' is missing" in refusal(lambda: fallline.fit(X))
    assert "by place" in refusal(lambda: fallline.minimize(len, X, len))


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (X[:, 0] + 1j, "complex"),
        ([pd.Timestamp("2020", tz="UTC"), pd.Timestamp("2020")] * (M // 2), "time zone"),
    ],
)
def test_strange_cells_of_a_table_are_refused(cells: Any, words: str) -> None:
    assert words in refusal(lambda: fallline.fit(pd.DataFrame({"a": cells, "b": X[:, 1], "y": Y}), "y"))


def test_times_in_several_zones_are_read_in_one() -> None:
    tokyo = [pd.Timestamp("2020-01-01T09:00", tz="Asia/Tokyo") + pd.Timedelta(hours=k) for k in range(M)]
    zoned = [when if k % 2 else when.tz_convert("UTC") for k, when in enumerate(tokyo)]
    one, several = (
        fallline.fit(pd.DataFrame({"a": pd.Series(cells, dtype=object), "b": X[:, 1], "y": Y}), "y")
        for cells in (tokyo, zoned)
    )
    np.testing.assert_allclose(several.coef, one.coef)


def test_a_query_whose_own_function_raises_is_refused() -> None:
    def broken(value: float) -> float:
        raise KeyError("inside")

    query = pl.DataFrame({"a": X[:, 0], "y": Y}).lazy().with_columns(pl.col("a").map_elements(broken, pl.Float64))
    assert "KeyError" in refusal(lambda: fallline.fit(query, "y"))


def test_rows_in_errors_are_those_of_the_table() -> None:
    cells, target = X[:, 0].copy(), [None, None, *Y[2:]]
    cells[30] = np.inf
    frame = pl.DataFrame({"a": cells, "b": X[:, 1], "y": target})
    assert "infinite in 1 row (first: row 30, inf)" in refusal(lambda: fallline.fit(frame, "y", check=0.5))
    frame = pl.DataFrame({"a": X[:, 0], "y": [None, None, -1.0, *np.ones(M - 3)]})
    assert "1 is not (first: row 2, y = -1)" in refusal(lambda: fallline.fit(frame, "y", loss="poisson"))
    frame = pl.DataFrame({"a": X[:, 0], "y": [None, *Y[1:]], "w": [1.0] * (M - 1) + [-1.0]})
    assert f"1 row (first: row {M - 1}, -1)" in refusal(lambda: fallline.fit(frame, "y", sample_weight="w"))


@pytest.mark.parametrize("name", ["a" * 1000, "line\nbreak", "\x1b[31m"])
def test_a_message_is_one_line_whatever_names_are_in_it(name: str) -> None:
    told = refusal(lambda: fallline.fit(X * np.nan, Y, feature_names=[name, "b", "c"]))
    assert told.startswith("D20: X is not finite") and told.isprintable()


def test_predictions_that_overflow_are_refused(model: Any) -> None:
    assert "not finite in 40 rows (first: row 0)" in refusal(lambda: model.predict(np.full((M, 3), 1.7e308)))


@pytest.mark.parametrize("loss", ["squared", "logistic", "poisson"])
@pytest.mark.parametrize(
    "cell", [decimal.Decimal("sNaN"), fractions.Fraction(10**400), 10**400], ids=["signalling", "fraction", "integer"]
)
def test_numbers_that_no_float_holds_are_refused_as_targets(loss: Any, cell: Any) -> None:
    refusal(lambda: fallline.fit(X, [cell, *[fractions.Fraction(1, 2), 1] * (M // 2 - 1), 1], loss=loss))


@pytest.mark.parametrize("name", ["l1", "l2"])
@pytest.mark.parametrize("strength", [Y, X, pl.Series(Y), pl.Series(["a"], dtype=pl.Categorical), None, True])
def test_a_strength_that_is_no_number_is_refused(name: str, strength: Any) -> None:
    assert f"({name}): got" in refusal(lambda: fallline.fit(X, Y, **{name: strength}))


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok"])
def test_a_sparse_start_is_refused(form: str) -> None:
    refusal(lambda: fallline.fit(X, Y, start=sp.csr_array(np.ones((3, 1))).asformat(form)))


@pytest.mark.parametrize(
    "classes",
    [[[0], [1, 2]], [decimal.Decimal("sNaN"), 1], np.arange(2).astype("M8[D]"), sp.eye_array(2).tocsr()],
    ids=["ragged", "signalling", "dates", "sparse"],
)
def test_classes_that_are_no_labels_are_refused(classes: Any) -> None:
    refusal(lambda: fallline.GDClassifier().partial_fit(X, (Y > 0).astype(int), classes=classes))


def test_labels_of_bytes_are_refused() -> None:
    assert "bytes" in refusal(lambda: fallline.GDClassifier().fit(X, [b"a", b"b"] * (M // 2)))


def test_a_masked_start_of_minimize_is_refused() -> None:
    start = np.ma.array([1.0, 2.0], mask=[True, False])
    assert "masked" in refusal(lambda: fallline.minimize(lambda x: float(x @ x), start, grad=lambda x: 2 * x))
