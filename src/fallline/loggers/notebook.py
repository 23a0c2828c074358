"""A curve that grows in a notebook while a run goes on: an output that is drawn anew, without widgets and scripts."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from fallline.loggers._base import Logger
from fallline.recorder import Event
from fallline.report.numbers import number

if TYPE_CHECKING:
    from fallline.result import Result

REFRESH = 0.5  # seconds between two drawings
PATIENCE = 1.0  # seconds before a curve appears that nobody asked for


class NotebookCurve(Logger):
    """The loss curve under the cell that trains, drawn anew twice a second; a finding is told as soon as it is made.

    In Jupyter a fit without a callback shows one by itself once it has taken a second. ``after=0`` shows it at once.
    Outside a notebook it does nothing.
    """

    def __init__(self, after: float = 0.0) -> None:
        super().__init__()
        self.after = after
        self._handle: Any = None
        self._drawn = 0.0

    def __call__(self, event: Event) -> None:
        """Draw, if it is time."""
        now = time.monotonic()
        if event.seconds < self.after or now - self._drawn < REFRESH or event.history is None:
            return
        self._drawn = now
        from fallline.report.notebook import finding_html, history_svg

        told = f"step {event.step:,}, {event.passes:,.1f} passes, loss {number(event.loss, 6)}"
        since = "".join(finding_html(finding) for finding in event.findings() if finding.step > 0)
        self._show(f'<div style="max-width:46em">{history_svg(event.history)}<div>{told}</div>{since}</div>')

    def log(self, step: int, values: dict[str, float]) -> None:
        """Nothing: the curve is drawn from the record."""

    def finish(self, result: Result | None) -> None:
        """Clear away what was drawn; the result shows itself. What broke off stays to be looked at."""
        if self._handle is not None and result is not None:
            from fallline.report.notebook import history_svg

            self._show(f'<div style="max-width:46em">{history_svg(result.history)}<div>{result.verdict}</div></div>')
        self._handle, self._drawn = None, 0.0
        super().finish(result)

    def _show(self, html: str) -> None:
        if not in_notebook():
            return
        from IPython.display import HTML, display

        if self._handle is None:
            self._handle = display(HTML(html), display_id=True)
        else:
            self._handle.update(HTML(html))


def in_notebook() -> bool:
    """Whether this is a Jupyter kernel; IPython is looked for among what is imported already."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None and hasattr(module, "get_ipython") else None
    return type(shell).__name__ == "ZMQInteractiveShell"
