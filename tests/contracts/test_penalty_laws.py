"""Laws that every penalty keeps, alone and in sums."""

from __future__ import annotations

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
    fallline.ElasticNet(0.3, 0.5) + fallline.Bounds(upper=0.2),
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
    w = np.array([0.15, 0.1, 0.05])  # strictly within all bounds
    h = 1e-6
    low, high = penalty.slope_range(w)
    for j in range(3):
        d = np.zeros(3)
        d[j] = h
        measured = (penalty.value(w + d) - penalty.value(w - d)) / (2 * h)
        corner = 0.5 * (low[j] + high[j]) if np.isfinite(low[j] + high[j]) else 0.0
        assert measured == pytest.approx(penalty.slope(w)[j] + corner, abs=1e-7)


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
