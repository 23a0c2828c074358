"""The table of a run: one line at each power of two, so that the longest run has about twenty."""

from __future__ import annotations

import math
from typing import Any

from fallline.report.console import Console
from fallline.report.numbers import above_best, number, seconds

MOST_LINES = 15
HEADER = ("step", "loss", "vs best", "slope", "check loss", "time")
WIDTHS = (9, 12, 10, 9, 12, 9)


class LiveTable:
    """An observer that prints the run as it goes, at steps 1, 2, 4, 8, ...; long runs skip early powers afterwards.

    For mini-batch rules a line is an epoch: the exact loss, which is looked at once an epoch.
    """

    def __init__(self, console: Console) -> None:
        self._console, self._lines, self._next = console, 0, 0.0
        self._last: Any = None
        self._due: Any = None  # the line to print next: held back, for the last one also tells the bound

    def __call__(self, event: Any) -> None:
        if math.isnan(event.full_loss):
            return
        if self._last is None:
            self._console.line()
            self._console.line(self._format(HEADER))
        self._last = event
        at = event.passes
        if at >= self._next and self._lines < MOST_LINES - 1:
            self._print(self._due)
            self._due = event
            self._next = 1.0 if at < 1.0 else 2.0 ** (math.floor(math.log2(at)) + 1)

    def finish(self, gap: float | None, best_loss: float) -> None:
        """The last line, with the bound on the gap where one was proved and the last point is the best."""
        if self._last is None:
            return
        if self._due is not self._last:
            self._print(self._due)
        self._print(self._last, gap if self._last.full_loss <= best_loss * (1.0 + 1e-12) else None)

    def _print(self, event: Any, gap: float | None = None) -> None:
        if event is None:
            return
        self._lines += 1
        bound = "-" if gap is None else f"<= {above_best(gap, event.full_loss)}"
        slope = f"{event.gradient_norm:.1e}"
        check, time = number(event.check_loss, 5), seconds(event.seconds)
        self._console.line(self._format((f"{event.step:,}", number(event.full_loss, 6), bound, slope, check, time)))

    def _format(self, cells: tuple[str, ...]) -> str:
        widths = list(WIDTHS)
        if self._console.width < sum(WIDTHS) + len(WIDTHS):  # a narrow terminal does without the slope and the time
            keep = (0, 1, 2, 4)
            cells, widths = tuple(cells[k] for k in keep), [widths[k] for k in keep]
        return " ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
