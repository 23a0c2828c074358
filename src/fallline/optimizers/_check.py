"""The check that Adam and its kin share."""

from __future__ import annotations

from fallline.optimizers._base import need


def check_adam(rule: str, beta1: float, beta2: float, eps: float = 0.0, weight_decay: float = 0.0) -> None:
    """Raise unless both betas are in [0, 1), eps >= 0 and weight_decay >= 0."""
    need(0.0 <= beta1 < 1.0, f"{rule}(beta1=...)", beta1, "0 <= beta1 < 1")
    need(0.0 <= beta2 < 1.0, f"{rule}(beta2=...)", beta2, "0 <= beta2 < 1")
    need(eps >= 0.0, f"{rule}(eps=...)", eps, "eps >= 0")
    need(weight_decay >= 0.0, f"{rule}(weight_decay=...)", weight_decay, "weight_decay >= 0")
