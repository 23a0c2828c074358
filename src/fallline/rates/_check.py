"""The check that all rates share."""

from __future__ import annotations

import math

import numpy as np

from fallline.errors import SettingError, SettingTypeError


def check_rate(lr: object, where: str = "learning_rate") -> None:
    """Raise unless `lr` is a finite number above zero."""
    if isinstance(lr, bool) or not isinstance(lr, (int, float, np.number)):
        raise SettingTypeError(f"{where}: got {lr!r}; it must be a number above 0 (or 'auto').")
    if not (math.isfinite(lr) and lr > 0):
        raise SettingError(f"{where}: got {lr!r}; it must be a finite number above 0 (or 'auto').")


def check_share(value: float, where: str, low: float = 0.0, high: float = 1.0) -> None:
    """Raise unless low <= value <= high."""
    if not (low <= value <= high):
        raise SettingError(f"{where}: got {value!r}; it must be between {low:g} and {high:g}.")
