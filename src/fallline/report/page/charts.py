"""Plain SVG for the page: curves with axes, zones and flags, and the loss surface. Colours come from the page's style."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.report.numbers import number
from fallline.report.surface import Surface, contours

Array = NDArray[np.float64]

WIDTH, HEIGHT = 680, 300
LEFT, RIGHT, TOP, BOTTOM = 78, 14, 14, 44
MOST_POINTS = 400
FEW = 40  # steps shown as dots


class Series(NamedTuple):
    """A curve: its name, its points, its style in the page's style sheet, and whether points are dots."""

    name: str
    x: Array
    y: Array
    style: str = "c0"
    dots: bool = False


class Mark(NamedTuple):
    """A line across at a value of x (or of y), with a word."""

    at: float
    words: str
    style: str
    across: bool = False  # a value of y


@dataclass
class Chart:
    """Axes for some series: where a point lies in the picture."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    log_x: bool
    log_y: bool

    def x(self, value: float) -> float:
        """The place of a value of x."""
        return LEFT + (WIDTH - LEFT - RIGHT) * _share(value, self.x_low, self.x_high, self.log_x)

    def y(self, value: float) -> float:
        """The place of a value of y."""
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * _share(value, self.y_low, self.y_high, self.log_y)


def line_chart(
    title: str, series: list[Series], *, x_label: str, y_label: str, log_x: bool = False, log_y: bool = False,
    marks: list[Mark] | None = None, zones: list[tuple[float, float, str]] | None = None, key: str = "",
) -> str:  # fmt: skip
    """An SVG of the series, with a title, a description in words, axes with ticks, and a legend under it."""
    shown = [Series(s.name, *_thinned(*_drawable(s, log_x, log_y)), s.style, s.dots) for s in series]
    shown = [s for s in shown if len(s.x)]
    if not shown:
        return '<p class="none">Nothing finite to draw.</p>'
    xs, ys = np.concatenate([s.x for s in shown]), np.concatenate([s.y for s in shown])
    across = [m.at for m in marks or [] if m.across and (m.at > 0.0 or not log_y) and math.isfinite(m.at)]
    along = [m.at for m in marks or [] if not m.across and (m.at > 0.0 or not log_x) and math.isfinite(m.at)]
    chart = Chart(*_ends(xs, along), *_ends(ys, across), log_x, log_y)
    words = "; ".join(
        f"{s.name} goes from {number(float(s.y[0]))} to {number(float(s.y[-1]))}, lowest {number(float(s.y.min()))}"
        for s in shown
    )
    body = [_zone(chart, zone) for zone in zones or []] + [_axes(chart, x_label, y_label)]
    body += [_mark(chart, mark) for mark in marks or []] + [_curve(chart, s) for s in shown]
    svg = (
        f'<svg role="img" viewBox="0 0 {WIDTH} {HEIGHT}" aria-labelledby="{key}-t {key}-d" xmlns="http://www.w3.org/2000/svg">'
        f'<title id="{key}-t">{escape(title)}</title><desc id="{key}-d">{escape(words)}.</desc>{"".join(body)}</svg>'
    )
    names = [(s.style, s.name) for s in shown] + [(m.style, m.words) for m in marks or []]
    legend = "".join(f'<li><span class="key {style}"></span>{escape(name)}</li>' for style, name in names)
    return f'{svg}<ul class="legend">{legend}</ul>' if len(names) > 1 else svg


def surface_chart(surface: Surface, key: str) -> str:
    """Contours of the loss and the way over them; the viewBox is square cells of the data."""
    chart = Chart(float(surface.x[0]), float(surface.x[-1]), float(surface.y[0]), float(surface.y[-1]), False, False)
    body = [_axes(chart, surface.names[0] + surface.units, surface.names[1] + surface.units)]
    if surface.heights is not None:
        for line in contours(surface.x, surface.y, surface.heights):
            points = " ".join(f"{chart.x(a):.1f},{chart.y(b):.1f}" for a, b in line)
            body.append(f'<polyline class="contour" points="{points}"/>')
    way = Series("the way of the run", surface.way_x, surface.way_y, "c0", len(surface.steps) <= FEW)
    body.append(_curve(chart, way))
    for at, style, words in ((0, "start", "start"), (-1, "end", "end")):
        x, y = chart.x(float(surface.way_x[at])), chart.y(float(surface.way_y[at]))
        body.append(f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="6"><title>{words}</title></circle>')
    (x0, x1), (y0, y1) = (tuple(number(float(v)) for v in way[[0, -1]]) for way in (surface.way_x, surface.way_y))
    told = f"From ({x0}, {y0}) to ({x1}, {y1})"
    return (
        f'<svg role="img" class="surface" viewBox="0 0 {WIDTH} {HEIGHT}" aria-labelledby="{key}-t {key}-d" '
        f'data-x="{float(surface.x[0])!r},{float(surface.x[-1])!r}" '
        f'data-y="{float(surface.y[0])!r},{float(surface.y[-1])!r}" '
        f'xmlns="http://www.w3.org/2000/svg"><title id="{key}-t">The way over the loss surface</title>'
        f'<desc id="{key}-d">{told}; contours show {escape(surface.caption)}.</desc>{"".join(body)}<g class="own"></g></svg>'
    )  # fmt: skip


def _ends(values: Array, marks: list[float]) -> tuple[float, float]:
    """The lowest and the highest of curves and marks."""
    every = [float(values.min()), float(values.max()), *marks]
    return min(every), max(every)


def _share(value: float, low: float, high: float, log: bool) -> float:
    if log:
        value, low, high = (math.log10(max(v, 1e-300)) for v in (value, low, high))
    return (value - low) / (high - low) if high > low else 0.5


def _drawable(series: Series, log_x: bool, log_y: bool) -> tuple[Array, Array]:
    x, y = np.asarray(series.x, dtype=np.float64), np.asarray(series.y, dtype=np.float64)
    good = np.isfinite(x) & np.isfinite(y) & ((y > 0.0) | (not log_y)) & ((x > 0.0) | (not log_x))
    return x[good], y[good]


def _thinned(x: Array, y: Array) -> tuple[Array, Array]:
    """At most so many points: of each stretch its lowest and its highest, so that no spike is lost."""
    if len(x) <= MOST_POINTS:
        return x, y
    kept = {0, len(x) - 1}
    for part in np.array_split(np.arange(len(x)), MOST_POINTS // 2):
        kept |= {int(part[y[part].argmin()]), int(part[y[part].argmax()])}
    rows = np.array(sorted(kept))
    return x[rows], y[rows]


def _curve(chart: Chart, s: Series) -> str:
    points = [(chart.x(float(a)), chart.y(float(b))) for a, b in zip(s.x, s.y, strict=True)]
    line = f'<polyline class="line {s.style}" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}"/>'
    if s.dots or len(points) == 1:
        line += "".join(f'<circle class="dot {s.style}" cx="{a:.1f}" cy="{b:.1f}" r="3"/>' for a, b in points)
    return line


def _mark(chart: Chart, mark: Mark) -> str:
    low, high, log = (
        (chart.y_low, chart.y_high, chart.log_y) if mark.across else (chart.x_low, chart.x_high, chart.log_x)
    )
    if not math.isfinite(mark.at) or not low <= mark.at <= high or (log and mark.at <= 0.0):
        return ""
    if mark.across:
        y = chart.y(mark.at)
        return f'<path class="mark {mark.style}" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"><title>{escape(mark.words)}</title></path>'
    x = chart.x(mark.at)
    return f'<path class="mark {mark.style}" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"><title>{escape(mark.words)}</title></path>'


def _zone(chart: Chart, zone: tuple[float, float, str]) -> str:
    low, high = max(zone[0], chart.y_low), min(zone[1], chart.y_high)
    if not low < high:
        return ""
    top, bottom = chart.y(high), chart.y(low)
    return f'<rect class="zone {zone[2]}" x="{LEFT}" y="{top:.1f}" width="{WIDTH - LEFT - RIGHT}" height="{bottom - top:.1f}"/>'


def _axes(chart: Chart, x_label: str, y_label: str) -> str:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>']
    for value in ticks(chart.y_low, chart.y_high, chart.log_y):
        y = chart.y(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{_tick(value, chart.log_y)}</text>')
    for value in ticks(chart.x_low, chart.x_high, chart.log_x):
        x = chart.x(value)
        parts.append(f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{_tick(value, chart.log_x)}</text>')
    parts.append(
        f'<text class="label" x="{(LEFT + right) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>'
    )
    middle = (TOP + bottom) / 2
    scale = " (log scale)" if chart.log_y else ""
    parts.append(
        f'<text class="label up" x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">'
        f"{escape(y_label)}{scale}</text>"
    )
    return "".join(parts)


def ticks(low: float, high: float, log: bool) -> list[float]:
    """Round numbers between, three to seven of them.

    >>> ticks(0.0, 1000.0, False), ticks(0.5, 2000.0, True)
    ([0.0, 200.0, 400.0, 600.0, 800.0, 1000.0], [1.0, 10.0, 100.0, 1000.0])
    """
    if not high > low:
        return [low]
    if log:
        first, last = math.ceil(math.log10(max(low, 1e-300)) - 1e-9), math.floor(math.log10(max(high, 1e-300)) + 1e-9)
        if last > first:
            stride = max(1, math.ceil((last - first) / 6))
            return [10.0**e for e in range(first, last + 1, stride)]
    size = 10.0 ** math.floor(math.log10((high - low) / 5.0))
    step = next(size * k for k in (1.0, 2.0, 5.0, 10.0) if size * k >= (high - low) / 6.0)
    return [step * k for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _tick(value: float, log: bool) -> str:
    if log and value > 0.0 and not 1e-3 <= value < 1e5:
        return f"1e{round(math.log10(value))}" if abs(math.log10(value) % 1.0) < 1e-6 else f"{value:.0e}"
    return number(value, 3)
