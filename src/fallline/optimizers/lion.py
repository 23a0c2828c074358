"""Lion: the sign of the momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fallline.optimizers._base import Array, Optimizer
from fallline.optimizers._check import check_adam


class LionState(NamedTuple):
    """Steps made, the parameters (for the decay), and the running mean of g."""

    t: int
    theta: Array
    m: Array


@dataclass(frozen=True)
class Lion(Optimizer[LionState]):
    """theta <- theta - lr (sign(b1 m + (1-b1) g) + decay theta);  m <- b2 m + (1-b2) g.

    Chen et al. (2023). Every coordinate moves by exactly lr at every step, so the rate must fall for the run to settle.
    Convention: optax.lion (b1 = 0.9, b2 = 0.99), whose decay is 1e-3 where here it is 0 unless asked for. torch has
    none.

    >>> rule = Lion()
    >>> rule.update(np.array([3.0, -0.1]), rule.init(np.zeros(2)), lr=0.1)[0]
    array([-0.1,  0.1])
    """

    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0
    name: ClassVar[str] = "lion"
    summary: ClassVar[str] = "the sign of the momentum: steps of one size in every coordinate"
    convention: ClassVar[str] = "optax.lion(weight_decay=0)"
    default_lr: ClassVar[float | None] = 1e-4
    elementwise: ClassVar[bool] = True
    adaptive: ClassVar[bool] = True
    tracks_theta: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_adam("Lion", self.beta1, self.beta2, 0.0, self.weight_decay)

    def init(self, theta: Array) -> LionState:
        return LionState(0, theta.copy(), np.zeros_like(theta))

    def update(self, g: Array, state: LionState, lr: float) -> tuple[Array, LionState]:
        direction = np.sign(self.beta1 * state.m + (1.0 - self.beta1) * g)
        move = -lr * (direction + self.weight_decay * state.theta)
        m = self.beta2 * state.m + (1.0 - self.beta2) * g
        return move, LionState(state.t + 1, state.theta + move, m)
