"""What symptoms are shown of a model's run: how it is trained, known before the first step, and how it ended."""

from __future__ import annotations

import ast
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fallline.curvature import largest_curvature
from fallline.history import History
from fallline.losses._base import Loss
from fallline.objective import ModelObjective
from fallline.rates.constant import Constant
from fallline.rows._base import Array, Rows
from fallline.rows.arrays import ArrayRows
from fallline.rows.columns import table_column
from fallline.settings import Settings
from fallline.symptoms._base import Evidence, Overfit
from fallline.symptoms._pasted import OPTIONS
from fallline.train import Best, Run
from fallline.verdict import Verdict

if TYPE_CHECKING:
    from fallline.auto import Plan
    from fallline.rows.encoder import Encoder
    from fallline.ruling import Ruling
    from fallline.separation import Separation
    from fallline.stages import Job

FAR_OUT = 30.0  # on the scale of the link: e^-30 is 1e-13, so the slope there is lost beside those of others


def evidence_before(job: Job, objective: ModelObjective, plan: Plan, history: History, resolution: float) -> Evidence:
    """How the run is trained; `history` is its record, which may still grow; `resolution` what rounding does to J."""
    settings, loss = job.settings, objective.loss
    named = plan.rate.lr if isinstance(plan.rate, Constant) and settings.learning_rate != "auto" else None
    full = settings.batch_size is None
    return Evidence(
        history=history, summary=job.summary, optimizer=plan.optimizer.name,
        plain_descent=plan.optimizer.name == "descent" and full and not plan.rate.judges and loss.smooth, full_batch=full,
        adaptive=plan.optimizer.adaptive, preconditioned=plan.scaled, searched=plan.rate.judges,
        learning_rate=named,
        largest_curvature=plan.curvature.measured if plan.curvature is not None else None,
        standardized=bool(np.any(job.scaling.scale != 1.0)), link=loss.link, unit=job.unit,
        unknowns=job.rows.n * job.classes + job.classes * job.scaling.intercept,
        penalised=objective.penalty.value(np.ones(job.rows.n)) > 0.0, resolution=resolution,
        intercept=job.scaling.intercept, loss=loss.name, named=named_in_words(job, loss), weight=job.rows.total_weight,
        in_order=not full and not settings.shuffle, budget=int(min(settings.horizon, 2**53)), tol=settings.tol,
        source=job.source.source, columns=_columns(job.source.encoder), target=job.summary.target_name,
    )  # fmt: skip


def evidence_after(
    before: Evidence, job: Job, objective: ModelObjective, run: Run, theta: Array, J: float, gap: float | None,
    ruling: Ruling, apart: Separation, baseline: float, check: dict[str, float] | None,
) -> Evidence:  # fmt: skip
    """The same, and how it ended, at `theta`."""
    L, settings = before.largest_curvature, job.settings
    if L is None and before.full_batch and not before.preconditioned and objective.loss.smooth:
        L = largest_curvature(objective, job.rows, run.best.theta, settings.seed).measured
    w, _ = objective.scaling.split(theta)
    penalty = objective.penalty.value(w)
    stuck = ruling.verdict == Verdict.STUCK and objective.loss.link != "identity"
    return replace(
        before, history=run.history, largest_curvature=L, verdict=ruling.verdict, stop_reason=run.ending.reason, gap=gap,
        best_loss=J, baseline_loss=baseline, rollbacks=run.recoveries, separated=apart.kind, separator=apart.column,
        penalty_share=penalty / J if J > 0.0 and math.isfinite(penalty) else math.nan,
        largest_weight=float(np.abs(w).max(initial=0.0)) / job.unit,
        saturated=_saturated(objective, job.rows, theta) if stuck else 0.0, check=check,
        overfit=_overfit(objective, job.held, theta, run.best, run.history),
    )  # fmt: skip


def named_in_words(job: Job, loss: Loss) -> dict[str, str]:
    """Settings other than the usual ones, as they are written in Python; of the command line, as its options have them."""
    settings, told = job.settings, dict[str, str]()
    command = settings.given.get("command")
    if isinstance(command, dict):
        as_options: dict[str, str] = command["named"]
        return as_options
    if job.form.name != "squared":
        told["loss"] = repr(job.form.name) if job.form == type(job.form)() else f"fallline.{job.form!r}"
    if settings.optimizer != "auto":
        by_name = isinstance(settings.optimizer, str)
        told["optimizer"] = repr(settings.optimizer) if by_name else f"fallline.{settings.optimizer!r}"
    rate = settings.learning_rate
    if rate != "auto":
        told["learning_rate"] = repr(rate) if isinstance(rate, (int, float, str)) else f"fallline.{rate!r}"
    for name in ("batch_size", "fit_intercept", "standardize", "tol", "max_passes", "max_seconds", "shuffle", "seed"):
        value = getattr(settings, name)
        if value != getattr(Settings(), name):
            told[name] = repr(value)
    told |= {name: repr(value) for name, value in settings.given.items() if value}
    if isinstance(job.rows, ArrayRows):
        sides = (("sample_weight", job.rows.weight), ("offset", job.rows.offset))
        told |= {name: name for name, value in sides if value is not None}
    if job.held is not None:
        told.setdefault("check", "check")  # rows of one's own; a share was given as such
    if settings.patience:
        told["early_stopping"] = "True"
    return _as_options(told) if job.source.source else told


def _as_options(told: dict[str, str]) -> dict[str, str]:
    """The same for the command line, as far as that can say it."""
    sayable = {name: value for name, value in told.items() if name not in ("bounds", "sample_weight", "offset")}
    words = {OPTIONS.get(name, name): _word(value) for name, value in sayable.items() if "fallline." not in value}
    return {"check": "0"} | words  # which is not what the command line does unasked


def _word(written: str) -> str:
    """A text without its quotes and escapes of Python; anything else as it is written."""
    try:
        value = ast.literal_eval(written)
    except (SyntaxError, ValueError):
        return written
    return value if isinstance(value, str) else written


def _columns(encoder: Encoder | None) -> tuple[str, ...] | None:
    """The columns of the table, where the names of the columns of X alone do not tell them: of a formula there are none."""
    if encoder is None:
        return None
    if encoder.formula is not None or encoder.numbered:  # nor of vectors
        return ()
    if all(table_column(feature) == term.name for term in encoder.columns for feature in term.features):
        return None
    return tuple(term.name for term in encoder.columns)


def _saturated(objective: ModelObjective, rows: Rows, theta: Array) -> float:
    """The share of the rows that are predicted far out."""
    return rows.sum(lambda b: int(np.sum(np.abs(objective.forward(theta, b)) > FAR_OUT))) / max(
        rows.m * (theta.shape[1] if theta.ndim == 2 else 1), 1
    )


def _overfit(
    objective: ModelObjective, held: Rows | None, theta: Array, best: Best, history: History
) -> Overfit | None:
    """How much worse the check rows are predicted by `theta` than by the weights that were best on them."""
    if held is None or best.check_theta is None or best.check_step >= best.step or held.m < 2:
        return None
    total, sums = held.total_weight, np.zeros(2)
    loss = objective.loss
    for batch in held.blocks():
        now, then = (loss.value(batch.y, objective.forward(at, batch)) for at in (theta, best.check_theta))
        weight = np.ones(len(batch.y)) if batch.weight is None else batch.weight
        sums += [float(weight @ (now - then)), float(weight @ (now - then) ** 2)]
    excess = float(sums[0] / total)
    error = math.sqrt(max(float(sums[1] / total) - excess**2, 0.0) / held.m)
    looks = int(np.sum(np.isfinite(history.check_loss) & (history.step > best.check_step)))
    return Overfit(best.check_step, excess, error, looks)
