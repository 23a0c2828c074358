"""Gradient descent: the update rule that all others vary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from fallline.optimizers._base import Array, Optimizer


class DescentState(NamedTuple):
    """The number of steps made; descent itself remembers nothing."""

    t: int


@dataclass(frozen=True)
class Descent(Optimizer[DescentState]):
    """theta <- theta - lr * g.

    With all rows it is batch gradient descent, with one row at a time stochastic gradient descent (SGD). The loss
    falls at every step while lr < 2/L, L the largest curvature; above, it diverges. All libraries agree on this one.
    Not for badly scaled problems: the steps it needs grow with the condition number, those of ``accelerated`` with its
    square root.

    >>> import numpy as np
    >>> Descent().update(np.array([2.0, -4.0]), DescentState(0), lr=0.5)[0]
    array([-1.,  2.])
    """

    name: ClassVar[str] = "descent"
    summary: ClassVar[str] = "plain gradient descent; with batch_size=1 stochastic gradient descent"
    convention: ClassVar[str] = "torch.optim.SGD"
    default_lr: ClassVar[float | None] = 1e-3
    elementwise: ClassVar[bool] = True

    def init(self, theta: Array) -> DescentState:
        return DescentState(0)

    def update(self, g: Array, state: DescentState, lr: float) -> tuple[Array, DescentState]:
        return -lr * g, DescentState(state.t + 1)
