"""The least point of a quadratic with corners, and what is built on it: L1, elastic net and bounds, proved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline
from fallline.corners import least_point
from fallline.duality import duality_gap
from fallline.losses import as_loss
from fallline.objective import ModelObjective
from fallline.penalties import as_penalty
from fallline.rows.arrays import ArrayRows
from fallline.scaling import Scaling

LOSSES = ("squared", "huber", "logistic", "squared hinge", "poisson", "gamma", "quantile", "softmax")


def targets(loss: str, z: Any, rng: np.random.Generator) -> Any:
    if loss in ("logistic", "squared hinge"):
        y = (z + rng.logistic(size=len(z)) > 0).astype(float)
        y[:2] = 0.0, 1.0
        return y
    if loss == "softmax":
        y = (z > 0).astype(int) + (rng.random(len(z)) < 0.3)
        y[:3] = 0, 1, 2
        return y
    if loss == "poisson":
        return rng.poisson(np.exp(np.clip(z, -3, 3))).astype(float)
    if loss == "gamma":
        return rng.gamma(2.0, np.exp(np.clip(z, -3, 3)) / 2.0) + 1e-3
    return z + rng.standard_normal(len(z))


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    p=st.integers(1, 12),
    rank=st.integers(1, 12),
    kind=st.sampled_from(["l1", "box", "both"]),
)
def test_the_least_point_is_optimal(seed: int, p: int, rank: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((rank, p)) * 10.0 ** rng.uniform(-2, 2, p)  # singular where rank < p
    H, g = A.T @ A, A.T @ rng.standard_normal(rank)  # g in the range: bounded below with or without corners
    l1 = np.abs(g).max() * rng.uniform(0.0, 0.3, p) * (kind != "box")
    low, high = (np.full(p, -1.0), np.full(p, 0.5)) if kind != "l1" else (np.full(p, -np.inf), np.full(p, np.inf))
    theta = np.clip(rng.standard_normal(p), low, high)
    v = least_point(H, g, theta, l1, low, high)
    assert np.all((v >= low) & (v <= high))
    r = g + H @ (v - theta)
    slack = 1e-7 * (np.abs(g) + np.sqrt(np.diag(H)) * np.linalg.norm(A @ theta) + l1).max()
    right, left = r + np.where(v >= 0.0, l1, -l1), r + np.where(v > 0.0, l1, -l1)  # one-sided derivatives
    assert np.all((right >= -slack) | (v >= high)) and np.all((left <= slack) | (v <= low))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("m", "n"), [(200, 10), (24, 48)])
def test_l1_is_proved_and_no_step_needs_luck(loss: str, m: int, n: int) -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((m, n)) * 10.0 ** rng.uniform(-2, 2, n) + rng.uniform(-3, 3, n)
    y = targets(loss, ((X - X.mean(axis=0)) / X.std(axis=0))[:, :3].sum(axis=1) / 2, rng)
    for l1, l2 in ((0.05, 0.0), (0.03, 0.02)):
        result = fallline.fit(X, y, loss=loss, l1=l1, l2=l2)
        assert (str(result.verdict), str(result.certainty)) == ("converged", "proved")
        assert np.any(result.coef == 0.0) and np.any(result.coef != 0.0)


def test_lasso_equals_coordinate_descent() -> None:
    from sklearn.linear_model import Lasso

    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 150))
    y = X[:, :4].sum(axis=1) + rng.standard_normal(60)
    ours = fallline.fit(X, y, l1=0.2, standardize=False, tol=1e-12)
    theirs = Lasso(alpha=0.2, tol=1e-14, max_iter=100_000).fit(X, y)
    np.testing.assert_allclose(ours.coef, theirs.coef_, atol=1e-7)
    np.testing.assert_array_equal(ours.coef != 0.0, theirs.coef_ != 0.0)


def test_the_scale_and_the_place_of_a_raw_column_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    x = 60 + 15 * rng.standard_normal(2000)
    y = rng.poisson(np.exp(-2 + 0.01 * x)).astype(float)
    raw, centred = (fallline.fit(c[:, None], y, loss="poisson", l1=0.05, standardize=False) for c in (x, x - x.mean()))
    assert str(raw.certainty) == "proved" and raw.best_loss == pytest.approx(centred.best_loss, rel=1e-9)


@settings(max_examples=80)
@given(
    loss=st.sampled_from(LOSSES), seed=st.integers(0, 10_000), m=st.integers(4, 30), n=st.integers(1, 12),
    l2=st.sampled_from([0.0, 0.1]), intercept=st.booleans(), far=st.floats(0.0, 1.0),
)  # fmt: skip
def test_the_duality_gap_is_never_below_the_truth(
    loss: str, seed: int, m: int, n: int, l2: float, intercept: bool, far: float
) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, n))
    y = targets(loss, X[:, 0], rng)
    form = fallline.Quantile(0.3, smoothing=0.1) if loss == "quantile" else as_loss(loss)
    best = fallline.fit(X, y, loss=form, l1=0.05, l2=l2, standardize=False, fit_intercept=intercept, tol=1e-10)
    objective = ModelObjective(form, as_penalty(None, l1=0.05, l2=l2), Scaling.none(n, intercept))
    rows = ArrayRows(X, np.asarray(y, dtype=float), rng.uniform(0.5, 2.0, m) if far > 0.5 else None)
    theta = best.theta + far * rng.standard_normal(best.theta.shape)
    gap = duality_gap(objective, rows, theta)
    if gap is None:
        return
    weighted = best if rows.weight is None else fallline.fit(
        X, y, loss=form, l1=0.05, l2=l2, standardize=False, fit_intercept=intercept, tol=1e-10, sample_weight=rows.weight
    )  # fmt: skip
    J = objective.value(theta, rows)
    lowest = objective.value(weighted.theta, rows)
    assert J - lowest <= gap + 1e-9 * (1.0 + abs(J))
    if far == 0.0 and str(weighted.certainty) == "proved":
        assert gap <= 1e-3 * (1.0 + abs(J))  # and it tends to the truth


def test_many_columns_are_proved_by_duality() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 6000))
    y = (X[:, :3].sum(axis=1) + rng.logistic(size=80) > 0).astype(float)
    result = fallline.fit(X, y, loss="logistic", l1=0.1)
    assert str(result.certainty) == "proved" and result.gap <= 1e-6 * result.best_loss


def test_bounds_are_kept_to_the_last_digit() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 3)) * [1.0, 3.0, 0.1]
    result = fallline.fit(X, X[:, 0], bounds=(-0.1, 0.1))
    assert np.all(np.abs(result.coef) <= 0.1) and str(result.certainty) == "proved"


def test_the_duality_gap_knows_round_off() -> None:
    """With targets of 1e13 the terms of the dual cancel to nothing, which proves nothing."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 100))
    y = X[:, 0] + rng.standard_normal(40) + 1e13
    objective = ModelObjective(as_loss("squared"), as_penalty(None, l1=0.1), Scaling.none(100, True))
    gap = duality_gap(objective, ArrayRows(X, y), np.append(np.zeros(100), 1e13))
    assert gap is not None and gap > 1e-6
