"""The observer that every run has: it fills the history and passes each recorded step on to whoever watches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.history import History

Array = NDArray[np.floating]

TOO_SMALL = 1e-7  # share of the first gradient: a smaller difference of gradients is mostly round-off


class Event(NamedTuple):
    """What observers are shown at each recorded step. Return True from a callback to stop the run."""

    step: int
    passes: float
    seconds: float
    loss: float
    full_loss: float  # NaN between the epochs of mini-batch rules
    gradient_norm: float
    learning_rate: float
    check_loss: float
    gap: float
    theta: Array  # in the coordinates of training
    outward: Callable[[Array], tuple[Array, Any]] | None = None

    def weights(self) -> tuple[Array, Any]:
        """(coefficients, intercept) at this step, in the units of the data; of a user's function (theta, 0.0)."""
        return (self.theta, 0.0) if self.outward is None else self.outward(self.theta)


Observer = Callable[[Event], Any]


class Recorder:
    """Call it at a step to record that step; it returns True when an observer asks to stop."""

    def __init__(self, check_loss: Callable[[Array], float] | None, observers: Sequence[Observer]) -> None:
        self.history, self._check_loss, self._observers = History(), check_loss, observers
        self._clock = time.perf_counter()
        self._before: tuple[Array, Array] | None = None  # theta and gradient of the last row that was kept
        self._first_norm = math.nan
        self.check = math.nan  # the loss on the check rows at the last step, where it was asked for

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.perf_counter() - self._clock

    def __call__(
        self, step: int, passes: float, theta: Array, J: float, g: Array, exact: Any, lr: float, accepted: bool
    ) -> bool:
        """Record a step; `exact` is the loss and slope over all rows where they are known."""
        norm = float(np.linalg.norm(g))
        if step == 0:
            self._first_norm = norm
        row = {
            "step": step, "passes": passes, "seconds": self.seconds, "loss": J, "gradient_norm": norm,
            "learning_rate": lr, "theta_norm": float(np.linalg.norm(theta)), "accepted": float(accepted),
        }  # fmt: skip
        self.check = math.nan
        if exact is not None:
            row["full_loss"] = exact.J
            row["full_gradient_norm"] = exact.norm
            if self._check_loss is not None:
                row["check_loss"] = self.check = self._check_loss(exact.theta)
        if self._before is not None:
            row |= self._compare(theta, g, norm, exact is not None and exact.g is g)
        if accepted:
            self._before = (theta, g)
        self.history.append(**row)
        event = Event(
            step, passes, row["seconds"], J, row.get("full_loss", math.nan), norm, lr, row.get("check_loss", math.nan),
            math.nan, theta,
        )  # fmt: skip
        return any([observer(event) for observer in self._observers])  # a list: every observer sees every event

    def _compare(self, theta: Array, g: Array, norm: float, same_rows: bool) -> dict[str, float]:
        """Step length, angle between the gradients, and the curvature felt along the step."""
        assert self._before is not None
        step, change = theta - self._before[0], g - self._before[1]
        length, turn = float(np.linalg.norm(step)), float(np.linalg.norm(self._before[1])) * norm
        row = {"step_norm": length}
        if turn > 0.0:
            row["cosine"] = float(np.vdot(g, self._before[1])) / turn
        if same_rows and length > 0.0 and float(np.linalg.norm(change)) > TOO_SMALL * self._first_norm:
            row["curvature"] = float(np.vdot(change, step)) / length**2
        return row
