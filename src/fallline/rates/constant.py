"""A constant rate: the textbook's alpha."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fallline.rates._base import Schedule
from fallline.rates._check import check_rate


@dataclass(frozen=True)
class Constant(Schedule):
    """lr(t) = lr.

    >>> Constant(0.1).at(passes=7, horizon=10)
    0.1
    """

    lr: float
    why: str = "as named"
    name: ClassVar[str] = "constant"
    summary: ClassVar[str] = "the same rate at every step"

    def __post_init__(self) -> None:
        check_rate(self.lr)

    def at(self, passes: Any, horizon: float) -> Any:
        return self.lr

    @property
    def reason(self) -> str:
        return f"{self.lr:.4g}, {self.why}"
