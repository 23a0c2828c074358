"""fallline.minimize: gradient descent on any differentiable function of a vector, on the one loop."""

from __future__ import annotations

import math
import numbers
import time
from collections.abc import Callable
from typing import Any

from fallline.auto import Plan, plan_function
from fallline.conclude import conclude_function
from fallline.entry import entry_point
from fallline.errors import SettingError
from fallline.functions import as_point, gradient_of
from fallline.objective import FunctionObjective
from fallline.optimizers import AnyOptimizer
from fallline.penalties._base import Penalty
from fallline.rates._base import Rate
from fallline.recorder import Event
from fallline.result import Result
from fallline.ruling import DOWNHILL
from fallline.saddle import bend, pushed
from fallline.stopping import stopping_gently
from fallline.stops.budget import Budget
from fallline.stops.gradient_norm import GradientNorm
from fallline.stops.interrupt import Interrupt
from fallline.stops.no_improvement import NoImprovement
from fallline.train import Run, after, train

MOST_PUSHES = 3  # off saddles


@entry_point
def minimize(
    f: Callable[[Any], Any],
    x0: Any,
    *,
    grad: Callable[[Any], Any] | str | None = None,
    optimizer: str | AnyOptimizer = "auto",
    learning_rate: float | str | Rate = "auto",
    penalty: Penalty | None = None,
    tol: float = 1e-6,
    max_steps: int = 10_000,
    max_seconds: float = math.inf,
    auto_fix: bool = True,
    callback: Callable[[Event], Any] | None = None,
    seed: int = 0,
) -> Result:
    """Minimise f from `x0` by gradient descent and return a :class:`Result`; ``result.theta`` is the lowest point seen.

    ::

        x <- x - lr * grad f(x)

    The gradient is `grad`, a function of x; or JAX's or PyTorch's when f is written in one of them (``grad="jax"``,
    ``grad="torch"``, or left out where it can be told). A given gradient is first checked against finite differences
    in a few random directions. With ``learning_rate="auto"`` every step of descent is found by backtracking, so f
    never rises; for other rules a few short trial runs find a rate, which then falls to zero along a cosine.

    Without more knowledge of f nothing can be proved, so the best verdict is *good enough*: the gradient has fallen
    to `tol` times its size at the start. There a few products with second derivatives tell whether the point is a saddle;
    then the run is pushed off it and goes on, up to three times, unless ``auto_fix=False``. Ctrl-C once ends the run and
    keeps the lowest point so far, twice raises KeyboardInterrupt, as in :func:`fit`.

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
    if isinstance(max_steps, bool) or not isinstance(max_steps, numbers.Integral) or max_steps < 0:
        raise SettingError(f"max_steps: got {max_steps!r}; it must be a whole number, 0 or more.")
    if isinstance(tol, bool) or not isinstance(tol, numbers.Real) or not tol >= 0.0:
        raise SettingError(f"tol: got {tol!r}; it must be a number, 0 or more.")
    began = time.perf_counter()
    theta = as_point(x0)
    both, how = gradient_of(f, theta, grad, seed=seed)
    objective = FunctionObjective(both, penalty)
    plan = plan_function(objective, theta, optimizer, learning_rate, seed)
    with stopping_gently() as stopped:
        run, saddle, pushes = _descend(
            objective, plan, theta, tol, max_steps, max_seconds, auto_fix, callback, seed, stopped
        )
    settings = {
        "optimizer": optimizer if isinstance(optimizer, str) else repr(optimizer),
        "learning_rate": learning_rate if isinstance(learning_rate, (int, float, str)) else learning_rate.reason,
        "gradient": how, "tol": float(tol), "max_steps": int(max_steps), "seed": seed,
    }  # fmt: skip
    return conclude_function(
        objective, plan, run, settings, learning_rate, float(tol), max_steps, time.perf_counter() - began, saddle, pushes,
    )  # fmt: skip


def _descend(
    objective: FunctionObjective, plan: Plan, theta: Any, tol: float, max_steps: int, max_seconds: float, auto_fix: bool,
    callback: Callable[[Event], Any] | None, seed: int, stopped: Callable[[], bool],
) -> tuple[Run, float, int]:  # fmt: skip
    """The run, the lowest curvature at its end as a share of the largest, and how often it was pushed off a saddle."""
    began, whole, pushes, steep = time.perf_counter(), None, 0, None
    while True:
        steps, seconds = (0, 0.0) if whole is None else (whole.steps, time.perf_counter() - began)
        run = train(
            objective, None, plan.optimizer, plan.rate, theta,
            stops=[
                Interrupt(stopped), GradientNorm(tol, steep), NoImprovement(),
                Budget(max_steps - steps, max_seconds - seconds),
            ],
            horizon=float(max_steps), recoveries=plan.recoveries if auto_fix else 0,
            observers=[_later(callback, steps)] if callback is not None else [], seed=seed,
        )  # fmt: skip
        whole = run if whole is None else after(whole, run)
        norms = whole.history.full_gradient_norm
        steep = float(norms[0])
        if run.ending.reason not in ("gradient", "stalled") or not objective.smooth or run.best.g is None:
            return whole, math.nan, pushes
        found = bend(lambda x: objective.value_and_grad(x, None)[1], run.best.theta, seed)
        share = math.nan if found is None else found.share
        if found is None or share >= DOWNHILL or not auto_fix or pushes == MOST_PUSHES:
            return whole, share, pushes
        off = pushed(lambda x: objective.value_and_grad(x, None)[0], run.best.theta, run.best.J, found)
        if off is None:
            return whole, share, pushes
        theta, pushes = off, pushes + 1


def _later(callback: Callable[[Event], Any], steps: int) -> Callable[[Event], Any]:
    """The callback of a run that goes on after so many steps."""
    return lambda event: callback(event._replace(step=event.step + steps, passes=event.passes + steps))
