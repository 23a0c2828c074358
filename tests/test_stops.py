"""When a run has stopped moving, and when it only looks like it."""

from __future__ import annotations

import numpy as np
import pytest

import fallline
from fallline.stops._base import Point
from fallline.stops.certificate import Certificate, Hope
from fallline.stops.no_improvement import NoImprovement


def ends_at(losses: list[float], norms: list[float]) -> int | None:
    stop = NoImprovement(window=10)
    for k, (J, norm) in enumerate(zip(losses, norms, strict=True)):
        point = Point(np.zeros(1), J, np.zeros(1), norm, True, k, float(k), 0.0, np.nan)
        if stop.update(point) is not None:
            return k
    return None


def tries(share: float, spacing: float, tol: float = 0.1) -> tuple[list[int], bool]:
    """When a proof is tried that succeeds at 1e-7 only, where each pass leaves `share` of what is left; and whether it ended."""
    left, tried = 0.01, list[int]()

    def prove(theta: np.ndarray, g: np.ndarray, enough: float = np.inf) -> float | None:
        tried.append(k)
        return left if left <= 1e-7 else None

    stop = Certificate(tol, prove, spacing, Hope(1.0))
    for k in range(60):
        if stop.update(Point(np.zeros(1), 1.0, np.zeros(1), left, True, k, float(k), 0.0, left)) is not None:
            return tried, True
        left *= share
    return tried, False


def test_a_dear_proof_waits_a_few_passes_whatever_the_tolerance() -> None:
    assert tries(0.03, spacing=50.0) == ([3, 4], True)
    assert tries(0.03, spacing=0.5) == ([0, 1, 2, 3, 4], True)
    assert tries(0.03, spacing=50.0, tol=1e-7) == tries(0.03, spacing=0.5, tol=1e-7) == ([4], True)
    slow, ended = tries(0.6, spacing=50.0)  # which may never come so far
    assert ended and 0 < slow[0] < 10
    stuck, ended = tries(1.0, spacing=20.0, tol=0.1)  # as good as it gets, and not good enough: now and then
    assert not ended and np.all(np.diff(stuck) >= 20) and len(stuck) <= 3


def test_it_ends_where_neither_loss_nor_slope_moves() -> None:
    assert ends_at([1.0] * 40, [1e-3] * 40) is not None


def test_a_swinging_loss_still_moves() -> None:
    assert ends_at([1.0 + 0.1 * (k % 2) for k in range(40)], [1e-3] * 40) is None


def test_a_falling_slope_still_moves() -> None:
    assert ends_at([1.0] * 40, [0.8**k for k in range(40)]) is None


def with_check_rows(loss: str) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """80 rows of 40 columns, one of which says something, and 300 rows to check on."""
    rng = np.random.default_rng(0)
    X, far = rng.standard_normal((80, 40)), rng.standard_normal((300, 40))
    y, z = X[:, 0] + rng.standard_normal(80), far[:, 0] + rng.standard_normal(300)
    if loss == "logistic":
        y, z = (y > 0).astype(float), (z > 0).astype(float)
    if loss == "poisson":
        y, z = rng.poisson(np.exp(X[:, 0])).astype(float), rng.poisson(np.exp(far[:, 0])).astype(float)
    return X, y, (far, z)


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        ("squared", {}),
        ("logistic", {}),
        ("poisson", {}),
        ("huber", {}),
        ("squared", {"l1": 0.001}),
        ("squared", {"bounds": (-1, 1)}),
    ],
)
def test_early_stopping_with_nothing_named_is_as_good_as_plain_descent(loss: str, told: dict[str, float]) -> None:
    X, y, check = with_check_rows(loss)
    asked = {"loss": loss, "check": check, "early_stopping": 3, "max_passes": 500, **told}
    auto, plain = fallline.fit(X, y, **asked), fallline.fit(X, y, optimizer="descent", **asked)
    trained = fallline.fit(X, y, loss=loss, check=check, l2=1e-6)
    assert auto.check["loss"] <= 1.03 * plain.check["loss"] < trained.check["loss"]
    losses = auto.history.check_loss
    assert auto.check["loss"] == pytest.approx(np.nanmin(losses), rel=1e-12)
    assert str(auto.verdict) == "good enough" and "lowest at step" in auto.sentence
    assert len(losses) - 1 - int(np.nanargmin(losses)) == 3


def test_early_stopping_goes_to_the_optimum_where_nothing_is_lost_by_it() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 6)) * np.logspace(0, -4, 6)
    X[:, 1:] += X[:, :1]  # a conditioning of 1e4
    y = X @ np.array([1.0, 2.0, -1.0, 3.0, 40.0, 500.0])
    result = fallline.fit(X, y + 0.01 * rng.standard_normal(400), check=(X, y), early_stopping=True, max_passes=100)
    assert result.check["loss"] < 1e-5


@pytest.mark.parametrize("rule", ["adam", "rmsprop"])
def test_a_rate_found_by_trial_runs_does_not_end_at_the_start(rule: str) -> None:
    X, y, check = with_check_rows("squared")
    result = fallline.fit(X, y, check=check, early_stopping=3, optimizer=rule, max_passes=500)
    assert result.check["loss"] < result.history.check_loss[0] and np.any(result.coef != 0.0)
    assert result.passes <= 500


@pytest.mark.parametrize("rule", ["accelerated", "nadam", "adadelta", "rmsprop"])
def test_named_rules_are_not_called_stuck_while_they_move(rule: str) -> None:
    """Each of these was ended after about a hundred passes, percent above the optimum."""
    X, y = np.array([[-2.0, 0], [-1, 0], [1, 1], [2, 1]]), [0, 1, 1, 2]
    result = fallline.fit(X, y, loss="poisson", l2=1.0, standardize=False, optimizer=rule)
    best = fallline.fit(X, y, loss="poisson", l2=1.0, standardize=False).best_loss
    assert str(result.verdict) != "stuck" and result.best_loss <= best * 1.001


def test_behind_l1_the_slope_is_the_smallest_subgradient() -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((20, 30))
    result = fallline.fit(X, X[:, 0] + rng.standard_normal(20), l1=0.3, optimizer="accelerated", tol=1e-10)
    assert str(result.verdict) == "converged"
    assert result.history.full_gradient_norm[-1] < 1e-3 * result.history.full_gradient_norm[0]


def test_steps_and_passes_are_counted_through_where_a_run_begins_on_a_sample() -> None:
    """A callback, the record and the result mean the same step; a pass over a sample is a small part of one."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400_000, 20))
    y = (rng.random(400_000) < 1 / (1 + np.exp(-X.sum(axis=1)))).astype(float)
    seen: list[tuple[int, float]] = []
    result = fallline.fit(X, y, loss="logistic", callback=lambda event: seen.append((event.step, event.passes)))
    history = result.history
    assert np.isfinite(history.sample).any() and len(seen) > 1
    assert seen[-1] == (result.steps, pytest.approx(result.passes))
    of_all = np.isnan(history.sample)
    np.testing.assert_allclose(np.column_stack([history.step, history.passes])[of_all], seen)
    assert np.all(np.diff(history.passes) >= 0.0) and history.passes[~of_all].max() < 1.0
