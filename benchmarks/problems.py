"""The problems whose time to a given accuracy is measured, by name: each is made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import realdata
import synthetic
from problem import Problem

MADE = {1e-6: 5.0, 1e-10: 3.0}
REAL = {1e-6: 2.0}
NONE = {1e-6: None}
RIDGE = 1e-4
OF_LARGEST = 0.1  # l1 as a share of the smallest l1 at which all coefficients are zero


def logistic(scale: float) -> Problem:
    X, z = synthetic.correlated(_count(500_000, scale), 100)
    return Problem("logistic", "logistic", X, synthetic.labels(z), MADE, l2=RIDGE)


def poisson(scale: float) -> Problem:
    X, z = synthetic.correlated(_count(500_000, scale), 100)
    return Problem("poisson", "poisson", X, synthetic.counts(z), MADE, l2=RIDGE)


def huber(scale: float) -> Problem:
    X, z = synthetic.correlated(_count(500_000, scale), 100)
    return Problem("huber", "huber", X, synthetic.heavy_tails(z), MADE, l2=RIDGE, delta=1.5)


def softmax(scale: float) -> Problem:
    X, _ = synthetic.correlated(_count(500_000, scale), 100)
    return Problem("softmax", "softmax", X, synthetic.classes(X, 10), MADE, l2=RIDGE)


def sparse_logistic(scale: float) -> Problem:
    X, y = synthetic.text(_count(200_000, scale))
    # Without an intercept for any solver, because liblinear penalises its own.
    return Problem("sparse-logistic", "logistic", X, y, {1e-6: 3.0}, l2=1.0 / len(y), intercept=False)


def covtype(scale: float) -> Problem:
    X, kind = realdata.cover_type()
    X, kind = _some(scale, X, kind)
    return Problem("covtype", "logistic", X, (kind == 2).astype(np.float64), REAL, l2=1.0 / len(kind))


def covtype7(scale: float) -> Problem:
    X, kind = realdata.cover_type()
    X, kind = _some(scale, X, kind)
    codes = np.unique(kind, return_inverse=True)[1].astype(np.float64)
    return Problem("covtype7", "softmax", X, codes, REAL, l2=1.0 / len(kind))


def fremtpl2(scale: float) -> Problem:
    X, y, exposure = _some(scale, *realdata.motor_claims())
    return Problem("fremtpl2", "poisson", X, y, REAL, l2=RIDGE, exposure=exposure, offset=np.log(exposure))


def newsgroups(scale: float) -> Problem:
    X, y = _some(scale, *realdata.newsgroups())
    codes = np.unique(y, return_inverse=True)[1].astype(np.float64)
    return Problem("20news", "softmax", X, codes, REAL, l2=1.0 / len(y))


def a9a(scale: float) -> Problem:
    X, y, optimum = realdata.census()
    X, y = _some(scale, X, y)
    known = optimum if scale >= 1.0 else None
    return Problem("a9a", "logistic", X, y, {1e-9: 2.0}, l2=1.0 / len(y), intercept=False, optimum=known)


def lasso(scale: float) -> Problem:
    X, y = _wide(scale)
    return Problem("lasso", "squared", X, y, NONE, l1=OF_LARGEST * _largest(X, y - y.mean()))


def elastic_net(scale: float) -> Problem:
    X, y = _wide(scale)
    l1 = OF_LARGEST * _largest(X, y - y.mean())
    return Problem("elastic-net", "squared", X, y, NONE, l1=l1, l2=l1)


def sparse_l1_logistic(scale: float) -> Problem:
    X, y = synthetic.text(_count(20_000, scale))
    return Problem("sparse-l1-logistic", "logistic", X, y, NONE, l1=OF_LARGEST * _largest(X, y - 0.5), intercept=False)


def wide_lasso(scale: float) -> Problem:
    X, y = _few_matter(scale)
    return Problem("wide-lasso", "squared", X, y, NONE, l1=OF_LARGEST * _largest(X, y - y.mean()))


def wide_l1_logistic(scale: float) -> Problem:
    X, z = _few_matter(scale)
    y = (z > np.median(z)).astype(np.float64)
    return Problem("wide-l1-logistic", "logistic", X, y, NONE, l1=OF_LARGEST * _largest(X, y - 0.5), intercept=False)


PROBLEMS: dict[str, Callable[[float], Problem]] = {
    "logistic": logistic,
    "poisson": poisson,
    "huber": huber,
    "softmax": softmax,
    "sparse-logistic": sparse_logistic,
    "covtype": covtype,
    "covtype7": covtype7,
    "fremtpl2": fremtpl2,
    "20news": newsgroups,
    "a9a": a9a,
    "lasso": lasso,
    "elastic-net": elastic_net,
    "sparse-l1-logistic": sparse_l1_logistic,
    "wide-lasso": wide_lasso,
    "wide-l1-logistic": wide_l1_logistic,
}


def _count(m: int, scale: float) -> int:
    return max(200, round(m * scale))


def _some(scale: float, X: Any, *sides: Any) -> tuple[Any, ...]:
    """All rows, or a share of them drawn at random: files are often sorted."""
    if scale >= 1.0:
        return X, *sides
    chosen = np.sort(np.random.default_rng(0).choice(X.shape[0], _count(X.shape[0], scale), replace=False))
    return X[chosen], *(side[chosen] for side in sides)


def _wide(scale: float) -> tuple[Any, Any]:
    X, z = synthetic.correlated(_count(20_000, scale), 500, decades=0.3)
    return X, 3.0 * z + np.random.default_rng(synthetic.SEED + 1).standard_normal(len(z))


def _largest(X: Any, r: Any) -> float:
    return float(np.abs(X.T @ r).max() / len(r))


def _few_matter(scale: float) -> tuple[Any, Any]:
    """More columns than rows, of which twenty say something."""
    X = synthetic.independent(_count(400, scale), 5_000)
    rng = np.random.default_rng(synthetic.SEED + 1)
    return X, X[:, :20] @ rng.standard_normal(20) + rng.standard_normal(len(X))
