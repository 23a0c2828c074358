"""Inverse-time decay: Robbins and Monro's classical schedule for stochastic gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fallline.errors import SettingError
from fallline.rates._base import Schedule
from fallline.rates._check import check_rate


@dataclass(frozen=True)
class InverseTime(Schedule):
    """lr(t) = lr / (1 + decay * t), t in passes over the data.

    Its sum is infinite and the sum of its squares is finite, which is what Robbins and Monro (1951) ask of a schedule
    whose mini-batch noise dies out.

    >>> [float(InverseTime(1.0, decay=1.0).at(t, 10)) for t in range(4)]
    [1.0, 0.5, 0.3333333333333333, 0.25]
    """

    lr: float
    decay: float = 1.0
    name: ClassVar[str] = "inverse time"
    summary: ClassVar[str] = "falls like 1 / (1 + passes)"

    def __post_init__(self) -> None:
        check_rate(self.lr)
        if not self.decay >= 0:
            raise SettingError(f"InverseTime(decay=...): got {self.decay!r}; it must be 0 or more.")

    def at(self, passes: Any, horizon: float) -> Any:
        return self.lr / (1.0 + self.decay * passes)

    @property
    def reason(self) -> str:
        return f"{self.lr:.4g} / (1 + {self.decay:g} passes)"
