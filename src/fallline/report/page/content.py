"""What the page says, section by section: words, tables and pictures made of a Result."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.report.console import tone_of
from fallline.report.losses import curve_in_words, curve_of, excess_curves, sampled
from fallline.report.notebook import reliability_svg
from fallline.report.numbers import above_best, count, number, percent, seconds
from fallline.report.page.charts import Mark, Series, line_chart, surface_chart
from fallline.report.page.tables import (
    arithmetic,
    column_rows,
    compared,
    loop_boxes,
    number_rows,
    quality_rows,
    weight_rows,
)
from fallline.report.surface import surface_of
from fallline.symptoms import MEANINGS, explain, symptoms
from fallline.symptoms._pasted import remedy
from fallline.verdict import Verdict
from fallline.visible import visible

if TYPE_CHECKING:
    from fallline.result import Result

SECTIONS = (
    ("verdict", "Verdict"), ("curve", "Loss curve"), ("gap", "How far from the best"), ("step", "The step"),
    ("again", "Another learning rate"), ("path", "The way over the loss surface"), ("loop", "The training loop"),
    ("findings", "Findings"), ("data", "Data checks"), ("weights", "Weights"), ("quality", "Quality"),
    ("compared", "Beside other runs"), ("again-how", "How to make it again"),
)  # fmt: skip
FEW = 40  # steps shown as dots
SHOWN = 8  # weights in the arithmetic of one update
STYLES = ("c0", "c1", "c2", "c3", "c4", "c5")


def content(results: dict[str, Result]) -> dict[str, Any]:
    """Everything that the template asks for."""
    (name, r), *rest = results.items()
    parts: dict[str, Any] = {"r": r, "sections": SECTIONS, "title": _title(name, r), "tone": tone_of(r.verdict)}
    parts |= {"meaning": MEANINGS[Verdict(r.verdict)], "facts": _facts(r), "training_loss": number(r.best_loss, 6)}
    parts |= _curves(r) | _gap(r) | _step(r) | _again(r) | _path(r)
    parts |= {"loop_boxes": loop_boxes(r), "findings": _findings(r), "data_words": _data(r)}
    parts |= {"numbers": number_rows(r), "weights": weight_rows(r), "quality": quality_rows(r)}
    parts["weights_words"] = (
        "In the units of the data: what one more unit of the column adds to the prediction"
        f"{'' if r.loss is not None and r.loss.link == 'identity' else ' on the scale of the link'}. "
        "The last column is what one standard deviation of it adds; the list is ordered by that."
    )
    parts["columns"], parts["columns_left"] = column_rows(r)
    parts["reliability_svg"] = reliability_svg(r)
    parts["others"] = compared(results) if rest else None
    parts["compared_svg"] = _compared(results) if rest else ""
    parts |= {"command": _command(r), "reproduce": _reproduce(r)}
    return parts


def _title(name: str, r: Result) -> str:
    if r.loss is None:
        return f"{name}: a function minimised"
    return f"{name}: {r.target_name} from {count(len(r.feature_names), 'column', 'columns')}"


def _facts(r: Result) -> list[tuple[str, str]]:
    facts = [("loss reached", number(r.best_loss, 6))]
    if math.isfinite(r.baseline_loss):
        facts.append(("loss of the best constant", number(r.baseline_loss, 6)))
    if r.gap is not None and r.best_loss > r.gap:
        facts.append(
            ("proved bound", f"at most {above_best(r.gap, r.best_loss)} above the lowest possible training loss")
        )
    facts += [("method", r.method), ("learning rate", r.rate_reason)]
    work = f"{count(r.passes, 'pass', 'passes')} over the data, {count(r.steps, 'step', 'steps')}, {seconds(r.seconds)}"
    facts.append(("work", work if r.loss is not None else f"{count(r.steps, 'step', 'steps')}, {seconds(r.seconds)}"))
    if r.summary is not None:
        facts.append(("training rows", f"{r.summary.rows:,}"))
    return facts


def _curves(r: Result) -> dict[str, Any]:
    history, flags = r.history, []
    steps, loss, _ = curve_of(history)
    at = history.step
    time = np.interp(steps, at, history.seconds) if len(at) else steps
    check, few = np.isfinite(history.check_loss) & (history.accepted == 1.0), sampled(history)
    back = (history.accepted == 0.0) & np.isfinite(history.loss)
    for finding in r.findings:
        if finding.step > 0:
            flags.append((finding.step, finding.code))
    panes = []
    positive = len(loss) > 0 and bool((loss[np.isfinite(loss)] > 0.0).all())
    for log in (True, False) if positive else (False,):
        for by_time in (False, True):
            x = time if by_time else steps
            every = history.seconds if by_time else at
            series = [Series("training loss", x, loss, "c0", len(x) <= FEW)]
            if few.any():
                series.append(Series("on a sample of the rows", every[few], history.loss[few], "c5"))
            if check.any():
                series.append(Series("check loss", every[check], history.check_loss[check], "c1"))
            marks = [] if not math.isfinite(r.baseline_loss) else [Mark(r.baseline_loss, "best constant", "c3", True)]
            for step, code in flags[:3]:
                marks.append(Mark(float(np.interp(step, at, history.seconds)) if by_time else float(step), code, "c4"))
            if len(loss):
                best = int(np.nanargmin(loss))
                marks.append(Mark(float(x[best]), "lowest", "c2"))
            name = f"{'log' if log else 'linear'} scale, by {'time' if by_time else 'step'}"
            svg = line_chart(
                "Loss curve", series, x_label="seconds" if by_time else "step", y_label="loss J(theta)", log_y=log,
                marks=marks, key=f"curve-{int(log)}{int(by_time)}",
            )  # fmt: skip
            panes.append({"name": name, "svg": svg})
    words = curve_in_words(history)
    if back.any():
        words += f" {count(back.sum(), 'step was', 'steps were')} refused or rolled back on the way."
    return {"curves": panes, "curve_words": words}


def _gap(r: Result) -> dict[str, Any]:
    passes, excess = excess_curves({"run": r})["run"]
    marks = []
    if r.gap is not None and r.gap > 0.0:
        marks.append(Mark(r.gap, "proved bound at the end", "c2", True))
    tol = r.evidence.tol if r.evidence is not None else None
    if tol and r.best_loss > 0.0 and r.loss is not None:
        marks.append(Mark(tol * r.best_loss, "tolerance", "c4", True))
    svg = line_chart(
        "Loss above the best", [Series("J(theta) - J*", passes, excess, "c0", len(passes) <= FEW)],
        x_label="passes over the data" if r.loss is not None else "step", y_label="loss above the best", log_y=True,
        marks=marks, key="gap",
    )  # fmt: skip
    words = (
        "J* is the lowest loss that the proof at the end leaves possible, so each point is at most so far from the best."
        if r.gap is not None
        else "No bound was proved, so this is above the lowest loss that was seen."
    )
    return {"gap_svg": svg, "gap_words": words}


def _step(r: Result) -> dict[str, Any]:
    history, report = r.history, r.rate_report()
    lr, at = history.learning_rate, history.passes
    known = np.isfinite(lr) & (lr > 0.0)
    zones, marks, words = [], [], f"The rate: {r.rate_reason or 'as named'}."
    preconditioned = r.evidence is not None and r.evidence.preconditioned
    if report.limit is not None and not preconditioned:
        zones = [(0.0, report.limit, "ok"), (report.limit, math.inf, "high")]
        marks = [Mark(report.limit, "2/L: stable below", "c1", True), Mark(report.limit / 2.0, "1/L: good", "c2", True)]
    if preconditioned:
        words += " Each step is made in coordinates in which the valley is round, where a rate of 1 is right."
    svg = line_chart(
        "Learning rate", [Series("learning rate", at[known], lr[known], "c0", int(known.sum()) <= FEW)],
        x_label="passes over the data" if r.loss is not None else "step", y_label="learning rate", log_y=True, marks=marks,
        zones=zones, key="rate",
    ) if known.any() else '<p class="none">No rate was recorded.</p>'  # fmt: skip
    rates_svg, rates_words = "", ""
    finite = np.isfinite(report.losses)
    if finite.sum() > 2:
        share = np.clip(report.losses[finite] / max(report.begin, 1e-300), 1e-16, 1e3)
        lines = [
            (report.good, "1/L: good", "c2"),
            (report.limit, "2/L: stable below", "c1"),
            (report.in_use, "in use", "c4"),
        ]
        rates_svg = line_chart(
            "Range of learning rates", [Series(report.optimizer, report.rates[finite], share)], x_label="learning rate",
            y_label="loss left after 50 steps", log_x=True, log_y=True, key="range",
            marks=[Mark(value, words_, style) for value, words_, style in lines if value is not None],
        )  # fmt: skip
        rates_words = (
            str(report).replace("\n", "; ") + ". The curve is the share of the loss above the best that is left."
        )
    return {"step_svg": svg, "step_words": words, "rates_svg": rates_svg, "rates_words": rates_words}


def _again(r: Result) -> dict[str, Any]:
    bowl = r.bowl
    if bowl is None or not bowl.exact or not bowl.largest > 0.0:
        why = (
            "is not least squares"
            if bowl is not None
            else "has more than 61 unknowns, several outputs, or is none of rows"
        )
        return {"bowl": None, "again_words": f"For least squares the descent is run again here. This model {why}."}
    which = f"all {bowl.rows:,} rows" if bowl.whole else f"a sample of {bowl.rows:,} rows"
    L, use = bowl.largest, r.rate_report().in_use
    moved = np.argsort(-np.abs(bowl.bottom[0] - bowl.start), kind="stable")[:SHOWN]
    pair = surface_of(r).pair if r.path is not None and r.path.shape[1] > 2 else (0, 0)
    lower = [[float(v) for v in row[: i + 1]] for i, row in enumerate(bowl.curvature)]
    told = {
        "names": [visible(name) for name in bowl.names], "centre": bowl.centre.tolist(), "loss": bowl.loss,
        "slope": bowl.slope.tolist(),
        "curvature": lower, "start": bowl.start.tolist(), "L": L, "bottom": bowl.bottom[1], "pair": list(pair),
        "shown": sorted(int(k) for k in moved),
    }  # fmt: skip
    safe = json.dumps(told, separators=(",", ":")).replace("<", "\\u003c")
    good = math.log10(1.0 / L)
    return {
        "bowl": {"json": safe, "low": round(good - 4.0, 2), "high": round(good + 0.7, 2),
                 "value": round(math.log10(use) if use and use < 4.0 / L else good, 2)},
        "again_words": (
            f"Plain gradient descent from this run's start at a rate of your choice, exactly, on {which} of this data: the "
            "least-squares loss is a quadratic, and its numbers are in this page. Nothing is sent anywhere."
        ),
    }  # fmt: skip


def _path(r: Result) -> dict[str, Any]:
    if r.path is None or r.path.shape[1] < 3:
        return {
            "surface_svg": "",
            "surface_words": "The way is kept for 2 to 61 unknowns and one output.",
            "arithmetic": [],
        }
    surface = surface_of(r)
    others = "; the other weights stand where the run ended" if r.path.shape[1] > 3 else ""
    words = (
        f"The plane of the two weights that moved furthest, {surface.names[0]} and {surface.names[1]}{others}. Contours: "
        f"{surface.caption}. Yellow is the start, red the end, the way is the run's own."
    )
    return {"surface_svg": surface_chart(surface, "path"), "surface_words": words, "arithmetic": arithmetic(r, SHOWN)}


def _findings(r: Result) -> list[dict[str, Any]]:
    kinds = symptoms()
    return [
        finding.to_dict() | {"healthy": kinds[finding.code].healthy, "explained": explain(finding.code)}
        for finding in r.diagnose(healthy=True)
        if finding.code in kinds
    ]


def _data(r: Result) -> list[str]:
    s = r.summary
    if s is None:
        return ["A function of your own: there are no data."]
    told = [f"{s.rows:,} training rows, {count(len(s.names), 'column', 'columns')} after encoding."]
    if math.isfinite(s.target_sd):
        told.append(
            f"Target {s.target_name}: mean {number(s.target_mean)}, standard deviation {number(s.target_sd)}, from "
            f"{number(s.target_low)} to {number(s.target_high)}."
        )
    if s.missing:
        cells = ", ".join(f"{name} {holes:,}" for name, holes in sorted(s.missing.items(), key=lambda kv: -kv[1])[:6])
        told.append(f"Empty cells, filled before training: {cells}.")
    found = s.relations
    if found is None:
        return told
    if found.shares:
        told.append(f"Shares of the classes: {', '.join(percent(share) for share in found.shares[:10])}.")
    if found.pair is not None:
        told.append(
            f"The two columns that go together most: {found.pair[0]} and {found.pair[1]}, correlation {found.pair[2]:.3f}."
        )
    if found.largest > 0.0:
        kappa = found.largest / found.smallest if found.smallest > 0.0 else math.inf
        told.append(f"Condition number of the standardised columns: {number(kappa, 3)} (on {found.rows:,} rows).")
    if found.alone is not None:
        what = "of the pairs ranked rightly" if found.alone_by == "auc" else "of the target explained"
        told.append(f"The column that tells most alone: {found.alone[0]}, {percent(found.alone[1])} {what}.")
    if found.twins:
        told.append(f"{found.twins:,} check rows are copies of training rows.")
    return told


def _compared(results: dict[str, Result]) -> str:
    curves = excess_curves(results)
    series = [
        Series(name, passes, excess, STYLES[i % len(STYLES)], len(passes) <= FEW)
        for i, (name, (passes, excess)) in enumerate(curves.items())
    ]
    return line_chart(
        "Several runs",
        series,
        x_label="passes over the data",
        y_label="loss above the best",
        log_y=True,
        key="compared",
    )


def _command(r: Result) -> str:
    if r.evidence is None:
        return f"fallline.fit(X, y, loss={r.settings.get('loss', 'squared')!r}, ...)"
    return remedy(r.evidence)


def _reproduce(r: Result) -> list[tuple[str, str]]:
    rows = [("seed", str(r.settings.get("seed", "")))]
    rows += [(name, str(version)) for name, version in (r.settings.get("versions") or {}).items()]
    if r.summary is not None:
        s = r.summary
        parts = [json.dumps([list(s.names), s.rows, s.target_name]).encode()]
        parts += [np.ascontiguousarray(v, dtype="<f8").tobytes() for v in (s.mean, s.sd, s.low, s.high)]
        parts.append(np.array([s.target_mean, s.target_sd, s.target_low, s.target_high], dtype="<f8").tobytes())
        rows.append(
            ("data", f"sha256 of names, means, spreads and ranges: {hashlib.sha256(b''.join(parts)).hexdigest()[:32]}")
        )
    return rows
