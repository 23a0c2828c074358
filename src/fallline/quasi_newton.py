"""Quasi-Newton directions, BFGS or L-BFGS, in arithmetic that neither overflows nor underflows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fallline.optimizers._base import Array, Optimizer, need
from fallline.optimizers.lbfgs import FLAT

TINY = 1e-300  # a norm below: of a gradient of zeros
FIRST = 0.1  # of the largest unknown: the length of a first step, when nothing is known of the curvature


class Pair(NamedTuple):
    """A move s and the change y of the gradient, each over a power of two; `ratio` is that of s over that of y."""

    s: Array
    y: Array
    ratio: float
    product: float  # <s, y>


class QuasiNewtonState(NamedTuple):
    """Steps made, the last gradient and move, the length of the first step; the pairs, oldest first, or their matrix."""

    t: int
    g: Array
    move: Array
    length: float
    pairs: tuple[Pair, ...]
    H: Array | None


@dataclass(frozen=True)
class QuasiNewton(Optimizer[QuasiNewtonState]):
    """theta <- theta - lr H g, with BFGS's H or L-BFGS's, for a rate that is found by a line search.

    H satisfies H y = s for the pairs (s, y) = (step, change of g): of all steps as a matrix (`memory` 0; Broyden, Fletcher,
    Goldfarb and Shanno 1970), or of the last `memory` steps as in :class:`fallline.LBFGS`. Three things are added to the
    formula. Pairs and gradients are divided by powers of two, which changes no digit, so that functions of size 1e300 or
    1e-300 are like any other. Without pairs, the step has a length that suits the size of theta. And where H g does not
    point downhill, which rounding can do, the pairs are forgotten.

    >>> rule = QuasiNewton()
    >>> rule.update(np.array([3e300, -4e300]), rule.init(np.ones(2)), lr=1.0)[0].round(6)
    array([-0.06,  0.08])
    """

    memory: int = 10
    length: float = 0.0  # of the first step, by its largest entry or thereabouts; 0: a tenth of the largest unknown
    name: ClassVar[str] = "quasi-Newton"
    summary: ClassVar[str] = "steps by the curvature that earlier steps have shown (full batch)"
    convention: ClassVar[str] = "Nocedal and Wright 2006, chapters 6 and 7"
    default_lr: ClassVar[float | None] = 1.0
    needs_exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need(self.memory >= 0, "QuasiNewton(memory=...)", self.memory, "memory >= 0, whole")

    def init(self, theta: Array) -> QuasiNewtonState:
        size = float(np.abs(theta).max(initial=0.0))
        length = self.length or (FIRST * size if size > 0.0 else FIRST)
        return QuasiNewtonState(0, np.zeros_like(theta), np.zeros_like(theta), length, (), None)

    def update(self, g: Array, state: QuasiNewtonState, lr: float) -> tuple[Array, QuasiNewtonState]:
        pairs, H = state.pairs, state.H
        pair = _pair(state.move, g - state.g) if state.t > 0 else None
        if pair is not None and self.memory:
            pairs = (*pairs, pair)[-self.memory :]
        elif pair is not None:
            H = _updated(H, pair)
        unit, exponent = _scaled(g)
        direction = np.zeros_like(g)
        if H is not None:
            direction = np.ldexp((H @ unit.ravel()).reshape(g.shape), exponent)
        elif pairs:
            direction = np.ldexp(_times_inverse_hessian(unit, pairs), exponent)
        if not (np.isfinite(direction).all() and float(np.vdot(unit, direction)) > 0.0):
            pairs, H = (), None
            length = float(np.abs(state.move).max()) if state.t > 0 else state.length  # as long as the last
            direction = unit / max(float(np.linalg.norm(unit)), TINY) * length
        move = -lr * direction
        return move, QuasiNewtonState(state.t + 1, g, move, state.length, pairs, H)


def _scaled(a: Array) -> tuple[Array, int]:
    """a over a power of two, so that its largest entry is between 1/2 and 1; and the exponent."""
    exponent = math.frexp(float(np.abs(a).max(initial=0.0)))[1]
    return np.ldexp(a, -exponent), exponent


def _pair(move: Array, change: Array) -> Pair | None:
    """The pair, or None where it says nothing of the curvature, or that it is negative."""
    if not (np.isfinite(change).all() and np.isfinite(move).all()):
        return None
    (s, a), (y, b) = _scaled(move), _scaled(change)
    product = float(np.vdot(s, y))
    if product <= FLAT * float(np.linalg.norm(s)) * float(np.linalg.norm(y)):
        return None
    return Pair(s, y, math.ldexp(1.0, a - b) if abs(a - b) < 1000 else math.nan, product)


def _updated(H: Array | None, pair: Pair) -> Array:
    """BFGS's inverse Hessian after one more pair; at first a multiple of the identity (Nocedal and Wright, 6.20)."""
    s, y = pair.s.ravel(), pair.y.ravel()
    if H is None:
        H = pair.product / float(y @ y) * pair.ratio * np.eye(len(s))
    Hy = H @ y
    cross = np.outer(Hy, s / pair.product)
    updated: Array = H - cross - cross.T + np.outer(s, s) * ((pair.ratio + float(y @ Hy) / pair.product) / pair.product)
    return updated


def _times_inverse_hessian(g: Array, pairs: tuple[Pair, ...]) -> Array:
    """H g by the two-loop recursion, without ever forming H."""
    shares, d = [], g
    for pair in reversed(pairs):
        share = float(np.vdot(pair.s, d)) / pair.product
        shares.append(share)
        d = d - share * pair.y
    newest = pairs[-1]
    d = newest.product / float(np.vdot(newest.y, newest.y)) * newest.ratio * d
    for pair, share in zip(pairs, reversed(shares), strict=True):
        d = d + (share * pair.ratio - float(np.vdot(pair.y, d)) / pair.product) * pair.s
    return d
