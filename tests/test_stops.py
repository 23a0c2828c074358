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
