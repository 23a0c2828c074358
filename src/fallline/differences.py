"""Whether a gradient is that of a function: its slopes along lines, measured, and how far that can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.line_search import rounding_unit
from fallline.recorder import norm

Array = NDArray[np.float64]

AGREE = 1e-4  # relative difference of two slopes that counts as none: central differences are good to about 1e-10
TELLS = 0.1  # a difference quotient whose own error is above this share of the slope tells nothing
ROUND_OFF = 50.0  # rounding error of f in units of eps |f|: sums of many terms lose more than the last bit
STEP = float(np.finfo(np.float64).eps) ** (1 / 3)  # 6e-6 of max(1, |x|): where rounding and truncation balance
RUNGS = (0, -1, 1, -2, 2, -3, 3, -4, -5, -6, -7, -8)  # powers of ten times STEP, tried in turn until one agrees
COORDINATES = 10  # single components tried beside the random directions, in which a large one drowns a small one
MOST_TOLD = 100  # up to this many components each is tried to find the worst; beyond, halves of the direction are


def disagreement(
    f: Callable[[Array], float], x: Array, f0: float, g: Array, directions: int = 5, seed: int = 0
) -> str | None:
    """The sentence that says where g is not the gradient of f at x, f0 = f(x); None where nothing speaks against it.

    See :func:`fallline.functions.check_gradient` for the rule.

    >>> disagreement(lambda x: float(x @ x), np.array([1.0, 2.0]), 5.0, np.array([2.0, 4.0])) is None
    True
    """
    line = _Line(f, x, f0, g)
    random = np.random.default_rng(seed)
    spans = np.maximum(1.0, np.abs(x))
    mixed = directions if x.size > COORDINATES else 0  # of few unknowns each is tried alone, and that is all there is
    trials = [random.choice([-1.0, 1.0], size=x.shape) * spans for _ in range(mixed)]
    chosen = range(x.size) if x.size <= COORDINATES else random.choice(x.size, COORDINATES, replace=False)
    for d in (*trials, *(_alone(spans, int(i)) for i in chosen)):
        if line.contradiction(d) is not None:
            return _sentence(line, d, spans)
    return None


class _Slopes(NamedTuple):
    """What one step length says of f along d, and what the gradient claims."""

    h: float
    central: float  # (f(x + h d) - f(x - h d)) / 2h
    ahead: float  # (f(x + h d) - f(x)) / h
    behind: float  # (f(x) - f(x - h d)) / h
    claimed: float  # <g, d>
    typical: float  # sqrt(sum_i (g_i d_i)^2): the size of <g, d> for random signs of d, when no luck cancels its terms
    noise: float  # what rounding may add to `central`

    @property
    def size(self) -> float:
        return max(abs(self.central), abs(self.claimed), self.typical)

    @property
    def agrees(self) -> bool:
        return self.noise <= TELLS * self.size and abs(self.central - self.claimed) <= AGREE * self.size


class _Line(NamedTuple):
    """f on straight lines through x, beside the slopes that its gradient g claims."""

    f: Callable[[Array], float]
    x: Array
    f0: float
    g: Array

    def contradiction(self, d: Array) -> _Slopes | None:
        """The slopes along d where they disagree beyond doubt, else None."""
        seen: list[_Slopes] = []
        for rung in RUNGS:
            slopes = self.slopes(d, STEP * 10.0**rung)
            if slopes is None:
                continue
            if slopes.agrees:
                return None
            seen.append(slopes)
        seen.sort(key=lambda s: s.h)
        if len(seen) < 2:
            return None
        # A quotient's own error: its rounding, and how far it is from the one for the next longer step.
        nexts = [*seen[1:], seen[-2]]
        doubts = [s.noise + abs(s.central - other.central) for s, other in zip(seen, nexts, strict=True)]
        shares = [doubt / s.size if s.size > 0.0 else np.inf for s, doubt in zip(seen, doubts, strict=True)]
        if min(shares) > TELLS:
            return None
        best = int(np.argmin(shares))
        slopes, margin = seen[best], AGREE * seen[best].size + doubts[best]
        low, high = slopes.central - margin, slopes.central + margin
        if _kinked(*(seen[best : best + 2] if best + 1 < len(seen) else seen[-2:])):
            low, high = min(low, slopes.ahead, slopes.behind), max(high, slopes.ahead, slopes.behind)
        return None if low <= slopes.claimed <= high else slopes

    def slopes(self, d: Array, h: float) -> _Slopes | None:
        """The slopes for steps of h d, or None where f is not finite there."""
        up, down = self.x + h * d, self.x - h * d
        step = (up - down) / (2.0 * h)  # what is left of d after rounding
        f_up, f_down = self.at(up), self.at(down)
        if not (np.isfinite(f_up) and np.isfinite(f_down)):
            return None
        eps = rounding_unit(self.f0, f_up, f_down)
        ahead, behind = (f_up - self.f0) / h, (self.f0 - f_down) / h
        moved = d != 0.0
        # f is rounded, and so is what it makes of x: as if x were, which moves f by eps |x| times its slope there.
        shaken = float(np.max(np.abs(self.x[moved] / d[moved]))) * max(abs(ahead), abs(behind))
        return _Slopes(
            h, (f_up - f_down) / (2.0 * h), ahead, behind, float(np.sum(self.g * step)),
            norm(self.g * step),
            ROUND_OFF * eps * ((abs(f_up) + abs(f_down)) / 2.0 + shaken) / h,
        )  # fmt: skip

    def at(self, x: Array) -> float:
        """f(x), NaN where x is outside of what f can take."""
        try:
            with np.errstate(all="ignore"):
                return self.f(x)
        except (ArithmeticError, ValueError):
            return float("nan")


def _kinked(shorter: _Slopes, longer: _Slopes) -> bool:
    """Whether f has a corner at x: the slopes of its two sides stay apart as the step gets shorter."""
    gap, before = abs(shorter.ahead - shorter.behind), abs(longer.ahead - longer.behind)
    return gap > 0.5 * before and gap > 4.0 * shorter.noise


def _sentence(line: _Line, d: Array, spans: Array) -> str:
    """What to say when f and g disagree along d: the component that does so most, or that f is random."""
    again = line.at(line.x.copy())
    if again != line.f0:
        return (
            f"f(x0) is {line.f0:g} the first time and {again:g} the second, so no gradient can agree with it: f must "
            "give the same value for the same x. Fix its random numbers (a seed, one set of samples)."
        )
    worst, slopes = _worst(line, d, spans)
    if slopes is None:
        slopes = line.contradiction(d)
        assert slopes is not None
        return (
            f"Your gradient disagrees with finite differences in a random direction ({slopes.claimed:.6g} vs "
            f"{slopes.central:.6g}). Check grad= against f."
        )
    given, measured = slopes.claimed / spans.flat[worst], slopes.central / spans.flat[worst]
    return (
        f"Your gradient disagrees with finite differences in {component(line.x, worst)} "
        f"({given:.6g} vs {measured:.6g}{_guess(given, measured)}). "
        "The first is grad(x0), the second what f does around x0."
    )


def _worst(line: _Line, d: Array, spans: Array) -> tuple[int, _Slopes | None]:
    """The component whose slopes are furthest apart: of all, or where there are many, of those that halving leaves."""
    left = np.flatnonzero(d)
    while left.size > MOST_TOLD:
        halves = np.array_split(left, 2)
        found = [line.contradiction(_only(d, half)) for half in halves]
        apart = [0.0 if s is None else abs(s.central - s.claimed) for s in found]
        left = halves[int(np.argmax(apart))]
    worst: tuple[int, _Slopes | None] = (int(left[0]), None)
    for i in left:
        slopes = line.contradiction(_alone(spans, int(i)))
        if slopes is not None and (
            worst[1] is None or abs(slopes.central - slopes.claimed) > abs(worst[1].central - worst[1].claimed)
        ):
            worst = (int(i), slopes)
    return worst


def _guess(given: float, measured: float) -> str:
    """What may have gone wrong: ``": sign?"``, ``": a factor of 2?"``, or nothing."""
    if given == 0.0 or measured == 0.0:
        return ": a term missing?" if given == 0.0 else ""
    factor = given / measured
    if abs(factor + 1.0) < 1e-3:
        return ": sign?"
    whole = max(abs(factor), 1.0 / abs(factor))
    if 1.5 < whole < 1e6 and abs(whole - round(whole)) < 1e-3 * whole:
        words = f"{'1/' if abs(factor) < 1.0 else ''}{round(whole)}{'' if factor > 0.0 else ', and the sign'}"
        return f": a factor of {words}?"
    return ""


def _only(d: Array, chosen: NDArray[np.intp]) -> Array:
    part = np.zeros_like(d)
    part.flat[chosen] = d.flat[chosen]
    return part


def _alone(spans: Array, i: int) -> Array:
    return _only(spans, np.array([i]))


def component(x: Array, i: int) -> str:
    """``component 3``, ``component (1, 2)`` of a matrix, or the only one."""
    if x.ndim == 0:
        return "its only component"
    place = tuple(int(k) for k in np.unravel_index(i, x.shape))
    return f"component {place[0] if len(place) == 1 else place}"
