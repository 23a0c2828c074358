"""What an update rule is: settings and two pure functions.

    state = rule.init(theta)
    move, state = rule.update(g, state, lr)          # then: theta <- theta + move

The learning rate is passed at every step, never kept; nothing but the state remembers. So saving the state is resuming,
and keeping two states is rolling back.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fallline.errors import SettingError

Array = NDArray[np.floating]
State = TypeVar("State", bound=tuple[Any, ...])


class Optimizer(abc.ABC, Generic[State]):
    """One update rule. Subclasses are frozen dataclasses: their fields are their settings.

    They declare, as class variables,

    ``name``         what users type: ``"adam"``
    ``summary``      one line for the docs table and ``fallline fit --help``
    ``convention``   whose formula it is where libraries differ: ``"torch.optim.Adam"``
    ``default_lr``   the rate that the convention starts from, or None where it has none
    ``adaptive``     whether the rule divides by its own measure of the gradient, so that a step has the size of lr
                     (Adam and its kin); then no safe rate follows from the curvature
    ``tracks_theta`` whether the state keeps a copy of theta (decoupled weight decay, averaging); such a rule must see
                     every change of theta, so it is refused together with a constraint
    ``elementwise``  whether each coordinate's move follows from its own gradient and state alone, by formulas that hold
                     for one number as for an array; compiled mini-batch steps are then faster
    ``needs_exact``  whether the rule compares gradients of different steps, which must then be exact: full batch, and
                     no penalty with corners
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    convention: ClassVar[str]
    default_lr: ClassVar[float | None] = None
    adaptive: ClassVar[bool] = False
    tracks_theta: ClassVar[bool] = False
    elementwise: ClassVar[bool] = False
    needs_exact: ClassVar[bool] = False

    @abc.abstractmethod
    def init(self, theta: Array) -> State:
        """The state before the first step; a NamedTuple of arrays and numbers. `theta` may have any shape."""

    @abc.abstractmethod
    def update(self, g: Array, state: State, lr: float) -> tuple[Array, State]:
        """The move to add to theta, and the next state. Pure: neither `g` nor `state` is changed."""

    def passes(self, state: State) -> float:
        """Over the rows, that the step to this state made beside that of its gradient: none, but for rules that ask rows."""
        return 0.0

    def answer(self, theta: Array, state: State) -> Array:
        """The parameters to report when the run stands at `theta`: theta, or an average for rules that average."""
        return theta


def need(ok: bool, where: str, got: object, allowed: str) -> None:
    """Raise SettingError ``Momentum(beta=...): got 1.2; it must satisfy 0 <= beta < 1.`` unless `ok`."""
    if not ok:
        raise SettingError(f"{where}: got {got}; it must satisfy {allowed}.")
