"""Stop rules: one reason to end a run per file."""

from __future__ import annotations

from fallline.family import members
from fallline.stops._base import Stop


def stops() -> dict[str, type[Stop]]:
    """Return every stop rule by name."""
    found: dict[str, type[Stop]] = members(__name__, Stop)
    return found
