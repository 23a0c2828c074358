"""When a run has stopped moving, and when it only looks like it."""

from __future__ import annotations

import numpy as np
import pytest

import fallline
from fallline.stops._base import Point
from fallline.stops.no_improvement import NoImprovement


def ends_at(losses: list[float], norms: list[float]) -> int | None:
    stop = NoImprovement(window=10)
    for k, (J, norm) in enumerate(zip(losses, norms, strict=True)):
        point = Point(np.zeros(1), J, np.zeros(1), norm, True, k, float(k), 0.0, np.nan)
        if stop.update(point) is not None:
            return k
    return None


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
