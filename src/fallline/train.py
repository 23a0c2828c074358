"""The loop. Start reading here: everything else serves one of its lines.

load data -> initialise theta -> forward: predictions -> loss J(theta) -> backward: gradient
    -> update theta -> converged?  -- no --> forward
                                   -- yes -> return the trained model
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fallline.history import History
from fallline.leap import Leap, leaping
from fallline.objective import Objective
from fallline.optimizers import AnyOptimizer
from fallline.precondition import AnyMetric, Preconditioner
from fallline.rates._base import Rate, Seen
from fallline.recorder import Event, Observer, Recorder, norm
from fallline.rows._base import Array, Rows
from fallline.rows.arrays import Stretch
from fallline.stops._base import Ending, Left, Point, Stop

__all__ = ["Best", "Event", "Exact", "Observer", "Run", "train"]

RECORDS_PER_EPOCH = 100  # mini-batch runs record about this many points an epoch
ROUND_OFF = 1e-14  # relative: sums of losses are not known better
MOST_REFUSALS = 60  # halvings of the rate: below 2^-60 no step changes theta in double precision
BLOW_UP = 10.0  # diverged: the loss is above its start by this many times (its size + all that was gained so far)


@dataclass
class Best:
    """The best parameters seen, with their gradient: by exact loss, or by the loss on the check rows."""

    theta: Array
    by_check: bool = False
    J: float = math.inf
    g: Array | None = None
    norm: float = math.inf  # of the smallest subgradient
    check: float = math.inf  # the loss on the check rows, where that decides
    step: int = 0
    check_theta: Array | None = None  # the parameters of the lowest loss on the check rows, whether it decides or not
    check_least: float = math.inf
    check_step: int = 0

    def offer(self, exact: Exact, step: int, check: float = math.nan) -> None:
        """Keep the parameters if their loss is the lowest so far.

        Among losses equal to round-off, the smaller slope.
        """
        if check < self.check_least:
            self.check_theta, self.check_least, self.check_step = exact.theta, check, step
        tie = abs(exact.J - self.J) <= ROUND_OFF * abs(self.J) and self.g is not None
        better = exact.norm < self.norm if tie else exact.J < self.J
        if self.by_check and check != self.check:
            better = check < self.check
        if better:
            self.theta, self.J, self.g, self.norm, self.step = exact.theta, exact.J, exact.g, exact.norm, step
            self.check = check if self.by_check else self.check


@dataclass
class Run:
    """How a run went: where it ended, the best it saw, its record, and why it stopped."""

    theta: Array
    best: Best
    history: History
    ending: Ending
    recoveries: int
    steps: int
    passes: float
    seconds: float
    path: list[tuple[int, Array]]  # (step, theta) on the way, where unknowns are few


def after(first: Any, run: Run) -> Run:
    """`run` with the record, steps, passes and seconds of what went before it, which is another run or a warm-up."""
    run.best.step, run.best.check_step = run.best.step + first.steps, run.best.check_step + first.steps
    return replace(
        run, history=first.history.followed_by(run.history, first.steps, first.passes, first.seconds),
        steps=run.steps + first.steps, passes=run.passes + first.passes, seconds=run.seconds + first.seconds,
        path=[*first.path, *((step + first.steps, at) for step, at in run.path)],
    )  # fmt: skip


class Look(NamedTuple):
    """The rows that one step sees. `fresh` marks the start of an epoch; full-batch looks are always fresh."""

    batch: Any
    step: int  # updates made before this one
    passes: float  # over the data, made before this step
    fresh: bool
    record: bool
    rest: Stretch | None  # rows of the steps to follow before the next look
    next: float = math.nan  # passes made before these


class Exact(NamedTuple):
    """Loss and gradient over all rows, at the parameters that would be reported."""

    theta: Array
    J: float
    g: Array
    norm: float  # of the smallest subgradient, which is g where J has no corners


class Kept(NamedTuple):
    """The last point that was kept: where a refused step goes back to."""

    theta: Array
    J: float
    g: Array
    state: tuple[Any, ...]
    slope: float  # <grad, move> of the step taken from here
    move: Array


@np.errstate(over="ignore", invalid="ignore")  # a rate that is too large overflows: the record tells it, not NumPy
def train(
    objective: Objective,
    rows: Rows | None,
    optimizer: AnyOptimizer,
    rate: Rate,
    theta: Array,
    *,
    batch_size: int | None = None,
    stops: Sequence[Stop] = (),
    horizon: float = math.inf,
    precondition: Preconditioner | None = None,
    recoveries: int = 0,
    end_when_diverged: bool = True,
    blow_up: float = BLOW_UP,
    check_loss: Callable[[Array], float] | None = None,
    best_on_check: bool = False,
    shuffle: bool = True,
    observers: Sequence[Observer] = (),
    seed: int = 0,
) -> Run:
    """Train from `theta` until a stop rule, an observer or divergence ends it; return the Run.

    `rows` None: the objective is a user's function. `batch_size` None: full batch. `horizon`: the passes that schedules
    plan for. `best_on_check`: keep the parameters that are best on the check rows. `shuffle` False: mini-batches come in
    the order of the rows. `recoveries`: how often a diverged run may return to its best parameters and go on with a tenth
    of the rate.
    """
    theta = theta if objective.smooth else objective.project(theta)
    record, best = Recorder(check_loss, observers), Best(theta, best_on_check)
    rate = rate.with_step(1.0 if batch_size is None or rows is None else min(batch_size / rows.m, 1.0))
    state, pace, kept = optimizer.init(theta), rate.init(), None
    metric: AnyMetric | None = None
    recovered, caution, J_first = 0, 1.0, math.nan
    stride = 1 if batch_size is None or rows is None else max(1, rows.m // batch_size // RECORDS_PER_EPOCH)
    leap = leaping(
        objective, rows, optimizer, rate, theta, batch_size, horizon
    )  # the steps between two records, compiled
    ending, step, look, more = Ending("budget"), 0, Look(rows, 0, 0.0, True, True, None), 0.0

    for look in _looks(rows, batch_size, seed if shuffle else None, stride, only_records=leap is not None):
        look = look._replace(passes=look.passes + more)
        step = look.step
        # forward: predictions; loss J(theta); backward: gradient
        J, g = objective.value_and_grad(theta, look.batch)
        exact = _exact(objective, rows, optimizer, theta, state, J, g, batch_size) if look.fresh else None
        J_first = exact.J if step == 0 and exact else J_first

        # how long a step; and is the point that the last one reached kept?
        slope = float(np.vdot(g, kept.move)) if kept and rate.uses_slopes else math.nan
        known = (kept.J, kept.slope, slope) if kept else _NOTHING
        lr, keep, pace = rate.update(pace, Seen(look.passes, horizon, J, *known))
        lr *= caution
        if precondition is not None and keep:
            before, metric = metric, _metric(precondition, metric, theta, g)
            if before is None or metric.basis is not before.basis:  # other coordinates: what was learnt is void
                state = optimizer.init(metric.inward(theta, g))
        decrement = 0.5 * metric.slope * metric.slope if metric else math.nan

        # record and show
        told = False
        if look.record:
            left = _left(stops, exact, decrement) if exact else Left()
            told = record(step, look.passes, theta, J, g, exact, lr, keep, left)
        if exact and keep:
            best.offer(exact, step, record.check)

        # converged?
        if told:
            ending = Ending("interrupt")
            break
        point = Point(
            *(exact or Exact(theta, J, g, math.nan)),
            exact is not None,
            step,
            look.passes,
            record.seconds,
            decrement,
            record.check,
        )
        reason = _first(stops, point) if keep else _urgent(stops, point)
        if reason is not None:
            ending = reason
            break
        if keep and end_when_diverged and _diverged(J, exact, J_first, best.J, blow_up):
            if recovered == recoveries:
                ending = Ending("diverged")
                break
            recovered, caution, kept, metric = recovered + 1, caution / 10.0, None, None
            record.history.amend(accepted=0.0)
            theta, state = best.theta, optimizer.init(best.theta)
            continue
        if not keep and kept is not None:
            if pace.refused > MOST_REFUSALS:
                ending = Ending("stalled")
                break
            theta, J, g, state = kept.theta, kept.J, kept.g, kept.state

        # update theta: theta <- theta + move, for plain descent  theta - lr * g
        if metric:
            move, next_state = optimizer.update(metric.inward(theta, g), state, lr)
            move = metric.outward(move, theta)
        else:
            G = g if objective.smooth else (theta - objective.prox(theta - lr * g, lr)) / lr
            move, next_state = optimizer.update(G, state, lr)
        more += optimizer.passes(next_state)
        kept = Kept(theta, J, g, state, metric.fall(g, move) if metric else float(np.vdot(G, move)), move)
        theta, state = theta + move if objective.smooth else objective.land(theta, move), next_state
        if leap and look.rest is not None and len(look.rest.order):
            theta, state = _leapt(rows, leap, theta, state, look, caution)

    if batch_size is not None and not look.fresh:  # ended within an epoch: see what the last part of it was worth
        last = _exact(objective, rows, optimizer, theta, state, math.nan, theta, batch_size)
        best.offer(last, step, check_loss(last.theta) if check_loss and best_on_check else math.nan)
    if best.by_check and best.theta is not theta:  # a proof about where it ended says nothing about what is kept
        ending = ending._replace(gap=None)
    return Run(theta, best, record.history, ending, recovered, step, look.passes, record.seconds, record.path)


_NOTHING = (math.nan, math.nan, math.nan)


def _looks(
    rows: Rows | None, batch_size: int | None, seed: int | None, stride: int, only_records: bool
) -> Iterator[Look]:
    """What each step sees: all rows at every step, or the mini-batches of one epoch after another.

    Without a seed these come in the order of the rows. Every `stride`-th step of an epoch is recorded. With
    `only_records` the mini-batches in between come as row numbers, to be gone through without a look.
    """
    if rows is None or batch_size is None:
        for step in itertools.count():
            yield Look(rows, step, float(step), True, True, None)
    else:
        rng = None if seed is None else np.random.default_rng(seed)
        a_step, every = batch_size / rows.m, stride if only_records else 1
        step = 0
        for epoch in itertools.count():
            i = 0  # steps of this epoch
            for batch, rest in rows.sweep(batch_size, rng, every):
                passes, after = epoch + i * a_step, epoch + (i + 1) * a_step
                record = only_records or i % stride == 0
                yield Look(batch, step, passes, i == 0, record, rest if only_records else None, after)
                made = 1 + (-(-len(rest.order) // batch_size) if only_records else 0)
                i, step = i + made, step + made


def _leapt(rows: Any, leap: Leap, theta: Array, state: Any, look: Look, caution: float) -> tuple[Array, Any]:
    """The steps to the next look; of a run that was killed and goes on, they may be known."""
    rest = look.rest
    assert rest is not None

    def make() -> tuple[Array, Any]:
        return leap(theta, state, rest, look.next, caution)

    def like(found: Any) -> tuple[Array, Any]:
        return found[0], type(state)(*found[1])

    of = leap, theta, tuple(state), rest.order, look.next, caution
    after: tuple[Array, Any] = rows.remembered("steps", of, make, like)
    return after


def _exact(
    objective: Objective,
    rows: Any,
    optimizer: AnyOptimizer,
    theta: Array,
    state: Any,
    J: float,
    g: Array,
    batch_size: int | None,
) -> Exact:
    """Exact loss and gradient at the answer.

    Known already for full-batch rules that answer with theta, else one pass.
    """
    answer = optimizer.answer(theta, state)
    if batch_size is not None or answer is not theta:
        J, g = objective.value_and_grad(answer, rows)
    return Exact(answer, J, g, norm(objective.least_slope(answer, g)))


def _metric(precondition: Preconditioner, metric: AnyMetric | None, theta: Array, g: Array) -> AnyMetric:
    return precondition.init(theta, g) if metric is None else precondition.update(metric, theta, g)


def _left(stops: Sequence[Stop], exact: Exact, decrement: float) -> Left:
    """How far J may still fall, as far as any of the stop rules knows."""
    known = [stop.left(exact.J, exact.norm, decrement) for stop in stops]
    return next((left for left in known if not (math.isnan(left.proved) and math.isnan(left.about))), Left())


def _first(stops: Sequence[Stop], point: Point) -> Ending | None:
    return next((ending for stop in stops if (ending := stop.update(point)) is not None), None)


def _urgent(stops: Sequence[Stop], point: Point) -> Ending | None:
    return next((ending for stop in stops if (ending := stop.urgent(point)) is not None), None)


def _diverged(J: float, exact: Exact | None, J_first: float, J_best: float, blow_up: float) -> bool:
    """Not finite; or far above the start, measured by the start's size and all that was gained since."""
    if not math.isfinite(J):
        return True
    if exact is None or not math.isfinite(J_best):
        return False
    return exact.J > J_first + blow_up * (abs(J_first) + (J_first - J_best))
