"""Bounds: a lower and an upper limit for each weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fallline.errors import SettingError
from fallline.penalties._base import Array, Penalty

Limit = float | tuple[float, ...] | None


@dataclass(frozen=True)
class Bounds(Penalty):
    """R(w) = 0 where lower <= w <= upper, else infinite; in the units of the data.

    Each limit is a number for all weights, one number a column, or None. ``Bounds(lower=0)`` keeps weights from being
    negative. The proximal step is the nearest point within the bounds.

    >>> Bounds(lower=0.0, upper=1.0).prox(np.array([-1.0, 0.5, 7.0]), lr=0.1)
    array([0. , 0.5, 1. ])
    """

    lower: Limit = None
    upper: Limit = None
    name: ClassVar[str] = "bounds"
    summary: ClassVar[str] = "each weight between a lower and an upper limit"

    def __post_init__(self) -> None:
        for side in ("lower", "upper"):
            object.__setattr__(self, side, _limit(getattr(self, side), side))
        low, high = self._limits(None)
        if np.ndim(low) and np.ndim(high) and np.shape(low) != np.shape(high):
            raise SettingError(
                f"Bounds: lower has {np.size(low)} entries and upper {np.size(high)}; give as many of each."
            )
        if np.any(np.asarray(low) > np.asarray(high)):
            raise SettingError(
                f"Bounds: lower={self.lower!r} is above upper={self.upper!r} somewhere; lower <= upper is needed."
            )
        if np.any(np.isposinf(low)) or np.any(np.isneginf(high)):
            raise SettingError(
                f"Bounds: got lower={self.lower!r}, upper={self.upper!r}, which no finite weight can keep; "
                "lower is below infinity and upper above minus infinity."
            )

    def elementwise(self, n: int) -> tuple[Array, Array, Array, Array] | None:
        low, high = self._limits(None)
        return np.zeros(n), np.zeros(n), np.broadcast_to(low, (n,)) + 0.0, np.broadcast_to(high, (n,)) + 0.0

    def value(self, w: Array) -> float:
        return 0.0

    @property
    def smooth(self) -> bool:
        return self.lower is None and self.upper is None

    def prox(self, w: Array, lr: float) -> Array:
        return self.project(w)

    def project(self, w: Array) -> Array:
        low, high = self._limits(w)
        inside: Array = np.clip(w, low, high)
        return inside

    def slope_range(self, w: Array) -> tuple[Array, Array]:
        low, high = self._limits(w)
        return np.where(w <= low, -np.inf, 0.0), np.where(w >= high, np.inf, 0.0)

    def scaled(self, scale: Array) -> Bounds:
        return Bounds(_times(self.lower, scale, "lower"), _times(self.upper, scale, "upper"))

    def _limits(self, w: Array | None) -> tuple[Any, Any]:
        def of(limit: Limit, absent: float) -> Any:
            if limit is None:
                return absent
            column = np.asarray(limit)
            return column[:, None] if column.ndim == 1 and w is not None and w.ndim == 2 else column

        return of(self.lower, -np.inf), of(self.upper, np.inf)


def _limit(limit: Any, side: str) -> Limit:
    if limit is None:
        return None
    try:
        values = np.asarray(limit, dtype=np.float64)
    except (TypeError, ValueError):
        raise SettingError(
            f"Bounds({side}=...): got {limit!r}; it must be a number, numbers (one a column) or None."
        ) from None
    if values.ndim > 1 or np.isnan(values).any():
        raise SettingError(
            f"Bounds({side}=...): got {limit!r}; it must be a number, numbers (one a column) or None, no NaN."
        )
    return float(values) if values.ndim == 0 else tuple(values.tolist())


def _times(limit: Limit, scale: Array, side: str) -> Limit:
    if limit is None:
        return None
    values = np.asarray(limit)
    if values.ndim and len(values) != len(scale):
        raise SettingError(
            f"bounds: {side} has {len(values)} entries and there are {len(scale)} columns; give one a column."
        )
    return tuple((values * scale).tolist())
