"""What stands beside the rows of an estimator, checked: offsets, weights, rows to check on; and predictions on the way out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.errors import DataError

Array = NDArray[np.floating]

FORMATS = ["csr", "csc", "coo"]  # sparse formats that are taken; all but the first are converted


@dataclass(frozen=True)
class Given:
    """Validated rows to fit: X (m, n) float, dense or CSR; a weight and an offset a row, where there are any."""

    X: Any
    weight: Array | None
    offset: Array | None
    check: Any  # what fit() takes as ``check``, but for the target
    y_check: Any


def shift_of(offset: Any, X: Any, outputs: int) -> Array:
    """Offsets as (m,), or (m, k) for k outputs; DataError where they are anything else, or not finite."""
    try:
        shift = np.asarray(offset, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"offset: must be numbers, got {type(offset).__name__} with other things in it.") from None
    if shift.ndim == 2 and shift.shape[1] == 1:
        shift = shift[:, 0]
    m = X.shape[0]
    if shift.shape != (m,) and not (outputs > 1 and shift.shape == (m, outputs)):
        also = f", or ({m:,}, {outputs})" if outputs > 1 else ""
        raise DataError(f"offset: got an array of shape {shift.shape}; give one value a row, ({m:,},){also}.")
    if not np.isfinite(shift).all():
        row = int(np.argmax(~np.isfinite(shift.reshape(m, -1)).all(axis=1)))
        raise DataError(f"offset: must be finite; row {row:,} is not.")
    return shift


def of_output(offset: Array | None, k: int) -> Array | None:
    """The offsets of output k."""
    return offset if offset is None or offset.ndim == 1 else offset[:, k]


def finite(values: Array, where: str) -> Array:
    """`values`, or DataError naming the first row that is not finite: better no number than a wrong one."""
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.argmax(bad.any(axis=1) if bad.ndim == 2 else bad))
        raise DataError(
            f"{where}: the prediction for {int(bad.sum()):,} of {bad.size:,} values is not finite (first: row {row:,}). "
            "That row is far beyond the data trained on, or the coefficients are."
        )
    return values


def refuse_text(X: Any) -> None:
    """Raise DataError for a data frame with a column that holds no numbers, which names it and says what takes it."""
    if not (hasattr(X, "columns") and hasattr(X, "dtypes")):
        return
    for name in X.columns:
        cells = X[name]
        if getattr(getattr(cells, "dtype", None), "kind", None) in ("i", "u", "f", "b"):
            continue
        try:
            np.asarray(cells.to_numpy(), dtype=np.float64)
            wrong = np.asarray(cells.to_numpy()).dtype.kind in "mM"
        except (TypeError, ValueError):
            wrong = True
        if wrong:
            raise DataError(
                f"column {name!r} holds no numbers ({cells.dtype}). fallline.fit(table, 'target') encodes text and dates; in "
                "scikit-learn put a ColumnTransformer before this estimator."
            )
