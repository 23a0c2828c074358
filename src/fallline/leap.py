"""Between two records, mini-batch steps are made by a compiled twin of the loop's lines, where one exists.

A step in Python costs about 30 microseconds, whatever it computes; compiled, it costs what it computes. The loop in
train.py remains what is meant; tests/test_leap.py holds the twin to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fallline import kernels
from fallline.objective import ModelObjective, Objective
from fallline.optimizers import AnyOptimizer
from fallline.rates._base import Rate, Schedule
from fallline.rows._base import Array, Rows
from fallline.rows.arrays import ArrayRows, Stretch
from fallline.threads import aside

# (theta, state, rows to go through, passes before, caution) -> (theta, state)
Leap = Callable[[Array, Any, Stretch, float, float], tuple[Array, Any]]


def leaping(
    objective: Objective, rows: Rows | None, optimizer: AnyOptimizer, rate: Rate, theta: Array, batch_size: int | None,
    horizon: float,
) -> Leap | None:  # fmt: skip
    """The compiled steps for this run; None where the run is short or has a part that does not compile."""
    if batch_size is None or rows is None or not isinstance(objective, ModelObjective):
        return None
    example = rows if isinstance(rows, ArrayRows) else rows.sample(1, np.random.default_rng(0))
    X = example.X
    if not (isinstance(X, np.ndarray) and X.flags.c_contiguous and theta.ndim == 1 and isinstance(rate, Schedule)):
        return None
    if math.isfinite(horizon) and horizon * rows.m / batch_size < kernels.FROM_STEPS:
        return None
    parts = objective.penalty.elementwise(rows.n)
    if parts is None:
        return None
    from fallline.kernels.steps import steps
    from fallline.kernels.twins import is_ours, twin

    free = np.zeros(int(objective.scaling.intercept))
    l1, l2, low, high = (
        np.concatenate([p, free + edge]) for p, edge in zip(parts, (0, 0, -np.inf, np.inf), strict=True)
    )
    nothing, scaling = np.empty(0), objective.scaling
    loss, rule = twin(objective.loss), twin(optimizer)
    columns = 1.0 / scaling.scale, scaling.shift, scaling.intercept
    keep, share = is_ours(objective.loss) and is_ours(optimizer), rows.m / rows.total_weight

    def leap(theta: Array, state: Any, stretch: Stretch, passes: float, caution: float) -> tuple[Array, Any]:
        some, order = stretch
        weight = nothing if some.weight is None else some.weight
        offset = nothing if some.offset is None else some.offset
        count = -(-len(order) // batch_size)
        at = passes + np.arange(count) * (batch_size / rows.m)
        rates = caution * np.broadcast_to(rate.at(at, horizon), (count,))
        parts = loss, rule, some.X, some.y, weight, offset, *columns, order.view(np.uint64), batch_size, rates, share
        after: tuple[Array, Any] = aside(
            lambda: steps(*parts, theta, state, l1, l2, low, high, not objective.smooth, keep=keep)
        )
        return after

    none = Stretch(example, np.zeros(0, np.intp))  # compiles, and makes no step
    if kernels.tried(lambda: leap(theta, optimizer.init(theta), none, 0.0, 1.0), "a step") is None:
        return None
    return leap
