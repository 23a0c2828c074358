"""No penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fallline.penalties._base import Array, Penalty


@dataclass(frozen=True)
class NoPenalty(Penalty):
    """R(w) = 0."""

    name: ClassVar[str] = "none"
    summary: ClassVar[str] = "nothing but the data"

    def elementwise(self, n: int) -> tuple[Array, Array, Array, Array] | None:
        return np.zeros(n), np.zeros(n), np.full(n, -np.inf), np.full(n, np.inf)

    def value(self, w: Array) -> float:
        return 0.0
