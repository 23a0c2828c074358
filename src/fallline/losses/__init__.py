"""Losses: one formula phi(y, z) per file. See _base.py for what a loss declares."""

from __future__ import annotations

from fallline.family import look_up, members
from fallline.losses._base import Loss


def losses() -> dict[str, type[Loss]]:
    """Return every loss by name."""
    found: dict[str, type[Loss]] = members(__name__, Loss)
    return found


def as_loss(loss: str | Loss) -> Loss:
    """Return the loss called `loss`, or `loss` itself when it is one already."""
    return loss if isinstance(loss, Loss) else look_up(loss, losses(), "loss")
