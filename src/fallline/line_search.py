"""A line search: the step length along a direction, from values and slopes (Wolfe's conditions)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fallline.rates._base import GIVEN_UP, Choice, Rate, RateState, Seen
from fallline.rates._check import check_rate

DECREASE = 1e-4  # share of the promised decrease that a step must bring (Nocedal and Wright, section 3.1)
CURVATURE = 0.9  # share of the slope that may be left at its end, for quasi-Newton directions (the same)
LEVEL = 0.1  # Hager and Zhang's delta: within rounding of f, slopes alone say that a step is good
MOST_TRIALS = 40  # of one search: bisection has used up the digits of a double then
MOST_EXPANSIONS = 10  # tenfold at most: a function that still falls is gone on with from there
EXPAND = (1.5, 10.0)  # least and largest factor of an extrapolation
INSIDE = 0.1  # of the bracket: the least distance of a trial from its ends
EPS = float(np.finfo(np.float64).eps)
EPS_SINGLE = float(np.finfo(np.float32).eps)


@np.errstate(over="ignore")
def rounding_unit(*values: float) -> float:
    """Relative rounding error of a function that returned these values: of float32 where all of them are such numbers.

    >>> rounding_unit(0.1, 0.2) == EPS, rounding_unit(float(np.float32(0.1)), 3.0) == EPS_SINGLE
    (True, True)
    """
    return EPS_SINGLE if all(float(np.float32(v)) == v for v in values) else EPS


class Trial(NamedTuple):
    """A step length, and f and its slope there; relative to f at the start, in units of the slope at the start."""

    lr: float
    rise: float
    slope: float


class Bracket(NamedTuple):
    """Two step lengths with good ones between them: `high` is None until one is known to be too long."""

    low: Trial = Trial(0.0, 0.0, -1.0)
    high: Trial | None = None
    before: Trial = Trial(0.0, 0.0, -1.0)
    last: bool = False  # the next trial is the lowest point known: it is kept if it is lower than the start


@dataclass(frozen=True)
class LineSearch(Rate):
    """Keep a step of length lr along d when, with phi(lr) = J(theta + lr d), Wolfe's two conditions hold.

    ::

        phi(lr) <= phi(0) + 1e-4 lr phi'(0)    and    phi'(lr) >= 0.9 phi'(0)

    or the second alone where phi(lr) differs from phi(0) by rounding only and phi'(lr) <= -0.8 phi'(0) (Hager and Zhang's
    approximate conditions): values then know less of the minimum than slopes do. Else the step is given back. A step that
    is too short is extrapolated, at most tenfold; between two bounds the next trial is the minimum of the cubic through
    both ends, or the middle. Where no step can be told from none in double precision, the search is given up.

    Moré and Thuente 1994; Hager and Zhang 2005; Nocedal and Wright 2006, section 3.5.
    """

    lr: float = 1.0
    name: ClassVar[str] = "line search"
    summary: ClassVar[str] = "values and slopes along the direction, until Wolfe's conditions hold (full batch)"

    def __post_init__(self) -> None:
        check_rate(self.lr)

    def init(self) -> RateState:
        return RateState(self.lr)

    def update(self, state: RateState, seen: Seen) -> Choice:
        if math.isnan(seen.J_before):  # nothing to judge before the first step
            return Choice(self.lr, True, RateState(self.lr))
        if seen.J == -math.inf:
            return Choice(self.lr, True, RateState(self.lr))
        lr, start = state.lr, -seen.slope / state.lr
        if not start > 0.0 or not math.isfinite(start):
            return _give_up(lr)
        trial = Trial(lr, (seen.J - seen.J_before) / start, seen.slope_now / lr / start)
        noise = rounding_unit(seen.J, seen.J_before) * max(abs(seen.J), abs(seen.J_before)) / start
        bracket = state.search if isinstance(state.search, Bracket) else Bracket()
        falls = trial.rise <= -DECREASE * lr
        level = trial.rise <= noise and trial.slope <= 1.0 - 2.0 * LEVEL
        steep = not trial.slope >= -CURVATURE
        last = bracket.high is None and state.refused >= MOST_EXPANSIONS
        if ((falls or level) and not steep) or (falls and (bracket.last or last)):
            return Choice(self.lr, True, RateState(self.lr))
        if bracket.last or last:
            return _give_up(lr)
        low_enough = (falls or level) and trial.slope < 0.0
        bracket = bracket._replace(low=trial) if low_enough else bracket._replace(high=trial)
        following = _following(bracket, trial, noise, state.refused)
        if following is None:
            if bracket.low.lr == 0.0:
                return _give_up(lr)
            following, bracket = bracket.low.lr, bracket._replace(last=True)
        return Choice(following, False, RateState(following, state.refused + 1, bracket._replace(before=trial)))

    @property
    def reason(self) -> str:
        return f"{self.lr:.4g}, or what a line search finds (Wolfe's conditions)"

    @property
    def judges(self) -> bool:
        return True

    @property
    def uses_slopes(self) -> bool:
        return True


def _give_up(lr: float) -> Choice:
    return Choice(lr, False, RateState(lr, GIVEN_UP))


def _following(bracket: Bracket, trial: Trial, noise: float, refused: int) -> float | None:
    """The next step length to try; None where there is none."""
    low, high = bracket.low, bracket.high
    if high is None:
        change = trial.slope - bracket.before.slope
        found = trial.lr - trial.slope * (trial.lr - bracket.before.lr) / change if change > 0.0 else math.inf
        return min(max(found, EXPAND[0] * trial.lr), EXPAND[1] * trial.lr)
    width = high.lr - low.lr
    unseen = low.lr == 0.0 and high.lr <= noise  # what such a step promises is less than rounding
    if unseen or refused >= MOST_TRIALS or width <= 4.0 * EPS * high.lr:
        return None
    if not (math.isfinite(high.rise) and math.isfinite(high.slope)):
        return low.lr + INSIDE * width
    found = _cubic_minimum(low, high) if refused % 3 < 2 else math.nan  # a bisection now and then: the bracket shrinks
    if math.isnan(found):
        return low.lr + width / 2.0
    return min(max(found, low.lr + INSIDE * width), high.lr - INSIDE * width)


def _cubic_minimum(low: Trial, high: Trial) -> float:
    """Where the cubic through both ends, with their slopes, is lowest; NaN where it has no minimum."""
    theta = low.slope + high.slope - 3.0 * (high.rise - low.rise) / (high.lr - low.lr)
    square = theta * theta - low.slope * high.slope
    if not square >= 0.0:
        return math.nan
    root = math.sqrt(square)
    below = high.slope - low.slope + 2.0 * root
    return high.lr - (high.lr - low.lr) * (high.slope + root - theta) / below if below != 0.0 else math.nan
