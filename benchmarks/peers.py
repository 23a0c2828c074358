"""The solvers that fallline runs beside, each with a ladder of settings from loose to tight.

A solver whose iterations come back to Python climbs its tolerance, with iterations to spare. One that stays in compiled
code until it is done (sag, saga, SGD) climbs the number of its epochs with its own tolerance off, so that no run lasts
for hours; neighbouring rungs are 1.25 to 1.7 apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import objectives
from problem import Problem

TOLERANCES = tuple(10.0**-k for k in range(1, 15))
EPOCHS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100, 130, 160, 200, 250, 320, 400, 500, 640, 800,
          1000, 1300, 1600, 2000, 2500, 3200, 4000, 5000, 8000, 12_000, 20_000)  # fmt: skip
ENOUGH = 100_000  # iterations of solvers that come back to Python: the deadline ends them
COMPILED = 1_000  # iterations of liblinear, many times what it needs: it cannot be broken off

Solution = tuple[Any, Any]


@dataclass(frozen=True)
class Peer:
    """`solve(problem, rung)` gives (w, b); w is (n,) or (n, K)."""

    name: str
    solve: Callable[[Problem, float], Solution]
    ladder: tuple[float, ...] = TOLERANCES
    by_columns: bool = False  # whether X is handed over stored by columns, made beforehand


def peers_of(p: Problem) -> list[Peer]:
    """The peers that minimise exactly this objective."""
    if p.loss == "logistic" and p.l1:
        return [_skglm("logistic"), _celer_logistic(), _sklearn("liblinear"), _sklearn("saga", counted=True)]
    if p.loss == "squared" and p.l1:
        name = "ElasticNet" if p.l2 else "Lasso"
        return [_descent(name, library) for library in ("skglm", "celer", "sklearn.linear_model")]
    if p.loss == "logistic" and p.dense:
        counted = [_sklearn(name, counted=True) for name in ("saga", "sag")]
        return [*map(_sklearn, ("newton-cholesky", "lbfgs", "newton-cg")), *counted, _glum(), _skglm("logistic")]
    if p.loss == "logistic":
        counted = [_sklearn(name, counted=True) for name in ("saga", "sag")]
        return [*map(_sklearn, ("lbfgs", "liblinear", "newton-cg")), *counted, _sgd()]
    if p.loss == "softmax" and p.dense:
        counted = [_sklearn(name, counted=True) for name in ("saga", "sag")]
        return [*map(_sklearn, ("newton-cholesky", "lbfgs", "newton-cg")), *counted]
    if p.loss == "softmax":
        return [*map(_sklearn, ("lbfgs", "newton-cg")), _sklearn("saga", counted=True)]
    if p.loss == "poisson":
        both = [_sklearn_poisson(solver) for solver in ("newton-cholesky", "lbfgs")]
        return [_glum(), *both, *([_skglm("poisson")] if p.exposure is None else [])]
    if p.loss == "huber":
        return [_scipy(scaled=False), _scipy(scaled=True), _skglm("huber")]
    raise ValueError(f"no peers for {p.loss}")


def _sklearn(solver: str, counted: bool = False) -> Peer:
    def solve(p: Problem, rung: float) -> Solution:
        from sklearn.linear_model import LogisticRegression

        most = int(rung) if counted else COMPILED if solver == "liblinear" else ENOUGH
        # C sum phi + |w|^2/2 (or + |w|_1): C m times the objective here
        model = LogisticRegression(
            C=1.0 / ((p.l1 or p.l2) * p.m), l1_ratio=1.0 if p.l1 else 0.0, solver=solver, fit_intercept=p.intercept,
            tol=1e-300 if counted else rung, max_iter=most, random_state=0,
        ).fit(p.X, p.y)  # fmt: skip
        return _coefficients(model, p)

    return Peer(f"sklearn {solver}", solve, tuple(map(float, EPOCHS)) if counted else TOLERANCES)


def _sgd() -> Peer:
    def solve(p: Problem, rung: float) -> Solution:
        from sklearn.linear_model import SGDClassifier

        model = SGDClassifier(
            loss="log_loss", alpha=p.l2, fit_intercept=p.intercept, tol=None, max_iter=int(rung), random_state=0
        ).fit(p.X, p.y)
        return _coefficients(model, p)

    return Peer("sklearn SGDClassifier", solve, tuple(map(float, EPOCHS)))


def _coefficients(model: Any, p: Problem) -> Solution:
    b = model.intercept_ if p.intercept else np.zeros(len(model.coef_))
    return (model.coef_.T, b) if p.loss == "softmax" else (np.ravel(model.coef_), float(np.ravel(b)[0]))


def _sklearn_poisson(solver: str) -> Peer:
    def solve(p: Problem, rung: float) -> Solution:
        from sklearn.linear_model import PoissonRegressor

        y, weight, alpha = _rates(p)
        model = PoissonRegressor(alpha=alpha, solver=solver, fit_intercept=p.intercept, tol=rung, max_iter=ENOUGH)
        model.fit(p.X, y, sample_weight=weight)
        return model.coef_, float(model.intercept_)

    return Peer(f"sklearn Poisson {solver}", solve)


def _glum() -> Peer:
    def solve(p: Problem, rung: float) -> Solution:
        from glum import GeneralizedLinearRegressor

        y, weight, alpha = _rates(p)
        model = GeneralizedLinearRegressor(
            family="binomial" if p.loss == "logistic" else "poisson", alpha=alpha, l1_ratio=0.0,
            fit_intercept=p.intercept, gradient_tol=rung, max_iter=1000,
        ).fit(p.X, y, sample_weight=weight)  # fmt: skip
        return model.coef_, float(model.intercept_)

    return Peer("glum", solve)


def _rates(p: Problem) -> tuple[Any, Any, float]:
    """(y, weights, l2) of the same problem with exposures as weights.

    With E the sum of the exposures, 1/E sum e_i phi(y_i/e_i, z_i) is m/E times 1/m sum phi(y_i, z_i + log e_i), up to a
    constant: so is the penalty to be.
    """
    if p.exposure is None:
        return p.y, None, p.l2
    return p.y / p.exposure, p.exposure, p.l2 * p.m / float(p.exposure.sum())


def _skglm(kind: str) -> Peer:
    def solve(p: Problem, rung: float) -> Solution:
        from skglm import GeneralizedLinearEstimator
        from skglm.datafits import Huber, Logistic, Poisson
        from skglm.penalties import L1_plus_L2
        from skglm.solvers import AndersonCD, ProxNewton

        datafit = {"logistic": Logistic, "poisson": Poisson}[kind]() if kind != "huber" else Huber(p.delta)
        total = p.l1 + p.l2
        solver = (
            AndersonCD(tol=rung, max_iter=1000, fit_intercept=p.intercept)
            if kind == "huber"  # has no second derivatives in skglm
            else ProxNewton(tol=rung, max_iter=1000, fit_intercept=p.intercept)
        )
        model = GeneralizedLinearEstimator(datafit, L1_plus_L2(total, p.l1 / total), solver).fit(p.X, p.y)
        return np.ravel(model.coef_), float(np.ravel(model.intercept_)[0])

    return Peer(f"skglm {'AndersonCD' if kind == 'huber' else 'ProxNewton'}", solve, by_columns=True)


def _celer_logistic() -> Peer:
    def solve(p: Problem, rung: float) -> Solution:
        from celer import LogisticRegression

        model = LogisticRegression(C=1.0 / (p.l1 * p.m), tol=rung, max_iter=200, fit_intercept=False).fit(p.X, p.y)
        return np.ravel(model.coef_), 0.0

    return Peer("celer", solve, by_columns=True)


def _descent(name: str, library: str) -> Peer:
    """Coordinate descent for squared loss with l1: the same names and meanings in three libraries."""

    def solve(p: Problem, rung: float) -> Solution:
        import importlib

        total = p.l1 + p.l2
        settings: dict[str, Any] = {"l1_ratio": p.l1 / total} if p.l2 else {}
        most = {"skglm": 1000, "celer": 200, "sklearn.linear_model": 5000}[library]  # the first two: of subproblems
        kind = getattr(importlib.import_module(library), name)
        model = kind(alpha=total, tol=rung, max_iter=most, fit_intercept=p.intercept, **settings).fit(p.X, p.y)
        return np.ravel(model.coef_), float(np.ravel(model.intercept_)[0])

    return Peer(f"{library.partition('.')[0]} {name}", solve, by_columns=True)


def _scipy(scaled: bool) -> Peer:
    """L-BFGS-B on the exact objective; `scaled`: in the coordinates of standardised columns, with the same penalty."""

    def solve(p: Problem, rung: float) -> Solution:
        from scipy.optimize import minimize

        n = p.X.shape[1]
        shift, size = (p.X.mean(axis=0), p.X.std(axis=0)) if scaled else (np.zeros(n), np.ones(n))

        def outward(v: Any) -> tuple[Any, float]:
            w = v[:-1] / size
            return w, v[-1] - float(shift @ w)

        def both(v: Any) -> tuple[float, Any]:
            w, b = outward(v)
            z = p.X @ w + b
            r = objectives.slopes(p, z) / p.m
            J = float(objectives.costs(p, z).mean()) + p.l2 / 2.0 * float(w @ w)
            total = float(r.sum())
            return J, np.append((p.X.T @ r - shift * total + p.l2 * w) / size, total)

        options = {"maxiter": ENOUGH, "maxfun": ENOUGH, "gtol": rung, "ftol": 0.0, "maxcor": 20}
        return outward(minimize(both, np.zeros(n + 1), jac=True, method="L-BFGS-B", options=options).x)

    return Peer(f"scipy L-BFGS-B{' standardised' if scaled else ''}", solve)
