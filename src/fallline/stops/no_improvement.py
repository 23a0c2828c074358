"""No improvement: neither the loss nor the slope moves any more, at the limit of the arithmetic."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from fallline.stops._base import Ending, Point, Stop


class NoImprovement(Stop):
    """End when the loss of `window` exact evaluations is the same within round-off and the slope has stopped falling.

    That is no proof of an optimum: it says that going on cannot change the digits. A loss that swings about its best
    (a rate that is still high, momentum after a lucky dip) has not stopped moving.
    """

    name: ClassVar[str] = "stalled"
    summary: ClassVar[str] = "the loss no longer changes within double precision"

    ROUND_OFF = 1e-14  # relative: sums of losses are not known better
    FALL = 0.9  # of the slope: a smaller fall is none

    def __init__(self, window: int = 100) -> None:
        self.window = window
        self._losses: deque[float] = deque(maxlen=window)
        self._least, self._since = float("inf"), 0

    def update(self, point: Point) -> Ending | None:
        if not point.full:
            return None
        self._losses.append(point.J)
        self._since += 1
        if point.norm < self.FALL * self._least:
            self._least, self._since = point.norm, 0
        if self._since < self.window or len(self._losses) < self.window:
            return None
        low, high = min(self._losses), max(self._losses)
        return Ending("stalled") if high - low <= self.ROUND_OFF * abs(low) else None
