"""The sum of several penalties, such as an L2 penalty with bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fallline.errors import SettingError
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
        # A sum of sums is one sum: else bounds within it would be applied before the parts that were added later.
        flat = [inner for part in self.parts for inner in (part.parts if isinstance(part, Total) else (part,))]
        if not flat:
            raise SettingError("Total(parts=...): got none; give one penalty or more, or use NoPenalty().")
        flat.sort(key=lambda part: isinstance(part, Bounds))
        object.__setattr__(self, "parts", tuple(flat))
        _check_overlap([part for part in flat if isinstance(part, Bounds)])

    def elementwise(self, n: int) -> tuple[Array, Array, Array, Array] | None:
        parts = [part.elementwise(n) for part in self.parts]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        l1, l2, low, high = (np.array(column) for column in zip(*known, strict=True))
        return l1.sum(axis=0), l2.sum(axis=0), low.max(axis=0), high.min(axis=0)

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


def _check_overlap(bounds: list[Bounds]) -> None:
    """Raise where two bounds leave no weight that keeps both: then no order of clipping would be right."""
    for i, one in enumerate(bounds):
        for other in bounds[:i]:
            try:
                Bounds(other.lower, one.upper), Bounds(one.lower, other.upper)
            except SettingError as error:
                raise SettingError(f"Total: {one!r} and {other!r} contradict each other. {error}") from None
