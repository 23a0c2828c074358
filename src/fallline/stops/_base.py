"""What a stop rule is: it looks at each point that the run reaches and may name a reason to end."""

from __future__ import annotations

import abc
import math
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


class Point(NamedTuple):
    """Where the run stands. `full` says that J and g are exact (all rows), not of a mini-batch."""

    theta: Array
    J: float
    g: Array
    norm: float  # of the smallest subgradient over all rows: zero exactly at an optimum; NaN where it is not known
    full: bool
    step: int
    passes: float
    seconds: float
    decrement: (
        float  # 1/2 g . direction: what a preconditioned step hopes to gain; NaN where there is no preconditioner
    )
    check: float = math.nan  # the loss on the check rows; NaN where it is not known


class Ending(NamedTuple):
    """Why a run ends: the reason's name, and the proved bound on J - J* where there is one."""

    reason: str
    gap: float | None = None


class Left(NamedTuple):
    """How far J may still fall: what is proved, and about how far; NaN where that is not known."""

    proved: float = math.nan
    about: float = math.nan


class Stop(abc.ABC):
    """One reason to end. Small objects that are made for one run and remember what they have seen of it."""

    name: ClassVar[str]
    summary: ClassVar[str]

    @abc.abstractmethod
    def update(self, point: Point) -> Ending | None:
        """The ending, or None to go on."""

    def urgent(self, point: Point) -> Ending | None:
        """The ending that does not wait for a step to be kept, or None: it is asked where a step was refused."""
        return None

    def left(self, J: float, norm: float, decrement: float) -> Left:
        """How far J may still fall from a point, as far as this rule knows before it looks at it."""
        return Left()
