"""Laws that every loss keeps; a loss that is added as a file is tested here without another line."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline
from fallline.losses import losses
from fallline.losses._base import Loss

LOSSES: list[Loss] = [
    *(kind() for kind in losses().values()),
    fallline.Quantile(0.2, smoothing=0.3), fallline.Quantile(0.9, smoothing=2.0), fallline.Huber(0.2), fallline.Huber(5.0),
]  # fmt: skip
SCALAR = [loss for loss in LOSSES if loss.task != "classes"]
SMOOTH = [loss for loss in LOSSES if loss.smooth]
IDS = [repr(loss) for loss in LOSSES]


def draw(loss: Loss, m: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Targets that the loss takes and predictions around them, spread over both sides of every bend."""
    rng = np.random.default_rng(seed)
    if loss.task == "classes":
        return rng.integers(0, 4, m).astype(float), rng.normal(0, 3, (m, 4))
    z = rng.normal(0, 2, m)
    if loss.task == "two classes":
        return rng.integers(0, 2, m).astype(float), z
    y = {"poisson": lambda: rng.poisson(2.0, m).astype(float), "gamma": lambda: rng.gamma(1.0, 2.0, m) + 1e-3}
    return y.get(loss.name, lambda: rng.normal(0, 2, m))(), z


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_it_declares_itself(loss: Loss) -> None:
    assert dataclasses.is_dataclass(loss) and loss.name in losses() and loss.summary and loss.targets
    assert loss.link in ("identity", "log", "logit", "softmax") and loss.task in ("number", "two classes", "classes")
    assert type(loss).__doc__ and ">>>" in type(loss).__doc__ and "phi(y, z)" in type(loss).__doc__


@pytest.mark.parametrize("loss", SMOOTH, ids=map(repr, SMOOTH))
def test_slope_and_curvature_are_the_finite_differences(loss: Loss) -> None:
    y, z = draw(loss, 400, 0)
    assert z.std() > 1 and loss.slope(y, z).std() > 0.05  # the inputs do move the loss
    h = 1e-6
    directions = np.eye(4) if z.ndim == 2 else [1.0]
    for k, d in enumerate(directions):
        up, down = z + h * d, z - h * d
        slope = loss.slope(y, z)[:, k] if z.ndim == 2 else loss.slope(y, z)
        np.testing.assert_allclose(
            (loss.value(y, up) - loss.value(y, down)) / (2 * h),
            slope,
            rtol=1e-6,
            atol=2e-8 * (1 + np.abs(loss.value(y, z)).max()),
        )
        bend = (loss.slope(y, up) - loss.slope(y, down)) / (2 * h)
        curvature = loss.curvature(y, z)[:, :, k] if z.ndim == 2 else loss.curvature(y, z)
        near_a_jump = (np.abs(bend - np.round(bend)) > 1e-6) & (loss.name in ("huber", "squared hinge"))
        far = ~near_a_jump.any(axis=-1) if near_a_jump.ndim == 2 else ~near_a_jump
        np.testing.assert_allclose(bend[far], curvature[far], rtol=1e-5, atol=1e-7 * (1 + np.abs(curvature).max()))
        assert far.mean() > 0.98


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_conjugate_bounds_the_loss_and_touches_it(loss: Loss, seed: int) -> None:
    """Fenchel and Young: phi*(u) >= u z - phi(z) for every z, with equality where u is the slope at z."""
    y, z = draw(loss, 50, seed)
    _, other = draw(loss, 50, seed + 1)
    u = loss.slope(y, z)
    found = loss.conjugate(y, u)
    if found is None:
        return

    def lower(at: np.ndarray) -> np.ndarray:
        product = u * at if at.ndim == 1 else (u * at).sum(axis=1)
        return product - loss.value(y, at)

    slack = 1e-9 * (1.0 + np.abs(lower(z)) + np.abs(lower(other)))
    np.testing.assert_array_less(np.abs(found - lower(z)), slack)
    assert np.all(found >= lower(other) - slack)


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), t=st.floats(0.0, 1.0))
def test_convex_and_not_negative(loss: Loss, seed: int, t: float) -> None:
    y, a = draw(loss, 50, seed)
    _, b = draw(loss, 50, seed + 1)
    between = loss.value(y, t * a + (1 - t) * b)
    chord = t * loss.value(y, a) + (1 - t) * loss.value(y, b)
    assert np.all(between <= chord + 1e-9 * (1 + np.abs(chord))) and np.all(loss.value(y, a) >= -1e-12)


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.floats(0.0, 4.0))
def test_curvature_floor_is_below_the_curvature_within_the_radius(loss: Loss, seed: int, size: float) -> None:
    y, z = draw(loss, 40, seed)
    rng = np.random.default_rng(seed)
    radius = size * rng.random(40)
    floor = loss.curvature_floor(y, z, radius)
    for _ in range(5):
        if z.ndim == 1:
            moved = z + radius * rng.uniform(-1, 1, 40)
            assert np.all(floor <= loss.curvature(y, moved) * (1 + 1e-9) + 1e-300)
        else:
            d = rng.normal(size=z.shape)
            d *= (radius / (d.max(axis=1) - d.min(axis=1)))[:, None]
            gap = loss.curvature(y, z + d) - floor
            assert np.linalg.eigvalsh(gap).min() >= -1e-12
    if loss.curvature_bound is not None:
        top = np.linalg.eigvalsh(loss.curvature(y, z)).max() if z.ndim == 2 else loss.curvature(y, z).max()
        assert top <= loss.curvature_bound * (1 + 1e-12)


@pytest.mark.parametrize("with_offset", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_start_is_the_best_constant(loss: Loss, with_offset: bool) -> None:
    y, _ = draw(loss, 200, 5)
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 4, 200).astype(float)
    offset = rng.normal(0, 0.5, 200) if with_offset and loss.task != "classes" else None

    def total(b: np.ndarray) -> float:
        z = np.broadcast_to(b, (200, *np.shape(b))) + (0.0 if offset is None else offset)
        return float(weight @ loss.value(y, np.array(z)))

    best = np.asarray(loss.start(y, weight, offset))
    for step in (1e-3, 1e-2, 0.3):
        for d in np.eye(4) if best.ndim else [1.0]:
            assert total(best) <= min(total(best + step * d), total(best - step * d)) + 1e-9 * total(best)
    repeated = np.repeat(np.arange(200), weight.astype(int))
    again = loss.start(y[repeated], np.ones(len(repeated)), None if offset is None else offset[repeated])
    if loss.name != "quantile":  # the median of an even number of rows is any point between two
        np.testing.assert_allclose(again, best, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("with_offset", [False, True])
@pytest.mark.parametrize("loss", SMOOTH, ids=map(repr, SMOOTH))
def test_at_the_start_the_weighted_slopes_sum_to_zero(loss: Loss, with_offset: bool) -> None:
    y, z = draw(loss, 200, 5)
    rng = np.random.default_rng(1)
    weight = 10.0 ** rng.uniform(-2, 2, 200)
    offset = rng.normal(0, 1.5, 200) if with_offset and z.ndim == 1 else np.zeros(200)
    b = np.asarray(loss.start(y, weight, offset if with_offset else None))
    slopes = loss.slope(y, offset.reshape((200,) + (1,) * b.ndim) + b)
    pull = weight @ np.abs(slopes)
    assert pull.max() > 1e-3 * weight.sum()  # the rows do pull, and against each other
    np.testing.assert_allclose(weight @ slopes, 0.0, rtol=0.0, atol=1e-10 * pull.max())
    assert b.ndim == 0 or abs(b.sum()) < 1e-12


def far_starts() -> list[tuple[str, Loss, np.ndarray, np.ndarray, np.ndarray | None]]:
    ten, one = np.ones(10), np.ones(1)
    half = np.concatenate([np.zeros(50), np.full(50, 1000.0)])
    labels = np.concatenate([ten, np.zeros(90)])
    return [
        ("weight far from most rows", fallline.Huber(1.0), np.append(0 * ten, 1000.0), np.append(ten, 100.0), None),
        ("small bend", fallline.Quantile(0.3, smoothing=1e-6), np.arange(7.0), np.ones(7), None),
        ("two clouds of offsets", fallline.Logistic(), labels, np.ones(100), half),
        ("offsets far from zero", fallline.SquaredHinge(), labels, np.ones(100), half + 900.0),
        ("huge exposure", fallline.Poisson(), np.append(ten, 3.0), np.ones(11), np.append(790 * ten, 800.0)),
        ("huge exposure", fallline.Gamma(), np.append(ten, 3.0), np.ones(11), np.append(-790 * ten, -800.0)),
        (
            "no weight on the largest",
            fallline.Poisson(),
            np.append(ten, 3.0),
            np.append(ten, 0.0),
            np.append(ten, 800.0),
        ),
        ("tiny exposure", fallline.Poisson(), np.append(ten, 3.0), np.append(ten, one), np.full(11, -900.0)),
    ]


@pytest.mark.parametrize(("case", "loss", "y", "weight", "offset"), far_starts())
def test_starts_are_found_however_far_they_are(case, loss, y, weight, offset) -> None:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        b = loss.start(y, weight, offset)
    assert np.isfinite(b)
    used = weight > 0.0
    slopes = loss.slope(y, b + (0.0 if offset is None else offset) + 0.0 * y)[used]
    assert abs(weight[used] @ slopes) <= 1e-9 * (weight[used] @ np.abs(slopes) + weight.sum())


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_the_mean_is_the_inverse_link_and_rises(loss: Loss) -> None:
    z = np.linspace(-8, 8, 401)
    if loss.task == "classes":
        scores = np.random.default_rng(0).normal(0, 3, (50, 4))
        np.testing.assert_allclose(loss.mean(scores).sum(axis=1), 1.0)
        raised = loss.mean(scores + [0.5, 0.0, 0.0, 0.0]) - loss.mean(scores)
        assert np.all(raised[:, 0] > 0.0) and np.all(raised[:, 1:] < 0.0)
        np.testing.assert_allclose(
            np.log(loss.mean(scores)[:, 1] / loss.mean(scores)[:, 0]), scores[:, 1] - scores[:, 0]
        )
        return
    mu = loss.mean(z)
    inverse = {"identity": z, "log": np.exp(z), "logit": 1.0 / (1.0 + np.exp(-z))}[loss.link]
    if loss.name == "squared hinge":  # no probabilities: the class by the side of z
        inverse = (z > 0.0).astype(float)
    np.testing.assert_allclose(mu, inverse, rtol=1e-12)
    assert np.all(np.diff(mu) >= 0.0) and mu[-1] > mu[0]
    if loss.name not in ("quantile", "squared hinge") and loss.smooth:  # the mean is the target that costs least
        assert np.abs(loss.slope(mu, z)).max() < 1e-9


def test_the_pinball_loss_has_a_subgradient_and_its_rounding_exceeds_it_by_at_most_the_excess() -> None:
    y, z = draw(fallline.Quantile(), 400, 3)
    for tau in (0.1, 0.5, 0.8):
        exact, rounded = fallline.Quantile(tau), fallline.Quantile(tau, smoothing=0.3)
        assert not exact.smooth and exact.curvature_bound is None and exact.excess == 0.0
        for other in np.linspace(-5, 5, 21):
            line = exact.value(y, z) + exact.slope(y, z) * (other - z)
            assert np.all(line <= exact.value(y, other + 0.0 * z) + 1e-12)
        at_the_corner = exact.slope(y, y)
        assert np.all((tau - 1.0 <= -at_the_corner) & (-at_the_corner <= tau))
        over = rounded.value(y, z) - exact.value(y, z)
        corner = rounded.value(y, y) - exact.value(y, y)
        assert np.all(over >= -1e-12) and np.all(over <= rounded.excess + 1e-12)
        np.testing.assert_allclose(corner, rounded.excess)
        ladder = exact.ladder(2.0)
        assert [rung.smoothing for rung in ladder] == sorted((rung.smoothing for rung in ladder), reverse=True)
        assert all(rung.smooth and rung.tau == tau for rung in ladder)


@pytest.mark.parametrize("loss", SMOOTH, ids=map(repr, SMOOTH))
def test_the_curvature_bound_is_the_largest_curvature(loss: Loss) -> None:
    z = np.linspace(-30, 30, 60001)
    y = np.ones_like(z)
    if loss.task == "classes":
        top = float(np.linalg.eigvalsh(loss.curvature(np.zeros(1), np.array([[0.0, 0.0, -60.0]]))).max())
    else:
        top = float(loss.curvature(y, z).max())
    if loss.curvature_bound is None:
        assert top > 1e10
    else:
        assert top == pytest.approx(loss.curvature_bound, rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_small_floats_stay_small(loss: Loss) -> None:
    y, z = (a.astype(np.float32) for a in draw(loss, 20, 4))
    results = [loss.value(y, z), loss.slope(y, z), loss.curvature(y, z), loss.mean(z)]
    results.append(loss.curvature_floor(y, z, np.ones(20, np.float32)))
    assert {r.dtype for r in results} == {np.dtype(np.float32)}


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_starts_stay_finite_where_data_is_extreme(loss: Loss) -> None:
    y = {"gamma": np.full(5, 1e-9), "softmax": np.zeros(5)}.get(loss.name, np.zeros(5))
    assert np.isfinite(loss.start(y, np.ones(5), None)).all()


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_no_warning_and_no_nan_far_out(loss: Loss) -> None:
    y, z = draw(loss, 20, 1)
    with np.errstate(all="raise", under="ignore"):
        for far in (z * 300, z * 1e4):
            assert not np.isnan(loss.value(y, far)).any()


def test_values_are_those_of_scikit_learn() -> None:
    from sklearn import metrics

    rng = np.random.default_rng(0)
    z = rng.normal(size=300)
    counts, amounts = rng.poisson(1.0, 300).astype(float), rng.gamma(2.0, 1.0, 300)
    labels, classes, scores = rng.integers(0, 2, 300).astype(float), rng.integers(0, 3, 300), rng.normal(size=(300, 3))
    pairs = [
        (fallline.Poisson().value(counts, z).mean(), metrics.mean_poisson_deviance(counts, np.exp(z)) / 2),
        (fallline.Gamma().value(amounts, z).mean(), metrics.mean_gamma_deviance(amounts, np.exp(z)) / 2),
        (fallline.Quantile(0.3).value(amounts, z).mean(), metrics.mean_pinball_loss(amounts, z, alpha=0.3)),
        (fallline.Logistic().value(labels, z).mean(), metrics.log_loss(labels, 1 / (1 + np.exp(-z)))),
        (fallline.Softmax().value(classes.astype(float), scores).mean(),
         metrics.log_loss(classes, fallline.Softmax().mean(scores))),
        (fallline.Squared().value(amounts, z).mean(), metrics.mean_squared_error(amounts, z) / 2),
    ]  # fmt: skip
    for ours, theirs in pairs:
        assert ours == pytest.approx(theirs, rel=1e-9)
    import scipy.special

    np.testing.assert_allclose(fallline.Huber(0.8).value(amounts, z), scipy.special.huber(0.8, amounts - z))


@pytest.mark.parametrize(
    ("loss", "y", "words"),
    [
        (fallline.Poisson(), [1.0, -2.0], "zero or more: 1 is not .first: row 1, y = -2"),
        (fallline.Gamma(), [1.0, 0.0, -1.0], "above zero: 2 are not .first: row 1, y = 0"),
        (fallline.Logistic(), [0.0, 1.5], "between 0 and 1"),
        (fallline.Logistic(), [0.0, 1.01, -0.5], "between 0 and 1: 2 are not .first: row 1, y = 1.01"),
        (fallline.SquaredHinge(), [0.0, 0.5], "two values.*: 1 is not .first: row 1, y = 0.5"),
        (fallline.Softmax(), [0.0, 2.0, 1.5, -1.0], "class codes .*: 2 are not .first: row 2, y = 1.5"),
    ],
)
def test_targets_out_of_range_are_named(loss: Loss, y: list[float], words: str) -> None:
    import re

    assert re.search(words, loss.check_targets(np.array(y)) or "")
    assert loss.check_targets(np.array([1.0])) is None


def test_targets_at_the_edge_are_accepted() -> None:
    assert fallline.Poisson().check_targets(np.array([0.0, 0.5, 1e9])) is None
    assert fallline.Gamma().check_targets(np.array([1e-300, 1e9])) is None
    assert fallline.Logistic().check_targets(np.array([0.0, 0.25, 1.0])) is None
    assert fallline.Softmax().check_targets(np.array([0.0, 3.0])) is None
    for loss in (fallline.Squared(), fallline.Huber(), fallline.Quantile()):
        assert loss.check_targets(np.array([-1e9, 0.0])) is None


@pytest.mark.parametrize(
    "make", [lambda: fallline.Huber(0), lambda: fallline.Quantile(1.0), lambda: fallline.Quantile(0.5, -1.0)]
)
def test_impossible_settings_are_refused(make) -> None:
    with pytest.raises(fallline.SettingError):
        make()
