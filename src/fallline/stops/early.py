"""Early stopping: the loss on rows that are held out has stopped falling."""

from __future__ import annotations

import math
from typing import ClassVar

from fallline.stops._base import Ending, Point, Stop


class EarlyStopping(Stop):
    """End when the check loss has not been below its lowest for `patience` looks in a row.

    A look is an epoch of a mini-batch rule and a step of a full-batch one. Looks are not counted while the loss of the
    training rows is no lower than at the start: a rule whose first steps are too long has not learnt anything yet. The
    parameters that are kept are those of the lowest check loss, so what the run did while it waited costs time and nothing
    else.
    Source: Prechelt 1998, "Early stopping, but when?" (the criterion UP, without a threshold).
    """

    name: ClassVar[str] = "early"
    summary: ClassVar[str] = "the loss on the check rows has stopped falling"

    def __init__(self, patience: int = 5) -> None:
        self.patience = patience
        self._lowest, self._since, self._begun = math.inf, 0, math.inf

    def update(self, point: Point) -> Ending | None:
        if math.isnan(point.check):
            return None
        if math.isinf(self._begun):
            self._begun = point.J
        if point.check < self._lowest:
            self._lowest, self._since = point.check, 0
            return None
        self._since += point.J < self._begun
        return Ending("early") if self._since >= self.patience else None
