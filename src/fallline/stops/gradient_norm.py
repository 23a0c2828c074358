"""The gradient is small beside the one at the start: good enough, where nothing can be proved."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fallline.stops._base import Ending, Point, Slope, Stop


class GradientNorm(Stop):
    """End when ||grad J(theta)|| <= tol * ||grad J(theta_0)||: relative, so that the units of the target do not matter.

    `slope(theta, g)` is the smallest subgradient (where J has corners). A measurement, not a proof: on a long flat
    valley the gradient is small far from the bottom.
    """

    name: ClassVar[str] = "gradient"
    summary: ClassVar[str] = "the gradient is so much smaller than at the start"

    def __init__(self, tol: float, slope: Slope, reference: float | None = None) -> None:
        self.tol, self.slope, self.reference = tol, slope, reference

    def update(self, point: Point) -> Ending | None:
        if not point.full:
            return None
        norm = float(np.linalg.norm(self.slope(point.theta, point.g)))
        if self.reference is None:
            self.reference = norm
        return Ending("gradient") if norm <= self.tol * self.reference else None
