"""The observer that every run has: it fills the history and passes each recorded step on to whoever watches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.history import History
from fallline.stops._base import Left

Array = NDArray[np.floating]

MOST_PLACES = 400  # of theta on its way, where there are few unknowns
FEW_UNKNOWNS = 61  # as many as a Bowl has
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
    gap: float  # proved bound on J - J*; NaN before anything is proved
    theta: Array  # in the coordinates of training
    outward: Callable[[Array], tuple[Array, Any]] | None = None
    history: History | None = None  # the record so far, which goes on growing
    evidence: Callable[[History], Any] | None = None
    gradient: Array | None = None  # of the same rows as loss, at theta; None where training has other coordinates
    gap_estimate: float = math.nan  # J - J*, about, where the preconditioner or the rule knows

    def weights(self) -> tuple[Array, Any]:
        """(coefficients, intercept) at this step, in the units of the data; of a user's function (theta, 0.0)."""
        return (self.theta, 0.0) if self.outward is None else self.outward(self.theta)

    def after(self, steps: int, passes: float, seconds: float) -> Event:
        """The same, counted from the start of an earlier run that this one goes on from."""
        return self._replace(step=self.step + steps, passes=self.passes + passes, seconds=self.seconds + seconds)

    def findings(self) -> list[Any]:
        """What symptoms find in the record so far: the same rules as at the end. Of a user's function, nothing."""
        from fallline.symptoms import diagnose

        return [] if self.evidence is None or self.history is None else diagnose(self.evidence(self.history))

    def to_dict(self) -> dict[str, Any]:
        """The numbers."""
        return {
            k: v for k, v in self._asdict().items() if k not in ("theta", "outward", "history", "evidence", "gradient")
        }


Observer = Callable[[Event], Any]


@np.errstate(over="ignore")
def norm(g: Array) -> float:
    """||g||_2, also where its square overflows.

    >>> norm(np.array([3e200, 0.0]))
    3e+200
    """
    length = float(np.linalg.norm(g))
    largest = float(np.abs(g).max(initial=0.0)) if length == math.inf else math.inf
    return length if largest == math.inf else largest * float(np.linalg.norm(g / largest))


class Recorder:
    """Call it at a step to record that step; it returns True when an observer asks to stop."""

    def __init__(self, check_loss: Callable[[Array], float] | None, observers: Sequence[Observer]) -> None:
        self.history, self._check_loss, self._observers = History(), check_loss, observers
        self._clock = time.perf_counter()
        self._before: tuple[Array, Array] | None = None  # theta and gradient of the last row that was kept
        self._first_norm = math.nan
        self.path: list[tuple[int, Array]] = []  # (step, theta) of steps that were kept, where unknowns are few
        self._stride = 1
        self.check = math.nan  # the loss on the check rows at the last step, where it was asked for

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.perf_counter() - self._clock

    def __call__(
        self, step: int, passes: float, theta: Array, J: float, g: Array, exact: Any, lr: float, accepted: bool,
        left: Left,
    ) -> bool:  # fmt: skip
        """Record a step; `exact` is the loss and slope over all rows where they are known, `left` how far J may still fall."""
        length = norm(g)
        if step == 0:
            self._first_norm = length
        row = {
            "step": step, "passes": passes, "seconds": self.seconds, "loss": J, "gradient_norm": length,
            "learning_rate": lr, "theta_norm": float(np.linalg.norm(theta)), "accepted": float(accepted), "gap": left.proved,
        }  # fmt: skip
        self.check = math.nan
        if exact is not None:
            row["full_loss"] = exact.J
            row["full_gradient_norm"] = exact.norm
            if self._check_loss is not None:
                row["check_loss"] = self.check = self._check_loss(exact.theta)
        if self._before is not None:
            row |= self._compare(theta, g, length, exact is not None and exact.g is g)
        if accepted:
            self._before = (theta, g)
            if theta.size <= FEW_UNKNOWNS and theta.ndim == 1:
                self._note(step, theta)
        self.history.append(**row)
        event = Event(
            step, passes, row["seconds"], J, row.get("full_loss", math.nan), length, lr, row.get("check_loss", math.nan),
            left.proved, theta, None, self.history, None, g, left.about,
        )  # fmt: skip
        return any([observer(event) for observer in self._observers])  # a list: every observer sees every event

    def _note(self, step: int, theta: Array) -> None:
        """Keep the place; of a long run fewer and fewer, evenly, and always the last."""
        if len(self.path) > 1 and len(self.history) % self._stride:
            self.path[-1] = (step, theta)
            return
        self.path.append((step, theta))
        if len(self.path) == MOST_PLACES:
            self.path, self._stride = self.path[::2], 2 * self._stride

    def _compare(self, theta: Array, g: Array, size: float, same_rows: bool) -> dict[str, float]:
        """Step length, angle between the gradients, and the curvature felt along the step."""
        assert self._before is not None
        step, change = theta - self._before[0], g - self._before[1]
        length, turn = float(np.linalg.norm(step)), float(np.linalg.norm(self._before[1])) * size
        row = {"step_norm": length}
        if turn > 0.0:
            row["cosine"] = float(np.vdot(g, self._before[1])) / turn
        if same_rows and length > 0.0 and float(np.linalg.norm(change)) > TOO_SMALL * self._first_norm:
            row["curvature"] = float(np.vdot(change, step)) / length**2
        return row
