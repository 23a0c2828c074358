"""Where words for people go, and how: one decision about colour, width and characters, made once."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time
from dataclasses import dataclass
from typing import Any, TextIO

from fallline.visible import visible

REFRESH = 0.2  # seconds between two drawings in place
LABEL = 13  # columns of the labels at the left
NARROWEST, WIDEST = 40, 100
COLOURS = {"good": "green", "bad": "red", "warn": "yellow"}


@dataclass
class Console:
    """Writes to standard error. ``plain`` is for screen readers, ``quiet`` leaves only the verdict.

    Nothing that it is given can act on the terminal or forge a line: names of columns, levels and files may be anybody's.

    Colour: on a terminal that is not dumb, unless NO_COLOR is set; FORCE_COLOR turns it on anywhere; `color` (a flag)
    wins over both. It never carries meaning alone.
    """

    stream: TextIO
    width: int
    unicode: bool
    color: bool
    live: bool
    plain: bool = False
    quiet: bool = False
    _doing: tuple[str, float, float] = ("", 0.0, 0.0)  # what is shown in place, since when, and when it was last drawn
    _shown: bool = False  # whether something is shown in place

    @classmethod
    def open(cls, *, plain: bool = False, quiet: bool = False, color: bool | None = None) -> Console:
        """Look at the terminal and the environment."""
        stream = sys.stderr
        dumb = os.environ.get("TERM") == "dumb"
        terminal = stream.isatty()
        live = terminal and sys.stdout.isatty() and not dumb and not os.environ.get("CI") and not plain
        if color is None:
            forced, refused = os.environ.get("FORCE_COLOR"), os.environ.get("NO_COLOR")
            color = not refused and (bool(forced) or (terminal and not dumb))
        columns = shutil.get_terminal_size((WIDEST, 24)).columns
        encoding = (stream.encoding or "").lower().replace("-", "")
        return cls(
            stream,
            min(max(columns - 1, NARROWEST), WIDEST),
            encoding.startswith("utf"),
            color and not plain,
            live,
            plain,
            quiet,
        )

    def line(self, text: str = "") -> None:
        """A line, unless quiet."""
        if not self.quiet:
            self._write(visible(text))

    def labelled(self, label: str, text: str, tone: str = "", always: bool = False, hang: int = 0) -> None:
        """``label        text``, wrapped with the text hanging to the right of the label, `hang` columns further in."""
        if self.quiet and not always:
            return
        lead = f"{label:<{LABEL - 1}} "
        body = textwrap.wrap(
            visible(text),
            self.width - LABEL,
            subsequent_indent=" " * hang,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
        if tone and self.color:
            lead = self._styled(lead, f"bold {COLOURS[tone]}")
        self._write(lead + body[0])
        for rest in body[1:]:
            self._write(" " * LABEL + rest)

    def progress(self, what: str, rows: int) -> None:
        """``reading 1,200,000 rows, 2.4 million a second``, in place, on a terminal alone; zero rows wipe it away."""
        if not self.live or self.quiet:
            return
        now = time.monotonic()
        doing, began, last = self._doing
        if what != doing:
            self._doing = doing, began, last = what, now, 0.0
        if rows and now - last < REFRESH:
            return
        self._doing = what, began, now
        speed = f", {rows / (now - began) / 1e6:.2g} million a second" if now > began + 1.0 else ""
        self._in_place(f"{what} {rows:,} rows{speed}" if rows else "")

    def status(self, text: str) -> None:
        """A line in place, on a terminal alone, drawn at most every ``REFRESH`` seconds; whatever is written next wipes it."""
        now = time.monotonic()
        if self.live and not self.quiet and now - self._doing[2] >= REFRESH:
            self._doing = "", now, now
            self._in_place(text)

    def _in_place(self, text: str) -> None:
        self._shown = bool(text)
        text = visible(text)
        self.stream.write("\r" + text[: self.width].ljust(self.width) + ("" if text else "\r"))
        self.stream.flush()

    def _styled(self, text: str, style: str) -> str:
        from rich.console import Console as Rich
        from rich.text import Text

        rich = Rich(force_terminal=True, color_system="standard", width=10_000, legacy_windows=False, no_color=False)
        with rich.capture() as held:
            rich.print(Text(text, style=style), end="")
        return held.get()

    def _write(self, text: str) -> None:
        if self._shown:
            self._in_place("")
        if not self.unicode:
            text = text.encode("ascii", "replace").decode("ascii")
        self.stream.write(text + "\n")
        self.stream.flush()


def tone_of(verdict: Any) -> str:
    """Which colour a verdict gets beside its word."""
    return {"converged": "good", "good enough": "good", "diverged": "bad", "no finite optimum": "bad"}.get(
        str(verdict), "warn"
    )
