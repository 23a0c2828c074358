"""The median of a column that is read in pieces, exactly: by counting, not by keeping."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

DIGIT = 16  # bits of a number that one reading settles: four readings settle all 64


def median(pieces: Callable[[], Iterable[NDArray[np.float64]]]) -> float:
    """The middle number of all pieces, or the mean of the two in the middle. `pieces` is called a few times.

    >>> median(lambda: [np.array([3.0, 1.0]), np.array([2.0, 10.0])])
    2.5
    """
    count = sum(len(piece) for piece in pieces())
    lower = _nth(pieces, (count - 1) // 2)
    return lower if count % 2 else (lower + _nth(pieces, count // 2)) / 2.0


def _nth(pieces: Callable[[], Iterable[NDArray[np.float64]]], n: int) -> float:
    """The number with n others before it in order, found digit by digit of its sorted bits."""
    known, left = np.uint64(0), n
    for shift in range(64 - DIGIT, -1, -DIGIT):
        counts = np.zeros(1 << DIGIT, dtype=np.int64)
        above = np.uint64(shift + DIGIT)
        for piece in pieces():
            keys = _sorted_bits(piece)
            if shift + DIGIT < 64:
                keys = keys[keys >> above == known]
            digits = (keys >> np.uint64(shift)) & np.uint64((1 << DIGIT) - 1)
            counts += np.bincount(digits.astype(np.int64), minlength=1 << DIGIT)
        through = np.cumsum(counts)
        digit = int(np.searchsorted(through, left, side="right"))
        left -= int(through[digit - 1]) if digit else 0
        known = (known << np.uint64(DIGIT)) | np.uint64(digit)
    sign = np.uint64(1 << 63)
    bits = known ^ sign if known & sign else ~known
    return float(np.array([bits], dtype=np.uint64).view(np.float64)[0])


def _sorted_bits(numbers: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Whole numbers in the order of the numbers themselves."""
    bits = np.ascontiguousarray(numbers + 0.0).view(np.uint64)  # + 0.0: minus zero is zero
    sign = np.uint64(1 << 63)
    return np.where(bits & sign, ~bits, bits | sign)
