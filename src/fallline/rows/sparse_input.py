"""Sparse matrices of users as CSR matrices that compiled code may trust: real, in range, sorted, each entry once."""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.errors import DataError
from fallline.numbering import row_number


def as_csr(X: Any) -> Any:
    """A SciPy sparse matrix or array of any format as float CSR. Raises DataError where it is broken, or not real.

    Indices are checked before SciPy converts: its converters write where an index out of range points to.
    """
    if X.ndim != 2:
        raise DataError(f"X must have two dimensions (rows, columns), got a sparse array of shape {X.shape}.")
    kind = X.dtype.kind
    if kind == "c":
        raise DataError(
            "X: Complex data not supported: a model is trained on real numbers. Give the real part (X.real)."
        )
    if kind not in "fiub":
        raise DataError(f"X: the sparse matrix holds {X.dtype} cells; it must hold numbers: X.astype(float).")
    try:
        sparse = _converted(X)
        if sparse.dtype not in (np.float32, np.float64):
            sparse = sparse.astype(np.float64)
        sparse.check_format(full_check=True)
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        raise DataError(
            f"X: the sparse matrix is damaged, {_damage(X, error)}. Build it anew from its cells."
        ) from None
    if not sparse.has_canonical_format:  # an entry stored in parts; or unsorted, which the user's matrix may stay
        sparse = sparse.copy()
        sparse.sum_duplicates()
    return sparse


def _converted(X: Any) -> Any:
    if hasattr(X, "check_format"):  # CSR, CSC, BSR
        X.check_format(full_check=True)
        return X.tocsr()
    pairs = X.tocoo()  # COO, DIA, DOK, LIL
    for place, (index, size) in enumerate(zip((pairs.row, pairs.col), pairs.shape, strict=True)):
        if len(index) and (index.min() < 0 or index.max() >= size):
            raise ValueError(f"{('row', 'column')[place]} index out of range")
    if not len(pairs.row) == len(pairs.col) == len(pairs.data):
        raise ValueError("indices and data differ in length")
    return pairs.tocsr()


def _damage(X: Any, error: BaseException) -> str:
    """What is wrong, in our words where we can tell."""
    indptr, indices = getattr(X, "indptr", None), getattr(X, "indices", None)
    if indptr is None or indices is None:
        return str(error)[:80]
    if len(indptr) > 1 and np.any(np.diff(indptr) < 0):
        return f"indptr falls after row {row_number(int(np.argmax(np.diff(indptr) < 0))):,}"
    size = X.shape[1] if X.format == "csr" else X.shape[0]
    if X.format != "bsr" and len(indices) and (indices.min() < 0 or indices.max() >= size):
        bad = int(indices[(indices < 0) | (indices >= size)][0])
        return f"index {bad:,} is not one of its {size:,} {'columns' if X.format == 'csr' else 'rows'}"
    return "indptr, indices and data do not fit together"
