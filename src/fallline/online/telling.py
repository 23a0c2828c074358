"""What is told of a model that learns from a stream: a Result, with no more said than is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fallline.losses._base import Loss
from fallline.online.adaptive import AdaptiveStream
from fallline.online.exact import ExactStream
from fallline.online.sampled import SampledStream
from fallline.optimizers import as_optimizer
from fallline.result import Result
from fallline.rows._base import Array
from fallline.stages import Stage
from fallline.train import Run
from fallline.verdict import Certainty, Verdict

METHOD = "a sample of the rows and their gradient, solved on the loop"
GONE = "the rows of a stream are gone; fit(inference=True) computes them."


def exact_result(stream: ExactStream, stage: Stage, coef: Array, intercept: float, told: dict[str, Any]) -> Result:
    """Of squared loss: the best model of all rows so far, proved where the loop proved it."""
    run = stage.run
    proved = run.ending.gap is not None
    return _result(
        run, stage.form, coef, intercept, run.best.J, told,
        Verdict.CONVERGED if proved else Verdict.GOOD_ENOUGH, Certainty.PROVED if proved else Certainty.MEASURED,
        f"of the {stream.seen:,} rows seen so far, no weights have a lower loss"
        f"{'' if proved else ', as far as the gradient tells'}.", run.ending.gap, stage.plan.method,
    )  # fmt: skip


def sampled_result(stream: SampledStream | AdaptiveStream, told: dict[str, Any]) -> Result:
    """Of other losses: measured on the rows that are kept."""
    stream = stream.best if isinstance(stream, AdaptiveStream) else stream
    assert stream.run is not None
    coef, intercept = stream.weights()
    if stream.separated:
        certainty = Certainty.MEASURED if stream.thinned else Certainty.PROVED
        return _result(
            stream.run, stream.form, coef, intercept, stream.loss, told, Verdict.NO_FINITE_OPTIMUM, certainty,
            "the classes are separated perfectly so far, so larger weights always fit better; add a penalty (l2).", None,
            METHOD,
        )  # fmt: skip
    if stream.thinned:
        sentence = f"{stream.kept:,} rows stand for the {stream.seen:,} seen so far; of these, the loss is the lowest"
        last = f", but for the last {stream.stepped:,}, which moved the weights by a step each time."
        sentence += last if stream.stepped else "."
    else:
        sentence = f"of the {stream.seen:,} rows seen so far, the loss is the lowest, as far as the gradient tells."
    return _result(
        stream.run, stream.form, coef, intercept, stream.loss, told, Verdict.GOOD_ENOUGH, Certainty.MEASURED,
        sentence, None, METHOD,
    )  # fmt: skip


def _result(
    run: Run, form: Loss, coef: Array, intercept: Any, J: float, told: dict[str, Any], verdict: Verdict,
    certainty: Certainty, sentence: str, gap: float | None, method: str,
) -> Result:  # fmt: skip
    result = Result(
        theta=np.concatenate([coef, np.asarray(intercept)[None]]), coef=coef, intercept=intercept, history=run.history,
        verdict=verdict, certainty=certainty, sentence=sentence, findings=[], gap=gap, best_loss=J, loss=form,
        optimizer=as_optimizer("descent"), rate_reason="1, in coordinates of the curvature", method=method,
        stop_reason=run.ending.reason, seconds=run.seconds, passes=run.passes, steps=run.steps, no_inference=GONE,
    )  # fmt: skip
    return replace(result, **told)
