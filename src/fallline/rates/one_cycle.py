"""One cycle: up along a cosine, then down to almost nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from fallline.errors import SettingError
from fallline.rates._base import Schedule
from fallline.rates._check import check_rate, check_share

SHORTEST = 1e-12  # passes: a phase without length would be divided by


@dataclass(frozen=True)
class OneCycle(Schedule):
    """From lr / div up to lr over `share` of the run, then down to lr / (div * final_div), each along a half cosine.

    Smith and Topin (2018); torch.optim.lr_scheduler.OneCycleLR with cycle_momentum=False and its defaults: of T steps,
    which count from 0, the peak is at share * T - 1 and the lowest rate at T - 1, the last. `step` is the part of a pass
    that a step makes: 1 for full batches; the loop sets it for mini-batches.

    >>> [round(float(OneCycle(1.0).at(t, 100)), 3) for t in (0, 29, 99)]
    [0.04, 1.0, 0.0]
    """

    lr: float
    share: float = 0.3
    div: float = 25.0
    final_div: float = 1e4
    step: float = 1.0
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
        peak, last = self.share * horizon - self.step, horizon - self.step
        rising = _half_cosine(low, self.lr, passes / max(peak, SHORTEST))
        falling = _half_cosine(self.lr, end, np.minimum((passes - peak) / max(last - peak, SHORTEST), 1.0))
        return np.where(passes < peak, rising, falling)

    def with_step(self, passes: float) -> OneCycle:
        return replace(self, step=passes)

    @property
    def reason(self) -> str:
        return f"one cycle: {self.lr / self.div:.4g} up to {self.lr:.4g}, then down to almost 0"


def _half_cosine(begin: float, end: float, done: Any) -> Any:
    return end + (begin - end) * (1.0 + np.cos(np.pi * done)) / 2.0
