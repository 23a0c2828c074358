"""Learning rates: schedules step beside torch.optim.lr_scheduler, and backtracking keeps its promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fallline as fl
from fallline.rates import as_rate, rates
from fallline.rates._base import Schedule, Seen

HORIZON = 50


def ours(rate: Schedule) -> list[float]:
    state, told = rate.init(), []
    for t in range(HORIZON):
        choice = rate.update(state, Seen(float(t), float(HORIZON), 1.0, math.nan, math.nan))
        assert choice.keep
        told.append(choice.lr)
        state = choice.state
    return told


PAIRS = {
    "constant": (fl.Constant(0.3), lambda s, o: s.ConstantLR(o, factor=1.0)),
    "step": (fl.Step(0.3, every=7, factor=0.4), lambda s, o: s.StepLR(o, 7, 0.4)),
    "exponential": (fl.Exponential(0.3, 0.9), lambda s, o: s.ExponentialLR(o, 0.9)),
    "cosine": (fl.Cosine(0.3, last=0.1), lambda s, o: s.CosineAnnealingLR(o, HORIZON, eta_min=0.03)),
    "inverse time": (fl.InverseTime(0.3, 0.5), lambda s, o: s.LambdaLR(o, lambda t: 1 / (1 + 0.5 * t))),
}


@pytest.mark.parametrize("name", list(PAIRS))
def test_schedules_equal_torchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    rate, make = PAIRS[name]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    theirs = []
    for _ in range(HORIZON):
        theirs.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(ours(rate), theirs, rtol=1e-12)


@pytest.mark.parametrize("horizon", [2, 3, 10, 100, 1000])
def test_one_cycle_equals_torchs(horizon: int) -> None:
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.3, total_steps=horizon, pct_start=0.3, cycle_momentum=False
    )
    theirs = [scheduler.get_last_lr()[0]]
    for _ in range(horizon - 1):
        optimizer.step()
        scheduler.step()
        theirs.append(scheduler.get_last_lr()[0])
    found = [float(fl.OneCycle(0.3).at(float(t), float(horizon))) for t in range(horizon)]
    np.testing.assert_allclose(found, theirs, rtol=1e-12)


def test_one_cycle_counts_the_steps_of_mini_batches() -> None:
    """Five passes of four batches are twenty steps: the rates are those of twenty full-batch steps."""
    y = np.arange(12.0)
    run = fl.fit(
        np.column_stack([y, y**2]), y, optimizer="descent", learning_rate=fl.OneCycle(0.1), batch_size=3, max_passes=5
    )
    used = run.history.learning_rate[:20]
    np.testing.assert_allclose(used, [float(fl.OneCycle(0.1).at(float(t), 20.0)) for t in range(20)], rtol=1e-9)


@pytest.mark.parametrize("name", sorted(set(rates()) - {"backtracking"}))
def test_every_schedule_by_name_is_positive_and_bounded(name: str) -> None:
    rate = as_rate(f"{name}:0.2")
    assert isinstance(rate, Schedule) and rate.reason and rate.summary
    told = ours(rate)
    assert min(told) > 0.0 and max(told) <= 0.2 + 1e-15


def test_warm_up_rises_then_falls() -> None:
    told = ours(fl.WarmUp(1.0, share=0.2))
    peak = int(np.argmax(told))
    assert peak == 10 and told[peak] == 1.0
    assert np.all(np.diff(told[1:11]) > 0) and np.all(np.diff(told[10:]) < 0)


def test_backtracking_halves_what_rises_and_grows_what_falls() -> None:
    rate = fl.Backtracking(1.0, share=0.5, growth=2.0, most=4.0)
    first = rate.update(rate.init(), Seen(0, 9, 5.0, math.nan, math.nan))
    assert (first.lr, first.keep) == (1.0, True)
    worse = rate.update(first.state, Seen(1, 9, 6.0, 5.0, -1.0))
    assert (worse.lr, worse.keep) == (0.5, False)
    not_finite = rate.update(worse.state, Seen(2, 9, math.nan, 5.0, -1.0))
    assert (not_finite.lr, not_finite.keep) == (0.25, False)
    better = rate.update(not_finite.state, Seen(3, 9, 4.0, 5.0, -1.0))
    assert (better.lr, better.keep) == (0.25, True)  # not at once longer again
    again = rate.update(better.state, Seen(4, 9, 3.0, 4.0, -1.0))
    assert again.lr == 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda: fl.Constant(0.0), lambda: fl.Cosine(-1.0), lambda: fl.Step(0.1, every=0), lambda: fl.Step(0.1, factor=2.0),
        lambda: fl.Exponential(0.1, factor=-1), lambda: fl.InverseTime(0.1, decay=-1), lambda: fl.WarmUp(0.1, share=2),
        lambda: fl.OneCycle(0.1, div=0.5), lambda: fl.Backtracking(1.0, share=0.0), lambda: as_rate("cosine:x"),
        lambda: as_rate("cosin:0.1"), lambda: as_rate(True),
    ],
)  # fmt: skip
def test_impossible_rates_are_refused(make) -> None:
    with pytest.raises(fl.FalllineError):
        make()
