"""n + 1 rows stand for all of them: gradient_descent on R takes the loop's own steps."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fallline
from fallline.rows.arrays import ArrayRows
from fallline.rows.compress import compress


def the_loop(X: np.ndarray, y: np.ndarray, lr: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The reference text, in one place: cost before each update."""
    theta, cost = np.zeros(X.shape[1]), np.empty(steps)
    for i in range(steps):
        r = X @ theta - y
        cost[i] = r @ r / (2 * len(y))
        theta = theta - lr * (X.T @ r) / len(y)
    return theta, cost


def turned(X: np.ndarray, condition: float) -> np.ndarray:
    rng = np.random.default_rng(1)
    n = X.shape[1]
    return X @ (np.linalg.qr(rng.standard_normal((n, n)))[0] * np.geomspace(1.0, 1.0 / condition, n))


CASES = {
    "plain": lambda X: X,
    "far from zero": lambda X: X + 1000.0,
    "units apart": lambda X: X * 10.0 ** np.arange(-4, 4),
    "condition 1e4": lambda X: turned(X, 1e4),
    "condition 1e9": lambda X: turned(X, 1e9) @ np.linalg.qr(np.random.default_rng(3).standard_normal((8, 8)))[0],
    "float32": lambda X: X.astype(np.float32),
    "columns": np.asfortranarray,
}


STEPS = 30


@pytest.mark.parametrize("share", [0.1, 1.0, 2.05], ids=["small rate", "good rate", "diverging"])
@pytest.mark.parametrize("case", sorted(CASES))
def test_same_steps_same_costs(case: str, share: float) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((140_000, 8))
    y = X @ rng.standard_normal(8) + 0.3 * rng.standard_normal(len(X))
    X = CASES[case](X)
    assert compress(ArrayRows(X, y), STEPS) is not None
    wide = X.astype(np.float64)
    lr = share / np.linalg.eigvalsh(wide.T @ wide / len(X))[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fallline.DivergenceWarning)
        theta, cost = fallline.gradient_descent(X, y, lr, STEPS)
    expected, costs = the_loop(wide, y, lr, STEPS)
    np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_allclose(cost, costs, rtol=1e-12)


def test_a_perfect_fit_keeps_its_small_costs() -> None:
    """The cost is a sum of squares in R too, so it never comes out negative, however small."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200_000, 5))
    y = X @ rng.standard_normal(5)
    lr = 1.0 / np.linalg.eigvalsh(X.T @ X / len(X))[-1]
    _, cost = fallline.gradient_descent(X, y, lr, 100)
    _, costs = the_loop(X, y, lr, 100)
    assert np.all(cost >= 0.0)
    np.testing.assert_allclose(cost, costs, rtol=1e-9, atol=1e-13 * costs[0])


def test_only_where_it_pays() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200_000, 6))
    rows = ArrayRows(X, X[:, 0])
    assert compress(rows, 5) is None and compress(ArrayRows(X[:100], X[:100, 0]), 1000) is None
    assert compress(ArrayRows(X, X[:, 0], weight=np.ones(len(X))), 1000) is None
    small = compress(rows, 1000)
    assert small is None or small.m == 7 and small.total_weight == 200_000


def test_progress_and_callbacks_see_every_step_of_all_rows() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200_000, 6))
    y = X[:, 0] + rng.standard_normal(200_000)
    seen: list[float] = []
    _, cost = fallline.gradient_descent(X, y, 0.1, 40, callback=lambda event: seen.append(event.loss))
    np.testing.assert_allclose(seen[:40], cost, rtol=1e-12)
