"""Adam: momentum, divided by the recent size of the gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fallline.optimizers._base import Array, Optimizer
from fallline.optimizers._check import check_adam


class AdamState(NamedTuple):
    """Steps made, and the running means of g and of g^2."""

    t: int
    m: Array
    v: Array


@dataclass(frozen=True)
class Adam(Optimizer[AdamState]):
    """m <- b1 m + (1-b1) g;  v <- b2 v + (1-b2) g^2;  theta <- theta - lr (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps).

    Kingma and Ba (2015). A step has about the size of lr in every coordinate whatever the gradient's, so a constant
    rate never settles: it circles the optimum at a distance of about lr. Let the rate fall (``"cosine:0.01"``, or
    "auto"). Convention: torch.optim.Adam, the same in optax; Keras puts eps beside the uncorrected root ("eps-hat")
    with 1e-7.

    >>> rule = Adam()
    >>> rule.update(np.array([3.0, -0.1]), rule.init(np.zeros(2)), lr=0.1)[0].round(6)
    array([-0.1,  0.1])
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    name: ClassVar[str] = "adam"
    summary: ClassVar[str] = "momentum divided by the recent size of each coordinate's gradient"
    convention: ClassVar[str] = "torch.optim.Adam"
    default_lr: ClassVar[float | None] = 1e-3
    elementwise: ClassVar[bool] = True
    adaptive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_adam("Adam", self.beta1, self.beta2, self.eps)

    def init(self, theta: Array) -> AdamState:
        return AdamState(0, np.zeros_like(theta), np.zeros_like(theta))

    def update(self, g: Array, state: AdamState, lr: float) -> tuple[Array, AdamState]:
        t = state.t + 1
        m = self.beta1 * state.m + (1.0 - self.beta1) * g
        v = self.beta2 * state.v + (1.0 - self.beta2) * g * g
        size = np.sqrt(v / (1.0 - self.beta2**t)) + self.eps
        return -lr * (m / (1.0 - self.beta1**t)) / size, AdamState(t, m, v)
