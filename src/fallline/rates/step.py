"""Step decay: the rate falls by a factor every so many passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fallline.errors import SettingError
from fallline.rates._base import Schedule
from fallline.rates._check import check_rate, check_share


@dataclass(frozen=True)
class Step(Schedule):
    """lr(t) = lr * factor^floor(t / every), t in passes over the data (torch.optim.lr_scheduler.StepLR).

    >>> [float(Step(0.8, every=2, factor=0.5).at(t, 10)) for t in range(5)]
    [0.8, 0.8, 0.4, 0.4, 0.2]
    """

    lr: float
    every: float = 10.0
    factor: float = 0.5
    name: ClassVar[str] = "step"
    summary: ClassVar[str] = "halved (or by another factor) every few passes"

    def __post_init__(self) -> None:
        check_rate(self.lr)
        check_share(self.factor, "Step(factor=...)")
        if not self.every > 0:
            raise SettingError(f"Step(every=...): got {self.every!r}; it must be above 0 passes.")

    def at(self, passes: Any, horizon: float) -> Any:
        return self.lr * self.factor ** np.floor(passes / self.every)

    @property
    def reason(self) -> str:
        return f"{self.lr:.4g}, times {self.factor:g} every {self.every:g} passes"
