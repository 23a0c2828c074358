"""A progress bar for long runs, on a terminal only; anywhere else, and for short runs, nothing at all."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

PATIENCE = 1.0  # seconds before a bar appears


@contextlib.contextmanager
def progress(total: int) -> Iterator[list[Callable[[Any], None]]]:
    """Yield observers (none, or one) that draw the bar on standard error once a run has taken ``PATIENCE`` seconds."""
    if not (sys.stderr.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb" or os.environ.get("CI"):
        yield []
        return
    bar = _Bar(total)
    try:
        yield [bar]
    finally:
        bar.close()


class _Bar:
    """An observer; rich is imported only if the run turns out to be long."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._live: Any = None
        self._task: Any = None

    def __call__(self, event: Any) -> None:
        if self._live is None:
            if event.seconds < PATIENCE:
                return
            from rich.console import Console
            from rich.progress import Progress

            self._live = Progress(console=Console(stderr=True), transient=True)
            self._task = self._live.add_task("gradient descent", total=self._total)
            self._live.start()
        self._live.update(self._task, completed=event.step, description=f"cost {event.loss:.5g}")

    def close(self) -> None:
        """Take the bar away."""
        if self._live is not None:
            self._live.stop()
