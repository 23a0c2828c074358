"""AMSGrad: Adam whose steps can only get smaller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fallline.optimizers._base import Array, Optimizer
from fallline.optimizers._check import check_adam


class AMSGradState(NamedTuple):
    """Steps made, the running means of g and of g^2, and the largest of the latter."""

    t: int
    m: Array
    v: Array
    v_max: Array


@dataclass(frozen=True)
class AMSGrad(Optimizer[AMSGradState]):
    """V <- max(V, v);  theta <- theta - lr (m / (1-b1^t)) / (sqrt(V / (1-b2^t)) + eps),  m and v as in Adam.

    Reddi, Kale and Kumar (2018): with it Adam's proof of convergence holds. Convention: torch.optim.Adam(amsgrad=True),
    whose maximum is of the uncorrected v (its documentation shows the corrected one); optax takes the maximum of the
    corrected v, Keras of the uncorrected one with its own eps. Not where the first gradients are huge: the largest v is
    never forgotten, and the steps stay short.

    >>> rule = AMSGrad()
    >>> rule.update(np.array([3.0, -0.1]), rule.init(np.zeros(2)), lr=0.1)[0].round(6)
    array([-0.1,  0.1])
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    name: ClassVar[str] = "amsgrad"
    summary: ClassVar[str] = "Adam with steps that never grow back"
    convention: ClassVar[str] = "torch.optim.Adam(amsgrad=True)"
    default_lr: ClassVar[float | None] = 1e-3
    elementwise: ClassVar[bool] = True
    adaptive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_adam("AMSGrad", self.beta1, self.beta2, self.eps)

    def init(self, theta: Array) -> AMSGradState:
        return AMSGradState(0, np.zeros_like(theta), np.zeros_like(theta), np.zeros_like(theta))

    def update(self, g: Array, state: AMSGradState, lr: float) -> tuple[Array, AMSGradState]:
        t = state.t + 1
        m = self.beta1 * state.m + (1.0 - self.beta1) * g
        v = self.beta2 * state.v + (1.0 - self.beta2) * g * g
        v_max = np.maximum(state.v_max, v)
        size = np.sqrt(v_max / (1.0 - self.beta2**t)) + self.eps
        return -lr * (m / (1.0 - self.beta1**t)) / size, AMSGradState(t, m, v, v_max)
