"""No improvement: the loss has stopped moving at the limit of the arithmetic."""

from __future__ import annotations

from typing import ClassVar

from fallline.stops._base import Ending, Point, Stop


class NoImprovement(Stop):
    """End when the best exact loss has not improved by more than round-off over `window` exact evaluations.

    That is no proof of an optimum: it says that going on cannot change the digits.
    """

    name: ClassVar[str] = "stalled"
    summary: ClassVar[str] = "the loss no longer changes within double precision"

    ROUND_OFF = 1e-15  # relative

    def __init__(self, window: int = 100) -> None:
        self.window = window
        self._best, self._since = float("inf"), 0

    def update(self, point: Point) -> Ending | None:
        if not point.full:
            return None
        if point.J < self._best - self.ROUND_OFF * abs(self._best) or self._best == float("inf"):
            self._best, self._since = point.J, 0
            return None
        self._since += 1
        return Ending("stalled") if self._since >= self.window else None
