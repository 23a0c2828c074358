"""The learning-rate lens: which rates are stable, which are good, and where the rate of a run stands among them.

Plain gradient descent is stable below 2/L and good at 1/L, L being the largest curvature. For other rules no such limit
is proved; for them, and beside it, a range test: the rule is run for a few dozen steps at each of many rates, and where
its loss ends is drawn. That takes no row of data: it is run on the quadratic that a Result keeps (:mod:`fallline.bowl`),
exact for squared loss, the shape near the optimum for others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fallline.bowl import Bowl
from fallline.objective import Objective
from fallline.optimizers import AnyOptimizer
from fallline.optimizers.descent import Descent
from fallline.rates.constant import Constant
from fallline.report.numbers import number
from fallline.rows._base import Batch, Rows
from fallline.stops.budget import Budget
from fallline.train import train

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fallline.result import Result

Array = NDArray[np.float64]

STEPS = 50  # of a trial
PER_DECADE = 8  # trial rates
BELOW, ABOVE = 1e-4, 30.0  # times the limit, or times the unit of the weights where there is none
GOOD = 0.1  # of the fall of the best trial: a rate that leaves no more than that of it undone is good
METHODS = ("lbfgs",)  # rules whose step is chosen by search: a range of rates says nothing of them


class Quadratic(Objective):
    """J as the quadratic of a Bowl."""

    def __init__(self, bowl: Bowl) -> None:
        self.bowl = bowl

    def value_and_grad(self, theta: NDArray[np.floating], batch: Batch | Rows | None) -> tuple[float, Array]:
        at = np.asarray(theta, dtype=np.float64)
        return self.bowl.value(at), self.bowl.gradient(at)


@dataclass(frozen=True)
class RateReport:
    """Rates and what becomes of them. ``print`` it, ``plot`` it.

    ``limit`` is 2/L, the largest stable rate of plain descent, and ``good`` 1/L; None for other rules, and where L is not
    known. ``rates`` and
    ``losses`` are the range test of `optimizer`: the loss above the best after ``STEPS`` steps at each rate, infinite where
    it diverged; ``lowest`` to ``highest`` are the rates that did well. ``in_use`` is the run's rate, None where a step had
    no single rate.
    """

    optimizer: str
    in_use: float | None
    limit: float | None
    rates: Array
    losses: Array
    begin: float  # loss above the best before the first step
    exact: bool
    rows: int

    @property
    def good(self) -> float | None:
        """1/L."""
        return None if self.limit is None else self.limit / 2.0

    @property
    def best(self) -> float | None:
        """The rate of the range test that ended lowest, of those that are stable."""
        fine = self._stable
        return float(self.rates[int(np.argmin(fine))]) if np.isfinite(fine).any() else None

    @property
    def _stable(self) -> Array:
        """The losses, infinite above the limit: what grows there may be too small to be seen in a few dozen steps."""
        return self.losses if self.limit is None else np.where(self.rates < self.limit, self.losses, np.inf)

    @property
    def span(self) -> tuple[float, float] | None:
        """The lowest and the highest rate that did well in the range test."""
        ends = self._stable
        if not np.isfinite(ends).any():
            return None
        fine = ends <= ends.min() + GOOD * max(self.begin - ends.min(), 0.0)
        return float(self.rates[fine][0]), float(self.rates[fine][-1])

    def __str__(self) -> str:
        lines = []
        if self.limit is not None:
            lines.append(f"stable below 2/L = {number(self.limit, 3)}, good at 1/L = {number(self.limit / 2.0, 3)} "
                         "(plain gradient descent)")  # fmt: skip
        if self.span is not None and self.best is not None:
            how = "exactly" if self.exact else "on the shape of the loss near its optimum"
            lines.append(
                f"range test of {self.optimizer}, {STEPS} steps at each of {len(self.rates)} rates, {how}: best "
                f"{number(self.best, 2)}, good from {number(self.span[0], 2)} to {number(self.span[1], 2)}"
            )
        if self.in_use is None:
            lines.append("in use: no single rate; each step had its own, found by backtracking")
        elif self.limit is not None:
            ratio = self.in_use / self.limit
            far = (
                f"{number(ratio, 2)} times the limit: too large"
                if ratio > 1.0
                else f"{number(100 * ratio, 2)} % of the limit"
            )
            lines.append(f"in use: {number(self.in_use, 3)}, {far}")
        elif self.span is not None:
            low, high = self.span
            far = "a good one"
            if self.in_use < low:
                far = f"{number(low / self.in_use, 2)} times less than the lowest good one"
            elif self.in_use > high:
                far = f"{number(self.in_use / high, 2)} times more than the highest good one"
            lines.append(f"in use: {number(self.in_use, 3)}, {far}")
        else:
            lines.append(f"in use: {number(self.in_use, 3)}")
        return "\n".join(lines)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the range test with the limit, the good rate and the rate in use; return the axes."""
        from fallline.report.figures import rates_figure

        return rates_figure(self, ax)


def rate_report(result: Result, optimizer: AnyOptimizer | None = None) -> RateReport:
    """The report of a run, or of another rule on the same data."""
    evidence, bowl = result.evidence, result.bowl
    rule = optimizer or result.optimizer
    if optimizer is None and (rule is None or rule.name in METHODS or evidence is not None and evidence.preconditioned):
        rule = Descent()
    assert rule is not None
    L = evidence.curvature if evidence is not None and not evidence.preconditioned else None
    if L is None and bowl is not None:
        L = bowl.largest
    scale = 2.0 / L if L else None
    rates, losses, begin = _range_test(bowl, rule, scale, evidence.unit if evidence is not None else 1.0)
    return RateReport(
        rule.name, _in_use(result), scale if rule.name == "descent" else None, rates, losses, begin,
        exact=bowl.exact if bowl is not None else False, rows=bowl.rows if bowl is not None else 0,
    )  # fmt: skip


def _in_use(result: Result) -> float | None:
    """The largest rate of the run; None where steps were searched for or preconditioned."""
    if result.evidence is None or result.evidence.preconditioned or result.evidence.searched:
        return None
    rates = result.history.learning_rate
    rates = rates[np.isfinite(rates)]
    return float(rates.max()) if len(rates) else None


def _range_test(bowl: Bowl | None, rule: AnyOptimizer, limit: float | None, unit: float) -> tuple[Array, Array, float]:
    """Trial rates, the losses above the best that they end at, and that before the first step."""
    if bowl is None:
        return np.empty(0), np.empty(0), math.nan
    scale = unit if rule.adaptive else limit or unit
    decades = np.arange(math.log10(BELOW), math.log10(ABOVE), 1.0 / PER_DECADE)
    rates = scale * 10.0**decades
    if not rule.adaptive and limit is not None:  # just below and just above the limit, which is sharp
        rates = np.sort(np.concatenate([rates, limit * np.array([0.5, 0.97, 1.03])]))
    lowest = bowl.bottom[1]
    objective, losses = Quadratic(bowl), np.empty(len(rates))
    for k, lr in enumerate(rates):
        run = train(objective, None, rule, Constant(float(lr)), bowl.start, stops=[Budget(STEPS)], horizon=float(STEPS))
        end = float(run.history.full_loss[-1])
        losses[k] = max(end - lowest, 0.0) if math.isfinite(end) else math.inf
    return rates, losses, bowl.value(bowl.start) - lowest
