"""Second derivatives of a user's function at a point: is it a minimum, and how far down could it still go.

Lanczos' method, from products with the matrix of second derivatives that are differences of gradients:
H v = (grad f(x + h v) - grad f(x - h v)) / 2h. With few unknowns the whole matrix is found.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

MOST_PRODUCTS = 15  # of two gradients each; a function of so few unknowns is known exactly then
EPS = float(np.finfo(np.float64).eps)
EXHAUSTED = 1e-8  # of the largest curvature met: what is left of a direction below that is rounding
NOISE = 10.0  # times eps^(2/3), of the largest curvature: the error of a curvature that is a central difference
WEAK = 1e-8  # of the largest curvature, all unknowns scaled alike: below, nothing is known of a direction's curvature
DOUBT = 1e5  # times its rounding error: a smaller diagonal entry is not taken for the scale of its unknown
SHORTER = (1.0, 1e-3)  # steps, tried in turn where the gradient is not finite around
LEAST_PUSH = 1e-8  # of the reach


class Bend(NamedTuple):
    """Lowest and largest curvature, the direction of the lowest, and Newton's step with the decrease that it promises.

    Curvatures are those in the coordinates x / unit where a unit was given, and where unknowns are few, each is divided by
    the root of its own curvature too, so that units do not matter. Directions are told in the coordinates of x.
    """

    lowest: float
    largest: float
    direction: Array
    reach: float = 1.0  # how many times `direction` x may sensibly be moved
    step: Array | None = None  # with the sizes of the curvatures, so that it leads down
    gain: float = math.nan  # 1/2 <g, H^-1 g>
    weak: tuple[Array, ...] = ()  # directions without a curvature that could be told from rounding, as long as the unit

    @property
    def share(self) -> float:
        """The lowest as a share of the largest in size: below zero, the function bends down along ``direction``."""
        size = max(abs(self.lowest), abs(self.largest))
        return self.lowest / size if size > 0.0 else 0.0

    @property
    def flat(self) -> bool:
        """Whether nothing curves at all, so that nothing tells a minimum from a plateau."""
        return self.lowest == self.largest == 0.0


def bend(
    gradient: Callable[[Array], Array], x: Array, seed: int = 0, *, slope: Array | None = None,
    unit: Array | None = None, eps: float = EPS,
) -> Bend | None:  # fmt: skip
    """How the function bends at x; None where its gradient is not finite around there.

    `slope`: the gradient at x, for Newton's step. `unit`: the size of each unknown; without it all have that of the largest,
    or 1. `eps`: the relative rounding error of the gradient.

    >>> found = bend(lambda x: np.array([2 * x[0], -6 * x[1]]), np.zeros(2))
    >>> round(found.lowest, 6), round(found.largest, 6), round(found.share, 6)
    (-6.0, 2.0, -1.0)
    """
    for shorter in SHORTER:
        found = _bend(gradient, x, seed, slope, unit, eps, shorter)
        if found is not None:
            return found
    return None


def _bend(
    gradient: Callable[[Array], Array], x: Array, seed: int, slope: Array | None, unit: Array | None, eps: float,
    shorter: float,
) -> Bend | None:  # fmt: skip
    n = x.size
    size = max(1.0, float(np.abs(x).max(initial=0.0)))
    h = shorter * eps ** (1 / 3) * (size if unit is None else 1.0)
    D = np.ones(n) if unit is None else unit.ravel()
    rng = np.random.default_rng(seed)
    g = np.zeros(n) if slope is None else D * slope.ravel()
    following: list[Array] = [rng.standard_normal(n)]
    whole = slope is not None and n <= MOST_PRODUCTS  # the matrix itself, column by column
    if whole:
        following = list(np.eye(n))
    elif g.any():
        following.insert(0, g / float(np.abs(g).max()))
    exponent: int | None = None  # gradients over a power of two: norms of large ones overflow
    Q, errors = np.zeros((0, n)), np.zeros(n)
    products: list[Array] = []
    while len(Q) < min(n, MOST_PRODUCTS):
        v = _next_direction(following, Q, rng)
        Q = np.vstack([Q, v])
        ahead, behind = (D * gradient(x + (s * h * D * v).reshape(x.shape)).ravel() for s in (1.0, -1.0))
        product = ahead / (2.0 * h) - behind / (2.0 * h)
        if not np.isfinite(product).all():
            return None
        if exponent is None:
            exponent = math.frexp(max(float(np.abs(product).max()), float(np.abs(g).max())))[1]
        if whole:
            j = len(products)
            errors[j] = np.ldexp(eps / h * max(abs(ahead[j]), abs(behind[j])), -exponent)
        products.append(np.ldexp(product, -exponent))
        following.append(products[-1])
    assert exponent is not None
    H = Q @ np.array(products).T
    H = (H + H.T) / 2.0
    root = np.ones(len(H))
    if whole:
        own = np.maximum(np.abs(np.diag(H)), DOUBT * errors)
        root = np.where(own > 0.0, 1.0 / np.sqrt(np.where(own > 0.0, own, 1.0)), 1.0)
        H = root[:, None] * H * root
    values, vectors = np.linalg.eigh(H)
    directions = (vectors * root[:, None]).T @ Q  # one a row, in the coordinates x / unit
    step, gain = _newton(values, directions @ np.ldexp(g, -exponent), eps)
    weak = np.abs(values) <= WEAK * np.abs(values).max()
    return Bend(
        math.ldexp(float(values[0]), 0 if whole else exponent), math.ldexp(float(values[-1]), 0 if whole else exponent),
        (D * _along(directions[0], whole)).reshape(x.shape), size * math.sqrt(n) if unit is None else 1.0,
        None if slope is None or step is None else (D * (step @ directions)).reshape(x.shape),
        math.nan if slope is None else math.ldexp(gain, exponent) if math.isfinite(gain) else gain,
        tuple((D * _along(d, True)).reshape(x.shape) for d in directions[weak]) if slope is not None else (),
    )  # fmt: skip


def _along(direction: Array, whole: bool) -> Array:
    """The direction with a largest entry of 1, where it has no length of its own."""
    return direction / float(np.abs(direction).max()) if whole else direction


def _next_direction(following: list[Array], Q: Array, rng: np.random.Generator) -> Array:
    """The next direction, of length 1 and orthogonal to all before; a random one where the space is exhausted."""
    v = following.pop(0)
    size = float(np.linalg.norm(v))
    for attempt in range(2):
        for _ in range(2):  # twice is enough (Kahan and Parlett)
            v = v - Q.T @ (Q @ v)
        if attempt or float(np.linalg.norm(v)) > EXHAUSTED * size:
            break
        v = rng.standard_normal(v.size)
    return v / float(np.linalg.norm(v))


def _newton(values: Array, slopes: Array, eps: float) -> tuple[Array | None, float]:
    """Newton's step along the eigenvectors, and its gain; curvatures count by size, and as much as their noise at least."""
    size = float(np.abs(values).max())
    if size == 0.0:
        return None, math.inf if slopes.any() else 0.0
    curvatures = np.maximum(np.abs(values), NOISE * eps ** (2 / 3) * size)
    return -slopes / curvatures, float(0.5 * np.sum(slopes * (slopes / curvatures)))


def pushed(value: Callable[[Array], float], x: Array, J: float, found: Bend) -> Array | None:
    """A point off the saddle where the function is lower, on whichever side falls further; None where there is none."""
    length = 0.1 * found.reach
    while math.isfinite(length) and length > LEAST_PUSH * found.reach:
        sides = [x + s * length * found.direction for s in (1.0, -1.0)]
        losses = [value(side) for side in sides]
        losses = [loss if math.isfinite(loss) else math.inf for loss in losses]
        best = int(np.argmin(losses))
        if losses[best] < J:
            return sides[best]
        length /= 4.0
    return None
