"""AdaGrad: a rate of its own for each coordinate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fallline.optimizers._base import Array, Optimizer, need


class AdaGradState(NamedTuple):
    """Steps made, and the sum of squared gradients."""

    t: int
    total: Array


@dataclass(frozen=True)
class AdaGrad(Optimizer[AdaGradState]):
    """s <- s + g^2;  theta <- theta - lr / (1 + t decay) * g / (sqrt(s) + eps),  t = 0, 1, ...

    Rare features keep a large rate, frequent ones a small one; all rates shrink for ever, so it is not for long runs
    (Duchi, Hazan and Singer 2011). Convention: torch.optim.Adagrad. optax and Keras start s at 0.1 and divide by
    sqrt(s + eps): ``AdaGrad(initial=0.1, eps=1e-7, eps_in_sqrt=True)``.

    >>> rule = AdaGrad()
    >>> rule.update(np.array([3.0, -0.1]), rule.init(np.zeros(2)), lr=0.1)[0].round(6)
    array([-0.1,  0.1])
    """

    eps: float = 1e-10
    initial: float = 0.0
    decay: float = 0.0
    eps_in_sqrt: bool = False
    name: ClassVar[str] = "adagrad"
    summary: ClassVar[str] = "a rate per coordinate that shrinks with what it has seen; good for rare features"
    convention: ClassVar[str] = "torch.optim.Adagrad"
    default_lr: ClassVar[float | None] = 1e-2
    elementwise: ClassVar[bool] = True
    adaptive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need(self.eps >= 0.0, "AdaGrad(eps=...)", self.eps, "eps >= 0")
        need(self.initial >= 0.0, "AdaGrad(initial=...)", self.initial, "initial >= 0")
        need(self.decay >= 0.0, "AdaGrad(decay=...)", self.decay, "decay >= 0")

    def init(self, theta: Array) -> AdaGradState:
        return AdaGradState(0, np.full_like(theta, self.initial))

    def update(self, g: Array, state: AdaGradState, lr: float) -> tuple[Array, AdaGradState]:
        total = state.total + g * g
        rate = lr / (1.0 + state.t * self.decay)
        size = np.sqrt(total + self.eps) if self.eps_in_sqrt else np.sqrt(total) + self.eps
        return -rate * g / size, AdaGradState(state.t + 1, total)
