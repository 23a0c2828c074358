"""From what users pass to what kernels may trust.

Checked, finite, float, of one length. Nothing unchecked goes further.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.errors import DataError, SchemaError, SettingError, SettingTypeError, TargetError
from fallline.family import suggest
from fallline.losses._base import Loss
from fallline.numbering import numbered, row_number
from fallline.rows._base import Array
from fallline.rows.coded import Coded
from fallline.rows.plain_arrays import as_numbers, shown
from fallline.rows.sparse_input import as_csr
from fallline.rows.target import encode_target

MOST_NAMED = 5  # columns that an error names before it says "..."


class Named(NamedTuple):
    """What the columns, the target and the classes are called."""

    names: tuple[str, ...]
    target_name: str
    classes: tuple[Any, ...] | None


class Intake(NamedTuple):
    """Checked arrays: X is a dense float array (m, n) or a float CSR matrix."""

    X: Any
    y: Array
    weight: Array | None
    offset: Array | None
    names: tuple[str, ...]
    target_name: str
    classes: tuple[Any, ...] | None

    @property
    def named(self) -> Named:
        """The names alone."""
        return Named(self.names, self.target_name, self.classes)


def take_in(
    X: Any,
    y: Any,
    loss: Loss,
    weight: Any = None,
    offset: Any = None,
    names: Any = None,
    target_name: str | None = None,
    classes: tuple[Any, ...] | None = None,
    shares: bool = False,
) -> Intake:
    """Check everything, convert what must be converted, copy nothing that need not be.

    Float arrays (float32 or float64, any order) and CSR matrices pass as they are; lists, integers, other sparse
    formats and data frames are converted. `classes`, where given, are the labels that y may have, in their
    order; `shares` says that y are shares of one of two classes, whatever values they take.
    """
    features = as_features(X)
    labels, found = encode_target(y, loss, classes, shares=shares)
    if len(labels) != features.shape[0]:
        raise DataError(
            f"X has {features.shape[0]:,} rows and y has {len(labels):,} values; they must be of the same length."
        )
    columns = column_names(X, features.shape[1], names)
    check_finite(features, columns)
    heavy = side(weight, "sample_weight", features.shape[0], least=0.0)
    beside = side(offset, "offset", features.shape[0])
    if heavy is not None and not heavy.all():  # a row without weight is as good as absent, whatever is in it
        kept = np.flatnonzero(heavy)
        features, heavy = features[kept], heavy[kept]
        with numbered(kept):
            labels, found = encode_target(_plain(y)[kept], loss, classes, shares=shares)
        beside = None if beside is None else beside[kept]
    return Intake(features, labels, heavy, beside, columns, target_name or _name_of(y), found)


def as_features(X: Any) -> Any:
    """X as a float array (m, n) with m >= 1, or as a float CSR matrix with sorted, in-range indices.

    Raises DataError for masked, complex, ragged and other arrays that are no table of real numbers.
    """
    if isinstance(X, Coded):  # made here, and checked when it was made
        return X
    if hasattr(X, "tocsr"):
        return as_csr(X)
    array = as_numbers(X, "X", columns=getattr(X, "columns", None))
    if array.ndim == 1 and array.size:
        raise DataError(
            f"X must be a table of rows and columns, got {array.size:,} numbers in a line. "
            "For one column use X.reshape(-1, 1); for one row X.reshape(1, -1)."
        )
    if array.ndim != 2:
        raise DataError(f"X must have two dimensions (rows, columns), got an array of shape {array.shape}.")
    if array.shape[0] == 0:
        raise DataError(f"X is empty: its shape is {array.shape}; training needs at least one row.")
    return array


def column_names(X: Any, n: int, names: Any = None) -> tuple[str, ...]:
    """The given names, else a data frame's, else x0, x1, ..."""
    if names is None:
        columns = getattr(X, "columns", None)
        names = [str(c) for c in columns] if columns is not None else [f"x{j}" for j in range(n)]
    if isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
        raise SettingTypeError(f"feature_names: got {shown(names)}; give a list of {n} names, one a column.")
    given = tuple(str(name) for name in names)
    if len(given) != n:
        raise SettingError(f"feature_names: got {len(given)} names for {n} columns; give one name a column.")
    return given


def in_order(X: Any, features: Any, names: tuple[str, ...]) -> Any:
    """The columns of `features` in the order of `names`, where X is a data frame that names its own.

    Arrays are taken as they lie. Raises SchemaError for a frame that lacks a column; more columns are left out.
    """
    own = getattr(X, "columns", None)
    if own is None:
        return features
    have = {str(name): j for j, name in enumerate(own)}
    missing = [name for name in names if name not in have]
    if len(missing) == len(names) == features.shape[1]:  # trained on an array: its columns had no names of their own
        return features
    if missing:
        raise SchemaError(
            f"X lacks the column {missing[0]!r}, which the model was trained on.{suggest(missing[0], list(have))}"
        )
    order = [have[name] for name in names]
    return features if order == list(range(features.shape[1])) else features[:, order]


def _plain(y: Any) -> NDArray[Any]:
    return np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y).ravel()


def _name_of(y: Any) -> str:
    name = getattr(y, "name", None)
    return str(name) if isinstance(name, str) and name else "y"


def check_finite(X: Any, names: tuple[str, ...]) -> None:
    """Raise DataError naming the columns and the first row that hold NaN or infinity."""
    if isinstance(X, Coded):
        return check_finite(X.numbers, tuple(names[j] for j in X.places))
    values = X.data if hasattr(X, "tocsr") else X
    if np.isfinite(values.sum()) or np.isfinite(values).all():  # one sum settles it, unless the sum itself overflowed
        return
    told, count = [], 0
    for j, name in enumerate(names):
        rows = _not_finite(X, j)
        count += len(rows) > 0
        if len(rows) and count <= MOST_NAMED:
            count_told = f"{len(rows):,} {'row' if len(rows) == 1 else 'rows'}"
            told.append(f"'{name}' in {count_told} (first: row {row_number(rows[0]):,})")
    raise DataError(
        f"X is not finite in {count} of {len(names)} columns: {', '.join(told)}{', ...' * (count > MOST_NAMED)}. "
        "Fill or drop these cells first; `fallline fit FILE` fills and marks holes in tables.",
        code="D20",
    )


def _not_finite(X: Any, j: int) -> NDArray[np.intp]:
    """The rows where column j is NaN or infinite."""
    if not hasattr(X, "tocsr"):
        return np.flatnonzero(~np.isfinite(X[:, j]))
    bad = (X.indices == j) & ~np.isfinite(X.data)
    found: NDArray[np.intp] = np.searchsorted(X.indptr, np.flatnonzero(bad), side="right") - 1
    return found


def side(values: Any, where: str, m: int, least: float | None = None) -> Array | None:
    """A vector beside the rows (weights, offsets): finite, of the right length, not below `least`."""
    if values is None:
        return None
    if isinstance(values, (numbers.Real, str, bytes)):
        raise SettingError(f"{where}: got {shown(values)}; give one value a row ({m:,} of them), or None.")
    array = np.asarray(as_numbers(values, where), dtype=np.float64).ravel()
    if len(array) != m:
        raise DataError(f"{where} has {len(array):,} values and X has {m:,} rows; they must be of the same length.")
    bad = ~np.isfinite(array) if least is None else ~(np.isfinite(array) & (array >= least))
    if bad.any():
        row = int(np.argmax(bad))
        allowed = "finite" if least is None else f"finite and at least {least:g}"
        raise DataError(
            f"{where}: must be {allowed}; {int(bad.sum()):,} values are not (first: row {row_number(row):,}, {array[row]:g})."
        )
    with np.errstate(over="ignore"):
        total = float(array.sum())
    if where == "sample_weight" and not np.isfinite(total):
        raise DataError("sample_weight: their sum is beyond double precision; divide them all by their largest.")
    if where == "sample_weight" and not total > 0:
        raise TargetError("sample_weight: all weights are zero, so there is nothing to train on.")
    return array
