"""Warm-up: the rate rises in a straight line for a while, then follows a cosine down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fallline.rates._base import Schedule
from fallline.rates._check import check_rate, check_share
from fallline.rates.cosine import Cosine


@dataclass(frozen=True)
class WarmUp(Schedule):
    """lr(t) = lr * t / (share T) while t < share T, then a cosine from lr to 0 over the rest of the T passes.

    The first step is not zero: it uses the rate of one hundredth of the way up.

    >>> [round(float(WarmUp(1.0, share=0.1).at(t, 100)), 3) for t in (0, 5, 10, 55, 100)]
    [0.01, 0.5, 1.0, 0.5, 0.0]
    """

    lr: float
    share: float = 0.1
    name: ClassVar[str] = "warm up"
    summary: ClassVar[str] = "rises for the first tenth of the run, then falls along a cosine"

    def __post_init__(self) -> None:
        check_rate(self.lr)
        check_share(self.share, "WarmUp(share=...)")

    def at(self, passes: Any, horizon: float) -> Any:
        rise = self.share * horizon
        rising = self.lr * np.maximum(passes / max(rise, 1e-12), 0.01)
        return np.where(passes < rise, rising, Cosine(self.lr).at(passes - rise, max(horizon - rise, 1e-12)))

    @property
    def reason(self) -> str:
        return f"{self.lr:.4g} reached after {self.share:.0%} of the run, then down to 0 along a cosine"
