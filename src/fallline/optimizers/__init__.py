"""Optimizers: one update rule per file. See _base.py for what a rule declares."""

from __future__ import annotations

from typing import Any

from fallline.family import look_up, members
from fallline.optimizers._base import Optimizer

AnyOptimizer = Optimizer[Any]


def optimizers() -> dict[str, type[AnyOptimizer]]:
    """Return every update rule by name."""
    found: dict[str, type[AnyOptimizer]] = members(__name__, Optimizer)
    return found


def as_optimizer(optimizer: str | AnyOptimizer) -> AnyOptimizer:
    """Return the update rule called `optimizer`, or `optimizer` itself when it is one already."""
    return optimizer if isinstance(optimizer, Optimizer) else look_up(optimizer, optimizers(), "optimizer")
