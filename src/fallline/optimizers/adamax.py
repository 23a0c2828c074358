"""AdaMax: Adam by the largest recent gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fallline.optimizers._base import Array, Optimizer
from fallline.optimizers._check import check_adam


class AdaMaxState(NamedTuple):
    """Steps made, the running mean of g, and the decaying largest |g|."""

    t: int
    m: Array
    u: Array


@dataclass(frozen=True)
class AdaMax(Optimizer[AdaMaxState]):
    """m <- b1 m + (1-b1) g;  u <- max(b2 u, |g| + eps);  theta <- theta - lr / (1-b1^t) * m / u.

    Kingma and Ba (2015, section 7). Convention: torch.optim.Adamax, the same in optax; Keras adds eps to u when
    dividing. Not for gradients with outliers: one shortens the next 1 / (1-b2) steps or so.

    >>> rule = AdaMax()
    >>> rule.update(np.array([3.0, -0.1]), rule.init(np.zeros(2)), lr=0.1)[0].round(6)
    array([-0.1,  0.1])
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    name: ClassVar[str] = "adamax"
    summary: ClassVar[str] = "Adam with the largest recent gradient in place of its mean square"
    convention: ClassVar[str] = "torch.optim.Adamax"
    default_lr: ClassVar[float | None] = 2e-3
    elementwise: ClassVar[bool] = True
    adaptive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_adam("AdaMax", self.beta1, self.beta2, self.eps)

    def init(self, theta: Array) -> AdaMaxState:
        return AdaMaxState(0, np.zeros_like(theta), np.zeros_like(theta))

    def update(self, g: Array, state: AdaMaxState, lr: float) -> tuple[Array, AdaMaxState]:
        t = state.t + 1
        m = self.beta1 * state.m + (1.0 - self.beta1) * g
        u = np.maximum(self.beta2 * state.u, np.abs(g) + self.eps)
        return -lr / (1.0 - self.beta1**t) * m / u, AdaMaxState(t, m, u)
