"""L1, elastic net and bounds in more columns than a matrix of second derivatives is formed for: proved all the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

import fallline
from fallline import working_set
from fallline.corners import least_point
from fallline.duality import duality_gap
from fallline.losses import as_loss
from fallline.objective import ModelObjective
from fallline.penalties import as_penalty
from fallline.rows.arrays import ArrayRows
from fallline.scaling import Scaling

LOSSES = ("squared", "huber", "logistic", "squared hinge", "poisson", "gamma", "softmax")


def problem(loss: str, m: int, n: int, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, n))
    z = X[:, :4] @ [1.0, -1.0, 0.5, 0.5]
    y: Any = {
        "squared": z + rng.standard_normal(m), "huber": z + rng.standard_t(1.5, m), "gamma": np.exp(z / 2) * rng.gamma(2, size=m),
        "poisson": rng.poisson(np.exp(z / 2)), "softmax": (z > -0.7).astype(int) + (z > 0.7),
    }.get(loss, (z + rng.logistic(size=m) / 2 > 0).astype(int))  # fmt: skip
    return X, y


def is_proved(result: Any) -> bool:
    return (str(result.verdict), str(result.certainty)) == ("converged", "proved")


@pytest.mark.parametrize("loss", LOSSES)
def test_more_columns_than_rows_are_proved_by_a_working_set(loss: str) -> None:
    X, y = problem(loss, 60, 300)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 60)
    for data, told in (
        (X, {"l1": 0.03}),
        (sparse.csr_matrix(np.where(np.abs(X) > 0.7, X, 0.0)), {"l1": 0.03, "l2": 0.02, "sample_weight": weight}),
        (X.astype(np.float32), {"l1": 0.03, "fit_intercept": False, "standardize": False}),
        (X, {"l1": 0.03, "bounds": (0.0, None)}),
    ):
        result = fallline.fit(data, y, loss=loss, max_passes=100, **told)
        assert "working set" in result.method and is_proved(result)
        assert np.any(result.coef != 0.0) and np.mean(result.coef == 0.0) > 0.5


def test_the_working_set_finds_what_all_columns_find(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = problem("logistic", 300, 150)
    offset = np.random.default_rng(2).standard_normal(300)
    told: dict[str, Any] = {"loss": "logistic", "l1": 0.01, "offset": offset, "bounds": (-0.2, 0.3), "tol": 1e-10}
    whole = fallline.fit(X, y, **told)
    monkeypatch.setattr("fallline.auto.WIDE", 100)
    monkeypatch.setattr(working_set, "COLUMNS", 10)
    few = fallline.fit(X, y, **told)
    assert "working set" in few.method and "working set" not in whole.method
    assert is_proved(few) and is_proved(whole)
    np.testing.assert_allclose(few.coef, whole.coef, atol=1e-5)


def test_more_weights_away_from_zero_than_a_working_set_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working_set, "MOST", 20)
    X, y = problem("squared", 150, 250)
    result = fallline.fit(X, y, l1=0.02, max_passes=1000, tol=1e-4)
    assert is_proved(result) and np.count_nonzero(result.coef) > 20


def test_outliers_and_units_do_not_keep_huber_from_its_proof() -> None:
    X, y = problem("huber", 60, 300)
    assert is_proved(fallline.fit(X, 1e6 * y, loss="huber", l1=0.03, max_passes=100))
    one = fallline.fit(X[:1, :12], np.array([1e6]), loss="huber", l1=0.03, fit_intercept=False, max_passes=100)
    assert is_proved(one)
    tall, target = problem("huber", 400, 8)
    assert is_proved(fallline.fit(tall, 1e5 * target, loss="huber", l1=0.01, max_passes=100))


def test_a_budget_and_a_callback_end_a_wide_fit() -> None:
    X, y = problem("poisson", 60, 300)
    spent = fallline.fit(X, y, loss="poisson", l1=0.01, max_passes=2)
    assert str(spent.verdict) == "unfinished" and spent.passes == 2
    steps: list[int] = []

    def stop(event: Any) -> bool:
        steps.append(event.step)
        return event.step == 1

    assert fallline.fit(X, y, loss="poisson", l1=0.01, callback=stop).stop_reason == "interrupt" and steps == [0, 1]
    whole = fallline.fit(X, y, loss="poisson", l1=0.01)
    assert spent.gap is not None and spent.best_loss - whole.best_loss <= spent.gap


def test_a_search_that_begins_at_the_least_point_ends_there() -> None:
    rng = np.random.default_rng(0)
    codes = np.eye(30)[rng.integers(30, size=400)]  # one-hot columns: with a constant they depend on one another
    A = np.column_stack([codes, rng.standard_normal((400, 5)), np.ones(400)]) / 20.0
    H, g = A.T @ A, -A.T @ (rng.standard_normal(400) + 1.0)
    l1, end = np.full(36, 1e-3), np.full(36, np.inf)
    best = least_point(H, g, np.zeros(36), l1, -end, end)
    calls = 0

    def counted(*parts: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        return newton(*parts, **named)

    from fallline import corners

    newton = corners._newton
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corners, "_newton", counted)
        again = least_point(H, g + H @ best, best, l1, -end, end)
    assert calls <= 30
    np.testing.assert_allclose(A @ again, A @ best, atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_the_duality_gap_with_bounds_is_never_below_the_truth(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, y = problem("squared", 20, 30, seed)
    l1, l2 = ((0.05, 0.0), (0.0, 0.1), (0.03, 0.1))[seed % 3]
    bounds = ((0.0, None), (-0.1, 0.2), (0.05, 0.3), (None, -0.02))[seed % 4]
    best = fallline.fit(X, y, l1=l1, l2=l2, bounds=bounds, standardize=False, tol=1e-12)
    objective = ModelObjective(as_loss("squared"), as_penalty(None, l1, l2, bounds), Scaling.none(30, intercept=True))
    rows = ArrayRows(X, y)
    assert best.gap is not None and best.gap < 1e-6
    for far in (0.0, 1e-6, 0.3):
        theta = objective.project(best.theta + far * rng.standard_normal(31))
        gap = duality_gap(objective, rows, theta)
        assert gap is not None and objective.value(theta, rows) - best.best_loss <= gap + 1e-14
