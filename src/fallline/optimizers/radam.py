"""RAdam: Adam that waits until it knows the gradient's size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fallline.optimizers._base import Array, Optimizer
from fallline.optimizers._check import check_adam

LEAST_FREEDOM = 5.0  # degrees of freedom below which the mean of g^2 is not trusted (torch: >, optax: >=)


class RAdamState(NamedTuple):
    """Steps made, and the running means of g and of g^2."""

    t: int
    m: Array
    v: Array


@dataclass(frozen=True)
class RAdam(Optimizer[RAdamState]):
    """Momentum alone while v rests on too few gradients, then Adam with its early steps shortened by r_t.

    rho_t = rho - 2 t b2^t / (1-b2^t),  rho = 2 / (1-b2) - 1;  for rho_t > 5:
    r_t = sqrt((rho_t-4)(rho_t-2) rho / ((rho-4)(rho-2) rho_t)),
    theta <- theta - lr (m / (1-b1^t)) r_t sqrt(1-b2^t) / (sqrt(v) + eps);  before: theta <- theta - lr m / (1-b1^t).

    Liu et al. (2020). Convention: torch.optim.RAdam; optax adds eps to the corrected root and begins at rho_t >= 5.
    The first five steps are plain momentum, so the rate must suit both.

    >>> rule = RAdam()
    >>> rule.update(np.array([3.0, -0.1]), rule.init(np.zeros(2)), lr=0.1)[0].round(6)
    array([-0.3 ,  0.01])
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    name: ClassVar[str] = "radam"
    summary: ClassVar[str] = "Adam that begins as momentum and warms up by itself"
    convention: ClassVar[str] = "torch.optim.RAdam"
    default_lr: ClassVar[float | None] = 1e-3
    elementwise: ClassVar[bool] = True
    adaptive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_adam("RAdam", self.beta1, self.beta2, self.eps)

    def init(self, theta: Array) -> RAdamState:
        return RAdamState(0, np.zeros_like(theta), np.zeros_like(theta))

    def update(self, g: Array, state: RAdamState, lr: float) -> tuple[Array, RAdamState]:
        t = state.t + 1
        m = self.beta1 * state.m + (1.0 - self.beta1) * g
        v = self.beta2 * state.v + (1.0 - self.beta2) * g * g
        corrected = m / (1.0 - self.beta1**t)
        most = 2.0 / (1.0 - self.beta2) - 1.0
        seen = 1.0 - self.beta2**t
        freedom = most - 2.0 * t * self.beta2**t / seen
        if freedom <= LEAST_FREEDOM:
            return -lr * corrected, RAdamState(t, m, v)
        shorter = math.sqrt((freedom - 4.0) * (freedom - 2.0) * most / ((most - 4.0) * (most - 2.0) * freedom))
        return -lr * corrected * shorter * math.sqrt(seen) / (np.sqrt(v) + self.eps), RAdamState(t, m, v)
