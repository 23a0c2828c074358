"""Figures beside the loss curve: the gap, the way over the loss surface, the range of learning rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fallline.errors import SettingError
from fallline.family import suggest
from fallline.report.figure import BLUE, GREEN, GREY, ORANGE, RED, finish, new_axes, written
from fallline.report.losses import excess_curves
from fallline.report.numbers import number
from fallline.report.surface import surface_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fallline.lens import RateReport
    from fallline.result import Result

LEVELS = 14  # contour lines
FAINTEST, FARTHEST = 1e-30, 1e30  # learning rates that are drawn
FEW = 40  # steps that are shown as dots


def gap_figure(result: Result, ax: Axes | None = None) -> Axes:
    """J - J* by passes; a dashed line at the proved bound where it ended, or at the tolerance."""
    axes = new_axes(ax)
    passes, excess = excess_curves({"run": result})["run"]
    axes.plot(
        passes, excess, color=BLUE, lw=1.8, marker="." if len(passes) <= FEW else "", ms=8, label="loss above the best"
    )
    bound = result.gap
    if bound is not None and bound > 0.0 and np.isfinite(bound):
        axes.axhline(bound, color=GREEN, lw=1.2, ls="--", label="proved bound at the end")
    finish(axes, "passes over the data" if result.loss is not None else "steps", excess)
    axes.set_ylabel("J(theta) - J*" if bound is not None else "J(theta) - lowest J seen")
    axes.set_title(f"{result.verdict} ({result.certainty})", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9)
    return axes


def path_figure(result: Result, ax: Axes | None = None, names: tuple[str, str] | None = None) -> Axes:
    """Contours of the loss in the plane of two weights, and the way that the run took."""
    surface = surface_of(result, *_chosen(result, names))
    axes = new_axes(ax)
    if surface.heights is not None:
        low = surface.lowest
        span = np.log10(np.maximum(surface.heights - low, 1e-9 * (surface.heights.max() - low) + 1e-300))
        axes.contour(surface.x, surface.y, span, levels=LEVELS, cmap="Greys", linewidths=0.8)
    dots = "." if len(surface.steps) <= FEW else ""
    axes.plot(surface.way_x, surface.way_y, color=BLUE, lw=1.4, marker=dots, ms=6, label="the way of the run")
    axes.plot(surface.way_x[0], surface.way_y[0], "s", color=ORANGE, ms=7, label="start")
    axes.plot(surface.way_x[-1], surface.way_y[-1], "o", color=RED, ms=7, label="end")
    across, up = (written(name) + surface.units for name in surface.names)
    axes.set(xlabel=across, ylabel=up)
    axes.set_title(surface.caption, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    return axes


def _chosen(result: Result, names: tuple[str, str] | None) -> tuple[int, int] | tuple[()]:
    if names is None:
        return ()
    known = list(result.bowl.names) if result.bowl is not None else list(result.feature_names)
    for name in names:
        if name not in known:
            raise SettingError(f"axes: there is no weight of {name!r}.{suggest(name, known)}")
    return known.index(names[0]), known.index(names[1])


def rates_figure(report: RateReport, ax: Axes | None = None) -> Axes:
    """The loss that the range test ends at, by learning rate, between too slow and too large."""
    axes = new_axes(ax)
    finite = np.isfinite(report.losses)
    if finite.any():
        start = max(report.begin, 1e-300)
        shares = np.clip(report.losses / start, 1e-16, 1e3)
        axes.plot(
            report.rates[finite], shares[finite], color=BLUE, lw=1.8, label=f"{report.optimizer}, range test", zorder=3
        )
        axes.axhline(1.0, color=GREY, lw=0.8, ls=":", label="where it started")
        axes.set_yscale("log")
    for value, color, style, words in (
        (report.good, GREEN, "--", "good: 1/L"), (report.limit, RED, "--", "stable below 2/L"),
        (report.in_use, ORANGE, "-", "in use"),
    ):  # fmt: skip
        if value is not None and FAINTEST < value < FARTHEST:  # beyond, a log axis has no room for anything else
            axes.axvline(value, color=color, lw=1.4, ls=style, label=f"{words} = {number(value, 3)}")
    if report.limit is not None:
        axes.axvspan(
            report.limit,
            min(max(report.rates.max(initial=0.0), 10.0 * report.limit), 1e300),
            color=RED,
            alpha=0.06,
            lw=0,
        )
    axes.set_xscale("log")
    axes.set(xlabel="learning rate", ylabel="loss above the best after 50 steps,\nas a share of that at the start")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, axis="y", alpha=0.25, lw=0.6)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, fontsize=9)
    return axes
