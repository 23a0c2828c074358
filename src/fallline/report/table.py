"""The table of a run: one line at each power of two, so that the longest run has fifteen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fallline.forecast import passes_left
from fallline.report.console import Console
from fallline.report.numbers import above_best, number, seconds

MOST_LINES = 15
PATIENCE = 2.0  # seconds: of a run that takes longer, findings are told on the way
DENSE_LINES = 12  # so many at every power of two, then at every third, and the last step always
MOST_POINTS = 2000  # of the curve, to tell its pace by
REFUSED = "rolled back"  # instead of how far a loss is above the best: it was too high for the step to count
WILD = 0.5  # of the loss: an estimate that is larger says little, as where the best loss may be none
LOOSE = 10.0  # times the estimate: what is proved on the way may be far above what is likely
HEADER = ("step", "loss", "vs best", "slope", "check loss", "time")
WIDTHS = (9, 12, 12, 8, 12, 11)
KEPT = ((0, 1, 2, 3, 4, 5), (0, 1, 2, 4), (0, 1, 2))  # columns for wide, narrow and very narrow terminals


class LiveTable:
    """An observer that prints the run as it goes, at passes 1, 2, 4, 8, ...; a very long run at every third power.

    For mini-batch rules a line is an epoch: the exact loss, which is looked at once an epoch. On a terminal the line
    below says meanwhile how fast rows go by and how long it takes at least (`rows` of a pass, `horizon` passes at most).
    """

    def __init__(self, console: Console, rows: int = 0, horizon: float = math.inf) -> None:
        self._console, self._lines, self._next = console, 0, 0.0
        self._rows, self._horizon = rows, horizon
        self._curve: list[tuple[float, float]] = []  # passes and gradient norms
        self._told: set[str] = set()  # codes of what was found on the way
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
            self._lines += 1
            further = 1 if self._lines < DENSE_LINES else 3
            self._next = 1.0 if at < 1.0 else 2.0 ** (math.floor(math.log2(at)) + further)
            if event.seconds > PATIENCE:
                self._warn(event)
        if self._console.live:
            self._curve.append((at, event.gradient_norm))
            self._console.status(self.status(event))

    def _warn(self, event: Any) -> None:
        """What a long run has come to, as soon as it is seen; the end says it again."""
        for finding in event.findings():
            if finding.step > 0 and finding.code not in self._told:
                self._told.add(finding.code)
                self._console.labelled("SO FAR", f"{finding.code}  {finding.sentence}", "warn", hang=5)

    def status(self, event: Any) -> str:
        """``pass 37, loss 0.123 (<= 0.3 %), at least 12 s more, 4.1 million rows/s``."""
        above = _above(event, None)
        parts = [f"pass {event.passes:,.0f}", f"loss {number(event.full_loss, 6)}" + (f" ({above})" if above else "")]
        if event.passes > 0.0:
            pace = event.seconds / event.passes
            parts += [more] if (more := self._more(event, pace)) else []
            if self._rows and event.seconds > 0.0:
                parts.append(f"{self._rows / pace / 1e6:.2g} million rows/s")
        return ", ".join(parts)

    def _more(self, event: Any, pace: float) -> str:
        """How long it still takes, as far as that can be told; `pace` is the seconds of a pass."""
        most = max(self._horizon - event.passes, 0.0)
        if event.loss != event.full_loss:  # mini-batches: their gradients tell no pace
            return f"{seconds(most * pace)} more at most" if math.isfinite(most) else ""
        curve = np.array(self._curve[-MOST_POINTS:])
        good = (curve[:, 1] > 0.0) & np.isfinite(curve[:, 1])
        more = passes_left(curve[good, 0], curve[good, 1])
        return "" if more is None else f"at least {seconds(min(more, most) * pace)} more"

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
        bound = REFUSED if _refused(event) else _above(event, gap) or "-"
        slope = f"{event.gradient_norm:.1e}" if math.isfinite(event.gradient_norm) else "-"
        check, time = number(event.check_loss, 5), seconds(event.seconds)
        self._console.line(self._format((f"{event.step:,}", number(event.full_loss, 6), bound, slope, check, time)))

    def _format(self, cells: tuple[str, ...]) -> str:
        """A line; a narrow terminal does without the slope and the time, a very narrow one without the check loss."""
        for kept in KEPT:
            line = " ".join(f"{cells[k]:>{WIDTHS[k]}}" for k in kept)
            if len(line) <= self._console.width:
                break
        return line


def _above(event: Any, gap: float | None) -> str:
    """How far the loss is above the best: proved (by `gap`, where the end has shown that), or about; "" where nobody knows."""
    guess = event.gap_estimate if event.gap_estimate < WILD * event.full_loss else math.nan
    known = [("<=", event.gap if gap is None else gap), ("~", guess)]
    if gap is None and event.gap > LOOSE * guess:
        known.reverse()
    for word, left in known:
        if left >= 0.0 and not 0.0 < left >= event.full_loss:  # such a bound says nothing
            return f"{word} {above_best(left, event.full_loss)}"
    return ""


def _refused(event: Any) -> bool:
    """Whether the step was rolled back, at once or by the next look at it."""
    if event.history is None:
        return False
    same = (event.history.loss == event.loss) & (event.history.gradient_norm == event.gradient_norm)
    return bool(same.any() and event.history.accepted[same][-1] == 0.0)
