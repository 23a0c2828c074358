"""Weights so small or large that quotients of their sum leave the range of double precision."""

from __future__ import annotations

from typing import Final

import numpy as np

from fallline.errors import DataError
from fallline.rows._base import Rows
from fallline.rows.arrays import ArrayRows

USUAL_SUM: Final = (1e-100, 1e100)  # of weights: losses and slopes may be divided by it, and by its square


def with_usual_weights(rows: Rows, inference: bool) -> Rows:
    """The rows, their weights times a power of two where the sum of these is not usual.

    J is a weighted mean, which this leaves as it is. Standard errors (`inference`) take weights for counts of rows, so
    they are refused. Raises DataError for rows on disk, whose weights stay as they are.
    """
    low, high = USUAL_SUM
    if low <= rows.total_weight <= high:
        return rows
    if not isinstance(rows, ArrayRows) or rows.weight is None or inference:
        raise DataError(unusual(rows.total_weight))
    exponent = int(np.frexp(rows.weight.max())[1])
    return ArrayRows(rows.X, rows.y, np.ldexp(rows.weight, -exponent), rows.offset)


def unusual(total: float) -> str:
    """The sentence that refuses such weights."""
    low, high = USUAL_SUM
    return (
        f"sample_weight: the weights sum to {total:.3g}; between {low:g} and {high:g} is possible here. Divide all weights "
        "by one number."
    )
