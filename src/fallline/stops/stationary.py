"""A stationary point, as far as double precision tells: where a user's function has no more to gain."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from fallline.stops._base import Array, Ending, Point, Stop

# Relative: a step that lowers f by less is cause to look. Of a method that gains digits each time, the next step gains less
# than rounding.
LEVEL = 1e-12
X_LEVEL = 4.5e-16  # relative: a shorter move of an unknown is rounding
AGAIN = 0.5  # of the steps so far: what passes between two looks
RUNAWAY = 1e100  # times the size of the start, or 1: x is on its way to infinity


class Stationary(Stop):
    """End where ``reached(theta, J, g)`` says so: a Newton step promises less than rounding does to f, or to x.

    That asks for second derivatives, so it is tried where the run gives cause to: the loss or theta no longer moves, the
    gradient is zero, or its norm has fallen to `steep` times that of the first point (0: never for that). A look that finds
    more to gain is repeated after half as many steps again. A gradient that is small beside the one at the start is no
    reason to end: a steep start makes every valley look flat.
    """

    name: ClassVar[str] = "gradient"
    summary: ClassVar[str] = "the gradient promises no decrease that double precision can show"

    def __init__(self, reached: Callable[[Array, float, Array], bool], size: float, steep: float = 0.0) -> None:
        self.reached, self.size, self.steep = reached, size, steep
        self._theta: Array | None = None
        self._J, self._limit, self._next = math.nan, math.nan, 0

    def update(self, point: Point) -> Ending | None:
        if not point.full or not math.isfinite(point.J):
            return None
        if np.abs(point.theta).max() > RUNAWAY * max(1.0, self.size):
            return Ending("runaway")
        if math.isnan(self._limit):
            self._limit = self.steep * point.norm
        cause = (
            not point.g.any()
            or point.norm <= self._limit
            or abs(point.J - self._J) <= LEVEL * abs(point.J)
            or (
                self._theta is not None
                and bool(np.all(np.abs(point.theta - self._theta) <= X_LEVEL * np.abs(point.theta)))
            )
        )
        self._theta, self._J = point.theta, point.J
        if not cause or point.step < self._next:
            return None
        self._limit = min(self._limit, self.steep * point.norm)
        self._next = point.step + max(1, math.ceil(AGAIN * point.step))
        return Ending("gradient") if self.reached(point.theta, point.J, point.g) else None
