"""The check that strengths share."""

from __future__ import annotations

import math

import numpy as np

from fallline.errors import SettingError, SettingTypeError
from fallline.rows.plain_arrays import shown


def check_strength(strength: object, where: str, setting: str) -> None:
    """Raise unless `strength` is a finite number, zero or more."""
    if isinstance(strength, bool) or not isinstance(strength, (int, float, np.number)):
        raise SettingTypeError(f"{where} ({setting}): got {shown(strength)}; it must be a number, 0 or more.")
    if not (math.isfinite(strength) and strength >= 0.0):
        raise SettingError(f"{where} ({setting}): got {strength!r}; it must be a finite number, 0 or more.")
