"""What minimize() says of a run: contented at stationary points only, and never where f has no lowest value."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
nist = pytest.importorskip("nist_problems")

CONTENTED = ("converged", "good enough")
LONG = os.environ.get("FALLLINE_LONG_TESTS") == "1"
FEW = {"Misra1a", "BoxBOD", "MGH17", "Rat43", "DanWood"}  # in every run of the tests; all of them in the long one
STATIONARY = 1e-9  # of the sum of squares: what a Gauss-Newton step from exact derivatives may still promise

Function = tuple[Callable[[Any], float], Callable[[Any], Any], list[float]]
NOWHERE_LOWEST: dict[str, Function] = {
    "parabola": (lambda x: -float(x[0] ** 2), lambda x: -2.0 * x, [1.0]),
    "exponential": (lambda x: -float(np.exp(x[0])), lambda x: -np.exp(x), [0.0]),
    "linear": (lambda x: float(x[0] - 2.0 * x[1]), lambda x: np.array([1.0, -2.0]), [1.0, 1.0]),
    "logarithm": (lambda x: -float(np.log(x[0])), lambda x: -1.0 / x, [1.0]),
    "infimum at infinity": (lambda x: 1.0 + float(np.exp(-x[0])), lambda x: -np.exp(-x), [0.0]),
}
MINIMA: dict[str, Function] = {
    "huge": (lambda x: 1e300 * float((x[0] - 1.0) ** 2), lambda x: 2e300 * (x - 1.0), [3.0]),
    "tiny": (lambda x: 1e-300 * float((x[0] - 1.0) ** 2), lambda x: 2e-300 * (x - 1.0), [3.0]),
    "steep start": (lambda x: float(np.exp(x[0] - 1.0) - x[0]), lambda x: np.exp(x - 1.0) - 1.0, [60.0]),
    "large constant": (lambda x: 1e6 + float((x[0] - 1.0) ** 2), lambda x: 2.0 * (x - 1.0), [3.0]),
    "infinite beyond an edge": (
        lambda x: float((x[0] - 1.0) ** 2) if x[0] > 0.5 else np.inf, lambda x: 2.0 * (x - 1.0), [30.0],
    ),
    "tiny unit": (lambda x: 3.0 + float((1e10 * x[0] - 1e10) ** 2), lambda x: 2e10 * (1e10 * x - 1e10), [0.0]),
}  # fmt: skip


@pytest.mark.parametrize("optimizer", ["auto", "lbfgs", "descent"])
@pytest.mark.parametrize("name", NOWHERE_LOWEST)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_function_without_a_lowest_value_is_called_that(name: str, optimizer: str) -> None:
    f, g, x0 = NOWHERE_LOWEST[name]
    result = fallline.minimize(f, x0, grad=g, optimizer=optimizer, max_steps=2000)
    assert result.verdict == "no finite optimum"
    assert result.steps < 2000


def test_adam_is_asked_too() -> None:
    f, g, x0 = NOWHERE_LOWEST["parabola"]
    assert fallline.minimize(f, x0, grad=g, optimizer="adam", max_steps=100).verdict == "no finite optimum"


@pytest.mark.parametrize("name", MINIMA)
def test_minima_of_any_size_and_from_steep_starts_are_found(name: str) -> None:
    f, g, x0 = MINIMA[name]
    result = fallline.minimize(f, x0, grad=g)
    assert result.verdict in CONTENTED
    np.testing.assert_allclose(result.theta, 1.0, rtol=1e-7)
    assert not result.findings


def test_a_small_gradient_beside_a_steep_start_is_no_minimum() -> None:
    """One unknown starts 1e17 away and its gradient is gone in a step; the other has hardly moved when the steps are spent."""
    c = np.array([1.0, 1e-8])
    run = fallline.minimize(
        lambda x: 1.0 + float(c @ x**2), [1e17, 1.0], grad=lambda x: 2.0 * c * x, optimizer="descent", learning_rate=0.5,
        max_steps=50,
    )  # fmt: skip
    assert run.history.gradient_norm[-1] < 1e-20 * run.history.gradient_norm[0]
    assert run.verdict == "unfinished"


@pytest.mark.parametrize(
    ("name", "f", "g", "x0"),
    [
        ("kink", lambda x: 1.0 + float(abs(x[0])), np.sign, [3.3]),
        ("flat", lambda x: 5.0, np.zeros_like, [1.0, 1.0]),
        ("edge", lambda x: float(x[0]) if x[0] > 0.5 else np.nan, np.ones_like, [30.0]),
        ("gradient that turns wrong", lambda x: float(x @ x), lambda x: 2 * x if x[0] > 2.9 else -2 * x, [3.0, 4.0]),
    ],
)
def test_what_cannot_be_told_from_a_minimum_is_stuck_and_says_why(name: str, f: Any, g: Any, x0: list[float]) -> None:
    result = fallline.minimize(f, x0, grad=g)
    assert result.verdict == "stuck"
    assert [finding.code for finding in result.findings] == ["D07"]


def test_ill_conditioned_quadratics() -> None:
    c = np.logspace(0.0, 12.0, 10)
    result = fallline.minimize(
        lambda x: 7.0 + 0.5 * float(c @ (x - 1.0) ** 2), np.full(10, 3.0), grad=lambda x: c * (x - 1)
    )
    assert result.verdict in CONTENTED
    np.testing.assert_allclose(result.theta, 1.0, atol=1e-6)


def test_few_calls() -> None:
    """The check of the gradient, the line search and the look at second derivatives, together."""
    calls = []

    def f(x: Any) -> float:
        calls.append(1)
        return float((x[0] - 3.0) ** 2 + 10.0 * x[1] ** 2)

    fallline.minimize(f, [0.0, 1.0], grad=lambda x: np.array([2.0 * (x[0] - 3.0), 20.0 * x[1]]))
    assert len(calls) <= 40


class Clock:
    """A function that moves time on: each call takes a second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("time.perf_counter", lambda: self.now)

    def f(self, x: Any) -> float:
        self.now += 1.0
        return float((x[0] - 1.0) ** 4 + np.cosh(x[1]))

    def g(self, x: Any) -> Any:
        return np.array([4.0 * (x[0] - 1.0) ** 3, np.sinh(x[1])])


@pytest.mark.parametrize("seconds", [0, 1, 3, 8, 20])
@pytest.mark.parametrize("optimizer", ["auto", "descent", "adam"])
def test_the_time_limit_holds_everywhere(optimizer: str, seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the check of the gradient, in trial runs, in the line search, at a saddle: one or two calls later it is over."""
    clock = Clock(monkeypatch)
    result = fallline.minimize(clock.f, [30.0, 5.0], grad=clock.g, optimizer=optimizer, max_seconds=seconds, tol=0.0)
    assert (result.verdict, result.stop_reason) == ("unfinished", "time")
    assert clock.now <= seconds + 3.0
    assert result.best_loss <= clock.f(np.array([30.0, 5.0]))


@pytest.mark.parametrize("at", [1, 3, 12, 40, 300])
@pytest.mark.parametrize("optimizer", ["auto", "adam"])
def test_one_interrupt_returns_the_best_so_far(optimizer: str, at: int) -> None:
    import signal

    calls = []

    def f(x: Any) -> float:
        calls.append(1)
        if len(calls) == at:
            signal.raise_signal(signal.SIGINT)
        return float(100.0 * np.sum((x[1:] - x[:-1] ** 2) ** 2) + np.sum((1.0 - x[:-1]) ** 2))

    def g(x: Any) -> Any:
        slope = np.zeros_like(x)
        slope[:-1] = -400.0 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2.0 * (1.0 - x[:-1])
        slope[1:] += 200.0 * (x[1:] - x[:-1] ** 2)
        return slope

    from fallline import stopping

    stopping._pressed_at = -np.inf  # the press of the test before is no first press of this one
    result = fallline.minimize(f, np.tile([-1.2, 1.0], 30), grad=g, optimizer=optimizer)
    assert (result.verdict, result.stop_reason) == ("unfinished", "interrupt")
    assert len(calls) <= at + 4


def test_the_time_may_end_within_a_look_at_second_derivatives(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)

    def slow(x: Any) -> Any:
        clock.now += 1.0
        return 2.0 * x

    for seconds in range(8, 60, 3):
        start = clock.now
        result = fallline.minimize(
            lambda x: float(x @ x) + 1.0, np.arange(1.0, 13.0), grad=slow, optimizer="descent", learning_rate=0.25,
            max_seconds=seconds,
        )  # fmt: skip
        assert clock.now <= start + seconds + 2.0
        assert result.verdict in ("unfinished", *CONTENTED)


def chosen() -> list[Any]:
    return [p for p in nist.problems() if LONG or p.name in FEW]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("problem", chosen(), ids=lambda p: f"{p.name}-{p.start}-{'scaled' if p.scaled else 'raw'}")
def test_nist_contented_at_stationary_points_only(problem: Any) -> None:
    with np.errstate(all="ignore"):
        result = fallline.minimize(problem.value, problem.x0, grad=problem.gradient, max_steps=3000)
    if result.verdict in CONTENTED:
        assert problem.expected_gain(result.theta) <= STATIONARY


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ["Misra1a", "Rat43", "DanWood"])
def test_nist_solved_from_their_second_starts(name: str) -> None:
    for problem in nist.problems():
        if problem.name == name and problem.start == 2 and problem.scaled:
            result = fallline.minimize(problem.value, problem.x0, grad=problem.gradient)
            assert problem.solved(result.best_loss) and result.verdict in CONTENTED
