"""Laws that every update rule keeps; a rule that is added as a file is tested here without another line."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fallline.errors import SettingError
from fallline.optimizers import optimizers

RULES = sorted(optimizers().items())
CURVATURE = np.array([1.0, 10.0, 100.0, 1000.0])  # differs by 1e3 between coordinates


def leaves(state):
    return [leaf.copy() if isinstance(leaf, np.ndarray) else leaf for leaf in state]


@pytest.mark.parametrize(("name", "kind"), RULES)
def test_it_declares_itself(name: str, kind: type) -> None:
    rule = kind()
    assert dataclasses.is_dataclass(rule) and rule.name == name and rule.summary and rule.convention
    assert kind.__doc__ and "theta" in kind.__doc__ and ">>>" in kind.__doc__
    with pytest.raises(dataclasses.FrozenInstanceError):
        rule.name = "other"


@pytest.mark.parametrize(("name", "kind"), RULES)
@pytest.mark.parametrize("shape", [(4,), (4, 3), ()])
def test_pure_and_of_any_shape(name: str, kind: type, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    rule, theta, g = kind(), rng.standard_normal(shape), rng.standard_normal(shape)
    state = rule.init(theta)
    kept, before = leaves(state), g.copy()
    move, after = rule.update(g, state, 0.1)
    again, _ = rule.update(g, state, 0.1)
    assert np.shape(move) == shape and isinstance(after, tuple) and type(after) is type(state)
    assert all(isinstance(leaf, (np.ndarray, np.generic, int, float)) for leaf in after)
    np.testing.assert_array_equal(g, before)
    np.testing.assert_array_equal(move, again)
    for a, b in zip(kept, leaves(state), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.all(np.asarray(move) * g <= 0.0)  # the first step goes down in every coordinate


@pytest.mark.parametrize(("name", "kind"), RULES)
def test_stopped_saved_and_resumed_to_the_bit(name: str, kind: type) -> None:
    rng = np.random.default_rng(1)
    gradients = rng.standard_normal((40, 5)) * 10.0 ** rng.integers(-3, 3, 5)
    rule = kind()

    def walk(theta, state, part):
        for i, g in enumerate(part):
            move, state = rule.update(g, state, 0.1 / (i % 3 + 1))
            theta = theta + move
        return theta, state

    start = np.ones(5)
    straight, state = walk(start, rule.init(start), gradients[:21])
    straight, state = walk(straight, state, gradients[21:])
    half, middle = walk(start, rule.init(start), gradients[:21])
    restored = type(middle)(*[np.array(leaf.tolist()) if isinstance(leaf, np.ndarray) else leaf for leaf in middle])
    resumed, end = walk(half, restored, gradients[21:])
    np.testing.assert_array_equal(straight, resumed)
    np.testing.assert_array_equal(rule.answer(straight, state), rule.answer(resumed, end))


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
        with pytest.raises(SettingError, match=f"{field.name}="):
            kind(**{field.name: -1})
