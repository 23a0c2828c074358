"""No penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fallline.penalties._base import Array, Penalty


@dataclass(frozen=True)
class NoPenalty(Penalty):
    """R(w) = 0."""

    name: ClassVar[str] = "none"
    summary: ClassVar[str] = "nothing but the data"

    def value(self, w: Array) -> float:
        return 0.0
