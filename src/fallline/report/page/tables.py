"""The page's tables: the curve in numbers, weights, columns, quality, one update by hand, runs side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.report.numbers import above_best, count, number, seconds

if TYPE_CHECKING:
    from fallline.result import Result

SHOWN, MORE = 25, 500  # weights that are shown, and that can be opened
COLUMNS = 200
QUALITY = {"r2": "R2", "accuracy": "accuracy", "deviance_explained": "deviance explained", "loss": "loss"}


def number_rows(r: Result) -> dict[str, Any]:
    """The curve at powers of two of the steps, and the last."""
    history = r.history
    known = np.flatnonzero(np.isfinite(history.full_loss) & (history.accepted == 1.0))
    rows, due = [], 0.0
    for k in known:
        step = history.step[k]
        if step < due and k != known[-1]:
            continue
        due = 1.0 if step < 1.0 else 2.0 ** (math.floor(math.log2(step)) + 1)
        rows.append([
            f"{step:,.0f}", number(history.full_loss[k], 7), number(history.full_gradient_norm[k], 3),
            number(history.learning_rate[k], 4), number(history.check_loss[k], 6), seconds(history.seconds[k]),
        ])  # fmt: skip
    return {"head": ("step", "loss", "slope", "rate", "check loss", "time"), "rows": rows}


def weight_rows(r: Result) -> dict[str, Any] | None:
    """Weights in the units of the data, by the size of what a standard deviation of the column adds."""
    if r.loss is None:
        return None
    sd = r.summary.sd if r.summary is not None else np.ones(len(r.coef))
    if r.coef.ndim == 2:
        labels = [str(label) for label in (r.classes or range(r.coef.shape[1]))]
        order = np.argsort(-np.abs(r.coef * sd[:, None]).max(axis=1), kind="stable")
        rows = [["intercept", *(number(float(b)) for b in np.asarray(r.intercept)[:8])]]
        rows += [[r.feature_names[j], *(number(float(v)) for v in r.coef[j][:8])] for j in order]
        return {"head": ["column", *labels[:8]], "rows": rows[: SHOWN + 1], "more": rows[SHOWN + 1 : MORE]}
    order = np.argsort(-np.abs(r.coef * sd), kind="stable")
    head, told = ["column", "weight", "of one sd"], r.inference
    if told is not None:
        head += ["standard error", "p-value"]
        error, p = told.standard_error, told.p_value
    rows = [["intercept", number(float(r.intercept)), ""]]
    if told is not None:
        rows[0] += [number(float(error[-1]), 3), number(float(p[-1]), 2)] if len(error) > len(r.coef) else ["", ""]
    for j in order:
        row = [r.feature_names[j], number(float(r.coef[j]), 5), number(float(r.coef[j] * sd[j]), 3)]
        if told is not None:
            row += [number(float(error[j]), 3), number(float(p[j]), 2)]
        rows.append(row)
    return {"head": head, "rows": rows[: SHOWN + 1], "more": rows[SHOWN + 1 : MORE]}


def column_rows(r: Result) -> tuple[list[list[str]], str]:
    """Mean, spread and range of each column; and how many there are where not all are shown."""
    s = r.summary
    if s is None:
        return [], ""
    rows = [
        [name, *(number(float(v)) for v in (s.mean[j], s.sd[j], s.low[j], s.high[j]))]
        for j, name in enumerate(s.names[:COLUMNS])
    ]
    return rows, f"{len(s.names):,}" if len(s.names) > COLUMNS else ""


def quality_rows(r: Result) -> list[tuple[str, str, str]]:
    """Measures on the check rows beside those of the best constant."""
    check = r.check
    if not check:
        return []
    base = {
        "r2": "0", "accuracy": f"{check.get('majority', math.nan):.3f}", "deviance_explained": "0",
        "loss": number(check["baseline_loss"], 5),
    }  # fmt: skip
    rows = [
        (word, number(check[key], 5) if key == "loss" else f"{check[key]:.3f}", base[key])
        for key, word in QUALITY.items()
        if key in check
    ]
    if r.reliability is not None:
        rows.append(("probabilities are off by", f"{100 * r.reliability.error:.1f} points", ""))
    rows.append(("rows held out", f"{check['rows']:,.0f}", ""))
    return rows


def arithmetic(r: Result, most: int) -> list[list[str]]:
    """The first update of plain descent from this run's start: theta - lr * gradient."""
    bowl = r.bowl
    if bowl is None or not bowl.largest > 0.0:
        return []
    use = r.rate_report().in_use
    lr = use if use is not None and r.optimizer is not None and r.optimizer.name == "descent" else 1.0 / bowl.largest
    g = bowl.gradient(bowl.start)
    moved = sorted(np.argsort(-np.abs(g), kind="stable")[:most].tolist())
    return [
        [bowl.names[k], number(bowl.start[k]), f"{number(lr)} \u00d7 {number(g[k])}", number(bowl.start[k] - lr * g[k])]
        for k in moved
    ]


def loop_boxes(r: Result) -> list[tuple[str, str]]:
    """The textbook's loop, each box with this run's numbers."""
    history = r.history
    loss, norms = history.full_loss[np.isfinite(history.full_loss)], history.full_gradient_norm
    norms = norms[np.isfinite(norms)]
    data = "a function of your own"
    if r.summary is not None:
        data = f"{r.summary.rows:,} rows, {count(len(r.summary.names), 'column', 'columns')}, target {r.summary.target_name}"
    begin = "at x0" if r.loss is None else "weights 0, intercept the best constant"
    model = "theta" if r.loss is None else f"z = {len(r.feature_names):,} weights times columns + intercept"
    ended = {
        "certificate": "yes, proved", "gradient": "yes, the slope has vanished", "stalled": "nothing moves any more",
        "early": "the check rows say so", "budget": "no, the budget ended", "time": "no, the time was up",
        "interrupt": "no, it was stopped", "diverged": "no, it diverged",
    }.get(r.stop_reason, r.stop_reason)  # fmt: skip
    return [
        ("load data", data), ("initialise theta", begin), ("forward: predictions", model),
        ("loss J(theta)", f"{number(float(loss[0]), 5)} \u2192 {number(float(loss[-1]), 5)}" if len(loss) else "-"),
        ("backward: gradient", f"size {number(float(norms[0]), 3)} \u2192 {number(float(norms[-1]), 3)}" if len(norms) else "-"),
        ("update theta", f"{count(r.steps, 'step', 'steps')} of {_rule(r)}"),
        ("converged?", ended), ("trained model", f"{r.verdict} ({r.certainty})"),
    ]  # fmt: skip


def _rule(r: Result) -> str:
    """The name of the update rule; of a loaded model, whose rule may need what is not there any more, as it was recorded."""
    if r.optimizer is not None:
        return r.optimizer.name
    return r.evidence.optimizer if r.evidence is not None else "-"


def compared(results: dict[str, Result]) -> dict[str, Any]:
    """Runs side by side."""
    rows = []
    for name, r in results.items():
        bound = "-" if r.gap is None else f"\u2264 {above_best(r.gap, r.best_loss)}"
        scores = [f"{word} {r.check[key]:.3f}" for key, word in QUALITY.items() if r.check and key in r.check]
        score = scores[0] if scores else "-"
        rows.append([
            name, str(r.verdict), number(r.best_loss, 6), bound, score, f"{r.passes:,.0f}", seconds(r.seconds),
            _rule(r),
        ])  # fmt: skip
    return {"head": ("run", "verdict", "loss", "above best", "check", "passes", "time", "optimizer"), "rows": rows}
