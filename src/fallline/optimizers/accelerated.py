"""Accelerated gradient descent with adaptive restart: Nesterov's method with nothing to tune."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fallline.optimizers._base import Array, Optimizer


class AcceleratedState(NamedTuple):
    """Steps made, the momentum's age, and how far theta looks ahead of the last point x."""

    t: int
    age: float
    ahead: Array


@dataclass(frozen=True)
class Accelerated(Optimizer[AcceleratedState]):
    """x' = theta - lr g;  theta' = x' + (a-1) / a' (x' - x),  a' = (1 + sqrt(1 + 4 a^2)) / 2;  a = 1 if g . (x'-x) > 0.

    theta is the look-ahead point. With lr = 1/L the loss is within 2 L ||theta_0 - theta*||^2 / t^2 of its minimum
    (Nesterov 1983; FISTA, Beck and Teboulle 2009), and the restart, whenever the momentum points uphill, makes it
    linear on strongly convex losses without knowing how strongly (O'Donoghue and Candes 2015). Made for full batches:
    mini-batch noise is amplified.

    >>> rule = Accelerated()
    >>> rule.update(np.array([1.0]), rule.init(np.zeros(1)), lr=0.1)[0]
    array([-0.1])
    """

    name: ClassVar[str] = "accelerated"
    summary: ClassVar[str] = "Nesterov's method, its momentum growing and restarting by itself (full batch)"
    convention: ClassVar[str] = "O'Donoghue and Candes 2015, gradient scheme"

    def init(self, theta: Array) -> AcceleratedState:
        return AcceleratedState(0, 1.0, np.zeros_like(theta))

    def update(self, g: Array, state: AcceleratedState, lr: float) -> tuple[Array, AcceleratedState]:
        step = state.ahead - lr * g  # x' - x
        age = 1.0 if float(np.vdot(g, step)) > 0.0 else state.age
        older = (1.0 + math.sqrt(1.0 + 4.0 * age * age)) / 2.0
        ahead = (age - 1.0) / older * step
        return -lr * g + ahead, AcceleratedState(state.t + 1, older, ahead)
