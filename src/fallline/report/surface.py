"""The plane of two weights: heights of the loss in it, and the way that a run took through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.errors import SettingError

if TYPE_CHECKING:
    from fallline.bowl import Bowl
    from fallline.result import Result

Array = NDArray[np.float64]

CELLS = 101  # of the grid, each way
LEVELS, LOWEST, FLOOR = 12, 1e-4, 1e-6  # contour lines; the lowest of them, and the ground, as shares of the height
MARGIN = 0.25  # of the way's extent, on each side


class Surface(NamedTuple):
    """What is drawn: a grid of heights J(theta), or None where the shape of the loss is not known, and the way."""

    names: tuple[str, str]
    units: str
    x: Array
    y: Array
    heights: Array | None  # (len(y), len(x))
    lowest: float
    steps: Array
    way_x: Array
    way_y: Array
    caption: str
    pair: tuple[int, int]


def surface_of(result: Result, i: int | None = None, j: int | None = None) -> Surface:
    """The plane of unknowns i and j, by default of the two that moved furthest; the others stand where the run ended.

    Raises SettingError where the way was not kept.
    """
    path, bowl = result.path, result.bowl
    if path is None or path.shape[1] < 3:
        raise SettingError(
            "The way of the weights is kept for 2 to 61 unknowns in one row, of one output; here they have the shape "
            f"{np.shape(result.theta)}. plot() and plot_gap() have no such limit."
        )
    steps, way = np.asarray(path[:, 0], dtype=np.float64), np.asarray(path[:, 1:], dtype=np.float64)
    if i is None or j is None:
        moved = np.ptp(way, axis=0)
        i, j = sorted(np.argsort(-moved, kind="stable")[:2].tolist())
    assert i is not None and j is not None
    names = bowl.names if bowl is not None else tuple(f"x{k}" for k in range(way.shape[1]))
    end = bowl.bottom[0] if bowl is not None and bowl.exact else way[-1]
    x, y = (_range(np.append(way[:, k], end[k])) for k in (i, j))
    heights, lowest = None, float("nan")
    if bowl is not None:
        heights = heights_of(bowl, end, (i, j), x, y)
        lowest = min(float(heights.min()), bowl.value(end))
    standard = bowl is not None and result.evidence is not None and result.evidence.standardized
    caption = "the loss itself, the other weights at their best" if bowl is not None and bowl.exact else (
        "the loss near its best weights (second order)" if bowl is not None else "the way of the run"
    )  # fmt: skip
    if len(names) == 2 and bowl is not None and bowl.exact:
        caption = "the loss itself"
    return Surface(
        (names[i], names[j]), " (standardised)" if standard else "", x, y, heights, lowest, steps, way[:, i], way[:, j],
        caption, (i, j),
    )  # fmt: skip


def heights_of(bowl: Bowl, rest: Array, pair: tuple[int, int], x: Array, y: Array) -> Array:
    """J on the grid of two unknowns, (len(y), len(x)); the others stand at `rest`."""
    d = np.zeros((len(y), len(x), len(rest)))
    d[...] = rest - bowl.centre
    for k, values in zip(pair, (x[None, :], y[:, None]), strict=True):
        d[..., k] = values - bowl.centre[k]
    heights: Array = bowl.loss + d @ bowl.slope + 0.5 * np.einsum("abi,abi->ab", d @ bowl.curvature, d)
    return heights


def contours(x: Array, y: Array, heights: Array) -> list[Array]:
    """Lines of equal height, (k, 2) each, closer together towards the bottom."""
    from contourpy import contour_generator

    span = heights - float(heights.min())
    top = float(span.max())
    if not top > 0.0:
        return []
    found = contour_generator(x=x, y=y, z=np.log10(np.maximum(span, FLOOR * top)))
    levels = np.linspace(np.log10(LOWEST * top), np.log10(top), LEVELS + 2)[1:-1]
    return [np.asarray(line)[:, :2] for level in levels for line in found.lines(float(level))]


def _range(values: Array) -> Array:
    finite = values[np.isfinite(values)]
    low, high = float(finite.min()), float(finite.max())
    room = MARGIN * (high - low) or 1.0
    return np.linspace(low - room, high + room, CELLS)
