"""Our own short loss curve for the terminal: braille dots where the terminal speaks UTF-8, ASCII where it does not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fallline.report.numbers import number

HEIGHT = 8  # lines of text
MARKS = "*o+x#@%"  # one a series in ASCII, and in legends, so that colour is never needed
DECADE = 10.0
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # braille: two columns of four dots


def draw(
    series: dict[str, tuple[Any, Any]],
    *,
    width: int = 72,
    height: int = HEIGHT,
    unicode: bool = True,
    x_name: str = "step",
    y_name: str = "loss",
    log_x: bool = False,
) -> list[str]:
    """Lines that show each series (x, y); the y axis is logarithmic where everything is above 0 and spans a decade.

    Points that are not finite are left out. Several series get a legend; each is drawn with a mark of its own, since
    braille cannot tell them apart.
    """
    kept = {name: _finite(np.log10(x) if log_x else x, y) for name, (x, y) in series.items()}
    kept = {name: xy for name, xy in kept.items() if len(xy[0])}
    if not kept:
        return ["(no finite loss to draw)"]
    every_x = np.concatenate([x for x, _ in kept.values()])
    every_y = np.concatenate([y for _, y in kept.values()])
    log = bool(every_y.min() > 0.0 and every_y.max() / every_y.min() > DECADE)
    high, low = (number(float(v), 3) for v in (every_y.max(), every_y.min()))
    margin = max(len(high), len(low))
    columns = max(width - margin - 2, 16)
    braille = unicode and len(kept) == 1
    grid = _rasterise(kept, every_x, np.log10(every_y) if log else every_y, columns, height, braille, log)
    labels = [high, *[""] * (height - 2), low]
    bar, corner, dash = ("│", "└", "─") if unicode else ("|", "+", "-")
    lines = [f"{label:>{margin}} {bar}{row}".rstrip() for label, row in zip(labels, grid, strict=True)]
    lines.append(f"{'':>{margin}} {corner}{dash * columns}")
    first, last = (
        number(10.0**end if log_x else end, 2 if log_x else 4) for end in map(float, (every_x.min(), every_x.max()))
    )
    axis = f"{x_name}{' (log scale)' if log_x else ''} {first}"
    lines.append(f"{'':>{margin}}  {axis}{last:>{max(columns - len(axis), len(last) + 1)}}")
    scale = f"{y_name}, log scale" if log else y_name
    if len(kept) > 1:
        scale += ":  " + "  ".join(f"{MARKS[i % len(MARKS)]} {name}" for i, name in enumerate(kept))
    return [f"{'':>{margin}}  {scale}", *lines]


def in_words(steps: Sequence[float] | Any, losses: Sequence[float] | Any) -> str:
    """The curve as a sentence, for screen readers."""
    x, y = _finite(np.asarray(steps, float), np.asarray(losses, float))
    if not len(x):
        return "No finite loss was recorded."
    best = int(np.argmin(y))
    told = f"The loss went from {number(y[0])} at step {number(x[0])} to {number(y[-1])} at step {number(x[-1])}"
    if best != len(y) - 1:
        told += f"; it was lowest, {number(y[best])}, at step {number(x[best])}"
    rises = int(np.sum(np.diff(y) > 1e-12 * np.abs(y[:-1])))
    often = "once" if rises == 1 else f"{rises:,} times"
    return f"{told}; it rose {often} on the way." if rises else f"{told}, falling all the way."


def _finite(x: Any, y: Any) -> tuple[Any, Any]:
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    good = np.isfinite(x) & np.isfinite(y)
    return x[good], y[good]


def _rasterise(
    series: dict[str, tuple[Any, Any]], every_x: Any, scaled: Any, columns: int, height: int, braille: bool, log: bool
) -> list[str]:
    wide, tall = (columns * 2, height * 4) if braille else (columns, height)
    left, right = float(every_x.min()), float(every_x.max())
    low, high = float(scaled.min()), float(scaled.max())
    cells = np.full((height, columns), 0x2800 if braille else ord(" "))
    for i, (x, y) in enumerate(series.values()):
        values = np.log10(y) if log else y
        across = (x - left) / (right - left or 1.0) * (wide - 1)
        at = np.arange(math.floor(across.min()), math.ceil(across.max()) + 1)
        height_at = np.interp(at, across, values) if len(x) > 1 else values
        down = np.round((high - height_at) / ((high - low) or 1.0) * (tall - 1)).astype(int)
        for k, column in enumerate(at):  # join neighbours, so that a steep fall is a line and not two dots
            begin, end = down[k], down[k + 1] if k + 1 < len(at) else down[k]
            for row in range(min(begin, end), max(begin, end) + 1):
                if braille:
                    cells[row // 4, column // 2] |= DOTS[column % 2][row % 4]
                elif row == begin or len(series) == 1:
                    cells[row, column] = ord(MARKS[i % len(MARKS)])
    return ["".join(map(chr, line)).replace("\u2800", " ") for line in cells]
