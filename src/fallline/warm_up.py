"""The first steps on a sample: rows that are alike need not all be asked where roughly to go.

The problem is solved on a few of the rows, to the accuracy that so few rows can have, then on more of them. What is left
for all rows is a short way, on which curvature measured on the sample stays right (as in Mokhtari et al.'s Ada Newton,
2016).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fallline.history import History
from fallline.objective import ModelObjective
from fallline.optimizers.descent import Descent
from fallline.optimizers.lbfgs import LBFGS
from fallline.precondition import ClassPreconditioner, by_curvature
from fallline.rates.backtracking import Backtracking
from fallline.rows._base import Array, Rows
from fallline.stops._base import Ending, Point, Stop
from fallline.stops.budget import Budget
from fallline.train import train

SHARES = (1 / 8, 1.0)  # of the sample: Newton steps from far away are made on the smaller part
LEAST_ROWS = 10  # for each column; fewer say too little of the others
MOST_STEPS = 15  # on each share: more means that few rows have no optimum, as when they separate the classes
BY_CLASS = 3  # times as many steps where P is made class by class
ENOUGH = 0.1  # of the statistical accuracy: below, the sample's optimum is no nearer to that of all rows


class WarmUp(NamedTuple):
    """Where the sample's optimum lies, and what it took to get there."""

    theta: Array
    history: History
    steps: int
    passes: float
    seconds: float
    path: list[tuple[int, Array]]


class StatisticalAccuracy(Stop):
    """End when the step still to be made is lost in what a sample of so many rows cannot know.

    The loss of the sample's optimum on all rows exceeds the best by about J p / rows (for losses that are likelihoods,
    J standing for the spread of the noise).
    """

    name = "statistical accuracy"
    summary = "as near to the optimum as a sample of so many rows can tell"

    def __init__(self, share: float) -> None:
        self.share = share

    def update(self, point: Point) -> Ending | None:
        return Ending("statistical accuracy") if point.decrement <= ENOUGH * self.share * abs(point.J) else None


def warm_up(objective: ModelObjective, sample: Rows, rows: Rows, theta: Array, seed: int) -> WarmUp:
    """Train on parts of `sample` from `theta`; `rows` are all the rows, for counting passes."""
    warm = WarmUp(theta, History(), 0, 0.0, 0.0, [])
    many = theta.ndim == 2 and objective.smooth  # classes: a matrix for each takes more steps, which are cheap here
    rule, by = (LBFGS(), ClassPreconditioner) if many else (Descent(), by_curvature)
    for share in SHARES:
        count = int(share * sample.m)
        if count < LEAST_ROWS * sample.n:
            continue
        some = sample.sample(count, np.random.default_rng(seed))
        run = train(
            objective, some, rule, Backtracking(1.0, share=1e-4, growth=2.0, most=1.0), warm.theta,
            stops=[StatisticalAccuracy(theta.size / count), Budget(MOST_STEPS * (BY_CLASS if many else 1))],
            precondition=by(objective.for_sample(some), some), seed=seed,
        )  # fmt: skip
        if not np.isfinite(run.best.theta).all():
            break
        record = run.history.of_sample(some.m, rows.m)
        warm = WarmUp(
            run.best.theta, warm.history.followed_by(record, warm.steps, warm.passes, warm.seconds),
            warm.steps + run.steps + 1, warm.passes + run.passes * some.m / rows.m, warm.seconds + run.seconds,
            [*warm.path, *((step + warm.steps, at) for step, at in run.path)],
        )  # fmt: skip
    return warm
