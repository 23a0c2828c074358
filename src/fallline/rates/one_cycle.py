"""One cycle: up along a cosine, then down to almost nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fallline.errors import SettingError
from fallline.rates._base import Schedule
from fallline.rates._check import check_rate, check_share


@dataclass(frozen=True)
class OneCycle(Schedule):
    """From lr / div up to lr over `share` of the run, then down to lr / (div * final_div), each along a half cosine.

    Smith and Topin (2018); torch.optim.lr_scheduler.OneCycleLR with cycle_momentum=False and its defaults.

    >>> [round(float(OneCycle(1.0).at(t, 100)), 3) for t in (0, 30, 100)]
    [0.04, 1.0, 0.0]
    """

    lr: float
    share: float = 0.3
    div: float = 25.0
    final_div: float = 1e4
    name: ClassVar[str] = "one cycle"
    summary: ClassVar[str] = "up for a third of the run, then down to almost nothing"

    def __post_init__(self) -> None:
        check_rate(self.lr)
        check_share(self.share, "OneCycle(share=...)")
        if not (self.div >= 1 and self.final_div >= 1):
            raise SettingError(
                f"OneCycle(div=..., final_div=...): got {self.div!r}, {self.final_div!r}; both must be at least 1."
            )

    def at(self, passes: Any, horizon: float) -> Any:
        low, end = self.lr / self.div, self.lr / (self.div * self.final_div)
        peak = self.share * horizon
        rising = _half_cosine(low, self.lr, passes / max(peak, 1e-12))
        falling = _half_cosine(self.lr, end, np.minimum((passes - peak) / max(horizon - peak, 1e-12), 1.0))
        return np.where(passes < peak, rising, falling)

    @property
    def reason(self) -> str:
        return f"one cycle: {self.lr / self.div:.4g} up to {self.lr:.4g}, then down to almost 0"


def _half_cosine(begin: float, end: float, done: Any) -> Any:
    return end + (begin - end) * (1.0 + np.cos(np.pi * done)) / 2.0
