"""Trial runs: where no formula gives a safe rate, try several on a sample of the rows and keep the best.

This is a measurement on a sample, not a theorem; ``rate_reason`` says so.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fallline.objective import Objective
from fallline.optimizers import AnyOptimizer
from fallline.rates.cosine import Cosine
from fallline.rows._base import Array, Rows
from fallline.stops.budget import Budget

SAMPLE_ROWS = 4096
TRIAL_RATES = tuple(10.0 ** (e / 2.0) for e in range(-8, 3))  # 1e-4 ... 10, two a decade, times the unit
TRIAL_STEPS = 60


class Probe(NamedTuple):
    """The rate whose trial ended lowest, and what was tried."""

    lr: float
    tried: int
    rows: int


def probe(
    objective: Objective,
    rows: Rows | None,
    optimizer: AnyOptimizer,
    theta: Array,
    *,
    batch_size: int | None,
    unit: float,
    seed: int,
) -> Probe:
    """Run `optimizer` for a few dozen steps at each trial rate, falling to zero along a cosine; best loss wins.

    `unit` is the natural size of a weight in the coordinates of training (the standard deviation of y for an identity
    link, else 1): trial rates are multiples of it, so that the units of the target do not matter.
    """
    from fallline.train import train

    sample = rows.sample(SAMPLE_ROWS, np.random.default_rng(seed)) if rows is not None else None
    size = None if batch_size is None or sample is None else min(batch_size, sample.m)
    passes = (
        float(TRIAL_STEPS) if size is None or sample is None else max(1.0, math.ceil(TRIAL_STEPS * size / sample.m))
    )
    if size is not None and sample is not None and passes == 1.0:  # small batches: an epoch is many steps already
        sample = (
            rows.sample(max(TRIAL_STEPS * 4 * size, 256), np.random.default_rng(seed)) if rows is not None else None
        )
    best, best_J = TRIAL_RATES[0] * unit, math.inf
    for share in TRIAL_RATES:
        run = train(
            objective, sample, optimizer, Cosine(share * unit), theta,
            batch_size=size, stops=[Budget(passes=passes)], horizon=passes, seed=seed,
        )  # fmt: skip
        if run.best.J < best_J:
            best, best_J = share * unit, run.best.J
    return Probe(best, len(TRIAL_RATES), sample.m if sample is not None else 0)
