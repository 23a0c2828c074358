"""A Result in a few lines of plain text: what ``print(result)`` shows."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from fallline.report.numbers import above_best, count, number, percent, seconds
from fallline.visible import visible

if TYPE_CHECKING:
    from fallline.result import Result

MOST_COEFFICIENTS = 8
WIDTH = 100
QUALITIES = {"r2": "R2", "accuracy": "accuracy", "deviance_explained": "deviance explained"}


def describe(result: Result) -> str:
    """Verdict, loss, how it was trained, check quality, coefficients, findings."""
    lines = [_wrap("VERDICT", f"{result.verdict} ({result.certainty}): {result.sentence}")]
    lines.append(_wrap("loss", loss_line(result)))
    if result.method:
        lines.append(_wrap("method", f"{result.method}; learning rate {result.rate_reason}"))
    work = f"{count(result.steps, 'step', 'steps')}, {seconds(result.seconds)}"
    if result.loss is not None:
        work = f"{count(result.passes, 'pass', 'passes')} over the data, {work}"
    lines.append(_wrap("work", work))
    if result.check:
        lines.append(_wrap("check", check_line(result)))
    lines.append(_wrap("theta" if result.loss is None else "weights", _weights(result)))
    lines += [_wrap("FOUND", f"{finding.code}  {finding.sentence}") for finding in result.findings[:3]]
    return "\n".join(lines)


def loss_line(result: Result) -> str:
    """The loss reached, beside the best constant's and the bound."""
    told = number(result.best_loss, 6)
    if np.isfinite(result.baseline_loss):
        told += f" (the best constant: {number(result.baseline_loss, 6)})"
    if result.gap is not None and result.best_loss > result.gap:
        told += f"; at most {above_best(result.gap, result.best_loss)} above the best possible"
    return told


def check_line(result: Result) -> str:
    """Quality on the check rows, beside the baseline."""
    check = result.check or {}
    told = f"loss {number(check['loss'])} (the best constant: {number(check['baseline_loss'])})"
    for key, word in QUALITIES.items():
        if key in check:
            told = f"{word} {check[key]:.3f}; {told}"
    if "majority" in check:
        told += f"; always saying the commonest class is right for {percent(check['majority'])}"
    told = f"{told}, on {check['rows']:,.0f} {'row' if check['rows'] == 1 else 'rows'} held out"
    return told if result.reliability is None else f"{told}; {result.reliability}"


def _weights(result: Result) -> str:
    if result.loss is None:
        flat = np.ravel(result.theta)
        told = ", ".join(number(float(v), 6) for v in flat[:MOST_COEFFICIENTS])
        return told + (f", ... ({flat.size:,} in all)" if flat.size > MOST_COEFFICIENTS else "")
    if result.coef.ndim == 2:
        return f"{result.coef.shape[0]:,} columns for each of {result.coef.shape[1]} classes: result.coef, result.intercept"
    order = np.arange(len(result.coef))[:MOST_COEFFICIENTS]
    told = ", ".join(f"{result.feature_names[j]} {number(float(result.coef[j]))}" for j in order)
    rest = f", ... ({len(result.coef):,} in all)" if len(result.coef) > MOST_COEFFICIENTS else ""
    return f"{told}{rest}; intercept {number(float(result.intercept))}"


def _wrap(label: str, text: str) -> str:
    return textwrap.fill(
        visible(text), WIDTH, initial_indent=f"{label:<9}", subsequent_indent=" " * 9, break_long_words=False
    )
