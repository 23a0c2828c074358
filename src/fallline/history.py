"""What is recorded while a run goes: one row per recorded step, O(n) to fill, no extra gradient."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# The columns, in the order they are kept. NaN means: not measured at this step.
COLUMNS = (
    "step",  # updates made so far: row 0 is the start
    "passes",  # passes over the training rows so far, full evaluations included
    "seconds",  # since the start of training
    "loss",  # J(theta) before the update that follows; of the mini-batch for mini-batch rules
    "full_loss",  # J(theta) over all training rows; the same as loss for full-batch rules, epoch ends for mini-batches
    "gradient_norm",  # ||grad J||_2 of the same rows as loss
    "full_gradient_norm",  # over all training rows; behind |w| and bounds of the smallest subgradient, 0 at an optimum
    "learning_rate",  # used by the update that follows this row
    "step_norm",  # ||theta_t - theta_(t-1)||_2
    "theta_norm",  # ||theta_t||_2
    "cosine",  # between this gradient and the one before: -1 says that every step jumps back
    "curvature",  # <dg, dtheta> / ||dtheta||^2: the curvature felt along the step (full batch only)
    "accepted",  # 1, or 0 where the step was rolled back
    "check_loss",  # mean loss on the check rows
    "gap",  # proved bound on J(theta) - J*
)


@dataclass
class History:
    """The record of a run: arrays of equal length, one per column of ``COLUMNS``, as attributes or by name.

    >>> import fallline
    >>> result = fallline.fit([[1.0], [2.0], [3.0]], [1.0, 2.0, 4.0])
    >>> len(result.history) == len(result.history.loss) > 0
    True
    """

    _data: NDArray[np.float64] = field(default_factory=lambda: np.empty((256, len(COLUMNS))))
    _length: int = 0

    def append(self, **values: float) -> None:
        """Add a row; columns that are not given are NaN (``accepted``: 1)."""
        if self._length == len(self._data):
            self._data = np.concatenate([self._data, np.empty_like(self._data)])
        row = self._data[self._length]
        row[:] = np.nan
        row[_INDEX["accepted"]] = 1.0
        for name, value in values.items():
            row[_INDEX[name]] = value
        self._length += 1

    def amend(self, **values: float) -> None:
        """Fill columns of the last row that became known later."""
        for name, value in values.items():
            self._data[self._length - 1, _INDEX[name]] = value

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """The column called `name`, as an array of floats."""
        return self._data[: self._length, _INDEX[name]].copy()

    def __getattr__(self, name: str) -> NDArray[np.float64]:
        if name in _INDEX:
            return self[name]
        raise AttributeError(f"History has no column {name!r}; it has: {', '.join(COLUMNS)}.")

    def followed_by(self, later: History, steps: int, passes: float, seconds: float) -> History:
        """This record, then `later`, whose clock began at the given steps, passes and seconds of this one's."""
        joined = np.concatenate([self._data[: self._length], later._data[: later._length]])
        for name, shift in (("step", steps), ("passes", passes), ("seconds", seconds)):
            joined[self._length :, _INDEX[name]] += shift
        return History(joined, len(joined))

    def to_dict(self) -> dict[str, NDArray[np.float64]]:
        """Every column by name."""
        return {name: self[name] for name in COLUMNS}

    @classmethod
    def from_dict(cls, columns: dict[str, NDArray[np.float64]]) -> History:
        """The inverse of ``to_dict``; columns that are missing are NaN."""
        length = max((len(c) for c in columns.values()), default=0)
        data = np.full((max(length, 1), len(COLUMNS)), np.nan)
        for name, column in columns.items():
            if name in _INDEX:
                data[:length, _INDEX[name]] = column
        return cls(data, length)


_INDEX = {name: i for i, name in enumerate(COLUMNS)}
