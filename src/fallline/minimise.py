"""fallline.minimize: gradient descent on any differentiable function of a vector, on the one loop."""

from __future__ import annotations

import math
import numbers
import time
from collections.abc import Callable
from typing import Any

from fallline.auto import plan_function
from fallline.conclude import conclude_function
from fallline.errors import SettingError
from fallline.functions import as_point, gradient_of
from fallline.objective import FunctionObjective
from fallline.optimizers import AnyOptimizer
from fallline.penalties._base import Penalty
from fallline.rates._base import Rate
from fallline.recorder import Event
from fallline.result import Result
from fallline.stops.budget import Budget
from fallline.stops.gradient_norm import GradientNorm
from fallline.stops.no_improvement import NoImprovement
from fallline.train import train


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
    to `tol` times its size at the start.

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
    run = train(
        objective, None, plan.optimizer, plan.rate, theta,
        stops=[GradientNorm(tol), NoImprovement(), Budget(max_steps, max_seconds)],
        horizon=float(max_steps), recoveries=plan.recoveries,
        observers=[callback] if callback is not None else [], seed=seed,
    )  # fmt: skip
    settings = {
        "optimizer": optimizer if isinstance(optimizer, str) else repr(optimizer),
        "learning_rate": learning_rate if isinstance(learning_rate, (int, float, str)) else learning_rate.reason,
        "gradient": how, "tol": float(tol), "max_steps": int(max_steps), "seed": seed,
    }  # fmt: skip
    return conclude_function(
        objective, plan, run, settings, learning_rate, float(tol), max_steps, time.perf_counter() - began
    )
