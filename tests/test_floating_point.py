"""NumPy's settings for floating-point faults, and numbers near the ends of double precision, decide nothing."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import fallline
from fallline.errors import DataError, TargetError
from fallline.losses import losses

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 5))
Z = X @ [3.0, -2.0, 1.0, 0.0, 4.0]
Y = Z + RNG.normal(size=100)
TARGETS = {
    "squared": Y, "huber": Y, "quantile": Y, "logistic": (Y > 0.0).astype(int), "squared hinge": (Y > 0.0).astype(int),
    "softmax": np.digitize(Y, [-3.0, 3.0]), "poisson": RNG.poisson(np.exp(Z / 3.0)).astype(float),
    "gamma": np.exp(Z / 3.0) * RNG.gamma(2.0, size=100),
}  # fmt: skip
WAYS: dict[str, dict[str, Any]] = {
    "left alone": {"max_passes": 20}, "ridge": {"l2": 0.1}, "lasso": {"l1": 0.1, "max_passes": 3},
    "bounds": {"bounds": (0.0, None), "max_passes": 3},
    "Adam": {"optimizer": "adam", "max_passes": 5}, "L-BFGS": {"optimizer": "lbfgs", "max_passes": 20},
    "mini-batches": {"optimizer": "descent", "batch_size": 10, "max_passes": 3},
    "too large a rate": {"optimizer": "descent", "learning_rate": 1e3, "max_passes": 5},
    "early stopping": {"check": 0.2, "early_stopping": True, "max_passes": 5},
    "one row at a time": {"batch_size": 1, "max_passes": 1},
}  # fmt: skip


@pytest.fixture
def strict() -> Any:
    """A user whose NumPy raises on every fault, and for whom warnings are errors."""
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("loss", sorted(losses()))
def test_faults_that_raise_end_no_fit(strict: None, loss: str, way: str) -> None:
    result = fallline.fit(X, TARGETS[loss], loss=loss, **WAYS[way])
    result.predict(X)
    assert str(result) and np.isfinite(result.coef).all()
    with np.errstate(all="warn"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(result.theta, fallline.fit(X, TARGETS[loss], loss=loss, **WAYS[way]).theta)


def test_faults_that_raise_end_nothing_else(strict: None) -> None:
    far = X * 1e4  # predictions at which every exponential is zero or overflows
    number = fallline.GDRegressor("poisson").partial_fit(X, TARGETS["poisson"])
    number.predict(X)
    for classifier in (fallline.GDClassifier(), fallline.GDClassifier(multi_class="one-vs-rest")):
        classifier.partial_fit(X, TARGETS["softmax"])
        assert np.isfinite(classifier.predict_proba(far)).all()
        classifier.predict_log_proba(far)
        assert np.isfinite(classifier.fit(X, TARGETS["softmax"]).predict_proba(far)).all()
    fallline.gradient_descent(X, Y, 0.1, 10)
    fallline.minimize(lambda x: float(np.sum(x**4)), [1e-3, 3.0], grad=lambda x: 4.0 * x**3)
    result = fallline.fit(X, TARGETS["logistic"], loss="logistic", check=0.2)
    result.predict_probability(far)
    assert result._repr_html_() and result.rate_report("adam") and result.look_at(X) == []


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-154, 1e-140, 1e140, 1e154, 1e300])
@pytest.mark.parametrize(
    ("sparse", "settings"),
    [(False, {}), (False, {"l2": 0.1}), (True, {"l1": 0.1}), (True, {"loss": "logistic", "l2": 0.1})],
)
def test_the_unit_of_a_column_changes_its_coefficient_alone(
    size: float, sparse: bool, settings: dict[str, Any]
) -> None:
    y = TARGETS[settings.get("loss", "squared")]
    form = sp.csr_matrix if sparse else np.asarray
    cells = np.where(np.abs(X) > 0.3, X, 0.0) if sparse else X
    usual = fallline.fit(form(cells), y, **settings)
    odd = cells.copy()
    odd[:, 1] *= size
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fallline.fit(form(odd), y, **settings)
    assert (found.verdict, found.certainty) == (usual.verdict, usual.certainty)
    np.testing.assert_allclose(found.summary.sd[1] / size, usual.summary.sd[1], rtol=1e-12)
    assert found.best_loss == pytest.approx(usual.best_loss, rel=1e-6)
    np.testing.assert_allclose(found.coef[1] * size, usual.coef[1], rtol=1e-3)


def test_columns_whose_sums_or_coefficients_overflow_are_refused() -> None:
    with pytest.raises(DataError, match=r"Column 'x2' varies by .*e-310 only; .* Multiply the column"):
        fallline.fit(X * [1.0, 1.0, 1e-310, 1.0, 1.0], Y)
    with pytest.raises(DataError, match=r"Column 'x2' goes to .*e\+305; .* Divide the column"):
        fallline.fit(X * [1.0, 1.0, 1e305, 1.0, 1.0], Y)


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1e305])
def test_the_size_of_all_weights_changes_nothing(size: float) -> None:
    ones = fallline.fit(X, Y, sample_weight=np.ones(100))
    np.testing.assert_allclose(fallline.fit(X, Y, sample_weight=np.full(100, size)).coef, ones.coef)
    np.testing.assert_allclose(fallline.GDRegressor().fit(X, Y, np.full(100, size)).coef_, ones.coef)
    with pytest.raises(DataError, match="the weights sum to"):
        fallline.GDRegressor().partial_fit(X, Y, np.full(100, size))
    with pytest.raises(DataError, match="the weights sum to"):
        fallline.fit(X, Y, sample_weight=np.full(100, size), inference=True)


def test_weights_that_are_nothing_beside_others_are_none() -> None:
    heavy = np.arange(100) % 2 == 0
    alone = fallline.fit(X[heavy], Y[heavy])
    found = fallline.fit(X, Y, sample_weight=np.where(heavy, 1e300, 1e-300))
    np.testing.assert_allclose(found.coef, alone.coef, rtol=1e-6)


@pytest.mark.parametrize("loss", ["squared", "huber", "quantile", "poisson"])
@pytest.mark.parametrize(("size", "words"), [(1e-200, "Multiply it by"), (1e160, "Divide it by")])
def test_targets_whose_squares_vanish_or_overflow_are_refused(loss: str, size: float, words: str) -> None:
    for fit in (fallline.fit, fallline.GDRegressor(loss).fit, fallline.GDRegressor(loss).partial_fit):
        settings = {"loss": loss} if fit is fallline.fit else {}
        with pytest.raises(TargetError, match=words):
            fit(X, np.abs(Y) * size, **settings)


def test_a_gamma_target_may_be_of_any_size() -> None:
    usual = fallline.fit(X, TARGETS["gamma"], loss="gamma")
    tiny = fallline.fit(X, TARGETS["gamma"] * 1e-200, loss="gamma")
    np.testing.assert_allclose(tiny.coef, usual.coef, rtol=1e-6)
