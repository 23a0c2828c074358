"""What users pass as arrays, as plain NumPy arrays of real numbers; refused where that would change what they hold.

NumPy turns much into an array without a word: it ignores masks, drops imaginary parts and reads dates as the number of
their unit. Each of these is a wrong number in silence, so each is an error here that says what to do.
"""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.errors import DataError, FalllineError
from fallline.numbering import row_number, rows_told

LONGEST_CELL = 40  # letters of a cell that an error shows
DATES = (np.datetime64, datetime.date, datetime.time)
DURATIONS = (np.timedelta64, datetime.timedelta)
# Cells of object arrays that float() would take, or refuse in words of its own: it takes the real part of NumPy's complex
# numbers, the number of units of a date, the only element of an array.
STRANGE = (complex, np.complexfloating, *DATES, *DURATIONS, np.ndarray, list, tuple, dict, set)


def as_array(values: Any, where: str, error: type[FalllineError] = DataError) -> NDArray[Any]:
    """`values` as a NumPy array of any type, without a mask. Raises `error` for masked cells and ragged rows."""
    if isinstance(values, np.ma.MaskedArray) or _has_masked(values):
        mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else _masked_rows(values)
        if mask.any():
            rows = np.asarray(mask.reshape(len(mask), -1).any(axis=1) if mask.ndim else mask.ravel())
            raise error(
                f"{where}: cells are masked in {rows_told(rows)}. Drop these rows, or fill the cells: {_name(where)}.filled(0)."
            )
    if hasattr(values, "tocsr"):
        raise error(f"{where}: got a sparse matrix; give a plain array, such as {_name(where)}.toarray().ravel().")
    try:
        with np.errstate(all="ignore"):
            return np.asarray(values)
    except ValueError:
        lengths = [_length(row) for row in values] if isinstance(values, (list, tuple)) else []
        raise error(f"{where}: {_ragged(lengths, type(values).__name__)}") from None
    except Exception:  # another library's array may refuse to become NumPy's with any error: on a GPU, with a gradient
        raise error(
            f"{where}: NumPy cannot read {type(values).__name__} as an array; convert it to a NumPy array first."
        ) from None


def as_numbers(
    values: Any, where: str, error: type[FalllineError] = DataError, columns: Any = None
) -> NDArray[np.floating]:
    """`values` as floats of any shape. Raises `error` naming the first cell that is no real number.

    `columns` are the names of the columns, where `values` is a table.
    """
    array = as_array(values, where, error)
    kind = array.dtype.kind
    if kind in "cmM":
        raise error(f"{where}: {_kind_told(kind, array.dtype)}")
    if array.dtype in (np.float32, np.float64):
        return array
    if kind == "V":
        raise error(
            f"{where} must be an array of numbers, got records or raw bytes ({str(array.dtype)[:LONGEST_CELL]}); give one "
            "plain array with a column for each field."
        )
    if kind != "O" or not any(isinstance(cell, STRANGE) for cell in array.flat):
        try:
            with np.errstate(all="ignore"):
                return array.astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            pass
    for place, cell in np.ndenumerate(array):
        complaint = _complaint(cell)
        if complaint:
            raise error(f"{_place(where, place, columns)}{complaint}")
    raise error(f"{where} must be an array of numbers; got {type(values).__name__} that NumPy reads as {array.dtype}.")


def shown(value: Any) -> str:
    """`value` as an error shows it: not longer than ``LONGEST_CELL``."""
    try:
        text = repr(str(value)) if isinstance(value, np.generic) else repr(value)
    except ValueError:  # Python writes no whole numbers of more than 4,300 digits
        text = "a whole number of thousands of digits"
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 3]}..."


def _complaint(cell: Any) -> str:
    """What is wrong with a cell; nothing where it is a number."""
    if isinstance(cell, (complex, np.complexfloating)):
        return _kind_told("c", "complex")
    if isinstance(cell, (*DATES, *DURATIONS)):
        return _kind_told("m" if isinstance(cell, DURATIONS) else "M", type(cell).__name__)
    if isinstance(cell, STRANGE):
        return f"a {type(cell).__name__} is not a number. Give one number a cell; rows must all be of one length."
    try:
        float(cell)
    except OverflowError:
        return f"{shown(cell)} is too large for double precision, which ends at 1.8e308. Divide the column, or take logarithms."
    except (TypeError, ValueError):
        return (
            f"{shown(str(cell))} is not a number. Turn text into numbers first, or name the target's column, as in "
            "fallline.fit(table, 'price'), which does it."
        )
    return ""


def _kind_told(kind: str, dtype: object) -> str:
    if kind == "c":
        return (
            "Complex data not supported: a model is trained on real numbers. Give the real part (x.real), or real and "
            "imaginary part as two columns."
        )
    if kind == "m":
        return f"holds durations ({dtype}); make numbers of them first: x / np.timedelta64(1, 's')."
    return (
        f"holds dates ({dtype}); make numbers of them first: (x - x.min()) / np.timedelta64(1, 'D'), or give a data frame "
        "and name the target's column, as in fallline.fit(table, 'price')."
    )


def _place(where: str, place: tuple[int, ...], columns: Any) -> str:
    if not place:
        return f"{where}: "
    row = f"row {row_number(place[0]):,}: "
    if len(place) < 2:
        return f"{where}, {row}"
    named = list(columns)[place[1] : place[1] + 1] if columns is not None else []
    return f"{where}, column {shown(named[0] if named else place[1])}, {row}"


def _length(row: Any) -> int | None:
    return len(row) if isinstance(row, (list, tuple)) else int(row.shape[0]) if getattr(row, "ndim", 0) else None


def _ragged(lengths: list[int | None], kind: str) -> str:
    odd = next((k for k, length in enumerate(lengths) if length != lengths[0]), None)
    if odd is None:
        return f"NumPy cannot read {kind} as an array; give one of numbers, all rows of one length."
    told = ["one number" if length is None else f"{length:,} cells" for length in (lengths[0], lengths[odd])]
    return f"rows must be of one length; row 0 has {told[0]} and row {row_number(odd):,} has {told[1]}."


def _has_masked(values: Any) -> bool:
    """Whether a list holds masked arrays or masked cells, which NumPy would take as they are, or as NaN."""
    if not isinstance(values, (list, tuple)):
        return False
    return any(
        isinstance(row, np.ma.MaskedArray)
        or isinstance(row, (list, tuple)) and any(isinstance(cell, np.ma.MaskedArray) for cell in row)
        for row in values
    )  # fmt: skip


def _masked_rows(values: Any) -> NDArray[np.bool_]:
    def masked(row: Any) -> bool:
        return any(masked(cell) for cell in row) if isinstance(row, (list, tuple)) else bool(np.ma.is_masked(row))

    return np.array([masked(row) for row in values])


def _name(where: str) -> str:
    return where.split(",")[0].split(":")[0]
