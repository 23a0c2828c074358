"""One line of the printed table: what fallline took, what the best peer took, and what was aimed at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

HEADINGS = ("problem", "aim", "fallline", "best peer", "", "ratio", "met")


@dataclass(frozen=True)
class Row:
    """A measurement against an aim.

    `faster`: the aim is that the peer takes at least `aim` times as long; else that fallline takes at most `aim` times
    as long. `aim` None: whatever the ratio turns out to be. `theirs` None: no peer got there.
    """

    problem: str
    aim: float | None
    ours: float
    peer: str
    theirs: float | None
    faster: bool = True
    unit: str = "s"
    reached: bool = True  # whether fallline got where it claims to be
    at_least: float | None = None  # where no peer got there: how long they were given
    note: str = ""

    @property
    def ratio(self) -> float | None:
        theirs = self.theirs if self.theirs is not None else self.at_least
        if theirs is None or not (theirs > 0.0 and self.ours > 0.0):
            return None
        return theirs / self.ours if self.faster else self.ours / theirs

    @property
    def met(self) -> bool | None:
        if self.aim is None:
            return None
        if not self.reached:
            return False
        if self.ratio is None:
            return self.ours <= 0.0
        return self.ratio >= self.aim if self.faster else self.ratio <= self.aim

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of HEADINGS."""
        aim = "-" if self.aim is None else f">= {self.aim:g}x faster" if self.faster else f"<= {self.aim:g}x"
        theirs = "-" if self.theirs is None else f"{self.theirs:.4g} {self.unit}"
        ratio = "-" if self.ratio is None else f"{'>= ' if self.theirs is None else ''}{self.ratio:.3g}x"
        met = {None: "-", True: "yes", False: "NO"}[self.met]
        ours = f"{self.ours:.4g} {self.unit}"
        return self.problem, aim, ours, self.peer, theirs, ratio, f"{met}  {self.note}".rstrip()

    def record(self) -> dict[str, Any]:
        """The row for results.json."""
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


def table(rows: list[Row]) -> str:
    """All rows in one table of aligned columns."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(HEADINGS))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)
