"""NAdam: Adam that looks ahead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fallline.optimizers._base import Array, Optimizer, need
from fallline.optimizers._check import check_adam

WARMING = 0.96  # Dozat's constant of the momentum schedule


class NAdamState(NamedTuple):
    """Steps made, the product of all momentum coefficients, and the running means of g and of g^2."""

    t: int
    product: float
    m: Array
    v: Array


@dataclass(frozen=True)
class NAdam(Optimizer[NAdamState]):
    """Adam with Nesterov's look-ahead and a momentum that warms up:  b_t = b1 (1 - 0.96^(t psi) / 2).

    P_t = b_1 ... b_t;  theta <- theta - lr ((1-b_t) / (1-P_t) g + b_(t+1) / (1-P_(t+1)) m) / (sqrt(v / (1-b2^t)) +
    eps).

    Dozat (2016). Convention: torch.optim.NAdam with psi = momentum_decay = 0.004; torch keeps the product P in single
    precision, this in double, so long runs differ by about 1e-8. optax has no schedule (b_t = b1: psi = 1e5 makes it so
    from the first step); Keras's has psi = 1. Like Adam, it does not settle at a constant rate.

    >>> rule = NAdam()
    >>> bool(np.all(rule.update(np.array([3.0, -0.1]), rule.init(np.zeros(2)), lr=0.1)[0] * [1, -1] < 0))
    True
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    psi: float = 0.004
    name: ClassVar[str] = "nadam"
    summary: ClassVar[str] = "Adam with Nesterov's look-ahead"
    convention: ClassVar[str] = "torch.optim.NAdam"
    default_lr: ClassVar[float | None] = 2e-3
    elementwise: ClassVar[bool] = True
    adaptive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_adam("NAdam", self.beta1, self.beta2, self.eps)
        need(self.psi >= 0.0, "NAdam(psi=...)", self.psi, "psi >= 0")

    def init(self, theta: Array) -> NAdamState:
        return NAdamState(0, 1.0, np.zeros_like(theta), np.zeros_like(theta))

    def update(self, g: Array, state: NAdamState, lr: float) -> tuple[Array, NAdamState]:
        t = state.t + 1
        now = self.beta1 * (1.0 - 0.5 * WARMING ** (t * self.psi))
        soon = self.beta1 * (1.0 - 0.5 * WARMING ** ((t + 1) * self.psi))
        product = state.product * now
        m = self.beta1 * state.m + (1.0 - self.beta1) * g
        v = self.beta2 * state.v + (1.0 - self.beta2) * g * g
        size = np.sqrt(v / (1.0 - self.beta2**t)) + self.eps
        push = (1.0 - now) / (1.0 - product) * g + soon / (1.0 - product * soon) * m
        return -lr * push / size, NAdamState(t, product, m, v)
