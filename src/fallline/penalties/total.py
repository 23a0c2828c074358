"""The sum of several penalties, such as an L2 penalty with bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fallline.penalties._base import Array, Penalty
from fallline.penalties.bounds import Bounds


@dataclass(frozen=True)
class Total(Penalty):
    """R(w) = sum of the parts' R(w).

    The proximal step applies the parts' steps in turn, bounds last. That is the proximal step of the sum because all
    parts act entry by entry and bounds are an interval: in one dimension, a convex function's least point within an
    interval is its least point anywhere, moved to the nearest end.
    """

    parts: tuple[Penalty, ...]
    name: ClassVar[str] = "total"
    summary: ClassVar[str] = "several penalties together"

    def __post_init__(self) -> None:
        ordered = sorted(self.parts, key=lambda part: isinstance(part, Bounds))
        object.__setattr__(self, "parts", tuple(ordered))

    def value(self, w: Array) -> float:
        return sum(part.value(w) for part in self.parts)

    def slope(self, w: Array) -> Array:
        total = self.parts[0].slope(w)
        for part in self.parts[1:]:
            total = total + part.slope(w)
        return total

    @property
    def curvature(self) -> float:
        return sum(part.curvature for part in self.parts)

    @property
    def smooth(self) -> bool:
        return all(part.smooth for part in self.parts)

    def prox(self, w: Array, lr: float) -> Array:
        for part in self.parts:
            w = part.prox(w, lr)
        return w

    def project(self, w: Array) -> Array:
        for part in self.parts:
            w = part.project(w)
        return w

    def slope_range(self, w: Array) -> tuple[Array, Array]:
        low, high = self.parts[0].slope_range(w)
        for part in self.parts[1:]:
            other = part.slope_range(w)
            low, high = low + other[0], high + other[1]
        return low, high

    def scaled(self, scale: Array) -> Total:
        return Total(tuple(part.scaled(scale) for part in self.parts))
