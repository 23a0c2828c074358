"""Time and Ctrl-C within work that has no steps: checks of a gradient, trial runs, second derivatives."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.line_search import EPS, EPS_SINGLE

Array = NDArray[np.floating]


class Halt(BaseException):
    """The time is up, or Ctrl-C was pressed. No Exception, so that nobody takes it for an error of the function's own."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Limits:
    """Seconds from now on, and Ctrl-C. ``within()`` makes guarded calls raise Halt once either is reached."""

    def __init__(self, seconds: float, stopped: Callable[[], bool]) -> None:
        self._end, self._stopped, self._raises = time.perf_counter() + seconds, stopped, False

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._end - time.perf_counter()

    @contextmanager
    def within(self) -> Iterator[None]:
        """Within: a guarded call raises Halt when the time is up or Ctrl-C was pressed."""
        before, self._raises = self._raises, True
        try:
            yield
        finally:
            self._raises = before  # one may stand within another

    def check(self) -> None:
        """Raise Halt, ``within()`` only."""
        if self._raises and self._stopped():
            raise Halt("interrupt")
        if self._raises and self.left <= 0.0:
            raise Halt("time")

    def guarded(self, f: Any) -> Any:
        """The function f with a check before each call; anything else as it is."""
        if not callable(f):
            return f

        def call(x: Any) -> Any:
            self.check()
            return f(x)

        return call


class Watched:
    """A user's function as the loop calls it: never where x is not finite; its lowest point and its precision are noted."""

    def __init__(
        self, both: Callable[[Any], tuple[float, Any]], gradient: Callable[[Any], Any], limits: Limits
    ) -> None:
        self._both, self._gradient, self._limits = both, gradient, limits
        self.lowest: tuple[float, Array] | None = None
        self._single_values = self._single_slopes = True

    def __call__(self, x: Array) -> tuple[float, Array]:
        """f(x) and its gradient; NaN where x is not finite."""
        self._limits.check()
        if not np.isfinite(x).all():
            return math.nan, np.full(np.shape(x), math.nan)
        J, g = self._both(x)
        if math.isfinite(J) and (self.lowest is None or J < self.lowest[0]):
            self.lowest = (J, np.array(x))
        self._single_values = self._single_values and _is_single(np.array(J))
        self._single_slopes = self._single_slopes and _is_single(g)
        return J, g

    def gradient(self, x: Array) -> Array:
        """The gradient alone."""
        self._limits.check()
        g: Array = self._gradient(x) if np.isfinite(x).all() else np.full(np.shape(x), math.nan)
        return g

    @property
    def eps(self) -> float:
        """Relative rounding error of f: that of float32 where all its values were such numbers."""
        return EPS_SINGLE if self._single_values else EPS

    @property
    def slope_eps(self) -> float:
        """Relative rounding error of the gradient, likewise."""
        return EPS_SINGLE if self._single_slopes else EPS


@np.errstate(over="ignore")
def _is_single(values: Array) -> bool:
    return bool(np.all((values.astype(np.float32) == values) | ~np.isfinite(values)))
