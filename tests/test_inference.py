"""Standard errors against statsmodels, and the refusals."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose

import fallline
from fallline import GDClassifier, GDRegressor
from fallline.errors import SettingError

rng = np.random.default_rng(3)
X = rng.normal(size=(400, 4)) * [1.0, 10.0, 0.1, 2.0] + [0.0, 50.0, 3.0, -1.0]
WITH = np.column_stack([X, np.ones(len(X))])
Z = X @ [0.3, -0.02, 1.5, 0.2] - 2.0
COUNTS = rng.poisson(np.exp(Z))
WEIGHT = rng.integers(1, 4, len(X)).astype(float)


def like(told, theirs):
    assert_allclose(told.estimate, theirs.params, rtol=1e-6, atol=1e-9)
    assert_allclose(told.standard_error, theirs.bse, rtol=1e-6)
    assert_allclose(told.p_value, theirs.pvalues, rtol=1e-5, atol=1e-12)
    assert_allclose(np.column_stack(told.interval(0.9)), theirs.conf_int(0.1), rtol=1e-6, atol=1e-9)
    assert_allclose(told.covariance, theirs.cov_params(), rtol=1e-5, atol=1e-12)


def test_least_squares_as_statsmodels_ols():
    y = Z + rng.normal(size=len(X))
    told = fallline.fit(X, y, inference=True).inference
    like(told, sm.OLS(y, WITH).fit())
    assert told.freedom == 395 and told.names[-1] == "(intercept)"
    bare = fallline.fit(X, y, inference=True, fit_intercept=False).inference
    like(bare, sm.OLS(y, X).fit())


@pytest.mark.parametrize("weights", [None, WEIGHT])
@pytest.mark.parametrize(
    ("loss", "y", "family"),
    [
        ("logistic", (rng.random(len(X)) < 1.0 / (1.0 + np.exp(-Z))).astype(float), sm.families.Binomial()),
        ("poisson", COUNTS, sm.families.Poisson()),
        ("gamma", np.exp(Z) * rng.gamma(3.0, 1 / 3.0, len(X)), sm.families.Gamma(sm.families.links.Log())),
    ],
)
def test_generalised_linear_models_as_statsmodels(loss, y, family, weights):
    result = fallline.fit(X, y, loss=loss, inference=True, sample_weight=weights)
    theirs = sm.GLM(y, WITH, family=family, freq_weights=weights).fit(tol=1e-14, maxiter=200)
    like(result.inference, theirs)
    assert_allclose(result.inference.dispersion, theirs.scale, rtol=1e-6)


def test_exposure_and_float32():
    exposure = rng.uniform(0.2, 2.0, len(X))
    y = rng.poisson(exposure * np.exp(Z))
    told = fallline.fit(X, y, loss="poisson", offset=np.log(exposure), inference=True).inference
    like(told, sm.GLM(y, WITH, family=sm.families.Poisson(), exposure=exposure).fit(tol=1e-14))
    single = fallline.fit(X.astype(np.float32), y, loss="poisson", offset=np.log(exposure), inference=True).inference
    assert_allclose(single.standard_error, told.standard_error, rtol=1e-5)


def test_softmax_contrasts_as_statsmodels_mnlogit():
    U = rng.normal(size=(600, 2))
    y = (U @ rng.normal(size=(2, 3)) + rng.gumbel(size=(600, 3))).argmax(axis=1)
    told = fallline.fit(U, y, loss="softmax", inference=True).inference
    theirs = sm.MNLogit(y, np.column_stack([U, np.ones(600)])).fit(disp=0, method="newton", tol=1e-12)
    assert_allclose(told.estimate.sum(axis=1), 0.0, atol=1e-12)
    contrast = told.estimate[:, 1:] - told.estimate[:, :1]
    assert_allclose(contrast, theirs.params, rtol=1e-6, atol=1e-9)
    C = np.kron(np.eye(3), np.array([[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]]))
    error = np.sqrt(np.diag(C @ told.covariance @ C.T)).reshape(3, 2)
    assert_allclose(error, theirs.bse, rtol=1e-6)
    assert "1: x0" in str(told)


def test_a_weight_of_two_is_a_row_given_twice():
    y = Z + rng.normal(size=len(X))
    weighed = fallline.fit(X, y, sample_weight=WEIGHT, inference=True).inference
    times = WEIGHT.astype(int)
    repeated = fallline.fit(np.repeat(X, times, axis=0), np.repeat(y, times), inference=True).inference
    assert_allclose(weighed.standard_error, repeated.standard_error, rtol=1e-8)
    assert weighed.freedom == repeated.freedom


def test_refused_before_the_run():
    y = Z + rng.normal(size=len(X))
    for wrong, words in (
        ({"l2": 0.1}, "biased on purpose"),
        ({"l1": 0.1}, "biased on purpose"),
        ({"bounds": (0, None)}, "biased on purpose"),
        ({"loss": "huber"}, "no likelihood"),
        ({"batch_size": 32}, "mini-batches end near"),
    ):
        with pytest.raises(SettingError, match=words):
            fallline.fit(X, y, inference=True, **wrong)


def test_refused_after_it_with_the_reason_and_the_model_kept():
    y = Z + rng.normal(size=len(X))
    short = fallline.fit(X, y, inference=True, optimizer="descent", max_passes=2)
    assert short.inference is None and "not converged" in short.no_inference and np.isfinite(short.coef).all()
    twice = fallline.fit(np.column_stack([X, X[:, 0]]), y, inference=True)
    assert twice.inference is None and "depend on one another exactly (1 too many)" in twice.no_inference
    few = fallline.fit(X[:5], y[:5], inference=True)
    assert "nothing over for the noise" in few.no_inference
    apart = fallline.fit(X, X[:, 0] > 0, loss="logistic", inference=True)
    assert apart.inference is None and "separated perfectly" in apart.no_inference
    model = GDRegressor().fit(X, y)
    with pytest.raises(SettingError, match="inference=True was not given"):
        model.summary()
    with pytest.raises(SettingError, match="between 0 and 1"):
        GDRegressor(inference=True).fit(X, y).summary(level=95)


def test_constant_columns_have_none():
    y = Z + rng.normal(size=len(X))
    told = fallline.fit(np.column_stack([X, np.full(len(X), 7.0)]), y, inference=True).inference
    assert np.isnan(told.standard_error[4]) and np.isfinite(np.delete(told.standard_error, 4)).all()
    like_rest = fallline.fit(X, y, inference=True).inference
    assert_allclose(np.delete(told.standard_error, 4), like_rest.standard_error, rtol=1e-8)


def test_in_the_estimators_and_in_the_model_file(tmp_path):
    y = (rng.random(len(X)) < 1.0 / (1.0 + np.exp(-Z))).astype(int)
    model = GDClassifier(l2=0.0, inference=True).fit(X, y)
    assert "std. error" in model.summary() and "90 % interval" in model.summary(0.9)
    with pytest.raises(SettingError, match="biased on purpose"):
        GDClassifier(inference=True).fit(X, y)
    again = fallline.load(model.result_.save(tmp_path / "m.fall"))
    assert str(again.inference) == str(model.result_.inference)
    plain = fallline.load(fallline.fit(X, Z).save(tmp_path / "plain.fall"))
    assert plain.inference is None and plain.no_inference


def test_perfect_fits_and_columns_of_zeros():
    perfect = fallline.fit(X, X @ [1.0, 2.0, 3.0, 4.0] + 5.0, inference=True)
    assert perfect.inference is None and "perfect" in perfect.no_inference
    y = Z + rng.normal(size=len(X))
    told = fallline.fit(np.column_stack([X, np.zeros(len(X))]), y, inference=True, fit_intercept=False).inference
    assert np.isnan(told.standard_error[4])
    assert_allclose(told.standard_error[:4], sm.OLS(y, X).fit().bse, rtol=1e-6)


@pytest.mark.parametrize("shrink", [1.0, 0.1])
def test_a_proved_fit_is_not_said_to_have_not_converged(shrink):
    """NIST's Wampler 1 and 2: polynomials of degree five through 21 points without noise."""
    x = np.arange(21.0)
    y = sum((shrink * x) ** k for k in range(6))
    result = fallline.fit(np.vander(x, 6)[:, :-1], y, inference=True)
    assert str(result.verdict) == "converged" and result.inference is None
    assert "rounding alone" in result.no_inference


def test_a_run_that_ended_early_says_how_far_it_is():
    y = rng.poisson(np.exp(Z)).astype(float)
    result = fallline.fit(X, y, loss="poisson", inference=True, max_passes=1)
    assert result.inference is None and "standard errors from the best" in result.no_inference
