"""Nesterov momentum: look ahead before you correct."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fallline.optimizers._base import Array, Optimizer, need


class NesterovState(NamedTuple):
    """Steps made, and the velocity."""

    t: int
    velocity: Array


@dataclass(frozen=True)
class Nesterov(Optimizer[NesterovState]):
    """v <- beta v + g;  theta <- theta - lr (g + beta v).

    theta is the look-ahead point at which the gradient is taken: with x the point behind it, this is
    x' = theta - lr g, theta' = x' + beta (x' - x) (Nesterov 1983; Sutskever et al. 2013). Convention:
    torch.optim.SGD(nesterov=True), the same in optax; Keras keeps the rate inside the velocity. For a momentum that
    grows by itself and restarts when it points uphill use ``accelerated``.

    >>> rule = Nesterov(beta=0.5)
    >>> rule.update(np.array([1.0]), rule.init(np.zeros(1)), lr=0.1)[0].round(3)
    array([-0.15])
    """

    beta: float = 0.9
    name: ClassVar[str] = "nesterov"
    summary: ClassVar[str] = "momentum that looks ahead"
    convention: ClassVar[str] = "torch.optim.SGD(momentum=0.9, nesterov=True)"
    default_lr: ClassVar[float | None] = 1e-3
    elementwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need(0.0 <= self.beta < 1.0, "Nesterov(beta=...)", self.beta, "0 <= beta < 1")

    def init(self, theta: Array) -> NesterovState:
        return NesterovState(0, np.zeros_like(theta))

    def update(self, g: Array, state: NesterovState, lr: float) -> tuple[Array, NesterovState]:
        velocity = self.beta * state.velocity + g
        return -lr * (g + self.beta * velocity), NesterovState(state.t + 1, velocity)
