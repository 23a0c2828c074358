"""RMSProp: AdaGrad that forgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fallline.optimizers._base import Array, Optimizer, need


class RMSPropState(NamedTuple):
    """Steps made, the running means of g^2 and of g, and the velocity."""

    t: int
    square: Array
    g_mean: Array
    velocity: Array


@dataclass(frozen=True)
class RMSProp(Optimizer[RMSPropState]):
    """s <- rho s + (1 - rho) g^2;  v <- beta v + g / (sqrt(s) + eps);  theta <- theta - lr v.

    Tieleman and Hinton (2012). `centered` divides by the standard deviation instead: max(s - mean(g)^2, 0) in place of
    s. Convention: torch.optim.RMSprop (rho is its alpha), which has no max and ends in NaN once a constant gradient
    makes the difference round below 0. optax and Keras divide by sqrt(s + eps), here ``eps_in_sqrt=True``, with
    rho = 0.9, and keep the rate inside the velocity. Not with a constant rate where the optimum itself is wanted: like
    Adam it circles.

    >>> rule = RMSProp(rho=0.0)
    >>> rule.update(np.array([3.0, -0.1]), rule.init(np.zeros(2)), lr=0.1)[0].round(6)
    array([-0.1,  0.1])
    """

    rho: float = 0.99
    eps: float = 1e-8
    beta: float = 0.0
    centered: bool = False
    eps_in_sqrt: bool = False
    name: ClassVar[str] = "rmsprop"
    summary: ClassVar[str] = "divides by the recent size of each coordinate's gradient"
    convention: ClassVar[str] = "torch.optim.RMSprop"
    default_lr: ClassVar[float | None] = 1e-2
    elementwise: ClassVar[bool] = True
    adaptive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need(0.0 <= self.rho < 1.0, "RMSProp(rho=...)", self.rho, "0 <= rho < 1")
        need(self.eps >= 0.0, "RMSProp(eps=...)", self.eps, "eps >= 0")
        need(0.0 <= self.beta < 1.0, "RMSProp(beta=...)", self.beta, "0 <= beta < 1")

    def init(self, theta: Array) -> RMSPropState:
        return RMSPropState(0, np.zeros_like(theta), np.zeros_like(theta), np.zeros_like(theta))

    def update(self, g: Array, state: RMSPropState, lr: float) -> tuple[Array, RMSPropState]:
        square = self.rho * state.square + (1.0 - self.rho) * g * g
        g_mean = self.rho * state.g_mean + (1.0 - self.rho) * g if self.centered else state.g_mean
        spread = np.maximum(square - g_mean * g_mean, 0.0) if self.centered else square
        size = np.sqrt(spread + self.eps) if self.eps_in_sqrt else np.sqrt(spread) + self.eps
        velocity = self.beta * state.velocity + g / size
        return -lr * velocity, RMSPropState(state.t + 1, square, g_mean, velocity)
