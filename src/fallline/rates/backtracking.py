"""Backtracking: try a step, and halve it until the loss falls as much as the slope promises (Armijo)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from fallline.rates._base import Choice, Rate, RateState, Seen
from fallline.rates._check import check_rate, check_share

ROUND_OFF = 4e-15  # relative: a loss summed in double precision is not known better than this


@dataclass(frozen=True)
class Backtracking(Rate):
    """Keep a step when  J_new <= J + share * <grad, move>;  otherwise go back and halve the rate.

    After a kept step the rate grows by `growth`, up to `most`. With share = 1/2 plain descent ends up near the
    inverse of the curvature that it meets, where no global curvature exists (Poisson). Armijo (1966); Beck and
    Teboulle (2009).

    A rise of up to `rounding`, relative to J, is none. After steps that the second derivatives have made, which double the
    digits, more is taken for rounding: proofs by duality (duality.py) need more digits of theta than J shows.

    What is seen: rolled-back steps (marks on the curve), each costing one pass. The loss never rises.
    """

    lr: float = 1.0
    share: float = 0.5
    growth: float = 1.5
    most: float = math.inf
    rounding: float = ROUND_OFF
    name: ClassVar[str] = "backtracking"
    summary: ClassVar[str] = "tried, and halved until the loss falls as the slope promises (full batch)"

    def __post_init__(self) -> None:
        check_rate(self.lr)
        check_share(self.share, "Backtracking(share=...)", 1e-12, 1.0)

    def init(self) -> RateState:
        return RateState(self.lr)

    def update(self, state: RateState, seen: Seen) -> Choice:
        if math.isnan(seen.J_before):  # nothing to judge before the first step
            return Choice(state.lr, True, state)
        slack = self.rounding * max(abs(seen.J_before), 1e-300)
        if seen.J <= seen.J_before + self.share * seen.slope + slack:
            lr = state.lr if state.refused else min(state.lr * self.growth, self.most)
            return Choice(lr, True, RateState(lr))
        lr = state.lr / 2.0
        return Choice(lr, False, RateState(lr, state.refused + 1))

    @property
    def reason(self) -> str:
        return f"{self.lr:.4g}, halved whenever the loss does not fall as it should (backtracking)"

    @property
    def judges(self) -> bool:
        return True
