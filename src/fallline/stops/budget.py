"""The budget: passes over the data, and seconds."""

from __future__ import annotations

import math
from typing import ClassVar

from fallline.stops._base import Ending, Point, Stop


class Budget(Stop):
    """End after `passes` passes over the data (for full-batch rules: steps) or `seconds` seconds.

    `strict`: also where the last of the passes led to a step that was refused.
    """

    name: ClassVar[str] = "budget"
    summary: ClassVar[str] = "so many passes over the data, or so many seconds"

    def __init__(self, passes: float = math.inf, seconds: float = math.inf, strict: bool = False) -> None:
        self.passes, self.seconds, self.strict = passes, seconds, strict

    def update(self, point: Point) -> Ending | None:
        if point.passes >= self.passes - 1e-9:
            return Ending("budget")
        return Ending("time") if point.seconds >= self.seconds else None

    def urgent(self, point: Point) -> Ending | None:
        if self.strict:
            return self.update(point)
        return Ending("time") if point.seconds >= self.seconds else None
