"""Rare levels whose rows all turned out alike have no best weight; what is left to gain is proved all the same."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

import fallline
import fallline.separation
from fallline.certificate import gap_bound
from fallline.losses import as_loss
from fallline.objective import ModelObjective
from fallline.penalties import as_penalty
from fallline.rows.arrays import ArrayRows
from fallline.scaling import Scaling

RARE = 7  # rows of the level


def with_a_rare_level(name: str, m: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Two columns of numbers, and one that is 1 in a few rows only, whose outcomes are all the same."""
    rng = np.random.default_rng(3)
    X = np.column_stack([rng.standard_normal((m, 2)), np.zeros(m)])
    z = X @ [0.8, -0.5, 0.0]
    y = {
        "logistic": (z + rng.logistic(size=m) > 0) * 1.0, "poisson": rng.poisson(np.exp(z - 0.5)) * 1.0,
        "softmax": rng.integers(0, 3, m) * 1.0,
    }[name]  # fmt: skip
    X[:RARE, 2], y[:RARE] = 1.0, 0.0
    return X, y


def infimum(name: str, X: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """J* and the weights of the other columns: the level's rows cost nothing in the end."""
    rest = fallline.fit(X[RARE:, :2], y[RARE:], loss=name, standardize=False, tol=1e-13)
    return rest.best_loss * (len(y) - RARE) / len(y), rest.theta


@pytest.mark.parametrize("part", [False, True])
@pytest.mark.parametrize("name", ["logistic", "poisson", "softmax"])
def test_the_bound_is_one_and_close(name: str, part: bool) -> None:
    X, y = with_a_rare_level(name)
    best, others = infimum(name, X, y)
    rows = ArrayRows(X, y)
    objective = ModelObjective(as_loss(name), as_penalty(None, 0.0, 0.0, None), Scaling.none(3, True))
    among = [ArrayRows(X[: RARE + 1000], y[: RARE + 1000], total_weight=float(len(y)))] if part else [rows]
    rng, close = np.random.default_rng(0), []
    for grown in (4.0, 8.0, 12.0, 16.0):
        for off in (0.0, 1e-6, 1e-4, 1e-3):
            theta = np.insert(others, 2, 0.0, axis=0) + off * rng.standard_normal((4, *others.shape[1:]))
            theta[2] = grown * np.array([2 / 3, -1 / 3, -1 / 3]) if name == "softmax" else -grown
            J, g = objective.value_and_grad(theta, rows)
            bound = gap_bound(objective, rows, theta, g, among=among)
            if bound is not None:
                assert bound >= (J - best) * (1.0 - 1e-6) - 1e-13
                close.append(bound / (J - best))
    assert len(close) >= 8 and np.median(close) < (4.0 if part else 1.5)


@pytest.mark.parametrize("name", ["logistic", "poisson", "softmax"])
def test_a_fit_ends_proved_and_soon(name: str) -> None:
    X, y = with_a_rare_level(name)
    best, _ = infimum(name, X, y)
    result = fallline.fit(X, y, loss=name)
    assert result.gap is not None and result.stop_reason == "certificate"
    assert (result.best_loss - best) * (1 - 1e-6) <= result.gap <= 1e-6 * result.best_loss
    assert result.passes < 20.0  # each makes the level surer by a factor of e: to no curvature at all takes 45


def with_a_class_lacking(seed: int, m: int = 4000) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """A level that never has the last of three classes, and the infimum: that class is out of reach for its rows."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.standard_normal((m, 2)), np.zeros(m)])
    X[: m // 20, 2] = 1.0
    z = X @ rng.standard_normal((3, 3))
    y = (z + rng.gumbel(size=z.shape)).argmax(axis=1).astype(float)
    level = X[:, 2] == 1.0
    y[level & (y == 2.0)] = 0.0

    def without(t: np.ndarray) -> tuple[float, np.ndarray]:
        theta = t.reshape(4, 3)
        z = X @ theta[:3] + theta[3]
        z[level, 2] = -np.inf
        value, slope = as_loss("softmax").value_and_slope(y, z)
        g = np.vstack([X.T @ slope, slope.sum(axis=0)]) / m
        return float(value.mean()), g.ravel()

    found = scipy.optimize.minimize(without, np.zeros(12), jac=True, method="BFGS", options={"gtol": 1e-11})
    return X, y, float(found.fun), found.x.reshape(4, 3)


@pytest.mark.parametrize("part", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_a_class_that_a_level_lacks_is_left_out(seed: int, part: bool) -> None:
    X, y, best, others = with_a_class_lacking(seed)
    rows = ArrayRows(X, y)
    objective = ModelObjective(as_loss("softmax"), as_penalty(None, 0.0, 0.0, None), Scaling.none(3, True))
    among = [ArrayRows(X[:1500], y[:1500], total_weight=float(len(y)))] if part else [rows]
    rng, close = np.random.default_rng(0), []
    for grown in (4.0, 8.0, 12.0, 16.0):
        for off in (0.0, 1e-6, 1e-4, 1e-3):
            theta = others + off * rng.standard_normal(others.shape)
            theta[2, 2] = others[2, :2].mean() - grown
            theta -= theta.mean(axis=1, keepdims=True)
            J, g = objective.value_and_grad(theta, rows)
            bound = gap_bound(objective, rows, theta, g, among=among)
            if bound is not None:
                assert bound >= (J - best) * (1.0 - 1e-6) - 1e-12
                close.append(bound / max(J - best, 1e-12))
    assert len(close) >= 6 and np.median(close) < (6.0 if part else 2.0), close
    result = fallline.fit(X, y, loss="softmax")
    assert result.gap is not None and result.stop_reason == "certificate"
    assert (result.best_loss - best) * (1 - 1e-6) - 1e-12 <= result.gap <= 1e-6 * result.best_loss


def test_rows_that_are_far_and_not_sure_prove_nothing() -> None:
    """The optimum is far away for a level of two rows of different outcomes, as long as they are predicted alike."""
    X, y = with_a_rare_level("logistic")
    X[:RARE, 2], X[:2, 2], y[:2] = 0.0, 1.0, [0.0, 1.0]
    rows = ArrayRows(X, y)
    objective = ModelObjective(as_loss("logistic"), as_penalty(None, 0.0, 0.0, None), Scaling.none(3, True))
    best = fallline.fit(X, y, loss="logistic", standardize=False, tol=1e-13)
    for wrong in (3.0, 6.0, 12.0, 20.0):
        theta = best.theta + [0.0, 0.0, wrong, 0.0]
        J, g = objective.value_and_grad(theta, rows)
        bound = gap_bound(objective, rows, theta, g)
        assert bound is None or bound >= J - best.best_loss


def test_a_proof_does_not_hide_that_there_is_no_finite_optimum() -> None:
    X, y = with_a_rare_level("logistic")
    result = fallline.fit(X, y, loss="logistic")
    assert str(result.verdict) == "no finite optimum" and result.evidence is not None
    assert (result.evidence.separated, result.evidence.separator) == ("quasi", "x2")


def test_where_an_optimum_exists_no_linear_program_is_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bool:
        raise AssertionError

    monkeypatch.setattr(fallline.separation, "_quasi", refuse)
    X, y = with_a_rare_level("logistic")
    y[:3] = 1.0
    assert str(fallline.fit(X, y, loss="logistic").verdict) == "converged"


def test_a_rare_level_that_was_overshot_is_found_again() -> None:
    """From far on the wrong side a Newton step is as long as the curvature there is small: it was taken, and none after it."""
    X, y = with_a_rare_level("logistic")
    y[:2] = 1.0
    start = np.array([0.0, 0.0, -57.0, 0.0])
    result = fallline.fit(X, y, loss="logistic", standardize=False, start=start)
    best = fallline.fit(X, y, loss="logistic", standardize=False)
    assert str(result.verdict) == "converged" and result.best_loss <= best.best_loss * (1.0 + 1e-6)
    assert result.passes < 40.0
