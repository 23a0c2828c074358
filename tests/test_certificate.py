"""The certificate is a proof: on random problems, solved elsewhere to 1e-14, the bound is never below the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline
from fallline.certificate import gap_bound, ridge_bound
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


def test_columns_whose_curvatures_differ_by_1e11_are_not_called_singular() -> None:
    """A false proof of old: directions of small curvature were dropped as round-off, and the slope along them with it."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 8)) * 10.0 ** np.linspace(0, 6, 8) + 10.0 ** np.linspace(0, 6, 8)
    X = X @ (np.eye(8) + 0.3 * rng.standard_normal((8, 8)) * 10.0 ** np.linspace(0, -6, 8)[:, None] / 10)
    y = (X[:, 0] - X[:, 0].mean() + rng.standard_normal(3000) > 0).astype(float)
    for tol in (1e-6, 1e-9):
        result = fallline.fit(X, y, loss="logistic", l2=1e-4, standardize=False, tol=tol)
        sure = fallline.fit(X, y, loss="logistic", l2=1e-4, standardize=False, tol=1e-14)
        assert result.verdict == "converged" and result.gap is not None
        assert result.best_loss - sure.best_loss <= result.gap * 1.01 + 1e-15


@pytest.mark.parametrize("centred", [True, False])
def test_lasso_with_fewer_rows_than_columns_is_proved_truly(centred: bool) -> None:
    """Another: with |w| the smallest subgradient leaves the range of the curvature, and nothing was said of that part."""
    sklearn = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 150)) + rng.standard_normal((60, 1))
    y = X[:, :5].sum(axis=1) + rng.standard_normal(60)
    l1 = 0.1 * np.abs(X.T @ (y - y.mean())).max() / 60
    other = sklearn.Lasso(alpha=l1, tol=1e-14, max_iter=10**6).fit(X, y)

    def J(w: np.ndarray, b: float) -> float:
        return float(np.mean((X @ w + b - y) ** 2) / 2 + l1 * np.abs(w).sum())

    if centred:
        result = fallline.fit(X, y, l1=l1, standardize=False, tol=1e-5, max_passes=20000)
        assert (result.verdict, result.certainty) == ("converged", "proved") and result.gap is not None
        assert -1e-12 <= J(result.coef, result.intercept) - J(other.coef_, other.intercept_) <= result.gap
    for passes in (3, 30, 300):  # a bound at any time is a bound
        early = fallline.fit(X, y, l1=l1, standardize=False, max_passes=passes)
        if early.gap is not None:
            assert J(early.coef, early.intercept) - J(other.coef_, other.intercept_) <= early.gap


def a_part(rows: ArrayRows, count: int) -> ArrayRows:
    return rows.sample(count, np.random.default_rng(1)).as_part(rows.total_weight)


@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("name", ["squared", "logistic", "poisson", "huber", "softmax"])
def test_a_bound_from_a_part_of_the_rows_is_a_bound(name: str, l2: float) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 4)) @ (np.eye(4) + 0.5)
    z = X @ [0.5, -0.3, 0.2, 0.0]
    y = {
        "squared": z + rng.standard_normal(3000), "huber": z + rng.standard_t(2, 3000),
        "poisson": rng.poisson(np.exp(z)).astype(float), "logistic": (z + rng.logistic(size=3000) > 0) * 1.0,
        "softmax": rng.integers(0, 3, 3000).astype(float),
    }[name]  # fmt: skip
    rows = ArrayRows(X, y)
    best = fallline.fit(X, y, loss=name, l2=l2, standardize=False, tol=1e-13)
    objective = ModelObjective(as_loss(name), as_penalty(None, 0.0, l2, None), Scaling.none(4, True))
    tight = []
    for far in (1e-2, 1e-4, 1e-6):
        theta = best.theta + far * rng.standard_normal(best.theta.shape)
        if theta.ndim == 2:
            theta -= theta.mean(axis=1, keepdims=True)
        J, g = objective.value_and_grad(theta, rows)
        bound = gap_bound(objective, rows, theta, g, among=[a_part(rows, 500), rows])
        if bound is not None:
            assert J - best.best_loss <= bound * (1 + 1e-6) + 1e-15
            tight.append(bound / (J - best.best_loss))
    assert tight and tight[-1] < 12.0  # a sixth of the rows: about six times looser


def test_a_part_that_lacks_a_column_is_not_enough() -> None:
    """A column that is zero on the part's rows: its curvature is unknown there, so all rows are asked."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 3))
    X[5:, 2] = 0.0
    y = X[:, 0] + rng.standard_normal(2000)
    rows = ArrayRows(X, y)
    part = ArrayRows(X[10:], y[10:], total_weight=2000.0)
    objective = ModelObjective(as_loss("squared"), as_penalty(None, 0.0, 0.0, None), Scaling.none(3, True))
    best = fallline.fit(X, y, standardize=False, tol=0.0)
    theta = best.theta + [0.0, 0.0, 1.0, 0.0]
    J, g = objective.value_and_grad(theta, rows)
    bound = gap_bound(objective, rows, theta, g, among=[part, rows])
    assert bound is not None and bound == pytest.approx(J - best.best_loss, rel=1e-6)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("name", ["logistic", "softmax", "squared"])
def test_the_ridge_alone_bounds_the_gap(name: str, intercept: bool) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 5)) / np.sqrt(5)
    y = (X[:, 0] + 0.3 * rng.standard_normal(400) > 0.2) * 1.0 if name != "softmax" else rng.integers(0, 3, 400) * 1.0
    rows, objective = (
        ArrayRows(X, y), ModelObjective(as_loss(name), as_penalty(None, 0.0, 0.05, None), Scaling.none(5, intercept)),
    )  # fmt: skip
    best = fallline.fit(X, y, loss=name, l2=0.05, standardize=False, fit_intercept=intercept, tol=1e-13)
    bounds = []
    for far in (1e-1, 1e-3, 1e-5):
        theta = best.theta + far * rng.standard_normal(best.theta.shape)
        if theta.ndim == 2 and intercept:
            theta[-1] -= theta[-1].mean()
        J, g = objective.value_and_grad(theta, rows)
        bound = ridge_bound(objective, rows, theta, g)
        if bound is not None:
            assert J - best.best_loss <= bound * (1 + 1e-6) + 1e-15
            bounds.append(bound)
    assert len(bounds) >= 2 and bounds[-1] < 1e-6
    plain = ModelObjective(as_loss(name), as_penalty(None, 0.0, 0.0, None), Scaling.none(5, intercept))
    assert ridge_bound(plain, rows, theta, g) is None


def test_the_ridge_alone_does_not_forget_the_corners() -> None:
    """At the optimum of a ridge without |w|, |w| leaves a slope: the bound must know of it."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 5)), rng.standard_normal(50)
    start = fallline.fit(X, y, l2=0.1, standardize=False, tol=1e-12).theta
    objective = ModelObjective(as_loss("squared"), as_penalty(None, 0.3, 0.1, None), Scaling.none(5, True))
    rows = ArrayRows(X, y)
    best = fallline.fit(X, y, l1=0.3, l2=0.1, standardize=False, tol=1e-12)
    J, g = objective.value_and_grad(start, rows)
    bound = ridge_bound(objective, rows, start, objective.least_slope(start, g))
    assert bound is not None and bound >= J - best.best_loss > 0.01


ON_THE_WAY: dict[str, dict[str, Any]] = {
    "squared": {"optimizer": "adam"}, "logistic": {}, "poisson": {}, "huber": {}, "softmax": {},
    "ridge": {"loss": "logistic", "optimizer": "descent", "l2": 0.01, "fit_intercept": False},
    "ridge behind l1": {"loss": "logistic", "l1": 0.01, "l2": 0.01, "fit_intercept": False},
}  # fmt: skip


@pytest.mark.parametrize("case", ON_THE_WAY)
def test_what_is_told_on_the_way_is_true(case: str) -> None:
    """What is proved is a bound at each step, and about how far it is still is about right where it is not far."""
    how = {"loss": case} | ON_THE_WAY[case]
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 8))
    z = X @ rng.normal(size=8)
    y = {
        "logistic": (rng.random(600) < 1 / (1 + np.exp(-z))).astype(float), "poisson": rng.poisson(np.exp(z / 3)),
        "softmax": rng.integers(0, 3, 600),
    }.get(how["loss"], z + rng.standard_t(2, 600))  # fmt: skip
    best = fallline.fit(X, y, tol=1e-12, **(how | {"optimizer": "auto"})).best_loss
    seen: list[Any] = []
    result = fallline.fit(X, y, tol=1e-8, callback=lambda event: seen.append(event), **how)
    proved = [(e.full_loss - best, e.gap) for e in seen if np.isfinite(e.gap)]
    about = [(e.full_loss - best, e.gap_estimate) for e in seen if 1e-9 * best < e.full_loss - best < 0.05 * best]
    assert all(left <= bound * (1.0 + 1e-9) + 1e-12 * best for left, bound in proved)
    assert (len(proved) > 3) == (case in ("squared", "ridge", "ridge behind l1")), proved
    if case in ("logistic", "poisson", "huber", "softmax"):
        assert about and all(left / 3.0 < guess < 3.0 * left for left, guess in about)
    told = result.history.gap[np.isfinite(result.history.gap)]
    assert len(told) >= len(proved) and told[-1] == result.gap


def test_of_a_smooth_stand_in_nothing_is_told() -> None:
    """Quantile loss is reached by way of smooth ones, whose best says nothing of its own."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    seen: list[Any] = []
    fallline.fit(X, X.sum(axis=1) + rng.normal(size=300), loss="quantile", callback=lambda event: seen.append(event))
    assert len(seen) > 5 and all(np.isnan(event.gap_estimate) for event in seen[:5])


def test_of_columns_taken_for_constant_nothing_is_told() -> None:
    rng = np.random.default_rng(0)
    half = np.arange(100) % 2
    X = np.column_stack([1e15 + half * 4, rng.normal(size=100)])
    seen: list[Any] = []
    y = 5.0 * half + 0.1 * rng.normal(size=100) + X[:, 1]
    result = fallline.fit(X, y, optimizer="descent", callback=lambda event: seen.append(event))
    assert result.gap is None and len(seen) > 1
    assert all(np.isnan(event.gap) for event in seen) and np.isnan(result.history.gap).all()


def test_what_dual_ascent_tells_is_no_less_than_the_truth() -> None:
    """It lends the intercept a ridge, whose bound says nothing of J itself: 0 was told where 0.1 % were left."""
    rng = np.random.default_rng(1)
    m, n = 1000, 5000
    k = np.minimum((n * rng.random((m, 40)) ** 3).astype(int), n - 1)
    X = scipy.sparse.csr_matrix((rng.random(40 * m) + 0.1, (np.repeat(np.arange(m), 40), k.ravel())), (m, n))
    X.sum_duplicates()
    total = np.asarray(X.sum(axis=1)).ravel()
    y = (total > np.quantile(total, 0.97)).astype(float)
    best = fallline.fit(X, y, loss="logistic", l2=0.01, tol=1e-9).best_loss
    seen: list[Any] = []
    result = fallline.fit(X, y, loss="logistic", l2=0.01, callback=lambda event: seen.append(event))
    assert "row by row" in result.method and len(seen) > 3
    for event in seen[:-1]:
        left = event.full_loss - best
        assert not event.gap_estimate < left / 3.0 and not event.gap < left * (1.0 - 1e-6) - 1e-9 * best


def test_the_last_step_is_not_given_the_bound_of_a_better_one() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4)) * [1.0, 3.0, 0.3, 1.0]
    y = X @ [1.0, -2.0, 0.5, 3.0] + rng.normal(size=200)
    how: dict[str, Any] = {"l2": 1e-4, "fit_intercept": False, "standardize": False}
    best = fallline.fit(X, y, tol=1e-13, **how).best_loss
    worse = 0
    for passes in range(3, 14):
        result = fallline.fit(X, y, optimizer="momentum", max_passes=passes, **how)
        history = result.history
        known = np.isfinite(history.gap)
        assert np.all(history.gap[known] >= (history.full_loss[known] - best) * (1.0 - 1e-9) - 1e-12)
        worse += result.gap is not None and history.full_loss[-1] > result.best_loss * (1.0 + 1e-6)
    assert worse > 2  # which momentum swings back to
