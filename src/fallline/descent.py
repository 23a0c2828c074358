"""The textbook's function, exactly: batch gradient descent for least squares."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.curvature import largest_curvature
from fallline.entry import entry_point
from fallline.errors import DivergenceWarning, SettingError, SettingTypeError
from fallline.losses.squared import Squared
from fallline.objective import ModelObjective
from fallline.optimizers.descent import Descent
from fallline.penalties.none import NoPenalty
from fallline.rates.constant import Constant
from fallline.recorder import Event
from fallline.rows.arrays import ArrayRows
from fallline.rows.compress import compress
from fallline.rows.intake import take_in
from fallline.scaling import Scaling
from fallline.settings import check_callback
from fallline.stops.budget import Budget
from fallline.train import train

ROUND_OFF = 1e-12  # relative: a rise of the cost beyond this is a rise


@entry_point
def gradient_descent(
    X: Any,
    y: Any,
    learning_rate: float = 0.01,
    iterations: int = 1000,
    *,
    callback: Callable[[Event], Any] | None = None,
) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
    """Fit least squares by plain gradient descent and return ``(theta, cost_history)``.

    ::

        theta = 0
        repeat `iterations` times:
            cost_history[i] = 1/(2m) * sum((X theta - y)^2)        # before the update
            theta <- theta - learning_rate * (1/m) X^T (X theta - y)

    Nothing else is done: no intercept is added, nothing is scaled, the run does not stop early. A healthy cost falls
    smoothly to a plateau. A rate above 2/L (L the largest eigenvalue of X^T X / m) makes the cost explode: what was
    computed is returned all the same, with one DivergenceWarning that names the largest stable rate. A long run shows
    its progress on a terminal.

    X is (m, n), any m and n of at least 1: an array, lists or a data frame; it is computed in float64 (float32 input
    is read as it is, sums are float64). y is (m,) or (m, 1); theta is (n,) or (n, 1) alike. `callback(event)` sees
    every step (``event.step``, ``event.loss``, ``event.theta``) and stops the run by returning True.

    Raises SettingError for a rate that is not a finite number above 0 or a negative number of iterations, DataError
    for X or y that are empty, not finite or of different lengths.

    For a rate that is computed instead of guessed, scaled columns and a verdict use :func:`fallline.fit`.

    >>> X, y = [[1.0], [2.0], [3.0]], [2.0, 4.0, 6.0]
    >>> theta, cost_history = gradient_descent(X, y, learning_rate=0.1, iterations=100)
    >>> theta.round(6)
    array([2.])
    >>> cost_history.shape
    (100,)
    """
    if isinstance(iterations, bool) or not isinstance(iterations, (int, np.integer)):
        raise SettingTypeError(f"iterations: got {iterations!r}; it must be a whole number, 0 or more.")
    if iterations < 0:
        raise SettingError(f"iterations: got {iterations}; it must be 0 or more.")
    rate = Constant(learning_rate)
    data = take_in(X, y, Squared())
    column = np.ndim(y) == 2
    check_callback(callback)
    whole = ArrayRows(data.X, data.y.astype(np.float64))
    rows = (compress(whole, int(iterations)) if callback is None else None) or whole
    objective = ModelObjective(Squared(), NoPenalty(), Scaling.none(rows.n, intercept=False))
    theta = np.zeros(rows.n)
    observers = [callback] if callback is not None else []
    with _progress(iterations) as bar:
        run = train(
            objective, rows, Descent(), rate, theta,
            stops=[Budget(passes=iterations)], end_when_diverged=False, observers=[*observers, *bar],
        )  # fmt: skip
    cost_history = run.history.loss[: min(iterations, run.steps)]
    _warn_if_exploded(run.history.loss, objective, rows, learning_rate)
    return (run.theta[:, None] if column else run.theta), cost_history


def _warn_if_exploded(
    cost: NDArray[np.float64], objective: ModelObjective, rows: ArrayRows, learning_rate: float
) -> None:
    """Any rise of the cost of plain descent on a convex cost proves that the rate is above 2/L."""
    with np.errstate(invalid="ignore"):
        rose = ~np.isfinite(cost[1:]) | (cost[1:] > cost[:-1] * (1.0 + ROUND_OFF) + 1e-300)
    if not (rose.any() and not cost[-1] < cost[0]):
        return
    limit = (
        2.0 / largest_curvature(objective, rows, np.zeros(rows.n)).measured
    )  # take the margin out again: a limit, not a step
    warnings.warn(
        f"gradient_descent: the cost rose at step {int(np.argmax(rose)) + 1} and ended at {cost[-1]:.3g}: "
        f"learning_rate={learning_rate:g} is too large for this data. The largest stable rate is {limit:.3g} (2/L); "
        f"{limit / 2:.2g} is a good choice. Standardising the columns of X allows a larger one; "
        "fallline.fit() computes it.",
        DivergenceWarning,
        stacklevel=4,
    )


def _progress(iterations: int) -> Any:
    from fallline.report.progress import progress

    return progress(iterations)
