"""Dual ascent, row by row: the same optimum as others find, a bound that holds, and the choice of it."""

from __future__ import annotations

import functools
import pickle
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline
from fallline.ascent import CYCLE, RowByRow, ascends
from fallline.balance import best_shift
from fallline.losses import as_loss
from fallline.losses.squared import Squared
from fallline.objective import ModelObjective
from fallline.penalties import as_penalty
from fallline.rows.arrays import ArrayRows
from fallline.scaling import Scaling

LOSSES = ("squared", "logistic", "softmax", "poisson", "huber", "squared hinge", "gamma")
RIDGE = 0.02


def texts(m: int, n: int, seed: int = 0) -> scipy.sparse.csr_matrix:
    """Counts of words, a few rows of them a thousand times as long as the others, one without any."""
    rng = np.random.default_rng(seed)
    X = scipy.sparse.random(m, n, 0.1, format="csr", random_state=rng, data_rvs=lambda k: rng.integers(1, 4, k) * 1.0)
    X[: m // 20] *= 30.0
    X[-1] *= 0.0
    X.eliminate_zeros()
    return X


def targets(loss: str, X: Any, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    z = np.clip(np.asarray(X @ rng.standard_normal(X.shape[1])) / 5.0, -2.0, 2.0)
    if loss == "softmax":
        return rng.integers(0, 3, len(z)) * 1.0
    if loss in ("logistic", "squared hinge"):
        return (z + rng.standard_normal(len(z)) > 0.0) * 1.0
    return rng.poisson(np.exp(z)) * 1.0 if loss == "poisson" else np.exp(z) if loss == "gamma" else z


def problem(loss: str, intercept: bool, sides: bool, scaled: bool) -> tuple[ModelObjective, ArrayRows]:
    X = texts(60, 90)
    rng = np.random.default_rng(2)
    weight, offset = (rng.uniform(0.5, 2.0, 60), 0.3 * rng.standard_normal(60)) if sides else (None, None)
    scaling = Scaling.none(90, intercept)
    if scaled:
        shift = np.asarray(X.mean(axis=0)).ravel() if intercept else np.zeros(90)
        scaling = Scaling(shift, rng.uniform(0.5, 3.0, 90), intercept)
    return ModelObjective(as_loss(loss), as_penalty(None, 0.0, RIDGE, None), scaling), ArrayRows(
        X, targets(loss, X), weight, offset
    )


def climb(objective: ModelObjective, rows: ArrayRows, sweeps: int) -> tuple[RowByRow, np.ndarray]:
    shape = (3,) if objective.loss.name == "softmax" else ()
    rule = RowByRow(objective, rows, shape, seed=0)
    theta = np.zeros((rows.n + objective.scaling.intercept, *shape))
    state = rule.init(theta)
    for _ in range(sweeps):
        move, state = rule.update(np.empty(0), state, 1.0)
        theta = theta + move
    return rule, theta


@pytest.mark.parametrize(
    ("intercept", "sides", "scaled"), [(True, False, False), (True, True, True), (False, True, True)]
)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_optimum_is_that_of_scipy(loss: str, intercept: bool, sides: bool, scaled: bool) -> None:
    objective, rows = problem(loss, intercept, sides, scaled)
    rule, theta = climb(objective, rows, 120)
    J, g = objective.value_and_grad(theta, rows)
    gap = rule.prove(theta, g)
    assert gap is not None and gap <= 1e-9 * max(J, 1e-3)

    def both(v: np.ndarray) -> tuple[float, np.ndarray]:
        J, g = objective.value_and_grad(v.reshape(theta.shape), rows)
        return J, g.ravel()

    options = {"maxiter": 20_000, "maxfun": 20_000, "ftol": 0.0, "gtol": 1e-10, "maxcor": 50}
    other = scipy.optimize.minimize(both, theta.ravel() * 0.0, jac=True, method="L-BFGS-B", options=options)
    assert J <= other.fun + 1e-9 * abs(other.fun)
    assert J - gap <= other.fun + 1e-12


@functools.cache
def least(loss: str, sides: bool) -> float:
    objective, rows = problem(loss, True, sides, True)
    return objective.value(climb(objective, rows, 100)[1], rows)


@pytest.mark.parametrize("loss", LOSSES)
@settings(max_examples=10, deadline=None)
@given(sweeps=st.integers(1, 2 * CYCLE + 3), seed=st.integers(0, 1000), weight=st.booleans())
def test_the_bound_is_never_above_the_optimum(loss: str, sweeps: int, seed: int, weight: bool) -> None:
    objective, rows = problem(loss, True, weight, True)
    optimum = least(loss, weight)
    early, there = climb(objective, rows, sweeps)
    rng = np.random.default_rng(seed)
    for theta in (there, there + 0.1 * rng.standard_normal(there.shape)):
        J, g = objective.value_and_grad(theta, rows)
        gap = early.prove(theta, g)
        assert gap is None or gap >= J - optimum - 1e-11 * abs(J)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_best_shift_is_that_of_scipy(loss: str) -> None:
    objective, rows = problem(loss, True, True, False)
    z = np.random.default_rng(5).standard_normal((60, 3) if loss == "softmax" else 60)
    shift = best_shift(
        objective, rows, lambda batch: z[batch.first : batch.first + len(batch.y)], 3 if z.ndim == 2 else 1
    )
    assert shift is not None and rows.weight is not None
    moved = z + (shift if z.ndim == 2 else shift[0])
    pulls = rows.weight @ objective.loss.slope(rows.y, moved)
    np.testing.assert_allclose(pulls, 0.0, atol=1e-11)

    def cost(b: np.ndarray) -> float:
        assert rows.weight is not None
        return float(rows.weight @ objective.loss.value(rows.y, z + (b if z.ndim == 2 else b[0])))

    assert cost(shift) <= scipy.optimize.minimize(cost, np.zeros(shift.shape)).fun + 1e-9


@pytest.mark.parametrize("loss", ["logistic", "softmax", "poisson"])
def test_a_row_is_given_the_prediction_that_is_best_for_it(loss: str) -> None:
    objective, rows = problem(loss, True, True, True)
    rule, theta = climb(objective, rows, 3)
    state = rule.latest
    assert state is not None
    for i in (0, 7, 58, 59):  # long, ordinary, ordinary, empty
        u, r, unrest = state.u.copy(), state.r.copy(), state.unrest.copy()
        coef = rule.weights(r)
        b = rule.intercept(r, state.anchor)
        assert rows.offset is not None
        z = np.asarray(rows.X[[i]] @ coef)[0] + b + rows.offset[i]
        before = rule.bound(u, r, state.anchor, coef)
        after = rule.swept(np.array([i]), u, r, unrest, coef, b)
        np.testing.assert_allclose(u[i] + rule.own[i] * r[i], z + rule.own[i] * state.r[i], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(r[i], objective.loss.slope(rows.y[[i]], u[[i]])[0], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(coef, rule.weights(r), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(after, rule.intercept(r, state.anchor), rtol=1e-9, atol=1e-12)
        assert rule.bound(u, r, state.anchor, coef) >= before - 1e-12


def wide() -> tuple[scipy.sparse.csr_matrix, np.ndarray]:
    X = texts(400, 6_000, seed=3)
    return X, np.random.default_rng(4).integers(0, 3, 400) * 1.0


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
def test_sparse_rows_fewer_than_columns_are_proved_row_by_row(loss: str) -> None:
    X, y = wide()
    y = y if loss == "softmax" else np.minimum(y, 1.0)
    result = fallline.fit(X, y, loss=loss, l2=1.0 / 400)
    assert "row by row" in result.method and (str(result.verdict), str(result.certainty)) == ("converged", "proved")
    tight = fallline.fit(X, y, loss=loss, l2=1.0 / 400, tol=1e-11)
    assert result.gap is not None and result.best_loss - tight.best_loss <= result.gap <= 1e-6 * result.best_loss
    again = fallline.fit(X, y, loss=loss, l2=1.0 / 400, n_threads=1)
    assert np.array_equal(result.theta, again.theta) and result.history.loss[-1] == again.history.loss[-1]


def test_a_result_is_a_good_start() -> None:
    X, y = wide()
    first = fallline.fit(X, y, loss="softmax", l2=1.0 / 400)
    nearby = fallline.fit(X, y, loss="softmax", l2=1.1 / 400)
    warm = fallline.fit(X, y, loss="softmax", l2=1.1 / 400, start=first)
    assert str(warm.certainty) == "proved" and warm.passes < nearby.passes
    assert warm.best_loss == pytest.approx(nearby.best_loss, rel=1e-6)


def test_where_it_is_not_for() -> None:
    X, y = wide()
    ridge, loss = as_penalty(None, 0.0, 0.1, None), as_loss("softmax")
    none = Scaling.none(X.shape[1], True)
    assert ascends(ModelObjective(loss, ridge, none), ArrayRows(X, y))
    assert not ascends(ModelObjective(loss, ridge, none), ArrayRows(X.toarray(), y))
    assert not ascends(ModelObjective(loss, as_penalty(None, 0.0, 0.0, None), none), ArrayRows(X, y))
    assert not ascends(ModelObjective(loss, as_penalty(None, 0.1, 0.1, None), none), ArrayRows(X, y))
    assert not ascends(ModelObjective(as_loss("quantile"), ridge, none), ArrayRows(X, y))
    few = X[:, :300].tocsr()
    assert not ascends(ModelObjective(loss, ridge, Scaling.none(300, True)), ArrayRows(few, y))


class Stranger(Squared):
    """A user's loss, whose formula no compiler takes."""

    def slope(self, y: Any, z: Any) -> Any:
        return np.asarray([float(str(v)) for v in np.ravel(z - y)]).reshape(np.shape(z))


def test_a_loss_that_does_not_compile_takes_another_way() -> None:
    X, y = wide()
    result = fallline.fit(X, y, loss=Stranger(), l2=0.1, max_passes=20)
    assert "row by row" not in result.method


@pytest.mark.parametrize("loss", ["poisson", "gamma", "logistic", "squared"])
@pytest.mark.parametrize("z", [-900.0, -80.0, -1.0, 0.5, 70.0, 800.0])
def test_the_step_of_a_row_is_found_from_anywhere(loss: str, z: float) -> None:
    """One row with one entry, far out on either side: u + q phi'(u) = z + q r, by bisection in SciPy."""
    X = scipy.sparse.csr_matrix(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    y = np.array([1.0, 1.0])
    objective = ModelObjective(as_loss(loss), as_penalty(None, 0.0, 0.5, None), Scaling.none(3, False))
    rule = RowByRow(objective, ArrayRows(X, y), (), seed=0)
    u, r, unrest = np.zeros(2), np.array([0.3 if loss != "logistic" else -0.3, 0.0]), np.zeros(2)
    coef = np.array([z, 0.0, 0.0])
    rule.swept(np.array([0]), u, r.copy(), unrest, coef, np.zeros(()))

    def miss(at: float) -> float:
        with np.errstate(over="ignore"):
            slope = float(objective.loss.slope(y[:1], np.array([at]))[0])
        return at + rule.own[0] * slope - (z + rule.own[0] * r[0])

    root = scipy.optimize.brentq(miss, -2e3, 2e3, xtol=1e-12)
    assert u[0] == pytest.approx(root, rel=1e-9, abs=1e-9)


def test_long_rows_of_counts_find_their_way() -> None:
    """Poisson, four rows a thousand times as long as the others: as good as L-BFGS, and proved."""
    X = texts(400, 6_000, seed=6)
    X[:4] *= 30.0
    y = np.random.default_rng(7).poisson(1.0, 400) * 1.0
    result = fallline.fit(X, y, loss="poisson", l2=0.01, standardize=False)
    assert "row by row" in result.method and str(result.certainty) == "proved"
    other = fallline.fit(X, y, loss="poisson", l2=0.01, standardize=False, optimizer="lbfgs")
    assert result.best_loss <= other.best_loss * (1.0 + 1e-6)


def test_empty_rows_and_far_targets_are_proved() -> None:
    X = texts(300, 6_000, seed=8)
    X[:180] *= 0.0
    X.eliminate_zeros()
    y = np.random.default_rng(9).integers(0, 2, 300) * 1.0
    empty = fallline.fit(X, y, loss="logistic", l2=0.003)
    assert "row by row" in empty.method and str(empty.certainty) == "proved"
    far = fallline.fit(texts(300, 6_000), y + 1e6, loss="squared", l2=0.1)
    assert str(far.certainty) == "proved"


def test_a_column_far_from_zero_takes_another_way() -> None:
    X, y = wide()
    year = scipy.sparse.csr_matrix(2000.0 + np.random.default_rng(1).uniform(-5.0, 5.0, (400, 1)))
    result = fallline.fit(scipy.sparse.hstack([X, year]).tocsr(), np.minimum(y, 1.0), loss="logistic", l2=0.01)
    assert "row by row" not in result.method and str(result.certainty) == "proved"


def test_a_result_does_not_keep_the_rows() -> None:
    X, y = wide()
    result = fallline.fit(X, y, loss="softmax", l2=1.0 / 400)
    assert len(pickle.dumps(result)) < 4 * result.theta.nbytes + 300_000
    assert result.optimizer is None and result.evidence is not None and result.evidence.optimizer == "row by row"


def test_a_loss_that_is_no_dataclass_takes_another_way() -> None:
    class Plain(fallline.losses._base.Loss):
        name, summary, targets = "plain", "a user's", "numbers"
        value, slope, curvature, curvature_floor, curvature_bound, mean, start = (
            getattr(Squared, method)
            for method in ("value", "slope", "curvature", "curvature_floor", "curvature_bound", "mean", "start")
        )

    X, y = wide()
    mine = fallline.fit(X, y, loss=Plain(), l2=0.1)
    assert mine.best_loss == pytest.approx(fallline.fit(X, y, loss="squared", l2=0.1).best_loss, rel=1e-5)
