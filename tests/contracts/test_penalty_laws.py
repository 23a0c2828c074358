"""Laws that every penalty keeps, alone and in sums."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline
from fallline.penalties import as_penalty, penalties
from fallline.penalties._base import Penalty

PENALTIES: list[Penalty] = [
    fallline.NoPenalty(), fallline.L2(0.7), fallline.L1(0.4), fallline.ElasticNet(0.3, 0.5), fallline.Bounds(-0.5, 1.0),
    fallline.Bounds(lower=0.0), fallline.L1(0.4) + fallline.Bounds(lower=0.0), fallline.L2(0.2) + fallline.Bounds(-1.0, 0.5),
    fallline.ElasticNet(0.3, 0.5) + fallline.Bounds(upper=0.2), fallline.L2(0.3) + fallline.Bounds(lower=1.0) + fallline.L1(0.5),
]  # fmt: skip


def test_every_member_is_under_test() -> None:
    parts = {p.name for p in PENALTIES}
    assert set(penalties()) <= parts


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@settings(max_examples=40, deadline=None)
@given(w=st.floats(-3, 3), lr=st.floats(0.01, 2.0))
def test_prox_is_the_least_point(penalty: Penalty, w: float, lr: float) -> None:
    """Of 1/(2 lr) (v - w)^2 + the part that is not smooth, over a fine grid and the point's own neighbourhood."""
    found = penalty.prox(np.array([w]), lr)[0]
    assert penalty.project(np.array([found]))[0] == found
    grid = np.unique(penalty.project(np.concatenate([np.linspace(-4, 4, 4001), found + np.linspace(-1e-3, 1e-3, 11)])))

    def cost(v: float) -> float:
        smooth = penalty.curvature / 2 * v * v
        return (v - w) ** 2 / (2 * lr) + penalty.value(np.array([v])) - smooth

    assert cost(found) <= min(map(cost, grid)) + 1e-12


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@settings(max_examples=60, deadline=None)
@given(w=st.sampled_from([-1.0, -0.5, 0.0, 0.2, 0.5, 1.0, 0.3]), g=st.floats(-2, 2), lr=st.floats(0.05, 1.0))
def test_least_slope_is_zero_exactly_where_the_proximal_step_rests(
    penalty: Penalty, w: float, g: float, lr: float
) -> None:
    at = penalty.project(np.array([w]))
    rests = bool(np.isclose(penalty.prox(at - lr * np.array([g]), lr), at, rtol=0.0, atol=1e-12).all())
    least = penalty.least_slope(at, np.array([g]))
    low, high = penalty.slope_range(at)
    assert (abs(least[0]) <= 1e-10) == rests or abs(least[0]) <= 1e-6
    assert low[0] <= high[0] and g + low[0] - 1e-12 <= least[0] <= g + high[0] + 1e-12


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_slope_is_the_finite_difference_of_the_smooth_part(penalty: Penalty) -> None:
    w = penalty.project(np.array([0.15, 0.1, 0.05]))  # strictly within all bounds, or moved there
    w = w + 0.1 if np.any(w >= 1.0) else w
    h = 1e-6
    low, high = penalty.slope_range(w)
    for j in range(3):
        d = np.zeros(3)
        d[j] = h
        measured = (penalty.value(w + d) - penalty.value(w - d)) / (2 * h)
        corner = 0.5 * (low[j] + high[j]) if np.isfinite(low[j] + high[j]) else 0.0
        assert measured == pytest.approx(penalty.slope(w)[j] + corner, abs=1e-7)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@settings(max_examples=40, deadline=None)
@given(pair=st.lists(st.floats(-3, 3), min_size=6, max_size=6), lr=st.floats(0.01, 2.0))
def test_prox_brings_no_two_points_further_apart(penalty: Penalty, pair: list[float], lr: float) -> None:
    u, v = np.array(pair[:3]), np.array(pair[3:])
    apart = np.linalg.norm(penalty.prox(u, lr) - penalty.prox(v, lr))
    assert apart <= np.linalg.norm(u - v) + 1e-12
    once = penalty.project(u)
    np.testing.assert_array_equal(penalty.project(once), once)


@pytest.mark.parametrize(
    "penalty", [*PENALTIES, fallline.L1(0.0), fallline.ElasticNet(0.0, 1.0), fallline.Bounds()], ids=repr
)
def test_smooth_says_whether_the_proximal_step_does_nothing(penalty: Penalty) -> None:
    w = np.linspace(-3, 3, 25)
    assert penalty.smooth == bool(np.all(penalty.prox(w, 0.7) == w))


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_several_classes_are_penalised_column_by_column(penalty: Penalty) -> None:
    W = np.random.default_rng(0).normal(size=(3, 4))
    G = np.random.default_rng(1).normal(size=(3, 4))
    assert penalty.value(W) == pytest.approx(sum(penalty.value(w) for w in W.T))
    for act in (penalty.slope, penalty.project, lambda w: penalty.prox(w, 0.3)):
        np.testing.assert_array_equal(act(W), np.column_stack([act(w) for w in W.T]))
    both = [penalty.least_slope(w, g) for w, g in zip(W.T, G.T, strict=True)]
    np.testing.assert_array_equal(penalty.least_slope(W, G), np.column_stack(both))


def test_bounds_of_each_column_hold_for_every_class() -> None:
    bounds = fallline.Bounds([0.0, -1.0, 2.0], [0.5, 1.0, 3.0])
    W = np.random.default_rng(0).normal(0, 3, (3, 3))
    np.testing.assert_array_equal(bounds.project(W), np.clip(W, [[0.0], [-1.0], [2.0]], [[0.5], [1.0], [3.0]]))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_a_sum_is_the_same_in_any_order_and_however_nested(order: tuple[int, ...]) -> None:
    parts = [fallline.L2(0.3), fallline.L1(0.5), fallline.Bounds(lower=1.0)]
    a, b, c = (parts[i] for i in order)
    w, g = np.array([-1.0, 1.0, 1.2, 3.0]), np.array([0.4, -0.9, 0.1, -0.5])
    for total in ((a + b) + c, a + (b + c)):
        assert total.value(w) == pytest.approx(0.15 * w @ w + 0.5 * np.abs(w).sum())
        np.testing.assert_allclose(total.slope(w), 0.3 * w)
        np.testing.assert_allclose(total.prox(w, 1.0), [1.0, 1.0, 1.0, 2.5])
        np.testing.assert_allclose(total.least_slope(np.maximum(w, 1.0), g), [0.0, -0.4, 0.6, 0.0])


def test_bounds_that_nothing_can_keep_are_refused() -> None:
    with pytest.raises(fallline.SettingError, match="contradict"):
        fallline.Bounds(0.0, 1.0) + fallline.Bounds(2.0, 3.0)
    for limits in ((np.inf, None), (None, -np.inf), ([0.0, np.inf], None)):
        with pytest.raises(fallline.SettingError, match="finite"):
            fallline.Bounds(*limits)
    fallline.Bounds(0.0, 1.0) + fallline.Bounds(1.0, 3.0)
    fallline.Bounds(-np.inf, np.inf)


def test_bounds_scale_with_the_columns_and_l2_does_not() -> None:
    both = fallline.L2(0.1) + fallline.Bounds(0.0, [1.0, 2.0])
    scaled = both.scaled(np.array([10.0, 100.0]))
    np.testing.assert_array_equal(scaled.project(np.array([50.0, 500.0])), [10.0, 200.0])
    assert scaled.curvature == 0.1


def test_settings_become_one_penalty() -> None:
    assert as_penalty(None).name == "none" and as_penalty(None, l1=1.0).name == "l1"
    assert as_penalty(None, 1.0, 2.0).name == "elastic net"
    assert as_penalty(None, 0.0, 2.0, (0, None)).curvature == 2.0
    for bad in ({"l1": -1.0}, {"l2": float("nan")}, {"bounds": (1.0, 0.0)}, {"penalty": fallline.L2(1.0), "l2": 1.0}):
        with pytest.raises(fallline.SettingError):
            as_penalty(**{"penalty": None, **bad})
    with pytest.raises(fallline.SettingTypeError):
        as_penalty("l2")
