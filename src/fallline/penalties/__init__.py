"""Penalties: one formula R(w) per file. See _base.py for what a penalty declares."""

from __future__ import annotations

from typing import Any

from fallline.errors import SettingError, SettingTypeError
from fallline.family import members
from fallline.penalties._base import Penalty
from fallline.penalties._check import check_strength


def penalties() -> dict[str, type[Penalty]]:
    """Return every penalty by name."""
    found: dict[str, type[Penalty]] = members(__name__, Penalty)
    return found


def as_penalty(
    penalty: Penalty | None, l1: float = 0.0, l2: float = 0.0, bounds: tuple[Any, Any] | None = None
) -> Penalty:
    """The one penalty that these settings add up to."""
    from fallline.penalties.bounds import Bounds
    from fallline.penalties.elastic_net import ElasticNet
    from fallline.penalties.l1 import L1
    from fallline.penalties.l2 import L2
    from fallline.penalties.none import NoPenalty
    from fallline.penalties.total import Total

    check_strength(l1, "fit", "l1")
    check_strength(l2, "fit", "l2")
    parts: list[Penalty] = []
    if penalty is not None:
        if not isinstance(penalty, Penalty):
            raise SettingTypeError(
                f"penalty: got {penalty!r}; give a Penalty such as fallline.L2(0.1), or use l1=, l2=, bounds=."
            )
        if l1 or l2:
            raise SettingError("penalty: give either a penalty object or l1= and l2=, not both.")
        parts.append(penalty)
    elif l1 != 0 and l2 != 0:
        parts.append(ElasticNet(l1, l2))
    elif l1 != 0 or l2 != 0:
        parts.append(L1(l1) if l1 != 0 else L2(l2))
    if bounds is not None:
        if not (isinstance(bounds, tuple) and len(bounds) == 2):
            raise SettingTypeError(f"bounds: got {bounds!r}; give (lower, upper), each a number, an array or None.")
        parts.append(Bounds(*bounds))
    return Total(tuple(parts)) if len(parts) > 1 else parts[0] if parts else NoPenalty()
