"""Gradients of a user's function: found, and checked before they are trusted."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fallline.errors import DataError, GradientError, SettingError, SettingTypeError
from fallline.functions import as_point, check_gradient, gradient_of

Function = Callable[[Any], Any]
A = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, -1.0], [0.0, -1.0, 5.0]])


def rosenbrock(x: Any) -> float:
    return float(100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2)


def rosenbrock_gradient(x: Any) -> Any:
    return np.array([-400.0 * x[0] * (x[1] - x[0] ** 2) - 2.0 * (1.0 - x[0]), 200.0 * (x[1] - x[0] ** 2)])


def scaled(f: Function, g: Function, unit: float) -> tuple[Function, Function]:
    """The same function of x measured in another unit."""
    return lambda x: f(x / unit), lambda x: g(x / unit) / unit


# name: f, its gradient, where
CORRECT: dict[str, tuple[Function, Function, Any]] = {
    "bowl": (lambda x: 0.5 * x @ A @ x, lambda x: A @ x, [1.0, -2.0, 3.0]),
    "rosenbrock": (rosenbrock, rosenbrock_gradient, [-1.2, 1.0]),
    "rosenbrock, tiny units": (*scaled(rosenbrock, rosenbrock_gradient, 1e-8), [-1.2e-8, 1e-8]),
    "rosenbrock, huge units": (*scaled(rosenbrock, rosenbrock_gradient, 1e8), [-1.2e8, 1e8]),
    "rosenbrock at its minimum": (rosenbrock, rosenbrock_gradient, [1.0, 1.0]),
    "tiny values": (lambda x: 1e-12 * np.sum(x**4), lambda x: 4e-12 * x**3, [1.0, -0.5]),
    "huge values": (lambda x: 1e12 * np.sum(x**4), lambda x: 4e12 * x**3, [1.0, -0.5]),
    "a large constant": (lambda x: 1e9 + np.sum(np.sin(x)), np.cos, [0.3, 2.0, 0.0]),
    "one scale per component": (
        lambda x: (x[0] * 1e8) ** 2 + (x[1] * 1e-8) ** 2,
        lambda x: np.array([2e16 * x[0], 2e-16 * x[1]]),
        [1e-8, 1e8],
    ),
    "logistic": (lambda x: np.logaddexp(0.0, x).sum(), lambda x: 1.0 / (1.0 + np.exp(-x)), [-30.0, 0.0, 30.0]),
    "log near the edge of its domain": (lambda x: -math.log(x[0]), lambda x: -1.0 / x, [1e-9]),
    "kinks at some distance": (lambda x: np.abs(x).sum(), np.sign, [1e-3, -2.0, 5.0]),
    "a kink very near": (lambda x: np.abs(x).sum(), np.sign, [1e-9, 1.0]),
    "at the kink, the left slope": (lambda x: np.maximum(x, 0.0).sum(), lambda x: (x > 0) * 1.0, [0.0, 1.0]),
    "at the kink, the right slope": (lambda x: np.maximum(x, 0.0).sum(), lambda x: (x >= 0) * 1.0, [0.0, 1.0]),
    "flat at the start": (lambda x: np.sum(x**3), lambda x: 3.0 * x**2, [0.0, 0.0]),
    "oscillating": (lambda x: np.sin(1e5 * x).sum(), lambda x: 1e5 * np.cos(1e5 * x), [0.1, 0.2]),
    "in float32": (
        lambda x: np.sum(np.float32(x) ** 2, dtype=np.float32),
        lambda x: 2 * np.float32(x),
        [0.3, 1.7, -2.9],
    ),
    "a matrix": (lambda x: np.sum(x**2 * [[1.0, 10.0]]), lambda x: 2.0 * x * [[1.0, 10.0]], [[1, 2], [3, 4], [5, 6]]),
    "a number": (lambda x: (x - 3.0) ** 2, lambda x: 2.0 * (x - 3.0), 7),
    "many components": (lambda x: np.sum(np.cosh(x)), np.sinh, np.linspace(-2.0, 2.0, 3000)),
    "constant": (lambda x: 5, np.zeros_like, [1.0, 2.0]),
}


@pytest.mark.parametrize("name", CORRECT)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_correct_gradient_passes(name: str, seed: int) -> None:
    f, g, x0 = CORRECT[name]
    check_gradient(f, g, x0, seed=seed)


SHARP = [name for name in CORRECT if "kink" not in name and name not in ("constant", "flat at the start")]


@pytest.mark.parametrize("name", [n for n in SHARP if n != "rosenbrock at its minimum"])
@pytest.mark.parametrize("wrong", [-1.0, 2.0, 0.5, 1.01, 0.0])
def test_a_wrong_factor_is_found(name: str, wrong: float) -> None:
    f, g, x0 = CORRECT[name]
    with pytest.raises(GradientError, match="disagrees with finite differences in"):
        check_gradient(f, lambda x: wrong * np.asarray(g(x)), x0)


@pytest.mark.parametrize(
    "name", ["bowl", "rosenbrock", "rosenbrock, tiny units", "one scale per component", "a matrix"]
)
def test_one_wrong_component_is_found_and_named(name: str) -> None:
    f, g, x0 = CORRECT[name]
    last = np.asarray(x0).size - 1

    def spoilt(x: Any) -> Any:
        slope = np.array(g(x))
        slope.flat[last] *= -1.0
        return slope

    where = r"\(2, 1\)" if name == "a matrix" else str(last)
    with pytest.raises(GradientError, match=rf"component {where} \(.*: sign\?\)"):
        check_gradient(f, spoilt, x0)


def test_one_wrong_component_of_many_is_found_by_halving() -> None:
    def spoilt(x: Any) -> Any:
        slope = np.sinh(x)
        slope[2741] += 0.5
        return slope

    with pytest.raises(GradientError, match="component 2741 "):
        check_gradient(lambda x: np.sum(np.cosh(x)), spoilt, np.linspace(-2.0, 2.0, 3000))


def test_the_message_says_both_numbers_and_guesses_the_cause() -> None:
    def f(x: Any) -> float:
        return float(x[0] ** 2 + 2.05 * x[3])

    def say(*slopes: float) -> str:
        with pytest.raises(GradientError) as caught:
            check_gradient(f, lambda x: np.array(slopes), [1.0, 1.0, 1.0, 1.0])
        return str(caught.value)

    assert "component 3 (-2.05 vs 2.05: sign?)" in say(2.0, 0.0, 0.0, -2.05)
    assert "component 0 (4 vs 2: a factor of 2?)" in say(4.0, 0.0, 0.0, 2.05)
    assert "component 0 (0.5 vs 2: a factor of 1/4?)" in say(0.5, 0.0, 0.0, 2.05)
    assert "component 0 (-6 vs 2: a factor of 3, and the sign?)" in say(-6.0, 0.0, 0.0, 2.05)
    assert "component 3 (0 vs 2.05: a term missing?)" in say(2.0, 0.0, 0.0, 0.0)
    assert "component 1 (1 vs 0)" in say(2.0, 1.0, 0.0, 2.05)


def test_a_slope_outside_of_a_kink_is_found() -> None:
    with pytest.raises(GradientError, match="component 0"):
        check_gradient(lambda x: np.abs(x).sum(), lambda x: np.sign(x) + 1.5 * (x == 0.0), [0.0, 1.0])


def test_a_wrong_sign_beside_a_kink_is_found() -> None:
    with pytest.raises(GradientError, match="component 0"):
        check_gradient(lambda x: np.abs(x).sum(), lambda x: -np.sign(x), [1e-7])


def test_a_random_function_is_told_from_a_wrong_gradient() -> None:
    random = np.random.default_rng(0)
    with pytest.raises(GradientError, match="f must give the same value for the same x"):
        check_gradient(lambda x: float(x @ x) * (1 + 1e-12 * random.normal()), lambda x: -2.0 * x, [1.0, 2.0])


def test_few_evaluations_when_all_is_well() -> None:
    calls = []

    def f(x: Any) -> float:
        calls.append(1)
        return rosenbrock(x)

    check_gradient(f, rosenbrock_gradient, [-1.2, 1.0], directions=5)
    assert len(calls) == 1 + 2 * 2


def test_what_is_given_is_wrapped_and_copied() -> None:
    buffer = np.empty(2)

    def g(x: Any) -> Any:
        x *= 2.0  # what it is given is its own
        buffer[:] = x
        return buffer

    both, how = gradient_of(lambda x: np.array([x @ x]), [1, 2], g)
    assert "checked against finite differences" in how
    x = np.array([3.0, 4.0])
    J, slope = both(x)
    assert (J, type(J)) == (25.0, float)
    both(np.zeros(2))
    np.testing.assert_array_equal(slope, [6.0, 8.0])
    np.testing.assert_array_equal(x, [3.0, 4.0])


def test_a_number_as_start() -> None:
    both, _ = gradient_of(lambda x: (x - 3) ** 2, 7, lambda x: 2 * (x - 3))
    J, slope = both(np.array(5.0))
    assert (J, slope.shape, float(slope)) == (4.0, (), 4.0)


@pytest.mark.parametrize(
    ("x0", "error", "words"),
    [
        ("abc", SettingTypeError, "'abc'"),
        (None, SettingTypeError, "None"),
        ([1.0, [2.0]], SettingTypeError, "real numbers"),
        ([1 + 2j], SettingTypeError, "real numbers"),
        ([], SettingError, "empty"),
        ([1.0, math.nan], DataError, "component 1 is nan"),
        (math.inf, DataError, "its only component is inf"),
    ],
)
def test_a_bad_start(x0: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        as_point(x0)


def test_integers_are_taken_and_the_start_is_copied() -> None:
    x0 = np.array([1.0, 2.0])
    as_point(x0)[0] = 9.0
    assert x0[0] == 1.0
    assert as_point([[1, 2]]).dtype == np.float64
    assert as_point(True).shape == ()


@pytest.mark.parametrize(
    ("f", "g", "error", "words"),
    [
        (lambda x: x**2, lambda x: 2 * x, SettingError, r"array of shape \(2,\). Sum it"),
        (lambda x: None, lambda x: 2 * x, SettingError, "`return` missing"),
        (lambda x: "low", lambda x: 2 * x, SettingError, "'low'"),
        (lambda x: 1j, lambda x: 2 * x, SettingError, "one real number"),
        (lambda x: math.nan, lambda x: 2 * x, DataError, r"f\(x0\) is nan"),
        (lambda x: math.inf, lambda x: 2 * x, DataError, r"f\(x0\) is inf"),
        (lambda x: float(x @ x), lambda x: x * [1.0, math.nan], DataError, "component 1 is nan"),
        (lambda x: float(x @ x), lambda x: 2 * x[:, None], SettingError, r"\(2, 1\). Reshape it"),
        (lambda x: float(x @ x), lambda x: 2 * x[:1], SettingError, r"its shape is \(1,\)"),
        (lambda x: float(x @ x), lambda x: None, SettingError, "returned None"),
        (lambda x: float(x @ x), "numeric", SettingError, "'jax', 'torch' or None"),
        (lambda x: float(x @ x), True, SettingError, "a function of x"),
        (3.0, lambda x: 2 * x, SettingTypeError, "f: got 3.0"),
    ],
)
def test_what_f_and_grad_must_return(f: Any, g: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        gradient_of(f, [1.0, 2.0], g)


def test_an_error_inside_f_is_its_own() -> None:
    with pytest.raises(ZeroDivisionError):
        gradient_of(lambda x: 1 / 0, [1.0], lambda x: x)


def test_without_a_gradient_the_error_teaches() -> None:
    with pytest.raises(SettingError, match=r"Pass grad=.*jax.numpy or torch.*fallline\[jax\]"):
        gradient_of(lambda x: float(np.exp(x).sum()), [1.0, 2.0])


def test_neither_library_is_imported_to_find_out() -> None:
    code = """
import sys
from fallline.functions import gradient_of
try:
    gradient_of(lambda x: float(x @ x), [1.0, 2.0])
except ValueError:
    print("torch" in sys.modules, "jax" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert run.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("grad", [None, "torch"])
def test_torch(grad: str | None) -> None:
    torch = pytest.importorskip("torch")
    weight = torch.ones(2, dtype=torch.float64, requires_grad=True)
    both, how = gradient_of(lambda x: torch.sum(weight * (x - 1.0) ** 4), [3.0, 4.0], grad)
    assert how == "by PyTorch"
    J, slope = both(np.array([2.0, 3.0]))
    assert J == 17.0
    np.testing.assert_array_equal(slope, [4.0, 32.0])
    assert weight.grad is None


def test_torch_errors() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(SettingError, match="cut off"):
        gradient_of(lambda x: torch.sum(x.detach() ** 2), [1.0], "torch")
    with pytest.raises(SettingError, match="PyTorch scalar"):
        gradient_of(lambda x: 3.0, [1.0], "torch")
    with pytest.raises(SettingError, match=r"shape \(2,\)"):
        gradient_of(lambda x: x**2, [1.0, 2.0], "torch")
    with pytest.raises(DataError, match="nan"):
        gradient_of(lambda x: torch.sum(torch.log(x)), [-1.0], "torch")
    with pytest.raises(SettingError, match="With torch it does not work"):
        gradient_of(lambda x: torch.sum(x).item(), [1.0])


@pytest.mark.parametrize("grad", [None, "jax"])
def test_jax(grad: str | None) -> None:
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    both, how = gradient_of(lambda x: jax.numpy.sum((x - 1.0) ** 4), [3.0, 4.0], grad)
    J, slope = both(np.array([2.0, 3.0]))
    assert (J, slope.dtype) == (17.0, np.float64)
    np.testing.assert_allclose(slope, [4.0, 32.0], rtol=1e-6)
    assert ("float32" in how) is not before
    assert jax.config.jax_enable_x64 == before


def test_jax_in_float64() -> None:
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        both, how = gradient_of(lambda x: jax.numpy.sum(jax.numpy.sin(x)), [0.3, 4.0])
        assert how == "by JAX"
        np.testing.assert_allclose(both(np.array([0.3, 4.0]))[1], np.cos([0.3, 4.0]), rtol=1e-15)
    finally:
        jax.config.update("jax_enable_x64", before)


def test_jax_errors() -> None:
    jax = pytest.importorskip("jax")
    with pytest.raises(SettingError, match="JAX scalar"):
        gradient_of(lambda x: 3.0, [1.0], "jax")
    with pytest.raises(SettingError, match=r"shape \(2,\)"):
        gradient_of(lambda x: x**2, [1.0, 2.0], "jax")
    with pytest.raises(DataError, match="nan"):
        gradient_of(lambda x: jax.numpy.sum(jax.numpy.log(x)), [-1.0], "jax")
