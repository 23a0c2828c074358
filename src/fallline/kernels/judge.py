"""From the predictions of a few rows to their losses and slopes: the part that every kernel shares."""

from __future__ import annotations

from typing import Any

import numba

from fallline.kernels.compile import LENIENT
from fallline.kernels.twins import slope, value


def _judge(loss: Any, y: Any, weight: Any, offset: Any, z: Any, r: Any, v: Any) -> Any:
    """Fill r with the weighted slopes at the predictions z of len(y) rows; return (sum of weighted phi, sum of r).

    `weight` and `offset` may be empty. `v` is room for as many numbers. (Slices come in, not a first row and a count:
    an index that is a sum is checked for being negative, and then only one row is computed at a time.)
    """
    for i in range(len(offset)):
        z[i] += offset[i]
    for i in range(len(y)):
        v[i] = value(loss, y[i], z[i])
        r[i] = slope(loss, y[i], z[i])
    for i in range(len(weight)):
        v[i] *= weight[i]
        r[i] *= weight[i]
    J, total = 0.0, 0.0
    for i in range(len(y)):
        J += v[i]
        total += r[i]
    return J, total


judge: Any = numba.njit(nogil=True, error_model="numpy", fastmath=LENIENT)(_judge)
