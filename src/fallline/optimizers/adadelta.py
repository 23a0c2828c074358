"""Adadelta: steps measured by the steps before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fallline.optimizers._base import Array, Optimizer, need


class AdadeltaState(NamedTuple):
    """Steps made, and the running means of the squared gradients and of the squared steps."""

    t: int
    square: Array
    step_square: Array


@dataclass(frozen=True)
class Adadelta(Optimizer[AdadeltaState]):
    """s <- rho s + (1-rho) g^2;  d = sqrt(u+eps) / sqrt(s+eps) g;  u <- rho u + (1-rho) d^2;  theta <- theta - lr d.

    Zeiler (2012); d has the units of theta, so lr = 1 is natural, and the first steps are tiny (sqrt(eps)). In closed
    loop the rule is nearly chaotic: two correct programs drift apart. Convention: torch.optim.Adadelta, the same in
    optax; Keras defaults to rho = 0.95, eps = 1e-7, lr = 0.001.

    >>> rule = Adadelta()
    >>> bool(np.all(rule.update(np.array([3.0, -0.1]), rule.init(np.zeros(2)), lr=1.0)[0] * [1, -1] < 0))
    True
    """

    rho: float = 0.9
    eps: float = 1e-6
    name: ClassVar[str] = "adadelta"
    summary: ClassVar[str] = "step sizes from the recent steps themselves"
    convention: ClassVar[str] = "torch.optim.Adadelta"
    default_lr: ClassVar[float | None] = 1.0
    elementwise: ClassVar[bool] = True
    adaptive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need(0.0 <= self.rho < 1.0, "Adadelta(rho=...)", self.rho, "0 <= rho < 1")
        need(self.eps > 0.0, "Adadelta(eps=...)", self.eps, "eps > 0")

    def init(self, theta: Array) -> AdadeltaState:
        return AdadeltaState(0, np.zeros_like(theta), np.zeros_like(theta))

    def update(self, g: Array, state: AdadeltaState, lr: float) -> tuple[Array, AdadeltaState]:
        square = self.rho * state.square + (1.0 - self.rho) * g * g
        step = np.sqrt(state.step_square + self.eps) / np.sqrt(square + self.eps) * g
        step_square = self.rho * state.step_square + (1.0 - self.rho) * step * step
        return -lr * step, AdadeltaState(state.t + 1, square, step_square)
