"""L-BFGS: learn the curvature from the last few steps, and step by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fallline.optimizers._base import Array, Optimizer, need

FLAT = 1e-14  # of |s| |y|: a smaller product is round-off, and says nothing of the curvature


class LBFGSState(NamedTuple):
    """Steps made, the last gradient and move, and the moves s and changes of the gradient y, oldest first."""

    t: int
    g: Array
    move: Array
    moves: tuple[Array, ...]
    changes: tuple[Array, ...]


@dataclass(frozen=True)
class LBFGS(Optimizer[LBFGSState]):
    """theta <- theta - lr H g,  H the inverse curvature that the last `memory` pairs (s, y) = (step, change of g) imply.

    H starts as (s.y / y.y) I of the newest pair, and each pair corrects it so that H y = s (the two-loop recursion;
    Nocedal 1980, Liu and Nocedal 1989). A step of 1 is right once the curvature is known. It needs exact gradients: the
    difference of two mini-batches' gradients says little of the curvature. Convention: torch.optim.LBFGS, whose first
    step is shortened to a length of at most lr.

    >>> rule = LBFGS()
    >>> rule.update(np.array([3.0, -0.1]), rule.init(np.zeros(2)), lr=0.1)[0].round(6)
    array([-0.3 ,  0.01])
    """

    memory: int = 10
    name: ClassVar[str] = "lbfgs"
    summary: ClassVar[str] = "steps by the curvature that the last ten steps have shown (full batch)"
    convention: ClassVar[str] = "torch.optim.LBFGS"
    default_lr: ClassVar[float | None] = 1.0
    needs_exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need(isinstance(self.memory, int) and self.memory >= 1, "LBFGS(memory=...)", self.memory, "memory >= 1, whole")

    def init(self, theta: Array) -> LBFGSState:
        return LBFGSState(0, np.zeros_like(theta), np.zeros_like(theta), (), ())

    def update(self, g: Array, state: LBFGSState, lr: float) -> tuple[Array, LBFGSState]:
        moves, changes = state.moves, state.changes
        change = g - state.g
        if state.t > 0 and _dot(state.move, change) > FLAT * np.linalg.norm(state.move) * np.linalg.norm(change):
            moves, changes = (*moves, state.move)[-self.memory :], (*changes, change)[-self.memory :]
        move = -lr * _times_inverse_curvature(g, moves, changes)
        return move, LBFGSState(state.t + 1, g, move, moves, changes)


def _times_inverse_curvature(g: Array, moves: tuple[Array, ...], changes: tuple[Array, ...]) -> Array:
    """H g, without ever forming H."""
    shares, d = [], g
    for s, y in zip(reversed(moves), reversed(changes), strict=True):
        share = _dot(s, d) / _dot(s, y)
        shares.append(share)
        d = d - share * y
    if moves:
        d = _dot(moves[-1], changes[-1]) / _dot(changes[-1], changes[-1]) * d
    for s, y, share in zip(moves, changes, reversed(shares), strict=True):
        d = d + (share - _dot(y, d) / _dot(s, y)) * s
    return d


def _dot(a: Array, b: Array) -> float:
    return float(np.vdot(a, b))
