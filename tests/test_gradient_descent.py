"""The textbook's function keeps the textbook's promises to the letter."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline


def textbook(X: np.ndarray, y: np.ndarray, learning_rate: float = 0.01, iterations: int = 1000):
    """The loop as it is printed: two products a step."""
    m = len(X)
    theta = np.zeros((X.shape[1], *y.shape[1:]))
    cost_history = np.zeros(iterations)
    for i in range(iterations):
        error = X @ theta - y
        cost_history[i] = 1 / (2 * m) * np.sum(error**2)
        theta = theta - learning_rate * (1 / m) * X.T @ error
    return theta, cost_history


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 5)) @ np.diag([1.0, 0.5, 2.0, 1.0, 0.3])
    return X, X @ [1.0, -2.0, 0.5, 0.0, 3.0] + 0.1 * rng.standard_normal(300)


@pytest.mark.parametrize("column", [False, True])
def test_equals_the_two_product_loop(data, column: bool) -> None:
    X, y = data
    y = y[:, None] if column else y
    theta, cost = fallline.gradient_descent(X, y, learning_rate=0.1, iterations=400)
    theta_book, cost_book = textbook(X, y, 0.1, 400)
    assert theta.shape == theta_book.shape and cost.shape == (400,)
    np.testing.assert_allclose(theta, theta_book, rtol=1e-12)
    np.testing.assert_allclose(cost, cost_book, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_any_shape_wide_or_tall(m: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((m, n)), rng.standard_normal(m)
    rate = 1.0 / max(np.linalg.eigvalsh(X.T @ X / m)[-1], 1e-3)
    theta, cost = fallline.gradient_descent(X, y, rate, 25)
    theta_book, cost_book = textbook(X, y, rate, 25)
    np.testing.assert_allclose(theta, theta_book, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(cost, cost_book, rtol=1e-11, atol=1e-14 * cost_book[0])


def test_defaults_are_the_books(data) -> None:
    theta, cost = fallline.gradient_descent(*data)
    theta_book, cost_book = textbook(*data)
    np.testing.assert_allclose(theta, theta_book, rtol=1e-12)
    assert len(cost) == 1000 and np.all(np.diff(cost) <= 0)
    np.testing.assert_allclose(cost, cost_book, rtol=1e-12)


def test_no_iterations_no_change(data) -> None:
    theta, cost = fallline.gradient_descent(*data, iterations=0)
    assert not theta.any() and theta.shape == (5,) and cost.shape == (0,)


def test_lists_frames_integers_and_float32(data) -> None:
    X, y = data
    expected = textbook(X, y, 0.05, 50)
    for Xs, ys in [
        (X.tolist(), y.tolist()),
        (pl.DataFrame(X, schema=list("abcde")), pl.Series(y)),
        (np.asfortranarray(X), y),
    ]:
        theta, cost = fallline.gradient_descent(Xs, ys, 0.05, 50)
        np.testing.assert_allclose(theta, expected[0], rtol=1e-12)
        np.testing.assert_allclose(cost, expected[1], rtol=1e-12)
    whole, _ = fallline.gradient_descent([[1], [2], [3]], [2, 4, 6], 0.1, 100)
    assert whole == pytest.approx(2.0)
    single, cost = fallline.gradient_descent(X.astype(np.float32), y, 0.05, 50)
    assert single.dtype == np.float64
    np.testing.assert_allclose(single, expected[0], rtol=1e-4)


def test_a_rate_too_large_explodes_as_in_the_book_and_warns_once() -> None:
    """y = 2x for x = 0..199: the largest stable rate is 2/L = 2 / mean(x^2) = 1.51e-4."""
    x = np.arange(200.0)[:, None]
    y = 2 * x[:, 0]
    with pytest.warns(fallline.DivergenceWarning, match=r"largest stable rate is 0\.000151 \(2/L\)") as caught:
        theta, cost = fallline.gradient_descent(x, y, learning_rate=0.01, iterations=30)
    assert len(caught) == 1
    theta_book, cost_book = textbook(x, y, 0.01, 30)
    np.testing.assert_allclose(cost, cost_book, rtol=1e-10)
    np.testing.assert_allclose(theta, theta_book, rtol=1e-10)
    with pytest.warns(fallline.DivergenceWarning):
        theta, cost = fallline.gradient_descent(x, y, learning_rate=0.01, iterations=1000)
    assert len(cost) == 1000 and not np.isfinite(cost[-1])


def test_a_good_rate_does_not_warn(data) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = np.arange(200.0)[:, None]
        theta, _ = fallline.gradient_descent(x, 2 * x[:, 0], learning_rate=7e-5, iterations=200)
    assert theta == pytest.approx(2.0)


def test_callback_sees_every_step_and_can_stop(data) -> None:
    seen = []
    theta, cost = fallline.gradient_descent(*data, iterations=50, callback=lambda event: seen.append(event.loss))
    assert len(seen) >= 50
    np.testing.assert_array_equal(seen[:50], cost)
    _, short = fallline.gradient_descent(*data, iterations=50, callback=lambda event: event.step == 7)
    np.testing.assert_array_equal(short, cost[:7])


@pytest.mark.parametrize("rate", [0, -0.1, float("nan"), float("inf")])
def test_impossible_rates_are_refused(data, rate: float) -> None:
    with pytest.raises(fallline.SettingError, match="learning_rate"):
        fallline.gradient_descent(*data, learning_rate=rate)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[1.0], [np.nan]], [1.0, 2.0], r"'x0' in 1 row \(first: row 1\)"),
        ([[1.0], [2.0]], [1.0, 2.0, 3.0], "X has 2 rows and y has 3"),
        ([1.0, 2.0], [1.0, 2.0], "reshape"),
        (np.empty((0, 2)), [], "empty|one row"),
        ([["a"], ["b"]], [1.0, 2.0], "'a' is not a number"),
        ([[1.0], [2.0]], [1.0, np.inf], "finite|infinite|inf"),
    ],
)
def test_bad_data_is_refused_with_a_reason(X, y, message: str) -> None:
    with pytest.raises(fallline.DataError, match=message):
        fallline.gradient_descent(X, y)
