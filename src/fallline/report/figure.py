"""The loss curve as a figure (matplotlib, imported only here, only when something is drawn)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.atomic_write import write_whole
from fallline.errors import SettingError
from fallline.loggers.notebook import in_notebook
from fallline.report.losses import curve_of, excess_curves, sampled
from fallline.visible import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fallline.result import Result

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"  # Okabe and Ito's palette
PALETTE = (BLUE, RED, GREEN, "#CC79A7", ORANGE, "#56B4E9", "#000000")
DECADE = 10.0  # a log axis from here on
FEW = 20  # steps
HIGHEST = 1.1  # times the highest loss that was kept: so far up refused steps are drawn


def loss_curve(result: Result, ax: Axes | None = None) -> Axes:
    """Draw J(theta) against the steps: training loss, check loss, the best step, steps that were rolled back."""
    axes = new_axes(ax)
    history = result.history
    steps, loss, words = curve_of(history)
    dots = "." if len(steps) <= FEW else ""  # a run of a few steps has points, and no curve between them
    axes.plot(steps, loss, color=BLUE, lw=1.8, marker=dots, ms=9, label="training loss", zorder=3)
    few = sampled(history)
    if few.any():
        axes.plot(history.step[few], history.loss[few], color=GREY, lw=1.2, ls="-.", label="on a sample of the rows")
    check = np.isfinite(history.check_loss) & (history.accepted == 1.0)
    if check.any():
        axes.plot(history.step[check], history.check_loss[check], color=ORANGE, lw=1.5, ls="--", label="check loss")
    back = (history.accepted == 0.0) & np.isfinite(history.loss)
    if back.any():
        high = HIGHEST * float(np.nanmax([result.baseline_loss, *loss[np.isfinite(loss)]], initial=0.0))
        far, label = history.loss[back], "rolled back"
        if 0.0 < high < far.max():  # or one step that was refused would press the curve flat
            far, label = np.minimum(far, high), "rolled back (at the top: from further up)"
        axes.plot(history.step[back], far, "x", color=RED, ms=6, label=label, zorder=4)
    if len(steps):
        best = int(np.nanargmin(loss))
        axes.plot(steps[best], loss[best], "o", color=BLUE, ms=6, mfc="white", mew=1.6, label="best", zorder=5)
    if np.isfinite(result.baseline_loss):
        axes.axhline(result.baseline_loss, color=GREY, lw=0.9, ls=":", label="best constant")
    finish(axes, words, loss)
    axes.set_title(f"{result.verdict} ({result.certainty})", loc="left", fontsize=11)
    if len(axes.get_legend_handles_labels()[1]) > 1:
        axes.legend(frameon=False, fontsize=9)
    return axes


def reliability_diagram(result: Result, ax: Axes | None = None) -> Axes:
    """Draw the share that came true against the predicted probability, in ten bins; dots grow with the rows in them."""
    bins = result.reliability
    if bins is None:
        raise SettingError(
            "plot_reliability: there are no predicted probabilities on check rows; use loss='logistic' or 'softmax' and "
            "check=0.2."
        )
    axes, full = new_axes(ax), bins.weight > 0.0
    axes.plot([0.0, 1.0], [0.0, 1.0], color=GREY, lw=0.9, ls=":", label="as predicted")
    size = 20.0 + 180.0 * bins.weight[full] / bins.weight.max()
    axes.plot(bins.predicted[full], bins.observed[full], color=BLUE, lw=1.2, alpha=0.6)
    axes.scatter(bins.predicted[full], bins.observed[full], s=size, color=BLUE, zorder=3, label="check rows")
    axes.set(xlabel="predicted probability", ylabel="share that came true", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes.set_title(f"off by {100 * bins.error:.1f} points on average", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9)
    return axes


def compare_curves(results: dict[str, Result], ax: Axes | None = None) -> Axes:
    """Draw several runs over one another: how far each was above the best loss, by passes over the data."""
    axes = new_axes(ax)
    styles = ("-", "--", "-.", ":")
    curves = excess_curves(results)
    for i, (name, (passes, excess)) in enumerate(curves.items()):
        axes.plot(
            passes, excess, color=PALETTE[i % len(PALETTE)], ls=styles[i // len(PALETTE) % len(styles)], lw=1.7, ms=7,
            marker="." if len(passes) <= FEW else "", label=written(name),
        )  # fmt: skip
    finish(axes, "passes over the data", np.concatenate([excess for _, excess in curves.values()] or [np.empty(0)]))
    axes.set_ylabel("loss above the best, J(theta) - J*")
    axes.legend(frameon=False, fontsize=9)
    return axes


def save_png(axes: Any, path: str | Path) -> None:
    """Write the figure that `axes` belongs to, as PNG where the name says nothing else; an old file is replaced whole.

    Raises OutputError when it cannot be written.
    """
    drawn, kind = io.BytesIO(), Path(path).suffix[1:].lower()
    known = kind in axes.figure.canvas.get_supported_filetypes()
    axes.figure.savefig(drawn, dpi=150, bbox_inches="tight", format=kind if known else "png")
    write_whole(path, drawn.getvalue())


def new_axes(ax: Axes | None) -> Axes:
    """`ax`, or the axes of a new figure."""
    if ax is not None:
        return ax
    if in_notebook():  # which shows pyplot's figures under the cell
        from matplotlib import pyplot

        shown: Axes = pyplot.subplots(figsize=(7.0, 4.2), layout="constrained")[1]
        return shown
    from matplotlib.figure import Figure  # not pyplot: no window, no state, works without a screen

    return Figure(figsize=(7.0, 4.2), layout="constrained").add_subplot()


def written(name: str) -> str:
    """A name as a label of a figure: dollar signs begin no formula, and an underscore does not take it from the legend."""
    label = visible(name).replace("$", r"\$")
    return f" {label}" if label.startswith("_") else label


def finish(axes: Axes, words: str, loss: Any) -> None:
    """Labels and scale of a curve of losses."""
    finite = loss[np.isfinite(loss)]
    positive = len(finite) > 0 and finite.min() > 0.0
    if positive and finite.max() / finite.min() > DECADE:
        axes.set_yscale("log")
    axes.set_xlabel(words)
    axes.set_ylabel("loss J(theta)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, axis="y", alpha=0.25, lw=0.6)
