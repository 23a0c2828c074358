"""From a run to a Result: the best parameters, the proof, the verdict in words, the findings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fallline.bowl import bowl_of
from fallline.certificate import FACTOR_LIMIT
from fallline.function_ruling import rule_function
from fallline.inference import Inference, infer
from fallline.inverse import EIGEN_LIMIT
from fallline.objective import FunctionObjective, ModelObjective, Objective
from fallline.quality import check_quality
from fallline.rates.constant import Constant
from fallline.reliability import reliability_of
from fallline.result import Result
from fallline.rounding import loss_rounding
from fallline.rows._base import Rows
from fallline.rows.intake import Named
from fallline.ruling import rule
from fallline.separation import separation
from fallline.start import constant_loss
from fallline.stationarity import Outlook
from fallline.symptoms import diagnose
from fallline.symptoms._base import Evidence
from fallline.symptoms._shapes import lies_on_noise
from fallline.train import Run
from fallline.watching import evidence_after, evidence_before

if TYPE_CHECKING:
    from fallline.auto import Plan
    from fallline.stages import Job, Stage

Array = NDArray[np.floating]

ROUNDED = 1e-9  # of J: a loss that is higher by no more is the same
NOTHING = 1e-12  # of the loss of the best constant: if rounding does no more to J, a bound of that size is one of zero
MORE = 100.0  # times the rounding that was expected at the start: what is more comes from weights that have grown large
FLOOR_ROWS = 4096  # are enough to know the size of what rounding does


def conclude_model(
    stage: Stage, job: Job, data: Named, constant: Any, settings: dict[str, Any], seconds: float
) -> Result:
    """The Result of a model's run."""
    trained, plan, run = stage[:3]
    own = trained.loss is stage.form  # else a smooth loss stands for the one that was asked for
    objective = trained if own else replace(trained, loss=stage.form)
    theta, J, g = _finish(trained, job.rows, run, exact=plan.precondition is not None)
    gap = _final_gap(trained, stage, theta, J, g, run, job.settings.tol)
    if not own:
        lowest = None if gap is None else J - gap - (trained.loss.excess - stage.form.excess)
        J, g = objective.value_and_grad(theta, job.rows)
        gap = None if lowest is None else max(J - lowest, 0.0)
    if job.summary.hides_columns:  # which no proof covers
        gap = None
        run.ending = run.ending._replace(gap=None)
        run.history.forget_gaps()
    coef, intercept, theta, J, gap = _as_returned(objective, job, theta, J, gap)
    rounding = loss_rounding(objective, theta, J, _few(job))
    gap = None if gap is None else gap + rounding
    small = rounding <= max(NOTHING * stage.worst, MORE * stage.resolution)
    floor = stage.floor + (2.0 * rounding if small else 0.0)  # once in the bound, once in a difference of two losses
    run.history.widen_gaps(rounding)
    if gap is not None and len(run.history) and abs(run.history.full_loss[-1] - J) <= max(ROUNDED * abs(J), rounding):
        run.history.amend(gap=gap)  # where it ended; the best may have been before
    before = evidence_before(job, objective, plan, run.history, stage.resolution)
    proved = gap is not None and (gap <= job.settings.tol * J or gap <= floor)
    apart = separation(objective, job.rows, theta, data.names, proved)
    ruling = rule(
        run, J, gap, job.settings.tol, floor,
        plain=before.plain_descent, separated=apart.kind, noisy=lies_on_noise(before),
    )  # fmt: skip
    baseline = stage.worst if own else constant_loss(objective.loss, job.rows, constant)
    check = None if job.held is None else check_quality(objective, job.held, theta, constant)
    evidence = evidence_after(before, job, objective, run, theta, J, gap, ruling, apart, baseline, check)
    told: Inference | str = "inference=True was not given."
    if job.settings.inference:
        why = "all targets are zero" if apart.kind == "zeros" else "the classes are separated perfectly"
        told = f"{why}, so there is no best weight to be sure of."
        told = told if apart.kind else infer(objective, job.rows, theta, g, data.names, data.classes)
    begin = run.path[0][1] if run.path else theta
    curved = objective if objective.loss.smooth else trained
    outer = np.concatenate([coef, np.asarray(intercept)[None]]) if job.scaling.intercept else coef
    return Result(
        theta=outer, coef=coef, intercept=float(intercept) if np.ndim(intercept) == 0 else intercept,
        history=run.history,
        verdict=ruling.verdict, certainty=ruling.certainty, sentence=ruling.sentence,
        findings=diagnose(evidence), evidence=evidence, gap=gap,
        best_loss=J, loss=objective.loss, penalty=job.penalty, optimizer=plan.told, rate_reason=plan.rate.reason,
        method=plan.method, feature_names=data.names, target_name=data.target_name, classes=data.classes,
        summary=job.summary,
        baseline_loss=baseline,
        check=check,
        reliability=None if job.held is None else reliability_of(objective, job.held, theta),
        settings=settings, encoder=job.source.encoder, stop_reason=run.ending.reason, seconds=seconds,
        passes=run.passes, steps=run.steps, inference=told if isinstance(told, Inference) else None,
        no_inference=told if isinstance(told, str) else "",
        bowl=bowl_of(curved, job.rows, begin, theta, data.names, job.settings.seed) if curved.loss.smooth else None,
        path=path_of(run),
    )  # fmt: skip


def _few(job: Job) -> Rows:
    """Rows that are enough to know what rounding does."""
    return job.rows.sample(FLOOR_ROWS, np.random.default_rng(job.settings.seed))


def _as_returned(
    objective: ModelObjective, job: Job, theta: Array, J: float, gap: float | None
) -> tuple[Array, Any, Array, float, float | None]:
    """(coefficients, intercept) in the units of the data, and theta, J and the bound for just these."""
    coef, intercept = job.scaling.outward(theta)
    # The change of units may miss a bound by a digit; constant columns know none.
    kept = job.settings.penalty.project(coef)
    classes = np.ndim(intercept) == 1 and objective.loss.link == "softmax"
    if not classes and np.array_equal(kept, coef):
        return coef, intercept, theta, J, gap
    if job.scaling.intercept:
        intercept = intercept - job.scaling.shift @ (kept - coef)
    coef = kept
    if classes:
        coef, intercept = centred(coef, intercept, free=objective.penalty.smooth and not objective.penalty.curvature)
    theta = job.scaling.inward(coef, intercept)
    there = objective.value(theta, job.rows)
    return coef, intercept, theta, there, None if gap is None else gap + max(there - J, 0.0)


def path_of(run: Run) -> Array | None:
    """(k, 1 + p): the step, and theta there in the coordinates of training; None where unknowns are many."""
    if not run.path:
        return None
    return np.array([[step, *np.ravel(at)] for step, at in run.path], dtype=np.float64)


def centred(coef: Array, intercept: Array, free: bool) -> tuple[Array, Array]:
    """Softmax knows differences between classes only: of all weights that predict the same, those whose sum is zero.

    `free`: the coefficients too; a penalty on them has chosen already.
    """
    if free:
        coef = coef - coef.mean(axis=1, keepdims=True)
    return coef, intercept - np.mean(intercept)


def _finish(objective: Objective, rows: Rows | None, run: Run, exact: bool = False) -> tuple[Array, float, Array]:
    """The best parameters seen.

    Behind |w| or bounds, one last proximal step makes zeros exact and keeps the bounds, where the steps were not
    `exact` about them.
    """
    best = run.best
    if best.g is None:
        J, g = objective.value_and_grad(best.theta, rows)
        return best.theta, J, g
    if objective.smooth or exact:
        return best.theta, best.J, best.g
    lr = float(run.history.learning_rate[-1])
    theta = objective.prox(best.theta - lr * best.g, lr)
    J, g = objective.value_and_grad(theta, rows)
    if J <= best.J:
        return theta, J, g
    theta = objective.prox(best.theta, lr * 1e-12)  # keep the bounds even where that step was too long
    J, g = objective.value_and_grad(theta, rows)
    return theta, J, g


def _final_gap(
    objective: ModelObjective, stage: Stage, theta: Array, J: float, g: Array, run: Run, tol: float
) -> float | None:
    """The bound that ended the run, else one more try at the best parameters.

    The last proximal step leads to a J that is no higher than where the run ended, or the bound is made anew. None where
    the loss that was trained bounds the one that was asked for from neither side.
    """
    if objective.loss is not stage.form and not objective.loss.excess:
        return None
    if run.ending.gap is not None and J <= run.best.J:
        return run.ending.gap
    if not (np.isfinite(theta).all() and np.isfinite(g).all()):
        return None
    dear = theta.size > EIGEN_LIMIT and not objective.penalty.curvature and objective.smooth
    if dear and (theta.size > FACTOR_LIMIT or run.ending.reason in ("time", "interrupt")):
        return None
    return stage.prove(theta, g, max(tol * J, stage.floor) if dear else np.inf)


def conclude_function(
    objective: FunctionObjective, plan: Plan, run: Run, settings: dict[str, Any], learning_rate: Any,
    tol: float, budget: int, seconds: float, outlook: Outlook,
) -> Result:  # fmt: skip
    """The Result of minimising a user's function: nothing can be proved of it."""
    theta, J, _ = _finish(objective, None, run)
    ruling = rule_function(run, J, outlook)
    named = {k: repr(settings[k]) for k in ("optimizer", "learning_rate") if settings[k] != "auto"}
    evidence = Evidence(
        history=run.history, summary=None, optimizer=plan.optimizer.name, adaptive=plan.optimizer.adaptive,
        searched=plan.rate.judges,
        learning_rate=plan.rate.lr if isinstance(plan.rate, Constant) and learning_rate != "auto" else None,
        standardized=False, link="none", unknowns=theta.size, verdict=ruling.verdict, stop_reason=run.ending.reason,
        budget=budget, tol=tol, best_loss=J, rollbacks=run.recoveries, saddle=outlook.share,
        pushed=outlook.pushes, named=named, why=ruling.sentence,
    )  # fmt: skip
    return Result(
        theta=theta, coef=theta, intercept=0.0, history=run.history, verdict=ruling.verdict, certainty=ruling.certainty,
        sentence=ruling.sentence, findings=diagnose(evidence), evidence=evidence, gap=None, best_loss=J,
        penalty=objective.penalty, optimizer=plan.told, rate_reason=plan.rate.reason, method=plan.method, target_name="f",
        settings=settings, stop_reason=run.ending.reason, seconds=seconds, passes=run.passes, steps=run.steps,
        path=path_of(run),
    )  # fmt: skip
