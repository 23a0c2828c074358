"""A user's own function as fallline trains it: its value and its gradient at x, the gradient checked first."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.errors import DataError, GradientError, MissingExtraError, SettingError, SettingTypeError

Array = NDArray[np.float64]
ValueAndGrad = Callable[[Array], tuple[float, Array]]

AGREE = 1e-4  # relative difference of two slopes that counts as none: central differences are good to about 1e-10
TELLS = 0.1  # a difference quotient whose own error is above this share of the slope tells nothing
ROUND_OFF = 50.0  # rounding error of f in units of eps |f|: sums of many terms lose more than the last bit
STEP = float(np.finfo(np.float64).eps) ** (1 / 3)  # 6e-6 of max(1, |x|): where rounding and truncation balance
RUNGS = (0, -1, 1, -2, 2, -3, 3, -4, -5, -6, -7, -8)  # powers of ten times STEP, tried in turn until one agrees
COORDINATES = 10  # single components tried beside the random directions, in which a large one drowns a small one
MOST_TOLD = 100  # up to this many components each is tried to find the worst; beyond, halves of the direction are


def as_point(x0: Any) -> Array:
    """The start as a new float64 array of its shape; a number gives an array without axes.

    Raises SettingTypeError where it is not numbers, SettingError where it is empty, DataError where it is not finite.

    >>> as_point([1, 2]), as_point(3).shape
    (array([1., 2.]), ())
    """
    try:
        given = np.asarray(x0)
        if given.dtype.kind not in "fiub":
            raise TypeError
    except (TypeError, ValueError):
        raise SettingTypeError(f"x0: got {x0!r:.80}; it must be a number or an array of real numbers.") from None
    x = np.array(given, dtype=np.float64)
    if x.size == 0:
        raise SettingError(f"x0: got an empty array of shape {x.shape}; it must hold at least one number.")
    if not np.isfinite(x).all():
        worst = int(np.argmin(np.isfinite(x)))
        raise DataError(f"x0 must be finite; {_component(x, worst)} is {x.flat[worst]:g}.")
    return x


def gradient_of(
    f: Callable[[Any], Any], x0: Any, grad: Callable[[Any], Any] | str | None = None, *, seed: int = 0
) -> tuple[ValueAndGrad, str]:
    """``(both, how)``: both(x) gives f(x) and grad f(x) in float64; `how` says in words where the gradient is from.

    `grad` is a function of x, which is checked against finite differences at x0; or ``"jax"`` or ``"torch"``; or None,
    when f is tried on a PyTorch tensor and on a JAX array where those libraries are in use already. f and grad get
    copies of x, so they may do with it what they like.

    JAX computes in float32 unless its user has switched ``jax_enable_x64`` on, which fallline leaves as it is; `how`
    says so. f is not compiled: pass ``jax.jit(f)`` where it is slow.

    Raises SettingError where no gradient can be had, f does not return one number, or grad not an array of x's shape;
    GradientError where the gradient is wrong; DataError where f(x0) or its gradient is not finite.

    >>> both, how = gradient_of(lambda x: float(x @ x), [1.0, 2.0], lambda x: 2 * x)
    >>> both(np.array([3.0, 4.0]))
    (25.0, array([6., 8.]))
    >>> how
    'given, and checked against finite differences'
    """
    if not callable(f):
        raise SettingTypeError(f"f: got {f!r:.80}; it must be a function of x that returns one number.")
    x = as_point(x0)
    if callable(grad):
        check_gradient(f, grad, x, seed=seed)
        return _given(f, grad), "given, and checked against finite differences"
    if grad is None:
        both, how = _recognised(f, x)
    elif isinstance(grad, str) and grad in _LIBRARIES:
        both, how = _LIBRARIES[grad](f, x)
    else:
        raise SettingError(f"grad: got {grad!r:.80}; it must be a function of x, 'jax', 'torch' or None.")
    _check_start(*both(x))
    return both, how


def check_gradient(
    value: Callable[[Any], Any], grad: Callable[[Any], Any], x0: Any, directions: int = 5, seed: int = 0
) -> None:
    """Raise GradientError unless grad(x0) agrees with central differences of `value`.

    ::

        (f(x + h d) - f(x - h d)) / 2h  =  <grad f(x), d>,    h = eps^(1/3),  |d_i| = max(1, |x_i|)

    for a few random d, and for up to ten single components. Where they differ by more than 1e-4 of the slope, longer
    and shorter steps are tried, down to 1e-13, so that functions that bend quickly, or have a kink near x0, are judged
    where they are straight; at a kink, any slope between those of its two sides is right. Where rounding hides the
    slope, the benefit of the doubt is given. The error names the worst component and both its slopes.

    >>> check_gradient(lambda x: float(x[0] ** 2 - x[1] ** 2), lambda x: 2 * x, [1.0, 3.0])
    Traceback (most recent call last):
    ...
    fallline.errors.GradientError: Your gradient disagrees with finite differences in component 1 (6 vs -6: sign?). ...
    """
    x = as_point(x0)
    f0, g = _given(value, grad)(x)
    _check_start(f0, g)
    line = _Line(value, x, f0, g)
    random = np.random.default_rng(seed)
    spans = np.maximum(1.0, np.abs(x))
    trials = [random.choice([-1.0, 1.0], size=x.shape) * spans for _ in range(directions if x.size > 1 else 0)]
    chosen = range(x.size) if x.size <= COORDINATES else random.choice(x.size, COORDINATES, replace=False)
    for d in (*trials, *(_alone(spans, int(i)) for i in chosen)):
        if line.contradiction(d) is not None:
            raise GradientError(_disagreement(line, d, spans))


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

    f: Callable[[Any], Any]
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
        single = all(float(np.float32(v)) == v for v in (self.f0, f_up, f_down))  # f computes in float32
        eps = float(np.finfo(np.float32 if single else np.float64).eps)
        ahead, behind = (f_up - self.f0) / h, (self.f0 - f_down) / h
        moved = d != 0.0
        # f is rounded, and so is what it makes of x: as if x were, which moves f by eps |x| times its slope there.
        shaken = float(np.max(np.abs(self.x[moved] / d[moved]))) * max(abs(ahead), abs(behind))
        return _Slopes(
            h, (f_up - f_down) / (2.0 * h), ahead, behind, float(np.sum(self.g * step)),
            float(np.linalg.norm(self.g * step)),
            ROUND_OFF * eps * ((abs(f_up) + abs(f_down)) / 2.0 + shaken) / h,
        )  # fmt: skip

    def at(self, x: Array) -> float:
        """f(x), NaN where x is outside of what f can take."""
        try:
            with np.errstate(all="ignore"):
                return one_number(self.f(x))
        except (ArithmeticError, ValueError):
            return float("nan")


def _kinked(shorter: _Slopes, longer: _Slopes) -> bool:
    """Whether f has a corner at x: the slopes of its two sides stay apart as the step gets shorter."""
    gap, before = abs(shorter.ahead - shorter.behind), abs(longer.ahead - longer.behind)
    return gap > 0.5 * before and gap > 4.0 * shorter.noise


def _disagreement(line: _Line, d: Array, spans: Array) -> str:
    """The sentence that names the component that disagrees most."""
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
        f"Your gradient disagrees with finite differences in {_component(line.x, worst)} "
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


def _component(x: Array, i: int) -> str:
    """``component 3``, ``component (1, 2)`` of a matrix, or the only one."""
    if x.ndim == 0:
        return "its only component"
    place = tuple(int(k) for k in np.unravel_index(i, x.shape))
    return f"component {place[0] if len(place) == 1 else place}"


def one_number(value: Any) -> float:
    """What f returned, as a float. Raises SettingError unless it is one real number."""
    if type(value) is float:
        return value
    array = _as_array(value)
    if array.dtype.kind not in "fiub" or array.size != 1:
        what = f"an array of shape {array.shape}" if array.ndim else f"{value!r:.80}"
        hint = " Is a `return` missing?" if value is None else " Sum it, or take its mean." if array.ndim else ""
        raise SettingError(f"f must return one real number; f(x0) is {what}.{hint}")
    return float(array.reshape(()))


def _as_array(value: Any) -> NDArray[Any]:
    """What a user's function returned, as an array; PyTorch's must be cut from its graph first."""
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)


def _given(f: Callable[[Any], Any], grad: Callable[[Any], Any]) -> ValueAndGrad:
    """Both at once, from two functions; each gets a copy of x of its own, and what grad returns is copied."""

    def both(x: Array) -> tuple[float, Array]:
        J, g = one_number(f(np.array(x))), grad(np.array(x))
        array = _as_array(g)
        if array.dtype.kind not in "fiub":
            raise SettingError(f"grad must return an array of real numbers of x's shape; it returned {g!r:.80}.")
        shape = np.shape(x)
        if array.shape != shape and not array.size == np.size(x) == 1:
            hint = " Reshape it." if array.size == np.size(x) else ""
            raise SettingError(f"grad must return an array of x's shape, {shape}; its shape is {array.shape}.{hint}")
        return J, np.array(array, dtype=np.float64).reshape(shape)

    return both


def _check_start(f0: float, g: Array) -> None:
    if not np.isfinite(f0):
        raise DataError(f"f(x0) is {f0:g}; start where f is finite.")
    if not np.isfinite(g).all():
        worst = int(np.argmin(np.isfinite(g)))
        raise DataError(f"The gradient at x0 must be finite; {_component(g, worst)} is {g.flat[worst]:g}.")


def _recognised(f: Callable[[Any], Any], x: Array) -> tuple[ValueAndGrad, str]:
    """The gradient by the library that f is written in. Neither is imported: what uses them has done so."""
    tried = ""
    for name, library in _LIBRARIES.items():  # PyTorch first: what both can do, it does in float64
        if sys.modules.get(name) is None:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return library(f, x)
        except Exception as error:  # f is a stranger and may raise anything on an array that it does not know
            tried += f" (With {name} it does not work: {str(error).strip().partition(chr(10))[0]:.120})"
    raise SettingError(
        "grad: minimize needs the gradient of f. Pass grad=, a function of x that returns an array of x's shape; or "
        "write f with jax.numpy or torch, and it is found by itself (pip install 'fallline[jax]' or 'fallline[torch]')."
        + tried
    )


def _by_jax(f: Callable[[Any], Any], x: Array) -> tuple[ValueAndGrad, str]:
    try:
        import jax
    except ImportError:
        raise MissingExtraError("grad='jax' needs JAX, which is not installed: pip install 'fallline[jax]'.") from None

    def scalar(point: Any) -> Any:
        value = f(point)
        if not isinstance(value, jax.Array):
            raise SettingError(f"grad='jax': f must return a JAX scalar; on a JAX array it returns {value!r:.80}.")
        if value.size != 1:
            raise SettingError(f"f must return one real number; f(x0) is an array of shape {value.shape}. Sum it.")
        return value.reshape(())

    value_and_grad = jax.value_and_grad(scalar)

    def both(point: Array) -> tuple[float, Array]:
        J, g = value_and_grad(jax.numpy.asarray(np.array(point)))
        return float(J), np.array(g, dtype=np.float64)

    J, g = value_and_grad(jax.numpy.asarray(x))
    if J.dtype == np.float64 and g.dtype == np.float64:
        return both, "by JAX"
    return both, f"by JAX, in {J.dtype} (for float64: jax.config.update('jax_enable_x64', True))"


def _by_torch(f: Callable[[Any], Any], x: Array) -> tuple[ValueAndGrad, str]:
    try:
        import torch
    except ImportError:
        raise MissingExtraError(
            "grad='torch' needs PyTorch, which is not installed: pip install 'fallline[torch]'."
        ) from None

    def both(point: Array) -> tuple[float, Array]:
        theta = torch.from_numpy(np.array(point, dtype=np.float64)).requires_grad_(True)
        with torch.enable_grad():
            value = f(theta)
        if not isinstance(value, torch.Tensor):
            raise SettingError(f"grad='torch': f must return a PyTorch scalar; on a tensor it returns {value!r:.80}.")
        if value.numel() != 1:
            shape = tuple(value.shape)
            raise SettingError(f"f must return one real number; f(x0) is an array of shape {shape}. Sum it.")
        if not value.requires_grad:
            raise SettingError("grad='torch': what f returns is cut off from x (detach, item, numpy, no_grad?).")
        (g,) = torch.autograd.grad(value.reshape(()), theta, allow_unused=True)
        return float(value.detach()), np.zeros_like(point) if g is None else g.numpy()

    both(x)
    return both, "by PyTorch"


_LIBRARIES = {"torch": _by_torch, "jax": _by_jax}
