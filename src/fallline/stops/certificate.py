"""The certificate: end when a proved bound on J(theta) - J* is within the tolerance."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from fallline.stops._base import Array, Ending, Point, Slope, Stop

Certify = Callable[[Array, Array], float | None]


class Certificate(Stop):
    """End when  J - J* <= tol * J*  is proved, or J - J* is at round-off beside the loss at the start.

    A bound costs about as much as p / 2 passes (it forms the matrix of second derivatives), so it is tried only when
    the slope (the smallest subgradient) has fallen tenfold since the last try and, unless a preconditioner says that
    the end is near, at least `spacing` passes have gone by.
    """

    name: ClassVar[str] = "certificate"
    summary: ClassVar[str] = "provably within the tolerance of the best loss"

    EXACT = 1e-20  # of the loss at the start: a perfect fit has J* = 0, and this is its weights to about ten digits
    POLISH = 1e-6  # of tol: preconditioned steps double the digits each time, so the last ones cost a single pass
    FALL = 0.1  # try again when the gradient has fallen to this share

    def __init__(self, tol: float, certify: Certify, slope: Slope, spacing: float) -> None:
        self.tol, self.certify, self.slope, self.spacing = tol, certify, slope, spacing
        self._first: float | None = None
        self._norm, self._pass, self._decrement = np.inf, -np.inf, np.inf

    def good(self, gap: float, J: float, tol: float | None = None) -> bool:
        """Whether the bound `gap` at loss J is within the tolerance."""
        first = self._first if self._first is not None else abs(J)
        return gap <= (self.tol if tol is None else tol) * max(J - gap, 0.0) or gap <= self.EXACT * first

    def update(self, point: Point) -> Ending | None:
        if not point.full or not np.isfinite(point.J):
            return None
        if self._first is None:
            self._first = abs(point.J)
        norm = float(np.linalg.norm(self.slope(point.theta, point.g)))
        if not self._worth_a_try(point, norm):
            return None
        self._norm, self._pass = norm, point.passes
        gap = self.certify(point.theta, point.g)
        return Ending("certificate", gap) if gap is not None and self.good(gap, point.J) else None

    def _worth_a_try(self, point: Point, norm: float) -> bool:
        if np.isfinite(point.decrement):
            before, self._decrement = self._decrement, point.decrement
            if self.good(point.decrement, point.J, self.tol * self.POLISH):
                return True
            return point.decrement > before / 2.0 and self.good(point.decrement, point.J)  # round-off: no more to gain
        return norm <= self.FALL * self._norm and point.passes >= self._pass + self.spacing
