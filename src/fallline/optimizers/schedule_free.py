"""Schedule-free SGD: an average that is also where the gradient is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from fallline.optimizers._base import Array, Optimizer, need


class ScheduleFreeState(NamedTuple):
    """Steps made, the base point z, the average x, the largest rate so far, and the sum of weights."""

    t: int
    z: Array
    x: Array
    lr_max: float
    weight_sum: float


@dataclass(frozen=True)
class ScheduleFree(Optimizer[ScheduleFreeState]):
    """y = (1-beta) z + beta x;  z <- z - lr grad J(y);  x <- (1-c) x + c z,  c = w_t / sum w,  w_t = t^r lr_max^2.

    Defazio et al. (2024). theta in the loop is y, the answer is x. No schedule and no horizon is needed, but the rate
    is: its authors say that it wants tuning, often well above plain SGD's. Convention: the authors' reference SGD
    without warm-up; optax.contrib.schedule_free over optax.sgd is the same for a constant rate.

    >>> import numpy as np
    >>> rule = ScheduleFree()
    >>> move, state = rule.update(np.array([1.0]), rule.init(np.array([1.0])), lr=0.5)
    >>> rule.answer(np.array([1.0]) + move, state)
    array([0.5])
    """

    beta: float = 0.9
    r: float = 0.0
    name: ClassVar[str] = "schedule free"
    summary: ClassVar[str] = "averaging in place of a schedule: stop whenever you like"
    convention: ClassVar[str] = "schedule_free.SGDScheduleFree (reference implementation)"
    default_lr: ClassVar[float | None] = 1.0
    elementwise: ClassVar[bool] = True
    tracks_theta: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need(0.0 <= self.beta < 1.0, "ScheduleFree(beta=...)", self.beta, "0 <= beta < 1")
        need(self.r >= 0.0, "ScheduleFree(r=...)", self.r, "r >= 0")

    def init(self, theta: Array) -> ScheduleFreeState:
        return ScheduleFreeState(0, theta.copy(), theta.copy(), 0.0, 0.0)

    def update(self, g: Array, state: ScheduleFreeState, lr: float) -> tuple[Array, ScheduleFreeState]:
        t = state.t + 1
        lr_max = max(lr, state.lr_max)
        weight = float(t) ** self.r * lr_max**2
        weight_sum = state.weight_sum + weight
        c = weight / weight_sum if weight_sum > 0.0 else 0.0
        before = (1.0 - self.beta) * state.z + self.beta * state.x
        z = state.z - lr * g
        x = (1.0 - c) * state.x + c * z
        return (1.0 - self.beta) * z + self.beta * x - before, ScheduleFreeState(t, z, x, lr_max, weight_sum)

    def answer(self, theta: Array, state: ScheduleFreeState) -> Array:
        return state.x
