"""What a logger is: it is shown each recorded step, and the result at the end."""

from __future__ import annotations

import abc
import datetime
import math
from typing import TYPE_CHECKING

from fallline.recorder import Event

if TYPE_CHECKING:
    from fallline.result import Result

COLUMNS = ("step", "passes", "seconds", "loss", "full_loss", "check_loss", "gradient_norm", "learning_rate")


class Logger(abc.ABC):
    """Give it to ``fit(callback=...)`` or to an estimator's ``callbacks``, which call ``finish`` at the end of each run.

    Loggers hold no open files or connections between runs, so that estimators that have them can be cloned and sent to
    other processes.
    """

    def __init__(self) -> None:
        self.run = ""  # when the present run began, in UTC: the name of the run

    def __call__(self, event: Event) -> None:
        """Log a step; the first one after ``finish`` begins a run."""
        if not self.run:
            self.run = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            try:
                self.begin()
            except BaseException:
                self.run = ""  # it did not begin
                raise
        self.log(event.step, {name: float(v) for name in COLUMNS if math.isfinite(v := getattr(event, name))})

    def begin(self) -> None:
        """A run begins."""
        return None

    @abc.abstractmethod
    def log(self, step: int, values: dict[str, float]) -> None:
        """Log the values of a step, those of ``COLUMNS`` that are known."""

    def finish(self, result: Result | None) -> None:
        """The run is over; None: it was broken off."""
        self.run = ""
