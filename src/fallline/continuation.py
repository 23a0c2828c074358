"""The stages of a fit, in order: a loss with corners by way of smooth ones, and few rows in a space of their own."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.ascent import ascends
from fallline.certificate import FACTOR_LIMIT, gap_bound
from fallline.history import History
from fallline.inverse import EIGEN_LIMIT
from fallline.losses import losses
from fallline.losses._base import Loss
from fallline.objective import ModelObjective
from fallline.rows._base import Rows
from fallline.rows.arrays import ArrayRows
from fallline.rows.coded import Coded
from fallline.rows.rowspace import RowSpace, row_space
from fallline.stages import Job, Progress, Stage, train_stage
from fallline.train import after

Array = NDArray[np.floating]

DEAR = 5e8  # columns times squared rows: about half a second for the space of the rows
ENDED = ("interrupt", "time", "budget", "early")  # reasons that end the whole run, not one of its stages


def train_stages(job: Job, form: Loss, theta: Array) -> Stage:
    """Train, in the space of the rows where these are fewer than the columns."""
    space = _row_space(job, form, theta)
    if space is None:
        return _continuation(job, form, theta)
    inner = replace(job, rows=space.rows, scaling=space.scaling, outward=space.outward)
    begin = np.zeros((space.rows.n, *theta.shape[1:]))
    stage = _continuation(inner, form, np.concatenate([begin, theta[-1:]]) if space.scaling.intercept else begin)
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
        stage.run.ending = ending._replace(gap=ending.gap + max(best.J - J, 0.0) if space.exact else None)
    method = f"{stage.plan.method}; in the space of the {job.rows.m:,} rows"
    prove = functools.partial(gap_bound, objective, job.rows)
    if not space.exact:  # weights along what was dropped might lower the loss
        stage.run.history.forget_gaps()
    return stage._replace(objective=objective, plan=replace(stage.plan, method=method), prove=prove)


def _continuation(job: Job, form: Loss, theta: Array) -> Stage:
    """A loss with corners is trained as a sequence of smooth ones, each starting where the last one ended.

    The record has a row for the start and for the end of each, by the loss that was asked for, then the steps of the last.
    """
    asked = job.settings
    corners_known = job.penalty.smooth or job.penalty.elementwise(job.rows.n) is not None
    nothing = asked.optimizer == "auto" and asked.batch_size is None
    # Behind |w| the steps know what to do with outliers (``precondition.majorised``), and coarse losses have other zeros.
    # So is a path that check rows are to end: its stages would each begin with short steps.
    direct = form.smooth and (not job.penalty.smooth or asked.patience)
    by_way_of_others = nothing and corners_known and not direct
    smooth = form.ladder(job.unit) if by_way_of_others else (form,)
    own = ModelObjective(form, job.penalty, job.scaling)
    if len(smooth) == 1:
        return train_stage(job, replace(own, loss=smooth[0]), theta, Progress())._replace(form=form)
    done, rate = Progress(ends=History()), math.nan
    for loss in smooth:
        _record_end(own, job.rows, theta, done, rate)
        stage = train_stage(job, replace(own, loss=loss), theta, done)
        run, before = stage.run, done
        theta, done, rate = run.best.theta, done.plus(run), float(run.history.learning_rate[-1])
        if run.ending.reason in ENDED:
            break
    if loss is not smooth[-1]:  # its bound and its record say nothing of the loss that was asked for
        _record_end(own, job.rows, theta, done, rate)
        run = replace(run, history=History(), ending=run.ending._replace(gap=None))
    assert before.ends is not None
    run = after(_Before(before.ends, before.steps, before.passes, before.seconds, []), run)
    return stage._replace(form=form, run=run)


class _Before(NamedTuple):
    """What ``after`` puts in front of a run."""

    history: History
    steps: int
    passes: float
    seconds: float
    path: list[tuple[int, Array]]


def _record_end(own: ModelObjective, rows: Rows, theta: Array, done: Progress, rate: float) -> None:
    """Add a row for where a stage ended, by the loss that was asked for."""
    J, g = own.value_and_grad(theta, rows)
    norm = float(np.linalg.norm(own.least_slope(theta, g)))
    assert done.ends is not None
    done.ends.append(
        step=done.steps, passes=done.passes, seconds=done.seconds, loss=J, full_loss=J, gradient_norm=norm,
        full_gradient_norm=norm, theta_norm=float(np.linalg.norm(theta)), learning_rate=rate,
    )  # fmt: skip


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
