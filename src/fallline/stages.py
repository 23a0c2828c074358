"""One stage of a fit: a loss trained on the loop, with its plan, its stop rules and its record."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.auto import Plan, plan_model, plan_stopped
from fallline.certificate import FACTOR_LIMIT, gap_bound
from fallline.history import History
from fallline.inverse import EIGEN_LIMIT
from fallline.losses._base import Loss
from fallline.objective import ModelObjective
from fallline.penalties._base import Penalty
from fallline.prices import affordable, proving, sample_size, width
from fallline.rates.cosine import Cosine
from fallline.recorder import Event, Observer
from fallline.rows._base import Rows
from fallline.rows.arrays import ArrayRows
from fallline.scaling import Scaling
from fallline.settings import Settings
from fallline.start import best_constant, constant_loss, initial_theta
from fallline.stops._base import Stop
from fallline.stops.budget import Budget
from fallline.stops.certificate import Certificate, Certify
from fallline.stops.early import EarlyStopping
from fallline.stops.gradient_norm import GradientNorm
from fallline.stops.interrupt import Interrupt
from fallline.stops.no_improvement import NoImprovement
from fallline.summary import DataSummary, Provenance
from fallline.train import BLOW_UP, Run, after, train
from fallline.warm_up import warm_up
from fallline.watching import evidence_before

Array = NDArray[np.floating]

SMALL_GRADIENT = (
    1e-3  # times sqrt(tol), for the gap goes with the gradient squared: 1e-6 of the first for a tol of 1e-6
)
PERFECT = 1e-20  # of the loss of the best constant: a fit so close has its weights to about ten digits
SPACING = 10.0  # passes between tries for a proof that costs three
FLOOR_ROWS = 4096  # are enough to know the size of what rounding does
SHORTER_TRIES = 3  # with a tenth of the rate each, where early stopping would keep the start
LEAST_GRADIENT = 1e-12  # of the first gradient: what is left is mostly round-off


class Progress(NamedTuple):
    """What went before a stage: how much of the budget it took, and where each earlier stage ended."""

    passes: float = 0.0
    steps: int = 0
    seconds: float = 0.0
    ends: History | None = (
        None  # one row for each stage, by the loss that was asked for; None where this is the only stage
    )

    def plus(self, run: Any) -> Progress:
        """The same after a run, or a warm-up."""
        return self._replace(
            passes=self.passes + run.passes, steps=self.steps + run.steps, seconds=self.seconds + run.seconds
        )


@dataclass(frozen=True)
class Job:
    """What a run is given, settled and checked."""

    rows: Rows
    held: Rows | None
    scaling: Scaling
    penalty: Penalty  # in the coordinates of training; the settings have it in the user's units
    settings: Settings
    unit: float
    classes: int
    source: Provenance
    outer_scaling: Scaling
    summary: DataSummary
    form: Loss  # that was asked for
    constant: Any  # the best constant prediction for it
    outward: Callable[[Array], Array] | None = None  # to the coordinates of all columns, where training has others
    stopped: Callable[[], bool] = lambda: False  # whether Ctrl-C was pressed

    def check_loss(self) -> Callable[[Array], float] | None:
        """The mean on the check rows of the loss that was asked for, as a function of theta."""
        held, outward = self.held, self.outward
        if held is None:
            return None
        objective = ModelObjective(self.form, self.penalty, self.outer_scaling)
        return lambda at: objective.data_loss(at if outward is None else outward(at), held)

    def observers(self, objective: ModelObjective, plan: Plan, resolution: float, done: Progress) -> list[Observer]:
        """The user's callback, which sees the run as one, by the loss that was asked for and in all columns."""
        callback, outward = self.settings.callback, self.outward
        if callback is None:
            return []

        def told(event: Event) -> Any:
            if objective.loss is not self.form:
                event = self._by_own_loss(event, objective, done)
            theta = event.theta if outward is None else outward(event.theta)
            return callback(
                event._replace(
                    step=event.step + done.steps,
                    passes=event.passes + done.passes,
                    theta=theta,
                    outward=self.outer_scaling.outward,
                    gradient=event.gradient if outward is None else None,
                    evidence=lambda history: evidence_before(self, objective, plan, history, resolution),
                )  # fmt: skip
            )

        return [told]

    def _by_own_loss(self, event: Event, objective: ModelObjective, done: Progress) -> Event:
        """An event of a smooth loss on the way, with loss and gradient of the loss that was asked for, and no bound."""
        J, g = replace(objective, loss=self.form).value_and_grad(event.theta, self.rows)
        return event._replace(
            loss=J, full_loss=J, gradient_norm=float(np.linalg.norm(g)), gradient=g, gap=math.nan, gap_estimate=math.nan,
            history=done.ends,
        )  # fmt: skip

    def part(self, plan: Plan, theta: Array) -> Rows | None:
        """Some of the rows as a part of all, which is enough for proofs; None where all are few."""
        sample = plan.sample
        if sample is None and affordable(self.rows, theta, self.rows.m):
            count = sample_size(self.rows, width(theta))
            sample = self.rows.sample(count, np.random.default_rng(self.settings.seed)) if count else None
        return None if sample is None else sample.as_part(self.rows.total_weight)


class Stage(NamedTuple):
    """One loss trained: the objective, the plan and the run."""

    objective: ModelObjective
    plan: Plan
    run: Run
    prove: Certify
    form: Loss  # the loss that was asked for
    resolution: float  # of J: what rounding does to a loss that is zero
    floor: float  # a loss that is none: a perfect fit has J* = 0, and no tolerance relative to that can be met
    worst: float  # the loss of the best constant


def train_stage(job: Job, objective: ModelObjective, theta: Array, done: Progress) -> Stage:
    """Train one loss from `theta`, with what the stages before it have left of the budget."""
    asked = job.settings
    form = objective.loss
    if asked.patience and asked.optimizer == asked.learning_rate == "auto" and asked.batch_size is None:
        plan = plan_stopped(objective, job.rows, theta, job.unit, asked.seed)
    else:
        plan = plan_model(
            objective, job.rows, theta, asked.optimizer, asked.learning_rate, asked.batch_size, job.unit, asked.seed
        )
    part, warm = job.part(plan, theta), None
    among = [] if plan.wide else proving(job.rows, part, theta)
    prove = plan.prove or functools.partial(gap_bound, objective, job.rows, among=among)
    guess = job.constant if form is job.form else best_constant(form, job.rows, job.classes)
    origin = initial_theta(None, guess, job.scaling, job.classes)
    around: Rows = job.rows
    if not job.scaling.intercept and np.ndim(guess) == 0:  # zeros may lie absurdly far from any prediction
        around = (
            around if isinstance(around, ArrayRows) else around.sample(FLOOR_ROWS, np.random.default_rng(asked.seed))
        )
        shifted = guess + (0.0 if around.offset is None else around.offset) + np.zeros(around.m)
        around = ArrayRows(around.X, around.y, around.weight, shifted, around.total_weight)
    J, g = objective.value_and_grad(origin, around)
    steep = float(np.linalg.norm(objective.least_slope(origin, g)))
    few = around.sample(FLOOR_ROWS, np.random.default_rng(asked.seed))
    worst = constant_loss(form, job.rows, guess)
    floor, resolution = PERFECT * min(J, worst), objective.resolution(origin, few)
    if asked.tol > 0.0:  # with a tolerance of zero the digits of the weights are asked for, beyond those of J
        floor = max(floor, resolution)
    if plan.sample is not None:
        from_origin = job.scaling.intercept and np.array_equal(theta, origin)
        warm = warm_up(objective, plan.sample, job.rows, theta, asked.seed)
        if objective.value(warm.theta, few) <= objective.value(theta, few):  # a few rows tell, and cost nothing
            theta = warm.theta
        else:  # of a sample in which classes are separated, or rare levels lacking, the optimum may be far from that of all
            warm = warm._replace(theta=theta, history=History(), steps=0, path=[])
        if len(warm.history) and from_origin:  # whose loss over all rows is known by now
            warm.history.amend(at=0, full_loss=J, full_gradient_norm=steep)
        done = done.plus(warm)

    def run_with(plan: Plan, done: Progress) -> Run:
        return train(
            objective, job.rows, plan.optimizer, plan.rate, theta, batch_size=asked.batch_size,
            stops=_stops(job, plan, prove, among, done, steep, floor, form), horizon=asked.horizon,
            precondition=plan.precondition, recoveries=plan.recoveries if asked.auto_fix else 0,
            check_loss=job.check_loss(), best_on_check=asked.patience > 0,
            observers=job.observers(objective, plan, resolution, done), seed=asked.seed, shuffle=asked.shuffle,
            blow_up=BLOW_UP if plan.prove is None else math.inf,  # one that raises a bound on J* gets there, whatever J does
        )  # fmt: skip

    run = run_with(plan, done)
    for _ in range(SHORTER_TRIES):
        shorter = _shorter(plan, asked, run)
        if shorter is None:
            break
        plan, again = shorter, run_with(shorter, done.plus(run))
        at_start = again.best.step == 0
        run = after(run, again)
        run.best.step = 0 if at_start else run.best.step
    return Stage(objective, plan, run if warm is None else after(warm, run), prove, form, resolution, floor, worst)


def _shorter(plan: Plan, asked: Settings, run: Run) -> Plan | None:
    """The plan with a tenth of its rate, where that was found by trial runs and no step from the start served the check rows."""
    found = asked.learning_rate == "auto" and isinstance(plan.rate, Cosine)
    if not found or run.ending.reason != "early" or run.best.step > 0:
        return None
    assert isinstance(plan.rate, Cosine)
    why = "a tenth of the rate before, whose first steps were too long for the check rows"
    return replace(plan, rate=Cosine(plan.rate.lr / 10.0, plan.rate.last, why))


def _stops(
    job: Job, plan: Plan, prove: Certify, among: list[Rows], done: Progress, steep: float, floor: float, form: Loss,
) -> list[Stop]:  # fmt: skip
    """Converged (proved), good enough (measured), no longer moving, or out of budget: asked in this order."""
    asked = job.settings
    unknowns = job.rows.n * job.classes
    # Where a proof can be had, a small gradient alone ends the run only at the limit of the arithmetic.
    by_passes = not among or unknowns > FACTOR_LIMIT or not job.penalty.smooth and job.rows.m < job.rows.n
    spacing = SPACING if by_passes else unknowns / 20.0 * among[0].m / job.rows.m
    provable = bool(among) and unknowns <= FACTOR_LIMIT or job.penalty.curvature or not job.penalty.smooth
    small = LEAST_GRADIENT if provable else SMALL_GRADIENT * math.sqrt(asked.tol)
    early: list[Stop] = [EarlyStopping(asked.patience)] if asked.patience else []
    return [Interrupt(job.stopped), *early] + [
        Certificate(
            asked.tol, prove, spacing, plan.hope, floor, steep if unknowns > EIGEN_LIMIT else math.inf,
            0.0 if job.scaling.intercept else job.penalty.curvature,
            form is job.form and not job.summary.hides_columns,
        ),
        GradientNorm(small, steep),
        NoImprovement(),
        Budget(asked.horizon - done.passes, asked.max_seconds - done.seconds),
    ]  # fmt: skip
