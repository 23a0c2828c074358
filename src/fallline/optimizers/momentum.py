"""Momentum: a heavy ball that keeps rolling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fallline.optimizers._base import Array, Optimizer, need


class MomentumState(NamedTuple):
    """Steps made, and the velocity."""

    t: int
    velocity: Array


@dataclass(frozen=True)
class Momentum(Optimizer[MomentumState]):
    """v <- beta v + (1 - dampening) g;  theta <- theta - lr v;  the first v is g itself, not damped.

    Polyak (1964). Along a long valley the steps add up to 1 / (1 - beta) times plain descent's; the loss may rise in
    waves on the way, which is healthy. Convention: torch.optim.SGD(momentum=beta). optax has no dampening; Keras keeps
    the rate inside the velocity (v <- beta v - lr g), which differs once the rate changes. Not with small batches at
    the rate that suits plain descent: their noise is amplified too.

    >>> rule = Momentum(beta=0.5)
    >>> move, state = rule.update(np.array([1.0]), rule.init(np.zeros(1)), lr=0.1)
    >>> rule.update(np.array([1.0]), state, lr=0.1)[0].round(3)
    array([-0.15])
    """

    beta: float = 0.9
    dampening: float = 0.0
    name: ClassVar[str] = "momentum"
    summary: ClassVar[str] = "a heavy ball: past gradients keep pushing"
    convention: ClassVar[str] = "torch.optim.SGD(momentum=0.9)"
    default_lr: ClassVar[float | None] = 1e-3
    elementwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need(0.0 <= self.beta < 1.0, "Momentum(beta=...)", self.beta, "0 <= beta < 1")
        need(0.0 <= self.dampening < 1.0, "Momentum(dampening=...)", self.dampening, "0 <= dampening < 1")

    def init(self, theta: Array) -> MomentumState:
        return MomentumState(0, np.zeros_like(theta))

    def update(self, g: Array, state: MomentumState, lr: float) -> tuple[Array, MomentumState]:
        damped = g if state.t == 0 else (1.0 - self.dampening) * g
        velocity = self.beta * state.velocity + damped
        return -lr * velocity, MomentumState(state.t + 1, velocity)
