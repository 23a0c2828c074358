"""The stages of a fit: each loss of a ladder trained on the loop, with its plan, its stop rules and its record."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.ascent import ascends
from fallline.auto import Plan, plan_model
from fallline.certificate import FACTOR_LIMIT, gap_bound
from fallline.history import History
from fallline.inverse import EIGEN_LIMIT
from fallline.losses import losses
from fallline.losses._base import Loss
from fallline.objective import ModelObjective
from fallline.penalties._base import Penalty
from fallline.prices import affordable, proving, sample_size, width
from fallline.recorder import Event, Observer
from fallline.rows._base import Rows
from fallline.rows.arrays import ArrayRows
from fallline.rows.coded import Coded
from fallline.rows.rowspace import RowSpace, row_space
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
DEAR = 5e8  # columns times squared rows: about half a second for the space of the rows
SPACING = 10.0  # passes between tries for a proof that costs three
FLOOR_ROWS = 4096  # are enough to know the size of what rounding does
LEAST_GRADIENT = 1e-12  # of the first gradient: what is left is mostly round-off


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

    def check_loss(self, form: Loss) -> Callable[[Array], float] | None:
        """The mean loss on the check rows, as a function of theta."""
        held, outward = self.held, self.outward
        if held is None:
            return None
        objective = ModelObjective(form, self.penalty, self.outer_scaling)
        return lambda at: objective.data_loss(at if outward is None else outward(at), held)

    def observers(
        self, objective: ModelObjective, plan: Plan, resolution: float, steps: int, passes: float
    ) -> list[Observer]:
        """The user's callback, which sees theta in the coordinates of all columns, and the run as one from `steps` on."""
        callback, outward = self.settings.callback, self.outward
        if callback is None:
            return []

        def told(event: Event) -> Any:
            theta = event.theta if outward is None else outward(event.theta)
            return callback(
                event._replace(
                    step=event.step + steps,
                    passes=event.passes + passes,
                    theta=theta,
                    outward=self.outer_scaling.outward,
                    gradient=event.gradient if outward is None else None,
                    evidence=lambda history: evidence_before(self, objective, plan, history, resolution),
                )  # fmt: skip
            )

        return [told]

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


def train_stages(job: Job, form: Loss, theta: Array) -> Stage:
    """Train, in the space of the rows where these are fewer than the columns."""
    space = _row_space(job, form, theta)
    if space is None:
        return _ladder(job, form, theta)
    inner = replace(job, rows=space.rows, scaling=space.scaling, outward=space.outward)
    begin = np.zeros((space.rows.n, *theta.shape[1:]))
    stage = _ladder(inner, form, np.concatenate([begin, theta[-1:]]) if space.scaling.intercept else begin)
    objective, best, ending, J = (
        replace(stage.objective, scaling=job.scaling),
        stage.run.best,
        stage.run.ending,
        stage.run.best.J,
    )
    best.theta = space.outward(best.theta)
    stage.run.path = [(step, space.outward(at)) for step, at in stage.run.path]
    best.check_theta = None if best.check_theta is None else space.outward(best.check_theta)
    best.J, best.g = objective.value_and_grad(best.theta, job.rows)
    if ending.gap is not None:  # what the way back has lost, the proof has lost
        stage.run.ending = ending._replace(gap=ending.gap + max(best.J - J, 0.0))
    method = f"{stage.plan.method}; in the space of the {job.rows.m:,} rows"
    prove = functools.partial(gap_bound, objective, job.rows)
    return stage._replace(objective=objective, plan=replace(stage.plan, method=method), prove=prove)


def _ladder(job: Job, form: Loss, theta: Array) -> Stage:
    """A loss with corners is trained as a ladder of smooth ones, each starting where the last one ended."""
    asked = job.settings
    corners_known = job.penalty.smooth or job.penalty.elementwise(job.rows.n) is not None
    ladder = (
        form.ladder(job.unit) if asked.optimizer == "auto" and asked.batch_size is None and corners_known else (form,)
    )
    passes, steps, stage = 0.0, 0, None
    for rung in ladder:
        stage = _trained(job, ModelObjective(rung, job.penalty, job.scaling), theta, passes, steps)
        theta, passes, steps = stage.run.best.theta, passes + stage.run.passes, steps + stage.run.steps
        if stage.run.ending.reason in ("interrupt", "time", "budget"):
            break
    assert stage is not None
    return stage._replace(form=form, run=replace(stage.run, passes=passes, steps=steps))


def _row_space(job: Job, form: Loss, theta: Array) -> RowSpace | None:
    """Coordinates for fewer rows than columns, where nothing is named and theta starts, and so stays, among the rows."""
    asked = job.settings
    auto = asked.optimizer == "auto" and asked.learning_rate == "auto" and asked.batch_size is None
    parts = job.penalty.elementwise(job.rows.n)
    if not isinstance(job.rows, ArrayRows) or isinstance(job.rows.X, Coded):
        return None
    if not auto or not job.rows.m < job.rows.n or job.rows.m > EIGEN_LIMIT or np.any(job.scaling.split(theta)[0]):
        return None
    if parts is None or not job.penalty.smooth or np.ptp(parts[1]) > 0.0:
        return None
    dear = theta.size > FACTOR_LIMIT and job.rows.n * job.rows.m**2 > DEAR
    ours = type(form) in losses().values()  # a user's formulas may not compile
    if dear and ours and ascends(ModelObjective(form, job.penalty, job.scaling), job.rows):  # sparse rows as they are
        return None
    return row_space(job.rows, job.scaling)


def _trained(job: Job, objective: ModelObjective, theta: Array, passes: float, steps: int) -> Stage:
    asked = job.settings
    form = objective.loss
    plan = plan_model(
        objective,
        job.rows,
        theta,
        asked.optimizer,
        asked.learning_rate,
        asked.batch_size,
        job.unit,
        asked.seed,
    )
    part, warm = job.part(plan, theta), None
    among = proving(job.rows, part, theta)
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
        passes, steps = passes + warm.passes, steps + warm.steps
    run = train(
        objective, job.rows, plan.optimizer, plan.rate, theta, batch_size=asked.batch_size,
        stops=_stops(job, plan, prove, among, passes, steep, floor, form), horizon=asked.horizon,
        precondition=plan.precondition, recoveries=plan.recoveries if asked.auto_fix else 0,
        check_loss=job.check_loss(form), best_on_check=asked.patience > 0,
        observers=job.observers(objective, plan, resolution, steps, passes), seed=asked.seed, shuffle=asked.shuffle,
        blow_up=BLOW_UP if plan.prove is None else math.inf,  # a rule that raises a bound on J* gets there, whatever J does
    )  # fmt: skip
    return Stage(objective, plan, run if warm is None else after(warm, run), prove, form, resolution, floor, worst)


def _stops(
    job: Job, plan: Plan, prove: Certify, among: list[Rows], passes: float, steep: float, floor: float, form: Loss,
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
        Budget(asked.horizon - passes, asked.max_seconds),
    ]  # fmt: skip
