"""Exponential decay: the rate falls by the same factor at every pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fallline.rates._base import Schedule
from fallline.rates._check import check_rate, check_share


@dataclass(frozen=True)
class Exponential(Schedule):
    """lr(t) = lr * factor^t, t in passes over the data (torch.optim.lr_scheduler.ExponentialLR).

    >>> [float(Exponential(1.0, factor=0.5).at(t, 10)) for t in range(3)]
    [1.0, 0.5, 0.25]
    """

    lr: float
    factor: float = 0.97
    name: ClassVar[str] = "exponential"
    summary: ClassVar[str] = "the same factor off at every pass"

    def __post_init__(self) -> None:
        check_rate(self.lr)
        check_share(self.factor, "Exponential(factor=...)")

    def at(self, passes: Any, horizon: float) -> Any:
        return self.lr * self.factor**passes

    @property
    def reason(self) -> str:
        return f"{self.lr:.4g}, times {self.factor:g} every pass"
