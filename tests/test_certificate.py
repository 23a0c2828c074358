"""The certificate is a proof: on random problems, solved elsewhere to 1e-14, the bound is never below the truth."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline
from fallline.certificate import gap_bound
from fallline.losses import as_loss
from fallline.objective import ModelObjective
from fallline.penalties import as_penalty
from fallline.rows.arrays import ArrayRows
from fallline.scaling import Scaling

LOSSES = {
    "squared": "squared", "logistic": "logistic", "poisson": "poisson", "gamma": "gamma", "huber": fallline.Huber(0.7),
    "squared hinge": "squared hinge", "quantile": fallline.Quantile(0.3, smoothing=0.2), "softmax": "softmax",
}  # fmt: skip


def problem(name: str, seed: int, l1: float, l2: float, m: int = 60, n: int = 3) -> tuple[ModelObjective, ArrayRows]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, n)) * 10.0 ** rng.uniform(-1, 1, n)
    z = X @ rng.standard_normal(n) / 10.0 ** rng.uniform(-1, 1)
    y = {
        "logistic": lambda: (rng.random(m) < 1 / (1 + np.exp(-z))).astype(float),
        "squared hinge": lambda: (rng.random(m) < 1 / (1 + np.exp(-z))).astype(float),
        "poisson": lambda: rng.poisson(np.exp(np.clip(z, -3, 3))).astype(float),
        "gamma": lambda: rng.gamma(2.0, np.exp(np.clip(z, -3, 3))) + 1e-3,
        "softmax": lambda: rng.integers(0, 3, m).astype(float),
    }.get(name, lambda: z + rng.standard_normal(m))()
    weight = rng.integers(1, 4, m).astype(float) if seed % 2 else None
    rows = ArrayRows(X, y, weight)
    scaling = Scaling(X.mean(axis=0), X.std(axis=0), intercept=True)
    return ModelObjective(as_loss(LOSSES[name]), as_penalty(None, l1, l2), scaling), rows


def optimum(objective: ModelObjective, rows: ArrayRows, shape: tuple[int, ...]) -> float:
    """J* by SciPy; with l1 the variables are doubled, w = u - v, which makes J smooth."""
    p = int(np.prod(shape))
    if objective.smooth:

        def both(x):
            J, g = objective.value_and_grad(x.reshape(shape), rows)
            return J, g.ravel()

        found = scipy.optimize.minimize(
            both, np.zeros(p), jac=True, method="BFGS", options={"gtol": 1e-12, "maxiter": 5000}
        )
        H = objective.hessian(found.x.reshape(shape), rows)
        x = found.x
        for _ in range(5):  # Newton's last digits
            x = x - np.linalg.pinv(H, rcond=1e-12) @ both(x)[1]
            H = objective.hessian(x.reshape(shape), rows)
        return min(found.fun, both(x)[0])
    l1 = objective.penalty.value(np.ones(1)) - 0.5 * objective.penalty.curvature

    def doubled(x):
        theta = x[:p] - x[p:]
        w, _ = objective.scaling.split(theta)
        J, g = objective.value_and_grad(theta, rows)
        extra = l1 * (x[: p - 1].sum() + x[p : 2 * p - 1].sum() - np.abs(w).sum())
        push = np.concatenate([np.full(p - 1, l1), [0.0]])
        return J + extra, np.concatenate([g + push, -g + push])

    found = scipy.optimize.minimize(
        doubled, np.zeros(2 * p), jac=True, method="L-BFGS-B", bounds=[(0, None)] * (2 * p),
        options={"ftol": 1e-16, "gtol": 1e-12, "maxiter": 20000, "maxfun": 100000},
    )  # fmt: skip
    return float(found.fun)


@pytest.mark.parametrize("name", list(LOSSES))
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), l2=st.sampled_from([0.0, 1e-3, 0.1]), far=st.floats(1e-5, 0.5))
def test_never_below_the_truth(name: str, seed: int, l2: float, far: float) -> None:
    objective, rows = problem(name, seed, 0.0, l2)
    shape = (4, 3) if name == "softmax" else (4,)
    best = optimum(objective, rows, shape)
    rng = np.random.default_rng(seed)
    run = fallline.fit(rows.X, rows.y, loss=LOSSES[name], l2=l2, sample_weight=rows.weight, tol=1e-12)
    inward = objective.scaling.inward(run.coef, run.intercept)
    theta = inward + far * rng.standard_normal(shape)
    J, g = objective.value_and_grad(theta, rows)
    bound = gap_bound(objective, rows, theta, g)
    if bound is not None:
        assert bound >= (J - best) * (1 - 1e-9) - 1e-13 * abs(J)


@pytest.mark.parametrize("name", list(LOSSES))
def test_tight_near_the_optimum(name: str) -> None:
    """Within 1.5 times the truth once near: here a random step that costs about 1e-6 of the loss."""
    objective, rows = problem(name, 4, 0.0, 1e-2, m=400)
    shape = (4, 3) if name == "softmax" else (4,)
    result = fallline.fit(rows.X, rows.y, loss=LOSSES[name], l2=1e-2, tol=1e-13)
    best = optimum(objective, rows, shape)
    theta = objective.scaling.inward(result.coef, result.intercept) + 1e-3 * np.random.default_rng(0).standard_normal(
        shape
    )
    J, g = objective.value_and_grad(theta, rows)
    bound = gap_bound(objective, rows, theta, g)
    assert bound is not None
    assert (J - best) * (1 - 1e-6) <= bound <= 1.5 * (J - best)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), l1=st.floats(1e-3, 0.3), l2=st.sampled_from([0.0, 0.05]))
def test_never_below_the_truth_with_l1(seed: int, l1: float, l2: float) -> None:
    objective, rows = problem("logistic", seed, l1, l2)
    best = optimum(objective, rows, (4,))
    result = fallline.fit(rows.X, rows.y, loss="logistic", l1=l1, l2=l2, sample_weight=rows.weight, max_passes=30)
    theta = objective.scaling.inward(result.coef, result.intercept)
    J, g = objective.value_and_grad(theta, rows)
    bound = gap_bound(objective, rows, theta, g)
    if bound is not None:
        assert bound >= J - best - 1e-9 * abs(J)  # L-BFGS-B's own error is about 1e-10


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_what_is_called_converged_is(seed: int) -> None:
    """The verdict's claim itself: the returned loss is within tol of the optimum, relative."""
    rng = np.random.default_rng(seed)
    name = str(rng.choice(["squared", "logistic", "poisson", "gamma", "huber"]))
    objective, rows = problem(name, seed, 0.0, 0.0)
    result = fallline.fit(rows.X, rows.y, loss=LOSSES[name], sample_weight=rows.weight, tol=1e-5)
    if result.verdict != "converged":
        return
    best = optimum(objective, rows, (4,))
    assert result.certainty == "proved"
    assert result.best_loss - best <= 1e-5 * best * (1 + 1e-6) + 1e-13


def test_collinear_columns_are_still_proved() -> None:
    """Two equal columns make the second derivatives singular; the gradient has no part along the flat direction."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((200, 2))
    X = np.column_stack([x, x[:, 0], np.ones(200)])
    y = x @ [1.0, 2.0] + rng.standard_normal(200)
    result = fallline.fit(X, y)
    assert result.verdict == "converged" and result.certainty == "proved"
    np.testing.assert_allclose(result.coef[0], result.coef[2], rtol=1e-6)  # nearest to the start: shared equally
    assert result.coef[3] == 0.0


def test_sparse_equals_dense() -> None:
    objective, rows = problem("logistic", 3, 0.0, 0.01)
    near = fallline.fit(rows.X, rows.y, loss="logistic", l2=0.01, sample_weight=rows.weight)
    theta = objective.scaling.inward(near.coef, near.intercept) + 0.01
    J, g = objective.value_and_grad(theta, rows)
    sparse = ArrayRows(scipy.sparse.csr_matrix(rows.X), rows.y, rows.weight)
    J2, g2 = objective.value_and_grad(theta, sparse)
    assert J2 == pytest.approx(J, rel=1e-13)
    np.testing.assert_allclose(g2, g, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(objective.hessian(theta, sparse), objective.hessian(theta, rows), rtol=1e-10, atol=1e-12)
    assert gap_bound(objective, sparse, theta, g2) == pytest.approx(gap_bound(objective, rows, theta, g), rel=1e-8)
