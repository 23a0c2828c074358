"""The verdict on a run of a user's function, of which nothing can be proved."""

from __future__ import annotations

import math

from fallline.report.numbers import number, percent
from fallline.ruling import Ruling
from fallline.stationarity import DOWNHILL, MOST_ROUNDING, Outlook
from fallline.train import Run
from fallline.verdict import Certainty, Verdict


def rule_function(run: Run, J: float, outlook: Outlook) -> Ruling:
    """What to say of a run that ended at the lowest value J, knowing `outlook` of the function there."""
    reason, found, pushed_off = run.ending.reason, outlook.found, outlook.share < DOWNHILL
    fell = len(run.history) > 0 and run.history.loss[-1] == -math.inf
    if fell or outlook.endless:
        sentence = "the loss falls without end: there is no lowest value."
        return Ruling(Verdict.NO_FINITE_OPTIMUM, Certainty.MEASURED, sentence)
    if reason == "diverged" or not math.isfinite(J):
        sentence = f"the loss rose out of bounds at step {run.steps:,}; the best parameters before that were kept."
        return Ruling(Verdict.DIVERGED, Certainty.MEASURED, sentence)
    if found is not None and pushed_off and reason in ("gradient", "stalled"):
        sentence = "the slope has vanished, yet the loss bends down along one direction: this is a saddle."
        return Ruling(Verdict.STUCK, Certainty.MEASURED, sentence)
    if outlook.plateau:
        sentence = (
            "the loss stays the same however far one goes along one direction, and rises the other way: its lowest value may "
            "lie at infinity."
        )
        return Ruling(Verdict.NO_FINITE_OPTIMUM, Certainty.SUSPECTED, sentence)
    if found is not None and found.flat:
        sentence = "the loss is flat to the last digit all around, so nothing tells whether this is a minimum."
        return Ruling(Verdict.STUCK, Certainty.MEASURED, sentence)
    if outlook.reached or (reason == "stalled" and not outlook.lower and _rounding(outlook)):
        return Ruling(Verdict.GOOD_ENOUGH, Certainty.MEASURED, f"{_promise(outlook, J)}{_hidden(outlook)}.")
    if reason in ("gradient", "stalled"):
        sentence = f"the loss no longer moves, yet {_promise(outlook, J)}."
        return Ruling(Verdict.STUCK, Certainty.MEASURED, sentence)
    why = {
        "budget": f"the budget of {math.floor(run.passes + 1e-9):,} steps is spent",
        "time": "the time is up", "interrupt": "it was stopped", "runaway": "x has grown beyond 1e100",
    }.get(reason, reason)  # fmt: skip
    return Ruling(Verdict.UNFINISHED, Certainty.MEASURED, f"{why}; {_slope(run)}.")


def _rounding(outlook: Outlook) -> bool:
    """Whether what is promised is of the size of rounding, where no step could be told from none."""
    return outlook.found is not None and outlook.found.gain <= MOST_ROUNDING * outlook.floor


def _hidden(outlook: Outlook) -> str:
    """Why what is promised is none."""
    if outlook.found is None or outlook.found.gain == 0.0:
        return ""
    return ", less than rounding" if _rounding(outlook) else ", by moves that are less than the rounding of x"


def _promise(outlook: Outlook, J: float) -> str:
    """The decrease that second derivatives promise."""
    if outlook.found is None or math.isnan(outlook.found.gain):
        return "the slope is not known to be zero: it is not finite, or jumps, around here"
    gain = outlook.found.gain
    if gain == 0.0:
        return "the gradient is zero"
    share = f", {percent(gain / abs(J))} of it" if J != 0.0 else ""
    return f"a Newton step promises to lower the loss by {number(gain, 2)}{share}"


def _slope(run: Run) -> str:
    norms = run.history.full_gradient_norm
    first = float(norms[0]) if len(norms) else math.nan
    if not 0.0 < first < math.inf:
        return f"the gradient has the size {number(run.best.norm, 2)}"
    return f"the gradient is {percent(run.best.norm / first)} of its size at the start"
