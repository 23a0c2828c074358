"""minimize(): any differentiable function, on the same loop."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize as so

import fallline


def test_rosenbrock() -> None:
    result = fallline.minimize(so.rosen, [-1.2, 1.0], grad=so.rosen_der, max_steps=200_000, tol=1e-9)
    np.testing.assert_allclose(result.theta, [1.0, 1.0], atol=1e-5)
    assert (result.verdict, result.certainty) == ("good enough", "measured")
    assert np.all(np.diff(result.history.loss[result.history.accepted == 1]) <= 1e-12)


@pytest.mark.parametrize("name", ["momentum", "nesterov", "adam", "rmsprop", "lion", "adagrad", "accelerated"])
def test_named_rules_find_their_rate(name: str) -> None:
    curvature = np.array([1.0, 10.0, 100.0])
    result = fallline.minimize(
        lambda x: 0.5 * curvature @ x**2, np.ones(3), grad=lambda x: curvature * x, optimizer=name, max_steps=3000
    )
    assert result.best_loss < 1e-3 * result.history.loss[0]


def test_a_named_rate_is_the_textbook() -> None:
    result = fallline.minimize(
        lambda x: float(x @ x), [4.0, -2.0], grad=lambda x: 2 * x, optimizer="descent", learning_rate=0.1, max_steps=10
    )
    np.testing.assert_allclose(result.theta, np.array([4.0, -2.0]) * 0.8**10)


def test_shapes_are_kept_and_scalars_work() -> None:
    result = fallline.minimize(lambda A: np.sum((A - 2.0) ** 2), np.zeros((2, 3)), grad=lambda A: 2 * (A - 2.0))
    assert result.theta.shape == (2, 3)
    np.testing.assert_allclose(result.theta, 2.0, atol=1e-5)


def test_a_wrong_gradient_is_refused_before_any_step() -> None:
    with pytest.raises(fallline.GradientError, match="disagrees with finite differences"):
        fallline.minimize(lambda x: float(x @ x), [1.0, 2.0], grad=lambda x: -2 * x)


def test_no_gradient_teaches() -> None:
    with pytest.raises(fallline.SettingError, match="grad="):
        fallline.minimize(lambda x: float(x @ x), [1.0, 2.0])


def test_jax_and_torch_gradients_come_by_themselves() -> None:
    jax = pytest.importorskip("jax")
    torch = pytest.importorskip("torch")
    result = fallline.minimize(lambda x: jax.numpy.sum((x - 1.0) ** 2), [3.0, 4.0])
    np.testing.assert_allclose(result.theta, 1.0, atol=1e-3)
    result = fallline.minimize(lambda x: torch.sum((x - 1.0) ** 2), [3.0, 4.0], grad="torch")
    np.testing.assert_allclose(result.theta, 1.0, atol=1e-5)


def test_a_rate_too_large_is_called_diverged() -> None:
    result = fallline.minimize(
        lambda x: float(x @ x), [1.0], grad=lambda x: 2 * x, optimizer="descent", learning_rate=1.5
    )
    assert result.verdict == "diverged"
    assert result.theta == pytest.approx([1.0])


def test_bounds_and_l1_through_the_proximal_step() -> None:
    result = fallline.minimize(
        lambda x: float(np.sum((x - [3.0, 0.1]) ** 2)),
        [0.0, 0.0],
        grad=lambda x: 2 * (x - [3.0, 0.1]),
        penalty=fallline.L1(1.0),
    )
    np.testing.assert_allclose(result.theta, [2.5, 0.0], atol=1e-6)


def test_predicting_with_a_point_is_refused() -> None:
    result = fallline.minimize(lambda x: float(x @ x), [1.0], grad=lambda x: 2 * x)
    with pytest.raises(fallline.SettingError, match="not a model"):
        result.predict([[1.0]])
