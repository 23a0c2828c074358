"""What is asked of a table."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fallline.errors import SettingError, SettingTypeError
from fallline.family import suggest
from fallline.identity import known_identity
from fallline.losses._base import Loss
from fallline.rows.learning import MOST_LEVELS

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
REFERENCES = ("most-frequent", "none")
SHARE = 0.5  # of the memory that is free: what a fit takes when nothing is said
LEAST_MEMORY = 50 * 10**6  # bytes: below, not even a block and what reads it have room
MOST_MEMORY = 2**62  # bytes: more than any machine has
SHOWN = 40  # characters of what was given that an error repeats
CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


@dataclass(frozen=True)
class Asked:
    """Which column to predict, from which rows, how holes are filled, and how much memory there is."""

    target: str
    loss: str | Loss | None = None  # None: guessed
    na: str = "auto"
    weight: str | None = None
    offset: str | None = None
    exposure: str | None = None
    drop: tuple[str, ...] = ()
    check: float = 0.2
    seed: int = 0
    memory: int | str | None = None
    cache: Path | None = None
    reference: tuple[str, ...] = ()  # "most-frequent", "none", or "column=level"
    levels: int | str | None = None  # columns that a text may become, or "hash:4096"

    def __post_init__(self) -> None:
        _ = self.coding  # complains of what cannot be
        if not 0.0 <= self.check < 1.0:  # nor is NaN
            raise SettingError(f"check: got {self.check!r}; a share of the rows must satisfy 0 <= check < 1.")

    @property
    def coding(self) -> dict[str, Any]:
        """How texts become columns, as the encoder is told it."""
        most, hashed = levels_of(self.levels)
        words = [word for word in self.reference if "=" not in word]
        for word in words:
            if word not in REFERENCES:
                raise SettingError(
                    f"reference: got {word!r}; give {', '.join(REFERENCES)} or COLUMN=LEVEL.{suggest(word, list(REFERENCES))}"
                )
        named = tuple((word.partition("=")[0], word.partition("=")[2]) for word in self.reference if "=" in word)
        return {"most_levels": most, "hashed": hashed, "full": "none" in words, "references": named}

    @property
    def budget(self) -> int:
        """Bytes."""
        return memory_budget(self.memory)

    def told(self) -> dict[str, Any] | None:
        """All of it but where the cache is, for fingerprints; None where a loss of the user's own may have changed.

        Memory that nobody named is half of what is free just now: rows that were laid down for less or more of it serve.
        """
        loss = known_identity(self.loss)
        if loss is None:
            return None
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "cache"} | {
            "memory": None if self.memory is None else self.budget,
            "loss": loss,
        }


def levels_of(given: int | str | None) -> tuple[int, bool]:
    """(columns that a text may become, whether the levels of those that have more are hashed into so many).

    >>> levels_of(500), levels_of("hash:4096")
    ((500, False), (4096, True))
    """
    if given is None:
        return MOST_LEVELS, False
    found = re.fullmatch(r"(hash:)?(\d{1,9})", str(given))
    if isinstance(given, bool) or not found or int(found[2]) < (2 if found[1] else 1):
        raise SettingError(f"levels: got {given!r}; give a number of columns such as 500, or 'hash:4096' to hash into.")
    return int(found[2]), bool(found[1])


def references_of(given: str | Mapping[str, str]) -> tuple[str, ...]:
    """What is asked of references, as ``Asked`` has it: of one word, or of the levels by column.

    >>> references_of("none"), references_of({"cut": "Ideal"})
    (('none',), ('cut=Ideal',))
    """
    if isinstance(given, Mapping):
        return tuple(f"{column}={level}" for column, level in given.items())
    if not isinstance(given, str):
        raise SettingTypeError(
            f"reference: got {given!r}; give 'most-frequent', 'none' or a dict from column to level."
        )
    return () if given == REFERENCES[0] else (given,)  # which is what is done unasked


def memory_budget(given: int | str | None) -> int:
    """Bytes of "1GB", "300 MB", 2_000_000; None: half of what this process may still take.

    >>> memory_budget("1.5GB"), memory_budget(200_000_000)
    (1500000000, 200000000)
    """
    if given is None:
        return max(LEAST_MEMORY, int(SHARE * free_memory()))
    if isinstance(given, int):  # Python writes no whole number of more than 4,300 digits
        given = max(-MOST_MEMORY, min(given, MOST_MEMORY))
    text = str(given)
    shown = f"{text[:SHOWN]!r}"
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([a-zA-Z]*)\s*", text)
    if isinstance(given, bool) or not found or len(text) > SHOWN or found[2].upper() not in UNITS:
        raise SettingError(f"memory: got {shown}; give bytes, or a number and a unit such as '500MB' or '2GB'.")
    budget = float(found[1]) * UNITS[found[2].upper()]
    if budget < LEAST_MEMORY:
        raise SettingError(f"memory: got {shown}; it must be at least {LEAST_MEMORY // 10**6} MB.")
    return int(min(budget, MOST_MEMORY))


def free_memory() -> int:
    """What the machine has left, or the container's limit has."""
    free = [_available()]
    for limit, used in CGROUPS:
        try:
            free.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no such file; or "max"
            continue
    return min(free)


def _available() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return 4 * 10**9
