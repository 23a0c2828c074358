"""The verdict on a run: a word, how sure it is, and the sentence that says it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.report.numbers import above_best, percent
from fallline.train import Run
from fallline.verdict import Certainty, Verdict

Array = NDArray[np.float64]

VANISHED = 1e-5  # of the gradient at the start: where the arithmetic ends a run, so little is nothing


class Ruling(NamedTuple):
    """A verdict, how sure it is, and the sentence that says it."""

    verdict: Verdict
    certainty: Certainty
    sentence: str


def rule(
    run: Run,
    J: float,
    gap: float | None,
    tol: float,
    floor: float,
    *,
    plain: bool,
    separated: str,
    noisy: bool,
) -> Ruling:
    """What to say of the run that ended at loss J with the proved bound `gap`.

    `plain`: a rise proves the rate too large. `separated`: how the classes are. `noisy`: mini-batches tremble about a level.
    """
    reason, steps = run.ending.reason, f"{run.steps:,}"
    if separated == "zeros":
        sentence = "all targets are zero, so a lower intercept always fits better and there is no best one."
        return Ruling(Verdict.NO_FINITE_OPTIMUM, Certainty.PROVED, sentence)
    if separated and reason != "early":
        return Ruling(
            Verdict.NO_FINITE_OPTIMUM, Certainty.PROVED if separated == "strict" else Certainty.MEASURED,
            f"the classes are separated {'perfectly' if separated == 'strict' else 'but for rows on the border'}, so larger "
            "weights always fit better and there is no best one; add a penalty (l2).",
        )  # fmt: skip
    if len(run.history) and run.history.loss[-1] == -math.inf:
        sentence = "the loss falls without end: there is no lowest value."
        return Ruling(Verdict.NO_FINITE_OPTIMUM, Certainty.MEASURED, sentence)
    if reason == "diverged" or not math.isfinite(J):
        sentence = f"the loss rose out of bounds at step {steps}; the best parameters before that were kept."
        return Ruling(Verdict.DIVERGED, Certainty.PROVED if plain else Certainty.MEASURED, sentence)
    if run.best.by_check and run.best.step < run.steps and reason not in ("budget", "time", "interrupt"):
        sentence = f"the loss on the check rows was lowest at step {run.best.step:,} of {steps}; its weights are kept."
        if not run.best.step:
            sentence = f"the loss on the check rows was lowest at the start, below {steps} steps from it; its weights are kept."
        return Ruling(Verdict.GOOD_ENOUGH, Certainty.MEASURED, sentence)
    if gap is not None and (gap <= tol * max(J - gap, 0.0) * 1.000001 or gap <= floor):
        words = f"by more than {above_best(gap, J)}" if J > gap else "that double precision can show"
        return Ruling(Verdict.CONVERGED, Certainty.PROVED, f"no weights can lower the training loss {words}.")
    known = gap is not None and J > gap
    bound = f"; the loss is provably within {above_best(gap, J)} of the best possible" if known and gap else ""
    if reason in ("gradient", "certificate") or (reason == "stalled" and _small(run)):
        sentence = f"the gradient is {_shrunk(run)} of its size at the start{bound}."
        if len(_norms(run)) and not _norms(run)[0]:
            sentence = f"the gradient is zero at the start already{bound}."
        return Ruling(Verdict.GOOD_ENOUGH, Certainty.MEASURED, sentence)
    if reason == "stalled":
        sentence = f"the loss no longer moves, yet the gradient is {_shrunk(run)} of its size at the start."
        return Ruling(Verdict.STUCK, Certainty.MEASURED, sentence)
    if noisy:
        sentence = (
            f"the noise of the mini-batches holds the loss up{bound}; a falling rate or full batches would go further."
        )
        return Ruling(Verdict.NOISE_LIMITED, Certainty.SUSPECTED, sentence)
    why = {
        "budget": f"the budget of {math.floor(run.passes + 1e-9):,} passes is spent",
        "time": "the time is up", "interrupt": "it was stopped",
    }.get(reason, reason)  # fmt: skip
    sentence = f"{why}{bound}; the gradient is {_shrunk(run)} of its size at the start."
    return Ruling(Verdict.UNFINISHED, Certainty.MEASURED, sentence)


def _small(run: Run) -> bool:
    norms = _norms(run)
    return bool(len(norms)) and float(norms.min()) <= VANISHED * float(norms[0])


def _shrunk(run: Run) -> str:
    norms = _norms(run)
    return percent(float(norms.min() / norms[0])) if len(norms) and norms[0] > 0.0 else "no more than 0 %"


def _norms(run: Run) -> Array:
    """Sizes of the full gradient at the points that were kept: where a refused step led says nothing of the answer."""
    norms, kept = run.history.full_gradient_norm, run.history.accepted == 1.0
    known: Array = norms[kept & np.isfinite(norms)]
    return known
