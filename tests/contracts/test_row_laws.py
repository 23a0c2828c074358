"""Laws of rows: split anyhow they sum to the whole, and every epoch sees every row once."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline
from fallline.objective import ModelObjective
from fallline.rows import arrays
from fallline.rows.arrays import ArrayRows
from fallline.scaling import Scaling


def some(m: int, n: int, seed: int, sparse: bool) -> ArrayRows:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, n)) * (rng.random((m, n)) < 0.6)
    return ArrayRows(
        scipy.sparse.csr_matrix(X) if sparse else X,
        rng.integers(0, 2, m).astype(float),
        rng.random(m) + 0.1,
        rng.random(m),
    )


@pytest.mark.parametrize("sparse", [False, True])
@settings(max_examples=30, deadline=None)
@given(m=st.integers(1, 60), n=st.integers(1, 6), block=st.integers(1, 70), seed=st.integers(0, 999))
def test_blocks_of_any_size_sum_to_the_whole(sparse: bool, m: int, n: int, block: int, seed: int) -> None:
    rows = some(m, n, seed, sparse)
    objective = ModelObjective(fallline.Logistic(), fallline.L2(0.1), Scaling(np.ones(n), np.full(n, 2.0), True))
    theta = np.linspace(-1, 1, n + 1)
    whole = objective.value_and_grad(theta, rows)
    hessian = objective.hessian(theta, rows)
    before = arrays.BLOCK_NUMBERS
    arrays.BLOCK_NUMBERS = block * n
    try:
        parts = objective.value_and_grad(theta, rows)
        np.testing.assert_allclose(objective.hessian(theta, rows), hessian, rtol=1e-10, atol=1e-13)
    finally:
        arrays.BLOCK_NUMBERS = before
    assert parts[0] == pytest.approx(whole[0], rel=1e-12)
    np.testing.assert_allclose(parts[1], whole[1], rtol=1e-10, atol=1e-13)


@settings(max_examples=30, deadline=None)
@given(m=st.integers(1, 80), size=st.integers(1, 90), seed=st.integers(0, 999))
def test_an_epoch_is_every_row_once_in_an_order_of_its_own(m: int, size: int, seed: int) -> None:
    rows = ArrayRows(np.arange(m, dtype=float)[:, None], np.arange(m, dtype=float))
    rng = np.random.default_rng(seed)
    first, second = (np.concatenate([b.y for b, _ in rows.sweep(size, rng)]) for _ in range(2))
    np.testing.assert_array_equal(np.sort(first), np.arange(m))
    np.testing.assert_array_equal(np.sort(second), np.arange(m))
    assert m < 20 or not np.array_equal(first, second)
    assert all(len(b.y) == size for b, _ in list(rows.sweep(size, rng))[:-1])


def test_mini_batches_estimate_the_gradient_without_bias() -> None:
    rows = some(50, 3, 0, False)
    objective = ModelObjective(fallline.Logistic(), fallline.NoPenalty(), Scaling.none(3, True))
    theta = np.full(4, 0.3)
    whole = objective.value_and_grad(theta, rows)[1]
    one_by_one = [objective.value_and_grad(theta, b)[1] for b, _ in rows.sweep(1, np.random.default_rng(0))]
    np.testing.assert_allclose(np.mean(one_by_one, axis=0), whole, rtol=1e-12)


def test_the_gradient_is_the_finite_difference_of_j() -> None:
    rows = some(40, 3, 1, True)
    rng = np.random.default_rng(0)
    for loss, penalty in [(fallline.Poisson(), fallline.L2(0.3)), (fallline.Huber(0.5), fallline.NoPenalty())]:
        objective = ModelObjective(loss, penalty, Scaling(rng.random(3), rng.random(3) + 0.5, True))
        theta, h = rng.standard_normal(4), 1e-6
        _, g = objective.value_and_grad(theta, rows)
        measured = [
            (objective.value(theta + h * d, rows) - objective.value(theta - h * d, rows)) / (2 * h) for d in np.eye(4)
        ]
        np.testing.assert_allclose(g, measured, rtol=1e-6, atol=1e-8)


def test_a_sample_is_of_distinct_rows_and_repeatable() -> None:
    rows = some(100, 2, 0, False)
    a, b = (rows.sample(30, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(a.X, b.X)
    assert len(np.unique(a.offset)) == 30 and rows.sample(200, np.random.default_rng(0)) is rows
