"""Rows that drift: several memories at once, of which the one that has predicted best lately answers.

How fast to forget depends on how fast the world changes, which nobody knows beforehand. So the model is kept with a
memory that never fades and with memories that fade, and each new piece is first predicted by all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fallline.objective import ModelObjective
from fallline.online.sampled import SampledStream
from fallline.penalties.none import NoPenalty
from fallline.rows._base import Array
from fallline.rows.arrays import ArrayRows
from fallline.scaling import Scaling

HALF_LIVES = (None, 4000.0, 500.0)  # rows; a factor of eight apart, for the error changes slowly with them
LATELY = 500.0  # rows after which a prediction counts half in the comparison


class AdaptiveStream:
    """Several streams that differ in what they forget; ``best`` is the one to believe."""

    def __init__(self, make: Callable[[float | None], SampledStream]) -> None:
        self.streams = [make(half_life) for half_life in HALF_LIVES]
        self.scores = np.zeros(len(self.streams))  # sums of losses, of rows before they were learnt

    @property
    def best(self) -> SampledStream:
        """The stream whose predictions were best lately; where they are equal, the one that forgets nothing."""
        return self.streams[int(np.argmin(self.scores))]

    def add(self, X: Any, y: Array, weight: Array | None, offset: Array | None) -> None:
        """Predict the rows, then learn from them."""
        if self.best.theta is not None:
            heavy = float(len(y) if weight is None else weight.sum())
            if heavy > 0.0:
                rows = ArrayRows(X, y, weight, offset)
                fresh = [self._loss(stream, rows) * heavy for stream in self.streams]
                self.scores = self.scores * 0.5 ** (heavy / LATELY) + np.nan_to_num(np.array(fresh), nan=np.inf)
        for stream in self.streams:
            stream.add(X, y, weight, offset)

    @staticmethod
    def _loss(stream: SampledStream, rows: ArrayRows) -> float:
        objective = ModelObjective(stream.form, NoPenalty(), Scaling.none(stream.n, stream.intercept))
        return objective.data_loss(stream.theta, rows) if stream.theta is not None else np.inf
