"""Wide, narrow, collinear, constant, nearly singular, tiny: auto needs no rate and its verdict is true."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

import fallline
from fallline.errors import DataError


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize("loss", ["squared", "logistic", "poisson", "huber"])
@pytest.mark.parametrize("conditioning", [1e5, 1e8, 1e10])
def test_conditioning(loss: str, conditioning: float) -> None:
    """The same column space in bad coordinates has the same optimum, which well-scaled coordinates tell."""
    r = rng()
    U = np.linalg.qr(r.standard_normal((200, 10)))[0] * 14
    V = np.linalg.qr(r.standard_normal((10, 10)))[0]
    X, z = U * np.logspace(0, -np.log10(conditioning), 10) @ V, U @ r.standard_normal(10) * 0.3
    y = {
        "squared": z + r.standard_normal(200), "huber": z + r.standard_normal(200),
        "logistic": (r.random(200) < 1 / (1 + np.exp(-z))).astype(float), "poisson": r.poisson(np.exp(z)).astype(float),
    }[loss]  # fmt: skip
    bad, good = fallline.fit(X, y, loss=loss), fallline.fit(U, y, loss=loss)
    assert str(bad.certainty) == str(good.certainty) == "proved"
    # X itself is rounded: its last direction is known to 1e-16 times the conditioning
    assert bad.best_loss == pytest.approx(good.best_loss, rel=1e-7 + 1e-17 * conditioning)


def test_nearly_equal_columns_are_not_equal() -> None:
    a, d, noise = rng().standard_normal((3, 60))
    X, y = np.c_[a, a + 1e-10 * d], a + d + noise
    early, result = fallline.fit(X, y, max_passes=0), fallline.fit(X, y)
    best = fallline.fit(np.c_[a, d], y).best_loss
    assert result.best_loss == pytest.approx(best, rel=1e-6) and str(result.certainty) == "proved"
    assert early.gap is None or early.best_loss - best <= early.gap * (1 + 1e-6)


@pytest.mark.parametrize("value", [1.0, 0.1, 1e6])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_constant_column_takes_no_part(value: float, weighted: bool) -> None:
    r = rng()
    X = np.c_[np.full(200, value), r.standard_normal((200, 2))]
    y, w = X[:, 1] + r.standard_normal(200), r.random(200) if weighted else None
    result, without = fallline.fit(X, y, sample_weight=w), fallline.fit(X[:, 1:], y, sample_weight=w)
    assert str(result.certainty) == "proved" and result.coef[0] == 0.0
    np.testing.assert_allclose(result.theta[1:], without.theta, rtol=1e-9)
    again = fallline.fit(X, y, sample_weight=w, start=[5.0, *result.coef[1:], result.intercept])
    assert again.best_loss == pytest.approx(result.best_loss, rel=1e-9)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 3), (5, 1), (5, 40), (50, 2000), (30, 20_000)])
@pytest.mark.parametrize("loss", ["squared", "logistic", "poisson", "huber"])
def test_any_shape(m: int, n: int, loss: str) -> None:
    r = rng()
    X = r.standard_normal((m, n))
    y = np.arange(m) % 2.0 if loss == "logistic" else r.poisson(2.0, m) + np.arange(m)
    if loss == "logistic" and m == 1:
        return
    result = fallline.fit(X, y, loss=loss, l2=0.01)
    assert str(result.certainty) == "proved" and str(result.verdict) == "converged"
    dense = fallline.fit(sp.csr_matrix(X), y, loss=loss, l2=0.01)
    np.testing.assert_allclose(dense.coef, result.coef, atol=1e-4)


def test_the_row_space_has_the_same_optimum() -> None:
    r = rng()
    X = r.standard_normal((40, 90)) * 10.0 ** r.uniform(-1, 1, 90) + 3.0
    y = (X[:, 0] + r.standard_normal(40) > 3.0).astype(float)
    seen = []
    ours = fallline.fit(
        X, y, loss="logistic", l2=0.01, tol=1e-12, check=(X, y), callback=lambda e: seen.append(e.theta.shape)
    )
    named = fallline.fit(X, y, loss="logistic", l2=0.01, tol=1e-10, optimizer="lbfgs")
    assert "space of the 40 rows" in ours.method and set(seen) == {(91,)}
    np.testing.assert_allclose(ours.coef, named.coef, atol=1e-4 * np.abs(named.coef).max())
    assert ours.best_loss <= named.best_loss * (1 + 1e-10)


def test_sparse_columns_far_from_zero() -> None:
    a, d, noise = rng().standard_normal((3, 50))
    X = np.c_[a, a + 1e-3 * d] + 2e7
    y = (X[:, 1] - X[:, 0]) * 1e3 + noise
    dense, sparse = fallline.fit(X, y), fallline.fit(sp.csr_matrix(X), y)
    assert sparse.best_loss == pytest.approx(dense.best_loss, rel=1e-5) and str(dense.certainty) == "proved"
    assert (
        sparse.gap is not None and sparse.gap < 2e-6 * sparse.best_loss
    )  # J itself is known no better, at weights of 1,000


@pytest.mark.parametrize("lacking", [0, 1])
@pytest.mark.parametrize("rows", [200, 60_000])  # summed by NumPy, and compiled
def test_the_spread_of_sparse_columns_far_from_zero_is_that_of_dense_ones(rows: int, lacking: int) -> None:
    """The weight of the zeros that are not stored is a difference of large sums, which the square of the mean multiplies."""
    r = rng()
    X, w = r.standard_normal((rows, 3)) + [1e8, 10.0, 0.0], 10.0 ** r.uniform(-6, 6, rows)
    if lacking:
        X[0, 0], w[0] = 0.0, 1e-6
    y = X[:, 1] + r.standard_normal(rows)
    dense, sparse = (fallline.fit(Z, y, l2=0.01, sample_weight=w) for Z in (X, sp.csr_matrix(X)))
    np.testing.assert_allclose(sparse.summary.sd, dense.summary.sd, rtol=1e-7)
    assert sparse.best_loss == pytest.approx(dense.best_loss, rel=1e-7)


def test_rows_without_weight_are_absent_whatever_is_in_them() -> None:
    r = rng()
    X, w = r.standard_normal((100, 2)), np.ones(100)
    y = r.poisson(np.exp(X[:, 0])).astype(float)
    X[0], w[0] = 1e4, 0.0
    result = fallline.fit(X, y, loss="poisson", sample_weight=w)
    assert str(result.certainty) == "proved"
    np.testing.assert_array_equal(result.theta, fallline.fit(X[1:], y[1:], loss="poisson").theta)
    split = fallline.fit([[0.0], [1], [2], [3]], [0, 0, 1, 0], loss="logistic", sample_weight=[1, 1, 1, 0])
    assert str(split.verdict) == "no finite optimum"


def test_single_precision_is_summed_in_double() -> None:
    r = rng()
    X, y = (r.standard_normal((50, 5)) + 1e5).astype(np.float32), r.standard_normal(50)
    single, double = fallline.fit(X, y), fallline.fit(X.astype(np.float64), y)
    np.testing.assert_array_equal(single.theta, double.theta)


@pytest.mark.parametrize(("X", "y", "loss"), [([[2.0, 3.0]], [12345], "poisson"), ([[3.0], [5]], [2.0, 7], "gamma")])
def test_a_perfect_fit_is_converged(X: list[list[float]], y: list[float], loss: str) -> None:
    result = fallline.fit(X, y, loss=loss)
    assert (str(result.verdict), str(result.certainty)) == ("converged", "proved")


def test_proofs_do_not_take_the_size_of_the_target_for_a_tolerance() -> None:
    """1e-10 of 1e11 is 10; what is left here is a hundredth of that, and rounding of y a millionth."""
    noise, *columns = rng().standard_normal((6, 200))
    X = np.c_[np.ones(200), np.transpose(columns)]
    result = fallline.fit(X, 1e11 + X[:, 1] + 0.1 * noise, fit_intercept=False, l1=1e-12)
    assert result.gap is not None and result.gap <= 1e-3 * result.best_loss


def test_the_units_of_the_data_may_be_extreme() -> None:
    x, noise = rng().standard_normal((2, 40, 1))
    y = (x + 0.1 * noise)[:, 0]
    plain = fallline.fit(x, y)
    for unit in (1e-160, 1e150):
        assert fallline.fit(x * unit, y).best_loss == pytest.approx(plain.best_loss, rel=1e-9)


def test_early_ends_of_a_quantile_fit_tell_its_own_loss_and_all_passes() -> None:
    *columns, noise = rng().standard_normal((4, 50))
    X = np.transpose(columns)
    y = X.sum(axis=1) + noise
    result = fallline.fit(X, y, loss="quantile", max_passes=5)
    pinball = np.abs(y - X @ result.coef - result.intercept).mean() / 2
    assert result.best_loss == pytest.approx(pinball, rel=1e-12) and result.passes == 5


def test_nothing_to_train_is_refused() -> None:
    with pytest.raises(DataError, match="no columns"):
        fallline.fit(np.zeros((5, 0)), np.arange(5.0), fit_intercept=False)
    with pytest.raises(DataError, match="sum is beyond"):
        fallline.fit(np.arange(3.0)[:, None], np.arange(3.0), sample_weight=np.full(3, 1e308))


@pytest.mark.parametrize("eps", [1e-10, 1e-8, 1e-5])
def test_nearly_equal_rows_lose_nothing_in_the_row_space(eps: float) -> None:
    r = rng()
    X = r.standard_normal((6, 40))
    X[1] = X[0] + eps * r.standard_normal(40)
    y = r.standard_normal(6)
    result = fallline.fit(X, y)
    J = float(np.mean((X @ result.coef + result.intercept - y) ** 2) / 2)
    assert J <= (result.gap or np.inf) + 1e-9  # J* is zero: there are more columns than rows
    ridge = fallline.fit(X, y, l2=1e-3)
    assert str(ridge.certainty) == "proved"


@pytest.mark.parametrize("bounds", [(0.5, None), (None, -0.5)])
@pytest.mark.parametrize("penalty", [{}, {"l2": 0.1}, {"l1": 0.1}])
def test_bounds_that_a_constant_column_cannot_meet_at_zero(
    bounds: tuple[float | None, float | None], penalty: dict
) -> None:
    x, noise = rng().standard_normal((2, 400))
    X = np.column_stack([np.ones(400), x])
    result = fallline.fit(X, 3 * x + noise, bounds=bounds, **penalty)
    slope = fallline.fit(x[:, None], 3 * x + noise, bounds=bounds, **penalty)
    assert result.coef[0] == (0.5 if bounds[0] else -0.5)
    assert result.coef[1] == pytest.approx(slope.coef[0], rel=1e-6)
    assert result.coef[0] + result.intercept == pytest.approx(slope.intercept, abs=1e-6)


def test_columns_of_zeros_alone() -> None:
    assert fallline.fit(np.zeros((3, 5)), [1.0, 2, 3], fit_intercept=False).best_loss == pytest.approx(14 / 6)
    assert fallline.fit(np.zeros((3, 5)), [1.0, 2, 3], l2=0.1, standardize=False).intercept == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("loss", "unit", "offset"), [("poisson", 1.0, 25.0), ("poisson", 1.0, 30.0), ("gamma", 1e12, 0.0)]
)
def test_a_far_origin_is_no_measure(loss: str, unit: float, offset: float) -> None:
    """Without an intercept zeros predict absurdly here, and nothing may be called small beside that."""
    r = rng()
    X = np.column_stack([np.ones(200), r.standard_normal((200, 2))])
    mu = np.exp(X @ [0.3, 0.5, -0.2])
    y = r.poisson(mu).astype(float) if loss == "poisson" else unit * r.gamma(2.0, mu / 2)
    far = fallline.fit(X, y, loss=loss, offset=np.full(200, offset), fit_intercept=False)
    near = fallline.fit(X, y / unit, loss=loss, fit_intercept=False)
    assert str(far.certainty) == "proved" and far.best_loss == pytest.approx(near.best_loss, rel=1e-6)


def test_a_smoothed_quantile_loss_is_itself() -> None:
    *columns, noise = rng().standard_normal((3, 200))
    result = fallline.fit(np.transpose(columns), columns[0] + noise, loss=fallline.Quantile(0.5, smoothing=0.1))
    assert str(result.certainty) == "proved" and result.gap <= 1e-6 * result.best_loss
