"""Laws that every update rule keeps; a rule that is added as a file is tested here without another line."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from fallline.errors import SettingError
from fallline.optimizers import AnyOptimizer, optimizers

RULES = sorted(optimizers().items())
BLIND = [(name, kind) for name, kind in RULES if not kind.tracks_theta]
CURVATURE = np.array([1.0, 10.0, 100.0, 1000.0])  # differs by 1e3 between coordinates
STEPS = 40
BELOW_ONE = {"beta", "beta1", "beta2", "rho", "dampening"}


def leaves(state: Any) -> list[Any]:
    """The arrays and numbers of a state, those in tuples of arrays (the pairs of L-BFGS) included."""
    flat = [part for leaf in state for part in (leaf if isinstance(leaf, tuple) else (leaf,))]
    return [leaf.copy() if isinstance(leaf, np.ndarray) else leaf for leaf in flat]


def assert_same_leaves(a: Any, b: Any) -> None:
    for one, other in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_array_equal(one, other)


def recorded(shape: tuple[int, ...] = (5,)) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.standard_normal((STEPS, *shape)) * 10.0 ** rng.integers(-3, 3, shape)


def walk(
    rule: AnyOptimizer, theta: np.ndarray, state: Any, gradients: np.ndarray, begin: int, end: int
) -> tuple[np.ndarray, Any, list[np.ndarray]]:
    """Steps `begin` to `end` of one run, with a rate that depends on the step."""
    moves = []
    for step in range(begin, end):
        move, state = rule.update(gradients[step], state, 0.1 / (step % 3 + 1))
        theta = theta + move
        moves.append(move)
    return theta, state, moves


@pytest.mark.parametrize(("name", "kind"), RULES)
def test_it_declares_itself(name: str, kind: type) -> None:
    rule = kind()
    assert dataclasses.is_dataclass(rule) and rule.name == name and rule.summary and rule.convention
    assert kind.__doc__ and "theta" in kind.__doc__ and ">>>" in kind.__doc__
    assert kind.default_lr is None or kind.default_lr > 0.0
    assert isinstance(kind.adaptive, bool) and isinstance(kind.tracks_theta, bool)
    assert isinstance(kind.elementwise, bool)
    settings = {field.name for field in dataclasses.fields(kind)}
    assert not settings & {"name", "summary", "convention", "default_lr", "adaptive", "tracks_theta", "lr"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        rule.name = "other"


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kind in RULES if kind.elementwise])
def test_elementwise_rules_treat_each_coordinate_alone(name: str, kind: type) -> None:
    """Compiled steps call their formulas with one number and the state of one coordinate."""
    gradients, start = recorded(), np.arange(5.0)
    theta, state, _ = walk(kind(), start, kind().init(start), gradients, 0, STEPS)
    for j in range(5):
        alone, own, _ = walk(kind(), start[j], kind().init(start[j]), gradients[:, j], 0, STEPS)
        np.testing.assert_allclose(alone, theta[j], rtol=1e-12)
        for whole, one in zip(state, own, strict=True):
            np.testing.assert_allclose(one, whole[j] if isinstance(whole, np.ndarray) else whole, rtol=1e-12)


@pytest.mark.parametrize(("name", "kind"), RULES)
@pytest.mark.parametrize("shape", [(4,), (4, 3), ()])
def test_pure_and_of_any_shape(name: str, kind: type, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    rule, theta, g = kind(), rng.standard_normal(shape), rng.standard_normal(shape)
    state = rule.init(theta)
    for _ in range(2):  # the state before the first step is one of zeros: a change of it might not show
        kept, before = leaves(state), g.copy()
        move, after = rule.update(g, state, 0.1)
        again, after_again = rule.update(g, state, 0.1)
        assert np.shape(move) == shape and type(after) is type(state) and state._fields == after._fields
        assert all(isinstance(leaf, (np.ndarray, np.generic, int, float)) for leaf in leaves(after))
        np.testing.assert_array_equal(g, before)
        np.testing.assert_array_equal(move, again)
        assert_same_leaves(after, after_again)
        assert_same_leaves(kept, state)
        state = after


@pytest.mark.parametrize(("name", "kind"), RULES)
def test_the_state_has_its_own_copy_of_theta(name: str, kind: type) -> None:
    theta = np.ones(3)
    state = kind().init(theta)
    kept = leaves(state)
    theta += 1.0
    assert_same_leaves(kept, state)


@pytest.mark.parametrize(("name", "kind"), RULES)
def test_the_first_step_goes_down_in_every_coordinate(name: str, kind: type) -> None:
    rng = np.random.default_rng(0)
    rule, theta, g = kind(), rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    assert np.all(rule.update(g, rule.init(theta), 0.1)[0] * g < 0.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "kind"), RULES)
def test_the_precision_is_kept(name: str, kind: type, dtype: type) -> None:
    rule = kind()
    theta, state, moves = walk(rule, np.ones(5, dtype), rule.init(np.ones(5, dtype)), recorded().astype(dtype), 0, 12)
    assert theta.dtype == rule.answer(theta, state).dtype == dtype and {move.dtype for move in moves} == {
        np.dtype(dtype)
    }
    assert {leaf.dtype for leaf in state if isinstance(leaf, np.ndarray)} <= {np.dtype(dtype)}


@pytest.mark.parametrize(("name", "kind"), RULES)
@pytest.mark.parametrize("stop", [1, 5, 6, 21, STEPS - 1])  # RAdam changes its formula between 5 and 6
def test_stopped_saved_and_resumed_to_the_bit(name: str, kind: type, stop: int) -> None:
    rule, start, gradients = kind(), np.ones(5), recorded()
    straight, state, _ = walk(rule, start, rule.init(start), gradients, 0, STEPS)
    half, middle, _ = walk(rule, start, rule.init(start), gradients, 0, stop)
    restored = type(middle)(*[np.array(leaf.tolist()) if isinstance(leaf, np.ndarray) else leaf for leaf in middle])
    resumed, end, _ = walk(rule, half, restored, gradients, stop, STEPS)
    np.testing.assert_array_equal(straight, resumed)
    assert_same_leaves(state, end)
    np.testing.assert_array_equal(rule.answer(straight, state), rule.answer(resumed, end))


@pytest.mark.parametrize(("name", "kind"), BLIND)
def test_what_does_not_track_theta_does_not_depend_on_it(name: str, kind: type) -> None:
    rule = kind()
    here, there = np.ones(5), np.full(5, -7.0)
    theta, state, moves = walk(rule, here, rule.init(here), recorded(), 0, STEPS)
    _, _, others = walk(rule, there, rule.init(there), recorded(), 0, STEPS)
    np.testing.assert_array_equal(moves, others)
    assert rule.answer(theta, state) is theta


@pytest.mark.parametrize(("name", "kind"), RULES)
def test_a_coordinate_without_a_gradient_stays_where_it_is(name: str, kind: type) -> None:
    gradients = recorded()
    gradients[:, 2] = 0.0  # a level of a text column that no row has
    rule, theta = kind(), np.array([1.0, 1.0, 0.0, 1.0, 1.0])
    theta, state, moves = walk(rule, theta, rule.init(theta), gradients, 0, STEPS)
    assert np.all(np.isfinite(moves)) and theta[2] == 0.0 and rule.answer(theta, state)[2] == 0.0
    assert np.all(theta[[0, 1, 3, 4]] != 1.0)


@pytest.mark.parametrize(("name", "kind"), RULES)
def test_a_constant_gradient_never_gives_nan(name: str, kind: type) -> None:
    """As the full-batch gradient of a quantile loss is far from its optimum; rounding must not divide by nothing."""
    switches = [f.name for f in dataclasses.fields(kind) if isinstance(f.default, bool)]
    g = np.array([0.1, 3.0, 0.7])
    for on in [{}, *({name: True} for name in switches)]:
        rule = kind(**on)
        state, moves = rule.init(np.zeros(3)), []
        for _ in range(4000):
            move, state = rule.update(g, state, 1e-3)
            moves.append(move)
        assert np.all(np.isfinite(moves)), on


@pytest.mark.parametrize(("name", "kind"), RULES)
def test_a_small_rate_lowers_a_loss_whose_curvature_differs_a_thousandfold(name: str, kind: type) -> None:
    rule, theta = kind(), np.array([1.0, -1.0, 1.0, -1.0])
    lr = 3e-3 if rule.adaptive and name != "adadelta" else 1.0 if name == "adadelta" else 5e-4
    state, first = rule.init(theta), 0.5 * CURVATURE @ theta**2
    for _ in range(300):
        move, state = rule.update(CURVATURE * theta, state, lr)
        theta = theta + move
    assert 0.5 * CURVATURE @ rule.answer(theta, state) ** 2 < 0.9 * first


@pytest.mark.parametrize(("name", "kind"), RULES)
def test_impossible_settings_are_refused(name: str, kind: type) -> None:
    for field in dataclasses.fields(kind):
        if isinstance(field.default, bool):
            continue
        too_large = [1.0, 1.5] if field.name in BELOW_ONE else []
        not_whole = [1.5, math.inf] if isinstance(field.default, int) else []
        for impossible in [-1, math.nan, *too_large, *not_whole]:
            with pytest.raises(
                SettingError, match=f"{kind.__name__}\\({field.name}=\\.\\.\\.\\): got {impossible}; .*must"
            ):
                kind(**{field.name: impossible})
