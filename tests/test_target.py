"""The target column: what is guessed of it, how labels become codes, and a sentence for all that cannot be one."""

from __future__ import annotations

import datetime
import decimal
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.errors import DataError, SchemaError, TargetError
from fallline.losses import as_loss
from fallline.rows.table import read_table
from fallline.rows.target import different, encode_target, guess_loss, target_column, with_target

pl = pytest.importorskip("polars")

SQUARED, LOGISTIC, SOFTMAX = as_loss("squared"), as_loss("logistic"), as_loss("softmax")


# The guess


@pytest.mark.parametrize(
    ("values", "loss", "why"),
    [
        ([1.5, 2.5, 3.5], "squared", "number"),
        (np.arange(100), "squared", "number"),
        ([0, 1] * 10, "logistic", "two values: 0, 1"),
        ([3.5, -1.0, 3.5], "logistic", "two values: -1.0, 3.5"),
        (["no", "yes", "no"], "logistic", "two values: 'no', 'yes'"),
        ([True, False], "logistic", "two values: False, True"),
        (["a", "b", "c"] * 5, "softmax", "3 classes"),
        (np.arange(10).repeat(20), "softmax", "10 classes coded 0 to 9"),
        (np.arange(1, 8).repeat(20), "softmax", "7 classes coded 1 to 7"),
        (np.arange(1.0, 8.0).repeat(20), "softmax", "--loss squared takes them as numbers, --loss poisson as counts"),
        ([1, 2, 3, 4], "squared", "number"),  # four rows of four values are no codes
        (np.arange(3, 9).repeat(20), "squared", "number"),  # marks from 3 to 8
        (np.array([0, 1, 5]).repeat(20), "squared", "number"),  # codes leave none out
        (np.arange(21).repeat(20), "squared", "number"),  # too many
        (np.array([0.0, 0.5, 1.0]).repeat(20), "squared", "number"),
        ([1.0, math.nan, 0.0], "logistic", "two values: 0.0, 1.0"),
        (["a", None, "b"], "logistic", "two values: 'a', 'b'"),
    ],
)
def test_the_loss_is_guessed(values, loss, why) -> None:
    for given_ in (np.asarray(values), pl.Series(np.asarray(values).tolist())):
        guessed, told = guess_loss(given_)
        assert guessed == loss
        assert why in told


def test_the_loss_is_not_guessed_for_dates_and_names() -> None:
    with pytest.raises(TargetError, match="holds dates or times .2024-01-01"):
        guess_loss(pl.Series([datetime.date(2024, 1, 1)] * 3))
    with pytest.raises(TargetError, match="60 of its 100 values are different"):
        guess_loss(np.array([f"r{min(i, 59)}" for i in range(100)]))


def test_the_loss_of_real_targets(shared) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    for name, loss in (
        ("diabetes", "squared"),
        ("breast_cancer", "logistic"),
        ("digits", "softmax"),
        ("iris", "softmax"),
    ):
        assert guess_loss(getattr(datasets, f"load_{name}")().target)[0] == loss
    assert guess_loss(read_table(shared("housing.csv"))["median_house_value"])[0] == "squared"
    assert guess_loss(read_table(shared("covtype.parquet"))["Cover_Type"])[0] == "softmax"
    assert guess_loss(read_table(shared("flights.parquet"))["arr_delay"])[0] == "squared"


# Two classes


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["yes", "no", "yes"], ("no", "yes")),
        ([1, 0, 1], (0, 1)),
        ([7, -3, 7], (-3, 7)),
        ([True, False, True], (False, True)),
        ([2.5, 0.5, 2.5], (0.5, 2.5)),
        ([1.0, 0.0, 1.0], (0.0, 1.0)),
    ],
)
def test_two_labels_of_any_kind(values, classes) -> None:
    for y in (values, np.array(values), np.array(values, dtype=object), pl.Series(values), np.array(values)[:, None]):
        codes, found = encode_target(y, LOGISTIC)
        assert codes.tolist() == [1.0, 0.0, 1.0] and codes.dtype == np.float64
        assert found == classes
        assert [type(label) for label in found] == [type(label) for label in classes]


SHARES = [
    [0.0, 0.25, 1.0], [0.1, 0.12], [0.0, 0.5], [0.5, 1.0], [0.3, 0.3], np.array([0.1, 0.12], dtype=object),
    [decimal.Decimal("0.1"), decimal.Decimal(1)], pl.Series([0.1, 0.12]), pl.Series([0.1, 0.12], dtype=pl.Float32),
]  # fmt: skip


@pytest.mark.parametrize("values", SHARES)
def test_numbers_within_0_and_1_are_shares_however_few_they_are(values) -> None:
    y, classes = encode_target(values, LOGISTIC)
    assert y.tolist() == pytest.approx([float(v) for v in values]) and classes is None


@pytest.mark.parametrize(
    "values", [[0, 1], [0.0, 1.0], [1, 2], [-1.0, 1.0], [0.5, 1.5], [False, True], ["0.1", "0.12"], [b"a", b"b"]]
)
def test_two_other_values_are_labels(values) -> None:
    y, classes = encode_target(values, LOGISTIC)
    assert y.tolist() == [0.0, 1.0] and len(classes) == 2


def test_only_logistic_loss_takes_shares() -> None:
    y, classes = encode_target([0.0, 0.5], as_loss("squared hinge"))
    assert y.tolist() == [0.0, 1.0] and classes == (0.0, 0.5)


@pytest.mark.parametrize("values", [["a", "b", "c"], [0, 1, 2], [0.0, 0.5, 1.5]])
def test_three_labels_are_not_two(values) -> None:
    with pytest.raises(TargetError, match=r"two classes; the target has 3: .* Use loss='softmax'"):
        encode_target(values, LOGISTIC)


# Several classes


@given(st.lists(st.sampled_from(["a", "B", "é", "10", "9", ""]), min_size=2).filter(lambda v: len(set(v)) > 1))
def test_classes_are_coded_in_their_order(values) -> None:
    for y in (values, np.array(values, dtype=object), pl.Series(values), pl.Series(values, dtype=pl.Categorical)):
        codes, classes = encode_target(y, SOFTMAX)
        assert classes == tuple(sorted(set(values)))
        assert [classes[int(code)] for code in codes] == values


@given(st.lists(st.integers(-5, 5), min_size=2).filter(lambda v: len(set(v)) > 1))
def test_whole_numbers_as_classes(values) -> None:
    codes, classes = encode_target(pl.Series(values), SOFTMAX)
    assert [classes[int(code)] for code in codes] == values


def test_classes_of_an_earlier_table() -> None:
    codes, classes = encode_target(["b", "b"], SOFTMAX, ("a", "b", "c"))
    assert codes.tolist() == [1.0, 1.0] and classes == ("a", "b", "c")
    with pytest.raises(
        TargetError, match=r"The label 'd' \(row 1\) is not one that the model was trained on: 'a', 'b'"
    ):
        encode_target(["a", "d"], SOFTMAX, ("a", "b"))


# Numbers


def test_numbers_of_any_kind() -> None:
    for y in (
        [1, 2],
        np.array([1, 2], dtype=np.int8),
        pl.Series([1, 2]),
        pl.Series([decimal.Decimal(1), decimal.Decimal(2)]),
    ):
        values, classes = encode_target(y, SQUARED)
        assert values.tolist() == [1.0, 2.0] and classes is None


@pytest.mark.parametrize("y", [["1", "x", "2"], np.array([1, "x", 2], dtype=object)])
def test_text_where_numbers_are_needed(y) -> None:
    with pytest.raises(TargetError, match=r"Squared loss needs numbers as targets .*row 1 is 'x'"):
        encode_target(y, SQUARED)


@pytest.mark.parametrize("loss", [SQUARED, LOGISTIC, SOFTMAX])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_targets_that_are_not_finite(loss, bad) -> None:
    with pytest.raises(TargetError, match=r"not finite in 2 rows \(first: row 1"):
        encode_target(np.array([0.0, bad, 1.0, bad, 0.0]), loss)


@pytest.mark.parametrize("loss", [LOGISTIC, SOFTMAX])
def test_labels_that_are_missing(loss) -> None:
    for y in (["a", "b", None], pl.Series(["a", "b", None])):
        with pytest.raises(TargetError, match=r"empty in 1 row \(first: row 2\)"):
            encode_target(y, loss)


def test_one_value_only() -> None:
    values, classes = encode_target([5, 5, 5], SQUARED)
    assert values.tolist() == [5.0, 5.0, 5.0] and classes is None
    for loss in (LOGISTIC, SOFTMAX):
        with pytest.raises(TargetError, match="one class only, 'a': nothing tells it from another"):
            encode_target(["a", "a"], loss)


def test_labels_of_several_kinds() -> None:
    with pytest.raises(TargetError, match="several kinds"):
        encode_target(np.array([1, "a"], dtype=object), LOGISTIC)


@pytest.mark.parametrize(
    "y", [np.array(["2024-01-01", "2024-01-02"], dtype="M8[D]"), pl.Series([datetime.date(2024, 1, 1)] * 2)]
)
def test_dates_are_no_targets(y) -> None:
    for loss in (SQUARED, LOGISTIC):
        with pytest.raises(TargetError, match="holds dates or times"):
            encode_target(y, loss)


@pytest.mark.parametrize(("loss", "bad"), [("poisson", -1.0), ("gamma", 0.0)])
def test_what_the_loss_itself_refuses(loss, bad) -> None:
    with pytest.raises(TargetError, match=rf"{loss.capitalize()} loss .*first: row 2, y = {bad:g}"):
        encode_target([1.0, 2.0, bad], as_loss(loss))


def test_shapes() -> None:
    with pytest.raises(DataError, match="one value a row"):
        encode_target(np.ones((3, 2)), SQUARED)
    with pytest.raises(DataError, match="empty"):
        encode_target([], SQUARED)


# The column


def test_a_column_that_is_not_there() -> None:
    frame = pl.DataFrame({"price": [1, 2], "rooms": [3, 4]})
    assert target_column(frame, "price").to_list() == [1, 2]
    with pytest.raises(SchemaError, match=r"'prize'.* Did you mean 'price'\? The columns are: price, rooms"):
        target_column(frame, "prize")


def test_rows_without_a_target() -> None:
    frame = pl.DataFrame({"y": [1.0, None, math.nan, 2.0], "t": ["a", None, "b", "c"], "n": [None] * 4})
    assert [with_target(frame, name)[1] for name in ("y", "t")] == [2, 1]
    assert with_target(frame, "y")[0]["t"].to_list() == ["a", "c"]
    with pytest.raises(TargetError, match="empty in all 4 rows"):
        with_target(frame, "n")


@pytest.mark.parametrize(
    "values",
    [
        np.arange(5000) % 2, (np.arange(5000) % 2).astype(float), np.r_[np.zeros(3000), np.nan, 2.0, np.nan],
        np.r_[np.zeros(3000, dtype=int), np.arange(50)], np.arange(5000) % 999, np.array(["b", "a"] * 2000),
        np.arange(5000) > 4990, np.array(["b", "a"] * 2000, dtype=object), np.r_[np.full(2000, np.nan), 1.0],
    ],
    ids=lambda values: f"{values.dtype}",
)  # fmt: skip
def test_different_values_are_those_of_numpy(values: np.typing.NDArray[np.generic]) -> None:
    np.testing.assert_array_equal(different(values), np.unique(values))
