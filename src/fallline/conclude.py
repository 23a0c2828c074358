"""From a run to a Result: the best parameters, the proof, the verdict in words, the findings."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.certificate import gap_bound
from fallline.curvature import largest_curvature
from fallline.inference import Inference, infer
from fallline.inverse import EIGEN_LIMIT
from fallline.objective import FunctionObjective, ModelObjective, Objective
from fallline.quality import check_quality
from fallline.rates.constant import Constant
from fallline.reliability import reliability_of
from fallline.report.numbers import above_best, percent
from fallline.result import Result
from fallline.rows._base import Rows
from fallline.rows.intake import Named
from fallline.start import constant_loss
from fallline.summary import DataSummary
from fallline.symptoms import diagnose
from fallline.symptoms._base import Evidence
from fallline.train import Run
from fallline.verdict import Certainty, Verdict

if TYPE_CHECKING:
    from fallline.auto import Plan
    from fallline.stages import Job, Stage

Array = NDArray[np.floating]


class Ruling(NamedTuple):
    """A verdict, how sure it is, and the sentence that says it."""

    verdict: Verdict
    certainty: Certainty
    sentence: str


def conclude_model(
    stage: Stage, job: Job, data: Named, summary: DataSummary, constant: Any, settings: dict[str, Any], seconds: float
) -> Result:
    """The Result of a model's run."""
    objective, plan, run = stage[:3]
    theta, J, g = _finish(objective, job.rows, run, exact=plan.precondition is not None)
    gap = _final_gap(objective, job.rows, stage.part, theta, J, g, run)
    excess = objective.loss.excess - stage.form.excess
    if excess:  # a ladder's last rung stands for a loss with corners, which it exceeds by at most that
        own = replace(objective, loss=stage.form)
        lowest = None if gap is None else J - gap - excess  # of what the loss itself can come to
        J = own.value(theta, job.rows)
        gap = None if lowest is None else max(J - lowest, 0.0)
    if gap is not None and len(run.history):
        run.history.amend(gap=gap)
    apart = separated(objective, job.rows, theta)
    ruling = _rule(run, J, gap, job.settings.tol, stage.floor, plain=_plain(stage, job), separated=apart)
    coef, intercept = job.scaling.outward(theta)
    # The change of units may miss a bound by a digit; constant columns know none.
    kept = job.settings.penalty.project(coef)
    if job.scaling.intercept:
        intercept = intercept - job.scaling.shift @ (kept - coef)
    coef = kept
    if np.ndim(intercept) == 1 and objective.loss.link == "softmax":
        coef, intercept = centred(coef, intercept, free=objective.penalty.smooth and not objective.penalty.curvature)
    baseline = constant_loss(objective.loss, job.rows, constant)
    evidence = _evidence(stage, job, summary, ruling.verdict, J, gap, apart)
    told: Inference | str = "inference=True was not given."
    if job.settings.inference:
        told = "the classes are separated perfectly, so there is no best weight to be sure of."
        told = told if apart else infer(objective, job.rows, theta, g, data.names, data.classes)
    outer = np.concatenate([coef, np.asarray(intercept)[None]]) if job.scaling.intercept else coef
    return Result(
        theta=outer, coef=coef, intercept=float(intercept) if np.ndim(intercept) == 0 else intercept,
        history=run.history,
        verdict=ruling.verdict, certainty=ruling.certainty, sentence=ruling.sentence,
        findings=diagnose(evidence), gap=gap,
        best_loss=J, loss=objective.loss, penalty=job.penalty, optimizer=plan.optimizer, rate_reason=plan.rate.reason,
        method=plan.method, feature_names=data.names, target_name=data.target_name, classes=data.classes,
        summary=summary,
        baseline_loss=baseline,
        check=None if job.held is None else check_quality(objective, job.held, theta, constant),
        reliability=None if job.held is None else reliability_of(objective, job.held, theta),
        settings=settings, encoder=job.source.encoder, stop_reason=run.ending.reason, seconds=seconds,
        passes=run.passes, steps=run.steps, inference=told if isinstance(told, Inference) else None,
        no_inference=told if isinstance(told, str) else "",
    )  # fmt: skip


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
    objective: ModelObjective, rows: Rows, part: Rows | None, theta: Array, J: float, g: Array, run: Run
) -> float | None:
    """The bound that ended the run, else one more try at the best parameters.

    The last proximal step leads to a J that is no higher than where the run ended, or the bound is made anew.
    """
    if run.ending.gap is not None and J <= run.best.J:
        return run.ending.gap
    if (
        not (np.isfinite(theta).all() and np.isfinite(g).all())
        or theta.size > EIGEN_LIMIT
        and not objective.penalty.curvature
        and objective.smooth
    ):
        return None
    return gap_bound(objective, rows, theta, g, part)


def _plain(stage: Stage, job: Job) -> bool:
    """Plain full-batch gradient descent, where one rise of the loss proves that the rate is too large."""
    named = stage.plan.optimizer.name == "descent" and job.settings.batch_size is None and not stage.plan.rate.judges
    return named and stage.objective.loss.smooth


def _rule(run: Run, J: float, gap: float | None, tol: float, floor: float, *, plain: bool, separated: bool) -> Ruling:
    """The verdict on a run."""
    reason = run.ending.reason
    if separated:
        return Ruling(
            Verdict.NO_FINITE_OPTIMUM, Certainty.PROVED,
            "the classes are separated perfectly, so larger weights always fit better and there is no best one; "
            "add a penalty (l2).",
        )  # fmt: skip
    if reason == "diverged" or not math.isfinite(J):
        certainty = Certainty.PROVED if plain else Certainty.MEASURED
        return Ruling(
            Verdict.DIVERGED,
            certainty,
            f"the loss rose out of bounds at step {run.steps:,}; the best parameters before that were kept.",
        )
    if run.best.by_check and run.best.step < run.steps and reason not in ("budget", "time", "interrupt"):
        return Ruling(
            Verdict.GOOD_ENOUGH,
            Certainty.MEASURED,
            f"the loss on the check rows was lowest at step {run.best.step:,} of {run.steps:,}; the weights of that step "
            "are kept.",
        )
    if gap is not None and (gap <= tol * max(J - gap, 0.0) * 1.000001 or gap <= floor):
        words = f"by more than {above_best(gap, J)}" if J > gap else "that double precision can show"
        return Ruling(Verdict.CONVERGED, Certainty.PROVED, f"no weights can lower the training loss {words}.")
    bound = (
        f"; the loss is provably within {above_best(gap, J)} of the best possible"
        if gap is not None and J > gap
        else ""
    )
    if reason in ("gradient", "certificate") or (reason == "stalled" and _small(run)):
        return Ruling(
            Verdict.GOOD_ENOUGH, Certainty.MEASURED, f"the gradient is {_shrunk(run)} of its size at the start{bound}."
        )
    if reason == "stalled":
        return Ruling(
            Verdict.STUCK,
            Certainty.MEASURED,
            f"the loss no longer moves, yet the gradient is {_shrunk(run)} of its size at the start.",
        )
    why = {
        "budget": f"the budget of {run.passes:,.0f} passes is spent",
        "time": "the time is up",
        "interrupt": "it was stopped",
    }
    return Ruling(
        Verdict.UNFINISHED,
        Certainty.MEASURED,
        f"{why.get(reason, reason)}{bound}; the gradient is {_shrunk(run)} of its size at the start.",
    )


def _small(run: Run) -> bool:
    norms = run.history.full_gradient_norm
    return bool(np.nanmin(norms) <= 1e-5 * norms[0])


def _shrunk(run: Run) -> str:
    norms = run.history.full_gradient_norm
    norms = norms[np.isfinite(norms)]
    return percent(float(norms.min() / norms[0])) if len(norms) and norms[0] > 0.0 else "0 %"


def separated(objective: ModelObjective, rows: Rows, theta: Array) -> bool:
    """Whether every training row is on its right side: then, unpenalised, no finite optimum exists (proved)."""
    loss = objective.loss
    if (
        loss.task == "number"
        or loss.link not in ("logit", "softmax")
        or objective.penalty.curvature
        or not objective.smooth
    ):
        return False
    if not np.isfinite(theta).all():
        return False

    def wrong(batch: Any) -> int:
        z = objective.forward(theta, batch)
        if batch.offset is not None:
            z = z - (batch.offset if z.ndim == 1 else batch.offset[:, None])  # an offset does not grow with theta
        if z.ndim == 1:
            return int(np.sum(np.where(batch.y == 1.0, z, np.where(batch.y == 0.0, -z, -1.0)) <= 0.0))
        own = np.take_along_axis(z, batch.y.astype(int)[:, None], axis=1)
        others = z.copy()
        np.put_along_axis(others, batch.y.astype(int)[:, None], -np.inf, axis=1)
        return int(np.sum(own[:, 0] <= others.max(axis=1)))

    return rows.sum(wrong) == 0


def _evidence(
    stage: Stage, job: Job, summary: DataSummary, verdict: Verdict, J: float, gap: float | None, separated: bool
) -> Evidence:
    objective, plan, run = stage[:3]
    named = plan.rate.lr if isinstance(plan.rate, Constant) and job.settings.learning_rate != "auto" else None
    L = plan.curvature.measured if plan.curvature is not None else None
    if L is None and job.settings.batch_size is None and plan.precondition is None and objective.loss.smooth:
        L = largest_curvature(objective, job.rows, run.best.theta, job.settings.seed).measured
    return Evidence(
        history=run.history, summary=summary, optimizer=plan.optimizer.name, plain_descent=_plain(stage, job),
        full_batch=job.settings.batch_size is None, learning_rate=named, largest_curvature=L,
        standardized=bool(np.any(job.scaling.scale != 1.0)), link=objective.loss.link, verdict=verdict,
        stop_reason=run.ending.reason, budget=int(min(job.settings.horizon, 2**53)), tol=job.settings.tol, gap=gap, best_loss=J,
rollbacks=run.recoveries, source=job.source.source, target=summary.target_name,
        extra={"separated": separated, "adaptive": plan.optimizer.adaptive},
    )  # fmt: skip


def conclude_function(
    objective: FunctionObjective, plan: Plan, run: Run, settings: dict[str, Any], learning_rate: Any,
    tol: float, budget: int, seconds: float,
) -> Result:  # fmt: skip
    """The Result of minimising a user's function: nothing can be proved of it but divergence."""
    theta, J, _ = _finish(objective, None, run)
    ruling = _rule(run, J, None, tol, 0.0, plain=False, separated=False)
    evidence = Evidence(
        history=run.history, summary=None, optimizer=plan.optimizer.name, plain_descent=False, full_batch=True,
        learning_rate=plan.rate.lr if isinstance(plan.rate, Constant) and learning_rate != "auto" else None,
        largest_curvature=None,
        standardized=False, link="none", verdict=ruling.verdict, stop_reason=run.ending.reason, budget=budget, tol=tol,
        gap=None, best_loss=J, rollbacks=run.recoveries,
    )  # fmt: skip
    return Result(
        theta=theta, coef=theta, intercept=0.0, history=run.history, verdict=ruling.verdict, certainty=ruling.certainty,
        sentence=ruling.sentence, findings=diagnose(evidence), gap=None, best_loss=J, penalty=objective.penalty,
        optimizer=plan.optimizer, rate_reason=plan.rate.reason, method=plan.method, target_name="f",
        settings=settings, stop_reason=run.ending.reason, seconds=seconds, passes=run.passes, steps=run.steps,
    )  # fmt: skip
