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
    "loss",  # J(theta) before the update that follows; of the mini-batch, or the sample, that the step saw
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
    "sample",  # rows of the sample that a run begins on: loss and gradient_norm are theirs; NaN where it has gone on to all
)

MOST_ROWS = 20_000  # of a record (2.4 MB): a longer one is thinned, so that no run fills the memory
RECENT = 1_000  # of them, the last, are never thinned: symptoms look at successive steps


@dataclass
class History:
    """The record of a run: arrays of equal length, one per column of ``COLUMNS``, as attributes or by name.

    Of runs beyond 20,000 recorded steps the older rows are thinned; the lowest and the highest loss of every stretch stay.

    >>> import fallline
    >>> result = fallline.fit([[1.0], [2.0], [3.0]], [1.0, 2.0, 4.0])
    >>> len(result.history) == len(result.history.loss) > 0
    True
    """

    _data: NDArray[np.float64] = field(default_factory=lambda: np.empty((256, len(COLUMNS))))
    _length: int = 0

    def append(self, **values: float) -> None:
        """Add a row; columns that are not given are NaN (``accepted``: 1)."""
        if self._length == MOST_ROWS:
            self._thin()
        if self._length == len(self._data):
            self._data = np.concatenate([self._data, np.empty_like(self._data)])
        row = self._data[self._length]
        row[:] = np.nan
        row[_INDEX["accepted"]] = 1.0
        for name, value in values.items():
            row[_INDEX[name]] = value
        self._length += 1

    def _thin(self) -> None:
        """Thin all but the last rows to half or less: of each eight, at most four stay.

        They are those of the lowest and the highest loss, and where some rows have an exact loss, as the epochs of
        mini-batches, those of the lowest and the highest of these. So the extremes of the run stay, however long it is;
        what is not finite counts as highest. The first row stays.
        """
        old = (self._length - RECENT) // 8 * 8
        kept = np.zeros((old // 8, 8), dtype=bool)
        every = np.arange(len(kept))
        for name in ("loss", "full_loss"):
            values = self._data[1 : old + 1, _INDEX[name]].reshape(-1, 8)
            known = np.isfinite(values) | (name == "loss")
            some = known.any(axis=1)
            high = np.where(np.isfinite(values), values, np.inf)
            for chosen in (np.argmin(high, axis=1), np.argmax(np.where(known, high, -np.inf), axis=1)):
                kept[every[some], chosen[some]] = True
        rows = np.concatenate([[0], 1 + np.flatnonzero(kept.ravel()), np.arange(old + 1, self._length)])
        self._data[: len(rows)] = self._data[rows]
        self._length = len(rows)

    def amend(self, at: int = -1, **values: float) -> None:
        """Fill columns of a row, the last one if no other is named, that became known later."""
        for name, value in values.items():
            self._data[: self._length][at, _INDEX[name]] = value

    def widen_gaps(self, rounding: float) -> None:
        """Add what rounding does to J to every bound."""
        self._data[: self._length, _INDEX["gap"]] += rounding

    def forget_gaps(self) -> None:
        """No bound holds."""
        self._data[: self._length, _INDEX["gap"]] = np.nan

    def of_sample(self, rows: int, of: int) -> History:
        """The same as the record of a run on a sample, `rows` `of` all: what it says of all rows is not known."""
        columns = self.to_dict() | {name: np.full(len(self), np.nan) for name in ("full_loss", "full_gradient_norm")}
        passes = self.passes * (rows / of)
        return History.from_dict(columns | {"sample": np.full(len(self), float(rows)), "passes": passes})

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

    def _repr_html_(self) -> str:
        from fallline.report.notebook import history_html

        return history_html(self)

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
