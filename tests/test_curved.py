"""The inverse of the second derivatives, by whatever way it was made, and what is measured at the rows."""

from __future__ import annotations

import numpy as np
import pytest

from fallline.curved import inverse_curvature
from fallline.losses import as_loss
from fallline.objective import ModelObjective
from fallline.penalties import as_penalty
from fallline.rows.arrays import ArrayRows
from fallline.scaling import Scaling


def problem(loss: str, l2: float = 0.01) -> tuple[ModelObjective, ArrayRows, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4)) * [1.0, 100.0, 0.01, 1.0] + [0.0, 50.0, 0.0, 3.0]
    y = rng.integers(0, 3, 60).astype(float) if loss == "softmax" else rng.integers(0, 2, 60).astype(float)
    shape = (5, 3) if loss == "softmax" else (5,)
    theta = rng.standard_normal(shape) * 0.1
    objective = ModelObjective(as_loss(loss), as_penalty(None, l2=l2), Scaling.none(4, True))
    return objective, ArrayRows(X, y, rng.random(60)), theta


@pytest.mark.parametrize("loss", ["squared", "logistic", "softmax"])
def test_along_some_directions_it_is_the_second_derivatives(loss: str) -> None:
    objective, rows, theta = problem(loss)
    H = objective.hessian(theta, rows)
    V = np.random.default_rng(1).standard_normal((len(H), 3)) / np.sqrt(np.diag(H))[:, None]
    if loss == "softmax":  # all classes shifted alike are no move, where no ridge minds: there the matrix has round-off
        V = (V.reshape(5, 3, 3) - V.reshape(5, 3, 3).mean(axis=1, keepdims=True)).reshape(-1, 3)
    HV, square = objective.along(theta, rows, V)
    np.testing.assert_allclose(HV / np.sqrt(np.diag(H))[:, None], H @ V / np.sqrt(np.diag(H))[:, None], atol=1e-12)
    np.testing.assert_allclose(square, V.T @ H @ V, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_it_inverts_where_that_is_easy(loss: str) -> None:
    objective, rows, theta = problem(loss)
    inverse = inverse_curvature(objective, theta, rows)
    assert inverse is not None and inverse.null is None
    np.testing.assert_allclose(inverse.root @ inverse.root.T @ objective.hessian(theta, rows), np.eye(5), atol=1e-9)


@pytest.mark.parametrize(("gap", "rank"), [(0.0, 4), (1e-11, 5), (1e-6, 5), (1.0, 5)])
def test_equal_columns_are_told_from_nearly_equal_ones(gap: float, rank: int) -> None:
    objective, rows, theta = problem("logistic", l2=0.0)
    X = rows.X.copy()
    X[:, 3] = X[:, 0] + gap * X[:, 3]
    inverse = inverse_curvature(objective, theta, ArrayRows(X, rows.y, rows.weight))
    assert inverse is not None and inverse.rank == rank
    inside = np.array([1.0, 0.0, 0.0, 1.0, 0.0])  # a slope that equal columns can have
    beside = np.array([1.0, 0.0, 0.0, -1.0, 0.0])
    assert np.linalg.norm(inverse.outside(inside)) < 1e-9
    assert (np.linalg.norm(inverse.outside(beside)) > 0.1) == (rank == 4)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("ratio", [1e-3, 1e-5, 1e-7, 1e-9])
def test_weak_directions_are_known_as_by_qr(ratio: float, loss: str) -> None:
    """The step along columns that nearly make up others is that of a QR factor of the weighted rows."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((500, 6))
    X[:, 4] = X[:, 0] - X[:, 1] + ratio * rng.standard_normal(500)
    X[:, 5] = X[:, 2] + X[:, 3]  # exactly, but for rounding
    y = rng.integers(0, 2, 500).astype(float)
    objective = ModelObjective(as_loss(loss), as_penalty(None), Scaling.none(6, True))
    rows, theta = ArrayRows(X, y), 0.1 * rng.standard_normal(7)
    inverse = inverse_curvature(objective, theta, rows)
    assert inverse is not None and inverse.rank == 6
    inner = np.column_stack([X, np.ones(500)])
    c = objective.loss.curvature(y, inner @ theta) / 500
    slope = inner.T @ (np.sqrt(c) * rng.standard_normal(500))  # within the range
    Q, R = np.linalg.qr(np.sqrt(c)[:, None] * inner[:, [0, 1, 2, 3, 4, 6]])  # without the column that is made up
    whole = slope[[0, 1, 2, 3, 4, 6]] @ np.linalg.solve(R.T @ R, slope[[0, 1, 2, 3, 4, 6]]) if ratio > 1e-4 else None
    exact = np.linalg.norm(np.linalg.solve(R.T, slope[[0, 1, 2, 3, 4, 6]])) ** 2
    assert whole is None or whole == pytest.approx(exact, rel=1e-6)
    assert inverse.norm(slope) ** 2 == pytest.approx(exact, rel=1e-4)
    assert np.linalg.norm(inverse.outside(slope)) < 1e-9 * np.linalg.norm(slope)
    lost = np.zeros(7)
    lost[[2, 3, 5]] = [1.0, 1.0, -1.0]
    assert np.linalg.norm(inverse.root.T @ (lost * inverse.size**2)) < 1e-6 * np.linalg.norm(inverse.root)


@pytest.mark.parametrize("weaker", [1e-6, 1e-8, 1e-10, 1e-12])
def test_a_weak_direction_does_not_hide_a_weaker_one(weaker: float) -> None:
    objective, rows, theta = problem("squared", l2=0.0)
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((2, 60))
    X = np.column_stack([a, b, a + 1e-5 * rng.standard_normal(60), b + weaker * rng.standard_normal(60)])
    inverse = inverse_curvature(objective, theta, ArrayRows(X, rows.y))
    assert inverse is not None and inverse.rank == 5 and inverse.null is None
    inner = np.column_stack([X, np.ones(60)])
    slope = inner.T @ rng.standard_normal(60) / 60
    Q, R = np.linalg.qr(inner / np.sqrt(60.0))
    exact = np.linalg.norm(np.linalg.solve(R.T, slope))
    assert inverse.norm(slope) == pytest.approx(exact, rel=max(1e-4, 1e-15 / weaker))


def test_what_no_row_knows_is_lost_without_a_look() -> None:
    objective, rows, theta = problem("logistic", l2=0.0)
    X = rows.X.copy()
    X[:, 1] = 0.0
    inverse = inverse_curvature(objective, theta, ArrayRows(X, rows.y, rows.weight))
    assert inverse is not None and inverse.rank == 4
    assert np.array_equal(
        inverse.outside(np.array([0.0, 1.0, 0.0, 0.0, 0.0])) != 0.0, [False, True, False, False, False]
    )


def test_shifting_all_classes_alike_is_grounded() -> None:
    """The slope has no part along it, so the bound is that of the pseudo-inverse."""
    objective, rows, theta = problem("softmax", l2=0.0)
    theta -= theta.mean(axis=1, keepdims=True)
    inverse = inverse_curvature(objective, theta, rows)
    assert inverse is not None and inverse.rank == theta.size
    _, g = objective.value_and_grad(theta, rows)
    H = objective.hessian(theta, rows)
    size = np.sqrt(np.diag(H))
    exact = (g.ravel() / size) @ np.linalg.pinv(H / np.outer(size, size), rcond=1e-10) @ (g.ravel() / size)
    assert inverse.norm(g) ** 2 == pytest.approx(exact, rel=1e-6)
