"""Ctrl-C: the run ends with the best so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from fallline.stops._base import Ending, Point, Stop


class Interrupt(Stop):
    """End when ``stopped()`` is true: see :func:`fallline.stopping.stopping_gently`."""

    name: ClassVar[str] = "interrupt"
    summary: ClassVar[str] = "Ctrl-C, which keeps the best so far"

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self.stopped = stopped

    def update(self, point: Point) -> Ending | None:
        return Ending("interrupt") if self.stopped() else None

    def urgent(self, point: Point) -> Ending | None:
        return self.update(point)
