"""A Result in a notebook: a small self-contained piece of HTML with its loss curve as SVG and no script."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from fallline.history import History
from fallline.report.figure import DECADE
from fallline.report.losses import curve_in_words, curve_of
from fallline.report.numbers import count, number, seconds
from fallline.report.text import check_line, loss_line
from fallline.visible import visible

if TYPE_CHECKING:
    from fallline.result import Result
    from fallline.symptoms._base import Finding

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 420, 170, 62, 26, 10
MOST_POINTS = 300


def finding_html(finding: Finding) -> str:
    """A finding: its code, how sure it is, the sentence, and what mends it."""
    told = f"<b>{escape(finding.code)}</b> {escape(finding.title)} ({escape(str(finding.certainty))}): "
    told += escape(finding.sentence)
    if finding.automatic:
        told += f"<br>done already: {escape(finding.automatic)}"
    if finding.remedy:
        told += f"<br><code>{escape(finding.remedy)}</code>"
    return visible(f'<div style="max-width:46em;line-height:1.4">{told}</div>', lines=True)


def repr_html(result: Result) -> str:
    """Verdict, key numbers, the curve, the findings. Colours follow the page's, in light and dark."""
    rows = [("loss", loss_line(result))]
    if result.check:
        rows.append(("check", check_line(result)))
    if result.method:
        rows += [("method", result.method), ("learning rate", result.rate_reason)]
    work = f"{count(result.passes, 'pass', 'passes')}, {count(result.steps, 'step', 'steps')}"
    rows.append(("work", f"{work}, {seconds(result.seconds)}"))
    table = "".join(
        f'<tr><th scope="row" style="text-align:left;font-weight:600;vertical-align:top;padding:2px 12px 2px 0">{escape(k)}</th>'
        f'<td style="text-align:left;padding:2px 0">{escape(v)}</td></tr>'
        for k, v in rows
    )
    found = "".join(f"<li><b>{escape(f.code)}</b> {escape(f.sentence)}</li>" for f in result.findings)
    return visible(
        '<div style="max-width:46em;line-height:1.4">'
        f"<p style='margin:0 0 .4em'><b>{escape(str(result.verdict))}</b> ({escape(str(result.certainty))}): "
        f"{escape(result.sentence)}</p>{curve_svg(result)}{reliability_svg(result)}<table style='border:0'>{table}</table>"
        f"{f'<ul style=margin:.4em>{found}</ul>' if found else ''}</div>",
        lines=True,
    )


def history_html(history: History) -> str:
    """The curve of a record, and where it begins and ends in words."""
    told = f"{count(len(history), 'recorded step', 'recorded steps')}. {curve_in_words(history)}"
    return f'<div style="max-width:46em;line-height:1.4">{history_svg(history)}<div>{escape(told)}</div></div>'


def curve_svg(result: Result) -> str:
    """The loss curve of a result; an empty string where there is no curve."""
    return history_svg(result.history)


def history_svg(history: History) -> str:
    """The loss curve as inline SVG with a title and a description; an empty string where there is no curve."""
    steps, loss, words = curve_of(history)
    good = np.isfinite(loss)
    steps, loss = steps[good], loss[good]
    if len(steps) < 2:
        return ""
    if len(steps) > MOST_POINTS:
        keep = np.unique(np.linspace(0, len(steps) - 1, MOST_POINTS).round().astype(int))
        steps, loss = steps[keep], loss[keep]
    log = bool(loss.min() > 0.0 and loss.max() / loss.min() > DECADE)
    heights = np.log10(loss) if log else loss
    low, high = float(heights.min()), float(heights.max())
    span = high - low or 1.0
    x = LEFT + (steps - steps[0]) / max(float(steps[-1] - steps[0]), 1e-300) * (WIDTH - LEFT - 10)
    y = TOP + (high - heights) / span * (HEIGHT - TOP - BOTTOM)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    scale = "logarithmic" if log else "linear"
    text = 'font-size="11" fill="currentColor" font-family="sans-serif"'
    return (
        (
            f'<svg role="img" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" xmlns="http://www.w3.org/2000/svg">'
            f"<title>Loss curve</title><desc>The loss went from {number(float(loss[0]))} at {words} {steps[0]:,.0f} to "
            f"{number(float(loss[-1]))} at {words} {steps[-1]:,.0f}; {scale} scale.</desc>"
            f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - 10}" fill="none" stroke="currentColor" stroke-opacity=".4"/>'
            f'<polyline points="{points}" fill="none" stroke="#0072B2" stroke-width="2"/>'
            f'<text x="{LEFT - 6}" y="{TOP + 8}" text-anchor="end" {text}>{number(float(loss.max()), 3)}</text>'
            f'<text x="{LEFT - 6}" y="{HEIGHT - BOTTOM}" text-anchor="end" {text}>{number(float(loss.min()), 3)}</text>'
            f'<text x="{LEFT}" y="{HEIGHT - 8}" {text}>{steps[0]:,.0f}</text>'
            f'<text x="{WIDTH - 10}" y="{HEIGHT - 8}" text-anchor="end" {text}>{steps[-1]:,.0f} {words}s</text>'
            f'<text x="{WIDTH - 10}" y="{TOP + 8}" text-anchor="end" {text} fill-opacity=".7">'
            f"loss J(theta){' (log scale)' if log else ''}</text></svg>"
        )
        if math.isfinite(span)
        else ""
    )


SIDE, EDGE = 170, 30  # of the square


def reliability_svg(result: Result) -> str:
    """Predicted probability against the share that came true, on the check rows; an empty string where there is none."""
    bins = result.reliability
    if bins is None:
        return ""
    full, span = bins.weight > 0.0, SIDE - EDGE - 8
    x, y = EDGE + bins.predicted[full] * span, 8 + (1.0 - bins.observed[full]) * span
    radius = 2.0 + 5.0 * np.sqrt(bins.weight[full] / bins.weight.max())
    dots = "".join(
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{r:.1f}" fill="#0072B2"/>' for a, b, r in zip(x, y, radius, strict=True)
    )
    text = 'font-size="11" fill="currentColor" font-family="sans-serif"'
    told = "; ".join(f"{p:.2f}: {o:.2f}" for p, o in zip(bins.predicted[full], bins.observed[full], strict=True))
    return (
        f'<svg role="img" viewBox="0 0 {SIDE} {SIDE}" width="{SIDE}" height="{SIDE}" xmlns="http://www.w3.org/2000/svg">'
        f"<title>Calibration</title><desc>Predicted probability and the share that came true: {told}.</desc>"
        f'<path d="M{EDGE} 8V{8 + span}H{EDGE + span}" fill="none" stroke="currentColor" stroke-opacity=".4"/>'
        f'<path d="M{EDGE} {8 + span}L{EDGE + span} 8" fill="none" stroke="currentColor" stroke-opacity=".4" '
        f'stroke-dasharray="3 3"/>{dots}'
        f'<text x="{EDGE + span / 2}" y="{SIDE - 6}" text-anchor="middle" {text}>predicted</text>'
        f'<text x="14" y="{8 + span / 2}" text-anchor="middle" {text} transform="rotate(-90 14 {8 + span / 2})">came true'
        "</text></svg>"
    )
