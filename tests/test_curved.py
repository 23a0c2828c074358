"""The inverse of the second derivatives, by whatever way it was made, and the factor that is never squared."""

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
def test_the_factor_is_a_root_of_the_second_derivatives(loss: str) -> None:
    objective, rows, theta = problem(loss)
    R, H = objective.factor(theta, rows), objective.hessian(theta, rows)
    assert np.array_equal(R, np.triu(R))
    size = np.sqrt(np.diag(H))
    np.testing.assert_allclose(R.T @ R / np.outer(size, size), H / np.outer(size, size), atol=1e-12)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_it_inverts_where_that_is_easy(loss: str) -> None:
    objective, rows, theta = problem(loss)
    inverse = inverse_curvature(objective, theta, rows)
    assert inverse is not None and inverse.basis is None
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
