"""What of a record is its loss curve: losses over all rows; those of a sample that a run begins on stand apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.history import History
from fallline.report.curve import in_words
from fallline.report.numbers import count

if TYPE_CHECKING:
    from fallline.result import Result

ROUND_OFF = 1e-14  # relative: a loss is not known better


def curve_of(history: History) -> tuple[Any, Any, str]:
    """Steps, losses and the axis' name: the exact loss where it is known at several points, else the mini-batches'."""
    exact = np.isfinite(history.full_loss) & (history.accepted == 1.0)
    if exact.sum() > 1 or exact.all():
        return history.step[exact], history.full_loss[exact], "step"
    known = np.isfinite(history.loss) & (history.accepted == 1.0) & np.isnan(history.sample)
    return history.step[known], history.loss[known], "step"


def sampled(history: History) -> Any:
    """Which records are of steps that were made, and kept, on a sample of the rows."""
    return np.isfinite(history.sample) & np.isfinite(history.loss) & (history.accepted == 1.0)


def curve_in_words(history: History) -> str:
    """The loss curve as a sentence or two, for screen readers."""
    steps, losses, _ = curve_of(history)
    told, few = in_words(steps, losses), history.sample
    if not np.isfinite(few).any():
        return told
    made, most = count(int(np.isfinite(few).sum()), "step was", "steps were"), f"{np.nanmax(few):,.0f}"
    return f"{told} The first {made} made on a sample of {most} rows, whose own losses are not counted here."


def excess_curves(results: dict[str, Result]) -> dict[str, tuple[Any, Any]]:
    """(passes, J - J*) of each run; J* is the highest proved lower bound of the loss, or the lowest loss seen by any."""
    proved = [result.best_loss - result.gap for result in results.values() if result.gap is not None]
    lowest = max(proved, default=min((result.best_loss for result in results.values()), default=0.0))
    curves = {}
    for name, result in results.items():
        history = result.history
        with np.errstate(invalid="ignore", over="ignore"):
            excess = history.full_loss - lowest
        known = np.isfinite(excess) & (history.accepted == 1.0) & (excess > ROUND_OFF * abs(lowest))
        curves[name] = (history.passes[known], excess[known])
    return curves
