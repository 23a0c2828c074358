"""A user's own function as fallline trains it: its value and its gradient at x, the gradient checked first."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.differences import component, disagreement
from fallline.errors import DataError, GradientError, MissingExtraError, SettingError, SettingTypeError
from fallline.rows.plain_arrays import as_array

Array = NDArray[np.float64]
ValueAndGrad = Callable[[Array], tuple[float, Array]]


def as_point(x0: Any) -> Array:
    """The start as a new float64 array of its shape; a number gives an array without axes.

    Raises SettingTypeError where it is not numbers, SettingError where it is empty, DataError where it is not finite.

    >>> as_point([1, 2]), as_point(3).shape
    (array([1., 2.]), ())
    """
    try:
        given = as_array(x0, "x0", SettingTypeError)
        if given.dtype.kind not in "fiub":
            raise TypeError
    except TypeError:
        raise SettingTypeError(f"x0: got {x0!r:.80}; it must be a number or an array of real numbers.") from None
    x = np.array(given, dtype=np.float64)
    if x.size == 0:
        raise SettingError(f"x0: got an empty array of shape {x.shape}; it must hold at least one number.")
    if not np.isfinite(x).all():
        worst = int(np.argmin(np.isfinite(x)))
        raise DataError(f"x0 must be finite; {component(x, worst)} is {x.flat[worst]:g}.")
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

    for each component, or where there are more than ten, for ten of them and a few random d. Where they differ by more
    than 1e-4 of the slope, longer and shorter steps are tried, down to 1e-13, so that functions that bend quickly, or
    have a kink near x0, are judged where they are straight; at a kink, any slope between those of its two sides is
    right. Where rounding hides the slope, the benefit of the doubt is given. The error names the worst component and
    both its slopes.

    >>> check_gradient(lambda x: float(x[0] ** 2 - x[1] ** 2), lambda x: 2 * x, [1.0, 3.0])
    Traceback (most recent call last):
    ...
    fallline.errors.GradientError: D24: Your gradient disagrees with finite differences in component 1 (6 vs -6: sign?). ...
    """
    x = as_point(x0)
    f0, g = _given(value, grad)(x)
    _check_start(f0, g)
    sentence = disagreement(lambda point: one_number(value(point)), x, f0, g, directions, seed)
    if sentence is not None:
        raise GradientError(sentence, code="D24")


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
    slope = gradient_alone(grad)

    def both(x: Array) -> tuple[float, Array]:
        return one_number(f(np.array(x))), slope(x)

    return both


def gradient_alone(grad: Callable[[Any], Any]) -> Callable[[Array], Array]:
    """A user's gradient as a function from float64 to float64 arrays of x's shape; it gets a copy of x.

    Raises SettingError where it returns anything else.
    """

    def slope(x: Array) -> Array:
        g = grad(np.array(x))
        array = _as_array(g)
        if array.dtype.kind not in "fiub":
            raise SettingError(f"grad must return an array of real numbers of x's shape; it returned {g!r:.80}.")
        shape = np.shape(x)
        if array.shape != shape and not array.size == np.size(x) == 1:
            hint = " Reshape it." if array.size == np.size(x) else ""
            raise SettingError(f"grad must return an array of x's shape, {shape}; its shape is {array.shape}.{hint}")
        return np.array(array, dtype=np.float64).reshape(shape)

    return slope


def unchecked(f: Callable[[Any], Any], grad: Callable[[Any], Any], x: Array) -> ValueAndGrad:
    """Both at once, where there is no time to check the gradient. Raises DataError where f(x) or grad(x) is not finite."""
    both = _given(f, grad)
    _check_start(*both(x))
    return both


def _check_start(f0: float, g: Array) -> None:
    if not np.isfinite(f0):
        raise DataError(f"f(x0) is {f0:g}; start where f is finite.")
    if not np.isfinite(g).all():
        worst = int(np.argmin(np.isfinite(g)))
        raise DataError(f"The gradient at x0 must be finite; {component(g, worst)} is {g.flat[worst]:g}.")


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
