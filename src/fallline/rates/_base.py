"""What a learning rate is: a way to choose the length of each step, with its reason in words."""

from __future__ import annotations

import abc
import math
from typing import Any, ClassVar, NamedTuple

GIVEN_UP = 1_000_000  # steps refused in a row: a rate says so when it knows of no step to try


class RateState(NamedTuple):
    """What a rate remembers: the rate in use, how many steps it has refused in a row, and what a line search knows."""

    lr: float
    refused: int = 0
    search: tuple[Any, ...] = ()


class Seen(NamedTuple):
    """What a rate is shown before each step."""

    passes: float  # passes over the data so far; for full-batch rules the number of steps
    horizon: float  # passes that the run may take in all
    J: float  # loss at the point just reached
    J_before: float  # loss at the point that the last step left (NaN before the first step)
    slope: float  # <grad, move> of the last step: its first-order prediction of J - J_before (NaN before the first)
    slope_now: float = math.nan  # <grad at the point just reached, move>, for rates that use it


class Choice(NamedTuple):
    """A rate's answer: the rate for the next step, and whether the point just reached is kept or given back."""

    lr: float
    keep: bool
    state: RateState


class Rate(abc.ABC):
    """One way to choose the learning rate. Subclasses are frozen dataclasses: their fields are their settings."""

    name: ClassVar[str]
    summary: ClassVar[str]

    @abc.abstractmethod
    def init(self) -> RateState:
        """The state before the first step."""

    @abc.abstractmethod
    def update(self, state: RateState, seen: Seen) -> Choice:
        """The rate for the next step."""

    def with_step(self, passes: float) -> Rate:
        """The same rate where a step is so many passes: 1 for full batches, less for mini-batches."""
        return self

    @property
    @abc.abstractmethod
    def reason(self) -> str:
        """What the rate is and why, in words: ``"0.21 = 1/L, L = 4.76 from 12 products"``."""

    @property
    def judges(self) -> bool:
        """Whether it may refuse a step, which asks for the exact loss: full batch only."""
        return False

    @property
    def uses_slopes(self) -> bool:
        """Whether it looks at the slope along the step at the point just reached."""
        return False


class Schedule(Rate):
    """A rate that is a formula of the time alone: of the passes made and the passes allowed."""

    @abc.abstractmethod
    def at(self, passes: Any, horizon: float) -> Any:
        """The rate after `passes` of `horizon` passes over the data; for an array of passes, an array of rates."""

    def init(self) -> RateState:
        return RateState(float(self.at(0.0, 1.0)))

    def update(self, state: RateState, seen: Seen) -> Choice:
        lr = float(self.at(seen.passes, seen.horizon))
        return Choice(lr, True, RateState(lr))
