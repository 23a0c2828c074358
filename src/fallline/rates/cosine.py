"""Cosine decay: from the full rate to (almost) nothing over the run, slowly at both ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fallline.rates._base import Schedule
from fallline.rates._check import check_rate, check_share


@dataclass(frozen=True)
class Cosine(Schedule):
    """lr(t) = lr * (last + (1 - last) * (1 + cos(pi t / T)) / 2), T the passes that the run may take.

    Loshchilov and Hutter (2017), without restarts; torch.optim.lr_scheduler.CosineAnnealingLR with eta_min = last * lr.

    >>> [round(float(Cosine(1.0).at(t, 100)), 3) for t in (0, 50, 100)]
    [1.0, 0.5, 0.0]
    """

    lr: float
    last: float = 0.0
    why: str = ""
    name: ClassVar[str] = "cosine"
    summary: ClassVar[str] = "falls to zero along half a cosine over the whole run"

    def __post_init__(self) -> None:
        check_rate(self.lr)
        check_share(self.last, "Cosine(last=...)")

    def at(self, passes: Any, horizon: float) -> Any:
        done = np.minimum(passes / horizon, 1.0)
        return self.lr * (self.last + (1.0 - self.last) * (1.0 + np.cos(np.pi * done)) / 2.0)

    @property
    def reason(self) -> str:
        why = f" ({self.why})" if self.why else ""
        return f"{self.lr:.4g}{why}, falling to {self.last * self.lr:.4g} along a cosine"
