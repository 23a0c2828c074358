"""AdamW: Adam with weight decay beside it, not inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fallline.optimizers._base import Array, Optimizer
from fallline.optimizers._check import check_adam


class AdamWState(NamedTuple):
    """Steps made, the parameters (which decay), and the running means of g and of g^2."""

    t: int
    theta: Array
    m: Array
    v: Array


@dataclass(frozen=True)
class AdamW(Optimizer[AdamWState]):
    """theta <- theta - lr decay theta - lr (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps),  m and v as in Adam.

    Loshchilov and Hutter (2019). The decay acts on every entry of theta, an intercept too, as in torch; it is no
    penalty that J knows of, so its fixed point is not the minimum of J. Where a ridge is meant, use Adam with l2.
    Convention: torch.optim.AdamW (decay 1e-2), the same algebra in optax (decay 1e-4); Keras defaults to 0.004.

    >>> rule = AdamW(weight_decay=0.5)
    >>> rule.update(np.array([1.0]), rule.init(np.array([2.0])), lr=0.1)[0].round(6)
    array([-0.2])
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 1e-2
    name: ClassVar[str] = "adamw"
    summary: ClassVar[str] = "Adam with decoupled weight decay"
    convention: ClassVar[str] = "torch.optim.AdamW"
    default_lr: ClassVar[float | None] = 1e-3
    elementwise: ClassVar[bool] = True
    adaptive: ClassVar[bool] = True
    tracks_theta: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_adam("AdamW", self.beta1, self.beta2, self.eps, self.weight_decay)

    def init(self, theta: Array) -> AdamWState:
        return AdamWState(0, theta.copy(), np.zeros_like(theta), np.zeros_like(theta))

    def update(self, g: Array, state: AdamWState, lr: float) -> tuple[Array, AdamWState]:
        t = state.t + 1
        m = self.beta1 * state.m + (1.0 - self.beta1) * g
        v = self.beta2 * state.v + (1.0 - self.beta2) * g * g
        size = np.sqrt(v / (1.0 - self.beta2**t)) + self.eps
        move = -lr * self.weight_decay * state.theta - lr * (m / (1.0 - self.beta1**t)) / size
        return move, AdamWState(t, state.theta + move, m, v)
