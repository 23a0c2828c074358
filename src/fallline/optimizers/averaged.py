"""Averaged SGD: walk noisily, report the average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from fallline.optimizers._base import Array, Optimizer, need


class AveragedState(NamedTuple):
    """Steps made, where the walk stands, and the average of where it has been."""

    t: int
    theta: Array
    average: Array


@dataclass(frozen=True)
class AveragedSGD(Optimizer[AveragedState]):
    """theta <- theta - lr g;  the answer is the mean of theta_t over t > begin, theta_t after t steps.

    Polyak and Juditsky (1992); Ruppert (1988). With a constant rate the walk circles the optimum for ever while its
    average closes in on it. `begin` leaves out that many first steps, which still carry the start. Convention: the
    paper's plain mean; torch.optim.ASGD averages the same way (its ``t0=0`` is begin = 1) but also decays its rate and
    its weights (``alpha``, ``lambd``). Not for runs too short to leave the start behind: the average lags.

    >>> import numpy as np
    >>> rule = AveragedSGD()
    >>> move, state = rule.update(np.array([1.0]), rule.init(np.array([1.0])), lr=0.5)
    >>> rule.answer(np.array([1.0]) + move, state)
    array([0.5])
    """

    begin: int = 0
    name: ClassVar[str] = "averaged sgd"
    summary: ClassVar[str] = "plain steps, and the average of where they have been as the answer (Polyak-Ruppert)"
    convention: ClassVar[str] = "Polyak and Juditsky 1992"
    default_lr: ClassVar[float | None] = 1e-2
    elementwise: ClassVar[bool] = True
    tracks_theta: ClassVar[bool] = True

    def __post_init__(self) -> None:
        whole = self.begin >= 0 and self.begin % 1 == 0  # NaN and infinity are neither
        need(whole, "AveragedSGD(begin=...)", self.begin, "begin >= 0, a whole number of steps")

    def init(self, theta: Array) -> AveragedState:
        return AveragedState(0, theta.copy(), theta.copy())

    def update(self, g: Array, state: AveragedState, lr: float) -> tuple[Array, AveragedState]:
        t, move = state.t + 1, -lr * g
        theta = state.theta + move
        count = t - self.begin  # points in the average, this one included
        average = theta if count <= 1 else state.average + (theta - state.average) / count
        return move, AveragedState(t, theta, average)

    def answer(self, theta: Array, state: AveragedState) -> Array:
        return state.average
