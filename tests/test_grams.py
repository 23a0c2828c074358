"""Sums of outer products, beside the same in long double precision."""

from __future__ import annotations

import numpy as np
import pytest

from fallline.grams import NEAR, gram
from fallline.rows._base import Array
from fallline.scaling import NO_SPREAD, Scaling


def exact(scaling: Scaling, X: Array, c: Array) -> Array:
    inner = (X.astype(np.longdouble) - scaling.shift) / scaling.scale
    if scaling.intercept:
        inner = np.column_stack([inner, np.ones(len(X))])
    return np.asarray(inner.T @ (inner * c[:, None]), dtype=np.float64)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("far", [0.0, 0.9 * NEAR, 1.1 * NEAR, 1e3, 1e6])
def test_near_and_far_columns_agree_with_long_doubles(far: float, intercept: bool, weighted: bool, order: str) -> None:
    rng = np.random.default_rng(1)
    X = np.asarray((rng.standard_normal((5000, 5)) + far) * [1.0, 1e6, 1e-6, 3.0, 1.0], order=order)
    X[:, 4] = rng.integers(0, 2, 5000)
    c = rng.random(5000) if weighted else np.full(5000, 0.3)
    scaling = Scaling(X.mean(axis=0) if intercept else np.zeros(5), X.std(axis=0), intercept)
    right = exact(scaling, X, c)
    for compiled in (False, True):
        found = gram(scaling, X, c, compiled)
        np.testing.assert_allclose(found, right, rtol=1e-12, atol=2e-13 * np.abs(right).max() * max(1.0, far / 1e3))


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 4003])
def test_the_kernel_sums_what_numpy_sums(rows: int) -> None:
    rng = np.random.default_rng(rows)
    X, c = rng.standard_normal((rows, 9)), rng.random(rows)
    scaling = Scaling(rng.standard_normal(9), rng.random(9) + 0.1, True)
    np.testing.assert_allclose(gram(scaling, X, c, True), gram(scaling, X, c), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("size", [1e-160, 1e-80, 1e80, 1e130])
def test_columns_of_any_size_are_standardised_before_they_are_squared(size: float) -> None:
    X = np.random.default_rng(2).standard_normal((3000, 2)) * [1.0, size]
    X = np.column_stack([X, np.full(3000, 7.0)])
    scaling = Scaling(
        X.mean(axis=0), np.array([1.0, X[:, 1].std() if 1e-150 < size < 1e150 else size, NO_SPREAD]), True
    )
    right = exact(scaling, X, np.ones(3000))
    for compiled in (False, True):
        np.testing.assert_allclose(gram(scaling, X, np.ones(3000), compiled), right, rtol=1e-10, atol=1e-9)
