"""The gradient is small beside the one at the start: good enough, where nothing can be proved."""

from __future__ import annotations

from typing import ClassVar

from fallline.stops._base import Ending, Point, Stop


class GradientNorm(Stop):
    """End when ||grad J(theta)|| <= tol * ||grad J(theta_0)||: relative, so that the units of the target do not matter.

    Where J has corners, of the smallest subgradient. A measurement, not a proof: on a long flat valley the gradient is
    small far from the bottom.
    """

    name: ClassVar[str] = "gradient"
    summary: ClassVar[str] = "the gradient is so much smaller than at the start"

    def __init__(self, tol: float, reference: float | None = None) -> None:
        self.tol, self.reference = tol, reference

    def update(self, point: Point) -> Ending | None:
        if not point.full:
            return None
        if self.reference is None:
            self.reference = point.norm
        return Ending("gradient") if point.norm <= self.tol * self.reference else None
