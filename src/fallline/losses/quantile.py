"""Quantile loss: the line below which a given share of the targets lies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from fallline.errors import SettingError
from fallline.losses._base import Array, Loss, negative_entropy
from fallline.losses._start import newton_start, weighted_quantile

RUNGS = 16  # each half a decade sharper than the one before, the last 1e-8 of the spread of y
TINY = 1e-300  # a smoothing that is none
LOG_2 = float(np.log(2.0))


@dataclass(frozen=True)
class Quantile(Loss):
    """phi(y, z) = max(tau r, (tau - 1) r),  r = y - z: the pinball loss; tau = 0.5 is the median regression.

    With ``smoothing`` h > 0 its corner is rounded:  tau r + h log(1 + e^(-r/h)),  which exceeds the pinball loss by at
    most h log 2 anywhere. With h = 0 (the default) ``optimizer="auto"`` trains a ladder of ever sharper roundings,
    each from where the last one ended, down to 1e-8 of the spread of y, and adds h log 2 to what it claims to have
    proved. A named optimizer follows the subgradient of the pinball loss itself, which hops around the corner unless
    its rate decays.

    tau is between 0 and 1; smoothing is in the units of y. (Koenker and Bassett 1978.)

    >>> Quantile(0.9).value(np.array([1.0, 0.0]), np.array([0.0, 1.0])).round(12)
    array([0.9, 0.1])
    """

    tau: float = 0.5
    smoothing: float = 0.0
    name: ClassVar[str] = "quantile"
    summary: ClassVar[str] = "a quantile of the targets, the median by default"
    targets: ClassVar[str] = "any number"

    def __post_init__(self) -> None:
        if not 0.0 < self.tau < 1.0:
            raise SettingError(f"Quantile(tau=...): got {self.tau!r}; it must satisfy 0 < tau < 1.")
        if not (np.isfinite(self.smoothing) and self.smoothing >= 0.0):
            raise SettingError(
                f"Quantile(smoothing=...): got {self.smoothing!r}; it must be 0 or more, in the units of y."
            )

    @property
    def smooth(self) -> bool:
        return self.smoothing > 0.0

    def value(self, y: Array, z: Array) -> Array:
        r, h = y - z, self.smoothing
        cost: Array = (
            np.maximum(self.tau * r, (self.tau - 1.0) * r) if h == 0.0 else self.tau * r + h * _softplus(-r / h)
        )
        return cost

    def slope(self, y: Array, z: Array) -> Array:
        r, h = y - z, self.smoothing
        if h > 0.0:
            return _sigmoid(-r / h) - self.tau
        return np.where(r > 0.0, -self.tau, np.where(r < 0.0, 1.0 - self.tau, 0.0 * r))

    def curvature(self, y: Array, z: Array) -> Array:
        return self.curvature_floor(y, z, np.zeros_like(z))

    def curvature_floor(self, y: Array, z: Array, radius: Array) -> Array:
        if self.smoothing == 0.0:
            return np.zeros_like(z)
        mu = _sigmoid(-(np.abs(y - z) + radius) / self.smoothing)
        return mu * (1.0 - mu) / self.smoothing

    @property
    def curvature_bound(self) -> float | None:
        return 0.25 / self.smoothing if self.smoothing > 0.0 else None

    def ladder(self, unit: float) -> tuple[Loss, ...]:
        if self.smoothing > 0.0:
            return (self,)
        return tuple(replace(self, smoothing=unit * 10.0 ** (-rung / 2.0)) for rung in range(1, RUNGS + 1))

    @property
    def excess(self) -> float:
        return self.smoothing * LOG_2

    def conjugate(self, y: Array, u: Array) -> Array:
        p = u + self.tau
        h = max(self.smoothing, TINY)  # p outside [0, 1] is infinite without smoothing too
        return u * y + h * (negative_entropy(p) + negative_entropy(1.0 - p))

    def mean(self, z: Array) -> Array:
        return z

    def start(self, y: Array, weight: Array, offset: Array | None) -> float:
        shifted = y if offset is None else y - offset
        guess = weighted_quantile(shifted, weight, self.tau)
        return newton_start(self, shifted, weight, None, guess, self.smoothing) if self.smoothing > 0.0 else guess


def _softplus(t: Array) -> Array:
    cost: Array = np.log1p(np.exp(-np.abs(t))) + np.maximum(t, 0.0)
    return cost


def _sigmoid(t: Array) -> Array:
    e = np.exp(-np.abs(t))
    share: Array = np.where(t >= 0.0, 1.0, e) / (1.0 + e)
    return share
