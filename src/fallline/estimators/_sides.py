"""What stands beside the rows of an estimator, checked: offsets, weights, rows to check on; and predictions on the way out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from fallline.errors import DataError, FalllineError, SettingTypeError, TargetError
from fallline.losses._base import Loss
from fallline.numbering import rows_told
from fallline.rows.plain_arrays import DATES, DURATIONS, as_array, as_numbers
from fallline.rows.sparse_input import as_csr
from fallline.rows.target import range_complaint

Array = NDArray[np.floating]

FORMATS = ["csr", "csc", "coo"]  # sparse formats that scikit-learn is told of; all others are converted here too
ODD_CELLS = (complex, np.complexfloating, *DATES, *DURATIONS)  # of object arrays, which NumPy turns into wrong numbers


@dataclass(frozen=True)
class Given:
    """Validated rows to fit: X (m, n) float, dense or CSR; a weight and an offset a row, where there are any."""

    X: Any
    weight: Array | None
    offset: Array | None
    check: Any  # what fit() takes as ``check``, but for the target
    y_check: Any


MOST_BITS = 1024  # of a whole number: beyond it is no double


def shift_of(offset: Any, X: Any, outputs: int) -> Array:
    """Offsets as (m,), or (m, k) for k outputs; DataError where they are anything else, or not finite."""
    shift = np.asarray(as_numbers(offset, "offset"), dtype=np.float64)
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
        rows = np.asarray(bad.any(axis=1) if bad.ndim == 2 else bad)
        raise DataError(
            f"{where}: the prediction is not finite in {rows_told(rows)}. They are far beyond the data trained on, or the "
            "coefficients are."
        )
    return values


def plainly(values: Any, where: str) -> Any:
    """`values` as scikit-learn may read them: sparse ones as checked CSR, others as they are.

    Raises DataError for what its checks let pass, or tell in several lines: masks, complex numbers, dates, ragged rows,
    broken sparse matrices, an X of one dimension.
    """
    if hasattr(values, "tocsr") and where.startswith("X"):
        return as_csr(values)
    array = as_array(values, where) if isinstance(values, (np.ma.MaskedArray, list, tuple)) else values
    kind = getattr(getattr(array, "dtype", None), "kind", "")
    odd = kind == "O" and isinstance(array, np.ndarray) and any(map(_is_odd, array.flat))
    if kind in "cV" and kind or odd or (kind in "mM" and kind and where.startswith("X")):
        as_numbers(array, where)
    if where.startswith("X") and getattr(array, "ndim", 2) == 1:
        raise DataError(
            f"{where} must be a table of rows and columns, got one line of {len(array):,}. Reshape your data: "
            f"{where}.reshape(-1, 1) for one column, {where}.reshape(1, -1) for one row."
        )
    return values


def _is_odd(cell: Any) -> bool:
    return isinstance(cell, ODD_CELLS) or isinstance(cell, int) and cell.bit_length() >= MOST_BITS


def real_targets(y: Any, form: Loss, where: str) -> NDArray[np.float64]:
    """Targets (m,) or (m, k) as floats that the loss takes; raises TargetError where they are anything else."""
    targets = np.asarray(as_numbers(y, where, TargetError), dtype=np.float64)
    bad = ~np.isfinite(targets.reshape(len(targets), -1)).all(axis=1) if targets.size else np.zeros(0, dtype=bool)
    if bad.any():
        raise TargetError(f"{where}: not finite in {rows_told(np.asarray(bad))}. Drop these rows.")
    for column in targets.T if targets.ndim == 2 else [targets]:
        ends = (float(column.min()), float(column.max())) if len(column) else (0.0, 0.0)
        complaint = form.check_targets(column) or range_complaint(*ends, form)
        if complaint is not None:
            raise TargetError(complaint)
    return targets


@contextmanager
def in_our_words() -> Iterator[None]:
    """Within: what scikit-learn refuses, it refuses as DataError or SettingTypeError, in one line."""
    try:
        with np.errstate(all="ignore"):
            yield
    except (FalllineError, NotFittedError):
        raise
    except ArithmeticError as error:  # Decimal("sNaN"), 10**400
        raise DataError(f"X, y: a cell is no number that double precision can hold ({type(error).__name__}).") from None
    except (ValueError, TypeError) as error:
        told = " ".join(str(error).split())
        if "feature names" in told.lower():  # lists of columns, in lines that scikit-learn's own checks compare
            raise
        raise (SettingTypeError if isinstance(error, TypeError) else DataError)(told) from None


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
