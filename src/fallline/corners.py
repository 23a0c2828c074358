"""The least point of a quadratic with corners: |w| and bounds, entry by entry.

    q(v) = g . (v - theta) + 1/2 (v - theta)^T H (v - theta) + sum_j l1_j |v_j|,    low <= v <= high

Among the entries that are free to move (not held at a corner by their slope) q is smooth, so Newton's step among them
is right once it is known which they are; a step that would carry an entry over a corner ends there. Projected Newton
(Bertsekas 1982; for |w|: Schmidt, Kim and Sra 2012). It takes about ten small linear systems, whatever the conditioning.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fallline.inverse import filled

Array = NDArray[np.floating]

DAMPING = 1e-12  # of the diagonal: enough for a factor where columns depend on one another
MOST_STEPS, LIMIT = 100, 1000  # and two for each entry: they may have to leave their corners one at a time
FIRST = 10  # entries that may leave their corners together, at least
TRIALS = (1.0, 0.5, 0.25)
ENOUGH = 1e-13  # of the first slope, in units of the curvature: the rest is round-off
# Of the terms that cancel in a slope, and of those that rounding v moves: a search that begins at the least point has no larger
# first slope to compare with.
NOISE, ROUNDED = 1e-15, 1e-16
# Steps in a row that lower q by no more than `GAINED` of what all have: entries that leave their corners and come back, for
# the digits of q are spent. Without it a lasso on one-hot columns that depend on one another took 504 steps after the eighth.
STALLED, GAINED = 5, 1e-14
SHARE = 1e-4  # of the fall that the slope promises (Armijo)


def least_point(H: Array, g: Array, theta: Array, l1: Array, low: Array, high: Array, most: int | None = None) -> Array:
    """Return v. All are (p,) but H, (p, p), which may be singular; `theta` lies within the bounds, finite all.

    `most`: the rank that H can have at most. Behind |w| no more entries need to be away from their corners.
    """
    size = filled(np.sqrt(np.maximum(np.diag(H), 0.0)))
    v, r, first, fallen, stalled = theta.copy(), g.copy(), 0.0, 0.0, 0
    for step in range(min(MOST_STEPS + 2 * len(v), LIMIT)):
        s = _least_slope(v, r, l1, low, high)
        steep = float(np.linalg.norm(s / size))
        first = steep if step == 0 else first
        noise = float(np.linalg.norm(NOISE * (np.abs(g) + np.abs(r - g) + l1) / size + ROUNDED * (size @ np.abs(v))))
        if steep <= max(ENOUGH * first, noise) or stalled == STALLED:
            break
        corner = at_corner(v, l1, low, high)
        d = _newton(H, size, s, held=(s == 0.0) & corner | _too_many(s / size, corner, most or len(v)), corner=corner)
        side = np.where(v != 0.0, np.sign(v), -np.sign(s))
        floor = np.where((l1 > 0.0) & (side >= 0.0), np.maximum(low, 0.0), low)
        ceiling = np.where((l1 > 0.0) & (side <= 0.0), np.minimum(high, 0.0), high)
        new, curved = _shorten(H, v, r, s, d, floor, ceiling)
        if new is None:
            break
        fall = -float((s + 0.5 * curved) @ (new - v))
        fallen += fall
        stalled = stalled + 1 if fall <= GAINED * fallen else 0
        v, r = new, r + curved
    return v


def _least_slope(v: Array, r: Array, l1: Array, low: Array, high: Array) -> Array:
    """The smallest subgradient of q at v, whose smooth part has the gradient r."""
    sign = l1 * np.sign(v)
    least = r + np.where(v == 0.0, -l1, sign)
    most = r + np.where(v == 0.0, l1, sign)
    least, most = np.where(v <= low, -np.inf, least), np.where(v >= high, np.inf, most)
    slope: Array = np.maximum(least, 0.0) + np.minimum(most, 0.0)
    return slope


def at_corner(v: Array, l1: Array, low: Array, high: Array) -> NDArray[np.bool_]:
    """Which entries lie where |w| or a bound has its corner."""
    held: NDArray[np.bool_] = ((v == 0.0) & (l1 > 0.0)) | (v <= low) | (v >= high)
    return held


def _too_many(steep: Array, corner: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    """The entries at corners that wait: of those that want to leave, the steepest go first, about as many as are away.

    Behind |w| most entries that leave at first would only come back, and a system of all of them costs their cube.
    """
    away = int(np.sum(~corner))
    allowed = max(1, min(max(FIRST, away), most - away))
    wait = np.zeros_like(corner)
    leaving = np.flatnonzero(corner & (steep != 0.0))
    if len(leaving) > allowed:
        wait[leaving[np.argsort(-np.abs(steep[leaving]), kind="stable")[allowed:]]] = True
    return wait


def _newton(H: Array, size: Array, s: Array, held: NDArray[np.bool_], corner: NDArray[np.bool_]) -> Array:
    """-H^-1 s among the entries that are not held; one that would leave its corner uphill is held too."""
    from scipy.linalg import lapack

    free = ~held
    while True:
        chosen = np.flatnonzero(free)
        d = np.zeros_like(s)
        damping = DAMPING
        part = H[np.ix_(chosen, chosen)] / np.outer(size[chosen], size[chosen])
        while True:
            part[np.diag_indices_from(part)] += damping
            _, solved, info = lapack.dposv(part, s[chosen] / size[chosen], lower=1)
            if info == 0 or damping > 1.0:  # the second: it is not a matrix of numbers
                break
            damping *= 100.0
        d[chosen] = -solved / size[chosen]
        wrong = free & corner & (d * s >= 0.0)
        if not wrong.any():
            return d
        free &= ~wrong


def _shorten(
    H: Array, v: Array, r: Array, s: Array, d: Array, floor: Array, ceiling: Array
) -> tuple[Array | None, Array]:
    """(the point, H times the way to it): a whole, half or quarter step, cut off at the corners, where that lowers q.

    Else as far as the first corner, up to which q falls for certain. None where round-off leaves nothing to gain.
    """
    for t in TRIALS:
        new = np.clip(v + t * d, floor, ceiling)
        way = new - v
        moving = np.flatnonzero(way)
        curved = H[:, moving] @ way[moving] if 2 * len(moving) < len(way) else H @ way
        promise = float(s @ way)  # within the orthant q has the slope s
        if promise < 0.0 and promise + 0.5 * float(way @ curved) <= SHARE * promise:
            return new, curved
    room = np.where(d > 0.0, ceiling - v, np.where(d < 0.0, floor - v, np.inf))
    moving = d != 0.0
    share = np.full_like(d, np.inf)
    share[moving] = room[moving] / d[moving]
    first = int(np.argmin(share))
    t = min(1.0, float(share[first]))
    new = v + t * d
    if t == share[first]:
        new[first] = ceiling[first] if d[first] > 0.0 else floor[first]  # exactly, so that it is known to be there
    way = np.clip(new, floor, ceiling) - v
    return (np.clip(new, floor, ceiling), H @ way) if t > 0.0 and np.any(way) else (None, r)
