"""fallline.minimize: a minimum of any differentiable function of a vector, on the one loop."""

from __future__ import annotations

import math
import numbers
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.auto import Plan, plan_function
from fallline.conclude import conclude_function
from fallline.entry import entry_point
from fallline.errors import SettingError
from fallline.functions import ValueAndGrad, as_point, gradient_alone, gradient_of, unchecked
from fallline.limits import Halt, Limits, Watched
from fallline.objective import FunctionObjective
from fallline.optimizers import AnyOptimizer
from fallline.penalties._base import Penalty
from fallline.quasi_newton import QuasiNewton
from fallline.rates._base import Rate
from fallline.rates.constant import Constant
from fallline.recorder import Event
from fallline.result import Result
from fallline.saddle import pushed
from fallline.stationarity import MOST_ROUNDING, Outlook, Stationarity
from fallline.stopping import stopping_gently
from fallline.stops._base import Ending
from fallline.stops.budget import Budget
from fallline.stops.interrupt import Interrupt
from fallline.stops.no_improvement import NoImprovement
from fallline.stops.stationary import Stationary
from fallline.train import Run, after, train

Array = NDArray[np.floating]

MOST_PUSHES = 3  # off saddles
# From a Newton step, where a line search has found nothing better and second derivatives promise more.
MOST_RESTARTS = 20
STEEP = 1e-6  # of the gradient at the start, for rules whose steps do not tell that they are done
HALVINGS = 12  # of a Newton step
NEAR = 1e-3  # of the gradient at the start: a run that its budget ended with less may be done


@entry_point
def minimize(
    f: Callable[[Any], Any],
    x0: Any,
    *,
    grad: Callable[[Any], Any] | str | None = None,
    optimizer: str | AnyOptimizer = "auto",
    learning_rate: float | str | Rate = "auto",
    penalty: Penalty | None = None,
    tol: float = 0.0,
    max_steps: int = 10_000,
    max_seconds: float = math.inf,
    auto_fix: bool = True,
    callback: Callable[[Event], Any] | None = None,
    seed: int = 0,
) -> Result:
    """Minimise f from `x0` and return a :class:`Result`; ``result.theta`` is the lowest point seen.

    ::

        x <- x - lr * H grad f(x)

    H is an estimate of the inverse second derivatives, BFGS's of up to 200 unknowns and L-BFGS's of more, and lr is found
    by a line search with Wolfe's conditions.
    ``optimizer="descent"`` and the other rules run as their textbooks have them, at a rate that is found by backtracking or
    by a few short trial runs; behind an L1 penalty or bounds the default is proximal gradient descent with backtracking.

    The gradient is `grad`, a function of x; or JAX's or PyTorch's when f is written in one of them (``grad="jax"``,
    ``grad="torch"``, or left out where it can be told). A given gradient is first checked against finite differences.

    Without more knowledge of f nothing can be proved, so the best verdict is *good enough*: second derivatives, measured
    at the point, promise no decrease beyond the rounding error of f (or beyond `tol` times its size, where that is larger).
    That a gradient is small beside the one at the start says nothing. Where the point is a saddle the run is pushed off it
    and goes on, up to three times, unless ``auto_fix=False``. A function without a lowest value ends as *no finite optimum*.

    `max_steps` counts evaluations of f by the run, those that a line search gives back included. `max_seconds` and Ctrl-C
    end whatever is going on, the check of the gradient included: one Ctrl-C returns the lowest point so far, a second
    raises KeyboardInterrupt, as in :func:`fit`.

    x0 is a number or an array of any shape; f returns one number. Raises SettingError where there is no gradient to be
    had (it says what to pass), GradientError for a gradient that is wrong, DataError where f(x0) is not finite.

    >>> import numpy as np
    >>> slope = lambda x: np.array([2 * (x[0] - 3), 20 * x[1]])
    >>> bowl = minimize(lambda x: (x[0] - 3) ** 2 + 10 * x[1] ** 2, [0.0, 1.0], grad=slope)
    >>> bowl.theta.round(4) + 0.0
    array([3., 0.])
    >>> str(bowl.verdict)
    'good enough'
    """
    _check_settings(tol, max_steps, max_seconds)
    began = time.perf_counter()
    theta: Array = as_point(x0)
    with stopping_gently() as stopped:
        limits = Limits(max_seconds, stopped)
        both, how = _gradient(f, theta, grad, seed, limits)
        function = Watched(both, gradient_alone(grad) if callable(grad) else lambda x: both(x)[1], limits)
        objective = FunctionObjective(function, penalty, function.gradient)
        plan, theta = _planned(objective, function, theta, optimizer, learning_rate, seed, limits)
        looks = Stationarity(objective, function, limits, theta, float(tol), seed)
        run, outlook = _descend(
            objective, plan, theta, looks, max_steps, auto_fix, callback, seed,
            stops=lambda: [Interrupt(stopped), Budget(max_steps, limits.left, strict=True)],
        )  # fmt: skip
    settings = {
        "optimizer": optimizer if isinstance(optimizer, str) else repr(optimizer),
        "learning_rate": learning_rate if isinstance(learning_rate, (int, float, str)) else learning_rate.reason,
        "gradient": how, "tol": float(tol), "max_steps": int(max_steps), "seed": seed,
    }  # fmt: skip
    return conclude_function(
        objective, plan, run, settings, learning_rate, float(tol), max_steps, time.perf_counter() - began, outlook
    )


def _check_settings(tol: Any, max_steps: Any, max_seconds: Any) -> None:
    if isinstance(max_steps, bool) or not isinstance(max_steps, numbers.Integral) or max_steps < 0:
        raise SettingError(f"max_steps: got {max_steps!r:.80}; it must be a whole number, 0 or more.")
    for name, value in (("tol", tol), ("max_seconds", max_seconds)):
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not float(value) >= 0.0:
            raise SettingError(f"{name}: got {value!r:.80}; it must be a number, 0 or more.")


def _gradient(f: Any, theta: Array, grad: Any, seed: int, limits: Limits) -> tuple[ValueAndGrad, str]:
    """f with its gradient, and where that is from; what is given is checked, as far as there is time."""
    try:
        with limits.within():
            return gradient_of(limits.guarded(f), theta, limits.guarded(grad), seed=seed)
    except Halt:
        if callable(grad):
            return unchecked(f, grad, as_point(theta)), "given, and not checked: there was no time for it"
        return gradient_of(f, theta, grad, seed=seed)


def _planned(
    objective: FunctionObjective, function: Watched, theta: Array, optimizer: Any, learning_rate: Any, seed: int,
    limits: Limits,
) -> tuple[Plan, Array]:  # fmt: skip
    """What will run, and from where: where there is no time for trial runs, from the lowest point that they saw."""
    try:
        with limits.within():
            return plan_function(objective, theta, optimizer, learning_rate, seed), theta
    except Halt:
        plan = plan_function(objective, theta, optimizer, Constant(1.0), seed)
        lowest = function.lowest if objective.penalty is None else None
        return plan, theta if lowest is None else lowest[1]


def _descend(
    objective: FunctionObjective, plan: Plan, theta: Array, looks: Stationarity, max_steps: int, auto_fix: bool,
    callback: Callable[[Event], Any] | None, seed: int, stops: Callable[[], list[Any]],
) -> tuple[Run, Outlook]:  # fmt: skip
    """The run, and what is known of the function where it ended."""
    whole: Run | None = None
    rule = plan.optimizer
    pushes = restarts = 0
    size, steep = float(np.abs(theta).max()), 0.0 if plan.rate.uses_slopes else STEEP
    while True:
        steps = 0 if whole is None else whole.steps
        interrupt, budget = stops()
        budget.passes -= steps
        run = train(
            objective, None, rule, plan.rate, theta,
            stops=[interrupt, Stationary(looks.found_done, size, steep), NoImprovement(), budget],
            horizon=float(max_steps), recoveries=plan.recoveries if auto_fix else 0,
            observers=[_later(callback, steps)] if callback is not None else [], seed=seed,
        )  # fmt: skip
        lowest = run.best if whole is None or run.best.J <= whole.best.J else whole.best
        whole = run if whole is None else after(whole, run)
        whole.best = lowest
        try:
            onward, kind = _onward(objective, looks, whole, auto_fix and pushes < MOST_PUSHES, restarts < MOST_RESTARTS)
            if onward is None or (kind == "restart" and not plan.rate.uses_slopes):
                return whole, _outlook(looks, whole, pushes)
        except Halt as halt:
            whole.ending = Ending(halt.reason)
            return whole, Outlook(pushes=pushes)
        if isinstance(rule, QuasiNewton):
            rule = replace(rule, length=float(np.abs(onward - whole.best.theta).max()))
        theta, pushes, restarts = onward, pushes + (kind == "push"), restarts + (kind == "restart")


def _onward(
    objective: FunctionObjective, looks: Stationarity, run: Run, push: bool, restart: bool
) -> tuple[Array | None, str]:
    """Where the run goes on, off a saddle or from a Newton step; None where it is over. Raises Halt."""
    best = run.best
    if run.ending.reason not in ("gradient", "stalled") or best.g is None:
        return None, ""
    found = looks.look(best.theta, best.g)
    if found is None or not objective.smooth:
        return None, ""
    if looks.downhill(found):
        return (pushed(looks.value, best.theta, best.J, found), "push") if push else (None, "")
    if not restart:
        return None, ""
    done = looks.reached(best.theta, best.J, best.g) or found.gain <= MOST_ROUNDING * looks.floor(best.J)
    step = found.step if found.step is not None and not done else None
    for k in range(HALVINGS if step is not None else 0):
        assert step is not None
        x: Array = best.theta + 0.5**k * step
        if looks.value(x) < best.J:
            return x, "restart"
    return looks.felt(best.theta, best.J)[0], "restart"


def _outlook(looks: Stationarity, run: Run, pushes: int) -> Outlook:
    """What is known of the function where the run ended. Raises Halt."""
    best, reason = run.best, run.ending.reason
    if best.g is None or not math.isfinite(best.J) or reason in ("time", "interrupt"):
        return Outlook(pushes=pushes)
    outlook = Outlook(floor=looks.floor(best.J), pushes=pushes)
    if reason in ("budget", "stalled", "runaway", "diverged") and looks.endless(best.theta, best.J):
        return outlook._replace(endless=True)
    if reason in ("gradient", "stalled") or (reason == "budget" and best.norm <= NEAR * _first_norm(run)):
        outlook = outlook._replace(
            found=looks.look(best.theta, best.g), reached=looks.reached(best.theta, best.J, best.g)
        )
    if outlook.reached or reason == "stalled":
        lower, plateau = looks.felt(best.theta, best.J)
        outlook = outlook._replace(plateau=plateau, reached=outlook.reached and lower is None, lower=lower is not None)
    return outlook


def _first_norm(run: Run) -> float:
    return float(run.history.full_gradient_norm[0])


def _later(callback: Callable[[Event], Any], steps: int) -> Callable[[Event], Any]:
    """The callback of a run that goes on after so many steps."""
    return lambda event: callback(event._replace(step=event.step + steps, passes=event.passes + steps))
