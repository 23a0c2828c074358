"""The table of docs/scikit-learn.md that converts penalties: one test a line."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import linear_model
from sklearn.svm import LinearSVC

from fallline import GDClassifier, GDRegressor

rng = np.random.default_rng(0)
X = rng.normal(size=(90, 4)) * [1.0, 2.0, 0.5, 1.0]
Z = X @ [1.0, -0.5, 0.7, 0.0]
M = len(X)
NUMBERS, COUNTS, AMOUNTS = Z + rng.normal(size=M), rng.poisson(np.exp(Z)), np.exp(Z) * rng.gamma(2.0, 0.5, M)
CLASSES = (Z + rng.logistic(size=M) > 0).astype(int)
TIGHT = {"tol": 1e-10, "max_iter": 100_000}

LINES = {
    "C": (linear_model.LogisticRegression(C=0.3, **TIGHT), GDClassifier(l2=1 / (0.3 * M)), CLASSES),
    "C and l1": (
        linear_model.LogisticRegression(C=0.3, l1_ratio=1, solver="saga", **TIGHT), GDClassifier(l2=0.0, l1=1 / (0.3 * M)),
        CLASSES,
    ),
    "svc": (
        LinearSVC(C=0.3, fit_intercept=False, **TIGHT),
        GDClassifier("squared hinge", l2=1 / (2 * 0.3 * M), fit_intercept=False), CLASSES,
    ),
    "ridge": (linear_model.Ridge(alpha=3.0), GDRegressor(l2=3.0 / M), NUMBERS),
    "lasso": (linear_model.Lasso(alpha=0.1, **TIGHT), GDRegressor(l1=0.1), NUMBERS),
    "elastic net": (
        linear_model.ElasticNet(alpha=0.1, l1_ratio=0.3, **TIGHT), GDRegressor(l1=0.1 * 0.3, l2=0.1 * 0.7), NUMBERS,
    ),
    "poisson": (linear_model.PoissonRegressor(alpha=0.1, **TIGHT), GDRegressor("poisson", l2=0.1), COUNTS),
    "gamma": (linear_model.GammaRegressor(alpha=0.1, **TIGHT), GDRegressor("gamma", l2=0.1), AMOUNTS),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("line", LINES)
def test_scikit_learns_penalties(line):
    theirs, ours, y = LINES[line]
    try:
        theirs.fit(X, y)
    except (TypeError, ValueError):
        theirs.set_params(penalty="l1").fit(X, y)  # before 1.8 the penalty had a name
    if line == "C and l1" and np.all(theirs.coef_):
        theirs.set_params(penalty="l1").fit(X, y)
    ours.set_params(standardize=False, tol=1e-12).fit(X, y)
    assert_allclose(ours.coef_, theirs.coef_, rtol=2e-4, atol=2e-5)


def test_sgd_minimises_the_same():
    theirs = linear_model.SGDRegressor(alpha=0.1, max_iter=20_000, tol=None, eta0=0.02, power_t=0.5).fit(X, NUMBERS)
    ours = GDRegressor(l2=0.1, standardize=False).fit(X, NUMBERS)
    assert_allclose(ours.coef_, theirs.coef_, atol=0.01)


def test_glum():
    glum = pytest.importorskip("glum")
    for scaled in (False, True):
        theirs = glum.GeneralizedLinearRegressor(
            family="poisson", alpha=0.1, l1_ratio=0.3, scale_predictors=scaled, gradient_tol=1e-9
        ).fit(X, COUNTS)
        ours = GDRegressor("poisson", l1=0.1 * 0.3, l2=0.1 * 0.7, standardize=scaled, tol=1e-12).fit(X, COUNTS)
        assert_allclose(ours.coef_, theirs.coef_, rtol=1e-4, atol=1e-5)
