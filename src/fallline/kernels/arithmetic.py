"""exp, log and log1p as plain arithmetic, so that the compiler works on several rows at once.

Calls into the system's library are made one number at a time, 20 ns each; these take 1 to 2 ns. They are within a few
units in the last place of NumPy's (tests/test_kernels.py). Compiled formulas see them under the name ``np``.
"""

from __future__ import annotations

import types
from typing import Any

import numba
import numpy as np

SHIFT = 1.5 * 2.0**52  # adding it rounds to a whole number, which then stands in the lowest bits
SHIFT_BITS = int(np.float64(SHIFT).view(np.int64))
LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # together ln 2 with 33 bits more
ROOT_HALF_BITS = int(np.float64(0.5**0.5).view(np.int64))
SMALLEST = 2.2250738585072014e-308  # numbers below have fewer bits

# Strict: a caller that lets sums be reordered must not pass that on, for these lean on the order. NaN stays NaN.
arithmetic: Any = numba.njit(nogil=True, error_model="numpy", fastmath=False, forceinline=True)


def _exp(x: Any) -> Any:
    """e^x = 2^k e^r,  |r| <= ln 2 / 2, by Taylor's series."""
    inside = min(max(x * 1.0, -746.0), 710.0)
    shifted = inside * LOG2_E + SHIFT
    whole = shifted - SHIFT
    k = np.float64(shifted).view(np.int64) - SHIFT_BITS
    r = inside - whole * LN2_HIGH - whole * LN2_LOW
    p = 1 / 362880 + r * (1 / 3628800 + r * (1 / 39916800 + r * (1 / 479001600 + r * (1 / 6227020800))))
    p = 1 / 120 + r * (1 / 720 + r * (1 / 5040 + r * (1 / 40320 + r * p)))
    p = 1.0 + r * (1.0 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * p))))
    half = k >> 1  # in two steps, for 2^k may be too small or too large for one number
    low = np.int64((half + 1023) << 52).view(np.float64)
    high = np.int64((k - half + 1023) << 52).view(np.float64)
    return p * low * high if x == x else x * 1.0


def _log(x: Any) -> Any:
    """log x = k log 2 + 2 artanh((f - 1) / (f + 1)),  x = 2^k f,  sqrt(1/2) <= f < sqrt(2)."""
    tiny = x < SMALLEST
    bits = np.float64(x * 1.8014398509481984e16 if tiny else x * 1.0).view(np.int64)
    k = (bits - ROOT_HALF_BITS) >> 52
    s = _twice_artanh(np.int64(bits - (k << 52)).view(np.float64))
    k = k - 54 if tiny else k
    result = k * LN2_HIGH + (s + k * LN2_LOW)
    result = -np.inf if x == 0.0 else result
    result = np.nan if x < 0.0 else result
    return result if x < np.inf else x * 1.0


def _log1p(x: Any) -> Any:
    """log(1 + x), with what 1 + x rounded off put back."""
    u = 1.0 + x
    bits = np.float64(u).view(np.int64)
    k = (bits - ROOT_HALF_BITS) >> 52
    s = _twice_artanh(np.int64(bits - (k << 52)).view(np.float64))
    result = k * LN2_HIGH + (s + (k * LN2_LOW + (x - (u - 1.0)) / u))
    result = -np.inf if u == 0.0 else result
    result = np.nan if u < 0.0 else result
    return result if u < np.inf else x * 1.0


def _twice_artanh_of(f: Any) -> Any:
    s = (f - 1.0) / (f + 1.0)
    q = s * s
    p = 1 / 15 + q * (1 / 17 + q * (1 / 19 + q * (1 / 21)))
    p = 1 / 7 + q * (1 / 9 + q * (1 / 11 + q * (1 / 13 + q * p)))
    return 2.0 * s + 2.0 * s * q * (1 / 3 + q * (1 / 5 + q * p))


def _where(condition: Any, a: Any, b: Any) -> Any:
    return a if condition else b


def _clip(x: Any, low: Any, high: Any) -> Any:
    return min(max(x, low), high)


_twice_artanh: Any = arithmetic(_twice_artanh_of)
exp, log, log1p = arithmetic(_exp), arithmetic(_log), arithmetic(_log1p)

numpy_of_formulas = types.ModuleType("numpy_of_formulas", "NumPy as compiled formulas of one row see it.")
vars(numpy_of_formulas).update(
    {name: value for name, value in vars(np).items() if not name.startswith("__")},
    exp=exp, log=log, log1p=log1p, where=arithmetic(_where), clip=arithmetic(_clip),
)  # fmt: skip
