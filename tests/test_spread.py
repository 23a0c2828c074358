"""How far rows can move within the unit ball of a matrix, by pairs of entries as by products."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

import fallline.spread
from fallline.curved import inverse_curvature
from fallline.losses import as_loss
from fallline.objective import ModelObjective
from fallline.penalties import as_penalty
from fallline.rows.arrays import ArrayRows
from fallline.scaling import Scaling
from fallline.spread import spread


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("standardised", [True, False])
def test_sparse_rows_spread_as_dense_ones(standardised: bool, intercept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((300, 8)) < 0.3, rng.standard_normal((300, 8)), 0.0)
    dense[7], dense[9] = 0.0, 1.0  # a row without entries, and one with all of them
    shift = dense.mean(axis=0) if standardised and intercept else np.zeros(8)
    scaling = Scaling(shift, dense.std(axis=0) if standardised else np.ones(8), intercept)
    objective = ModelObjective(as_loss("squared"), as_penalty(None, 0.0, 0.01, None), scaling)
    rows, theta = ArrayRows(dense, dense[:, 0]), np.zeros(8 + intercept)
    inverse = inverse_curvature(objective, theta, rows)
    assert inverse is not None
    known = np.sqrt(np.square(scaling.rows(dense) @ inverse.root).sum(axis=1))
    monkeypatch.setattr(fallline.spread, "DENSER", 0.0)  # pairs are for wide rows, where they pay
    sparse = ArrayRows(scipy.sparse.csr_matrix(dense), rows.y)
    found = spread(objective, sparse, theta, inverse)
    assert found.width == 1  # by pairs
    np.testing.assert_allclose(found.each(sparse), known, rtol=1e-9, atol=1e-6)


def test_a_spread_that_cancels_is_rather_too_large() -> None:
    """x^T N x of two columns that are nearly one: huge entries of N that cancel, and nothing is known of their sum."""
    N = 1e20 * np.array([[1.0, -1.0], [-1.0, 1.0]])
    X = scipy.sparse.csr_matrix(np.array([[1.0, 1.0], [1.0, 0.0]]))
    squares, lost = fallline.spread._by_pairs(X, N, intercept=False)
    assert squares[0] + lost[0] >= 1e-14 * 4e20 and squares[1] == pytest.approx(1e20) and lost[1] < 0.01 * squares[1]
