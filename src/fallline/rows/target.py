"""Targets: what is being predicted, as the numbers that a loss takes."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fallline.errors import DataError, SchemaError, TargetError
from fallline.family import suggest
from fallline.losses._base import Loss

if TYPE_CHECKING:
    import polars as pl

FEW_CLASSES = 20  # distinct whole numbers: up to here a column of them is taken for labels when the task is guessed

FEW = 1000
ROWS_A_CLASS = 10  # rows for each of them on average: codes come again and again, measurements do not

Labels = tuple[Any, ...]


def guess_loss(values: Any, count: int | None = None) -> tuple[str, str]:
    """The loss that fits a target column (an array or a series), and why, as words that follow "target price".

    `count` tells how many rows there are, where `values` are only the different ones.

    Text and booleans are labels; two distinct values of any kind are two classes; numbers are numbers, unless they are
    whole, begin at 0 or 1, at most ``FEW_CLASSES`` of them are distinct with none left out, and there are at least
    ``ROWS_A_CLASS`` rows for each: 0, 1, 2, ... as classes are coded. Counts are never guessed: `--loss poisson` says so.
    Raises TargetError for dates, and for text that is different in most rows.

    >>> guess_loss(np.array([0.5, 1.5, 2.5]))
    ('squared', 'number')
    >>> guess_loss(np.array(["yes", "no"]))
    ('logistic', "two values: 'no', 'yes'")
    """
    values = _in_a_line(values)
    _refuse_dates(values)
    values = values[~_missing(values)]
    count = len(values) if count is None else count
    labels = np.unique(values.astype(str) if values.dtype.kind == "O" else values)
    if len(labels) == 2:
        return "logistic", f"two values: {', '.join(repr(plain(label)) for label in labels)}"
    if values.dtype.kind in "OUSTb":
        if len(labels) > max(FEW_CLASSES, count / 2):
            raise TargetError(
                f"The target is text, and {len(labels):,} of its {count:,} values are different ({plain(labels[0])!r}, "
                f"{plain(labels[1])!r}, ...): these are neither numbers nor classes. Is it the right column?"
            )
        return "softmax", f"{len(labels):,} classes"
    coded = 2 < len(labels) <= FEW_CLASSES and count >= ROWS_A_CLASS * len(labels)
    if coded and labels[0] in (0, 1) and np.all(labels == labels[0] + np.arange(len(labels))):
        told = f"{len(labels)} classes coded {labels[0]:g} to {labels[-1]:g}"
        return "softmax", f"{told}; --loss squared takes them as numbers, --loss poisson as counts"
    return "squared", "number"


def encode_target(y: Any, loss: Loss, classes: Labels | None = None) -> tuple[NDArray[np.floating], Labels | None]:
    """y as floats, and the labels where y are classes (sorted; class k is coded k).

    For two classes, numbers that lie between 0 and 1 and take more than two values are shares of the second class.
    `classes` are the labels of an earlier call, for rows that came later. Raises TargetError, which names the row.
    """
    values = _in_a_line(y)
    _refuse_dates(values)
    if loss.task == "number":
        numbers_, labels = _as_numbers(values, loss), None
    else:
        labels = classes if classes is not None else labels_of(values, loss)
        numbers_ = _as_numbers(values, loss) if labels is None else _codes(values, labels)
    _check(numbers_, loss)
    if classes is None and len(numbers_) > 1 and loss.task == "number" and _all_one(numbers_):
        raise TargetError(
            f"The target is constant: all {len(numbers_):,} values are {numbers_[0]:g}, so there is nothing to learn. "
            "Is it the right column?"
        )
    return numbers_, labels


def different(values: NDArray[Any]) -> NDArray[Any]:
    """np.unique, which sorts all of them; where they are few, most are told by those of the first rows."""
    found = np.unique(values[:FEW])
    if len(values) <= FEW or len(found) > FEW_CLASSES:
        return np.unique(values)
    others = np.ones(len(values), dtype=bool)
    for label in found:
        others &= values != label
    return np.union1d(found, values[others]) if others.any() else found


def _all_one(values: NDArray[np.float64]) -> bool:
    return all(bool((some == values[0]).all()) for some in (values[:FEW], values))  # the first few tell, nearly always


def numbers_of(values: NDArray[Any], loss: Loss, labels: Labels | None) -> NDArray[np.float64]:
    """The same of some of the rows, whose labels (or that they are numbers) are known."""
    found = _as_numbers(values, loss) if labels is None else _codes(values, labels)
    _check(found, loss)
    return found


def _check(numbers_: NDArray[np.float64], loss: Loss) -> None:
    complaint = loss.check_targets(numbers_)
    if complaint is not None:
        raise TargetError(complaint, code="D25")


def _in_a_line(y: Any) -> NDArray[Any]:
    values = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(f"y must be one value a row, got an array of shape {values.shape}.")
    if len(values) == 0:
        raise DataError("y is empty; training needs at least one row.")
    return values


def _as_numbers(values: NDArray[Any], loss: Loss) -> NDArray[np.float64]:
    try:
        floats = values.astype(np.float64, copy=not values.flags.writeable)  # compiled passes want one that is
    except (TypeError, ValueError):
        row = next(i for i, v in enumerate(values) if not _is_number(v))
        raise TargetError(
            f"{loss.name.capitalize()} loss needs numbers as targets ({loss.targets}); row {row:,} is "
            f"{str(values[row])!r}. For labels use loss='logistic' (two) or loss='softmax' (several)."
        ) from None
    if np.isfinite(floats.sum()):  # nearly always
        return floats
    bad = ~np.isfinite(floats)
    if bad.any():
        row = int(np.argmax(bad))
        raise TargetError(
            f"The target is not finite in {int(bad.sum()):,} of {len(floats):,} rows (first: row {row:,}, y = {floats[row]}). "
            "Drop these rows."
        )
    return floats


def labels_of(values: NDArray[Any], loss: Loss) -> Labels | None:
    """The labels in order; None where they are shares between 0 and 1, which two classes may have."""
    if values.dtype.kind == "f":
        floats = _as_numbers(values, loss)
        if loss.task == "two classes" and len(different(floats)) > 2 and np.all((floats >= 0.0) & (floats <= 1.0)):
            return None  # shares
    missing = _missing(values)
    if missing.any():
        raise TargetError(
            f"The target is empty in {int(missing.sum()):,} of {len(values):,} rows (first: row {int(missing.argmax()):,}). "
            "Drop these rows."
        )
    try:
        found = different(values)
    except TypeError:  # labels of several kinds have no order; their words do
        raise TargetError("The target's labels are of several kinds (text and numbers); make them all text.") from None
    if len(found) < 2:
        raise TargetError(
            f"The target has one class only, {plain(found[0])!r} in all {len(values):,} rows: nothing tells it from another."
        )
    if loss.task == "two classes" and len(found) > 2:
        some = ", ".join(repr(plain(v)) for v in found[:4])
        raise TargetError(
            f"{loss.name.capitalize()} loss is for two classes; the target has {len(found):,}: {some}"
            f"{', ...' if len(found) > 4 else ''}. Use loss='softmax'."
        )
    return tuple(plain(v) for v in found)


def _codes(values: NDArray[Any], labels: Labels) -> NDArray[np.float64]:
    known = np.array(labels, dtype=object) if values.dtype.kind == "O" else np.asarray(labels)
    if len(known) == 2 and values.dtype.kind in "biuf":
        second = values == known[1]
        if np.all(second | (values == known[0])):
            return np.asarray(second, dtype=np.float64)
    order = np.searchsorted(known, values)
    codes = np.minimum(order, len(labels) - 1)
    unknown = known[codes] != values
    if np.any(unknown):
        row = int(np.argmax(unknown))
        raise TargetError(
            f"The label {plain(values[row])!r} (row {row:,}) is not one that the model was trained on: "
            f"{', '.join(map(repr, labels[:8]))}."
        )
    return codes.astype(np.float64)


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where nothing is said: None, NaN and what else is not equal to itself."""
    if values.dtype.kind not in "fO":
        return np.zeros(len(values), dtype=bool)
    found = np.asarray(values != values, dtype=bool)
    return found | np.fromiter((v is None for v in values), bool, len(values)) if values.dtype.kind == "O" else found


def _refuse_dates(values: NDArray[Any]) -> None:
    if values.dtype.kind in "biuf":
        return
    first = next(iter(values[~_missing(values)][:1]), None)
    if values.dtype.kind in "mM" or isinstance(first, (datetime.date, datetime.time, datetime.timedelta)):
        raise TargetError(
            f"The target holds dates or times ({first}); a model predicts numbers or classes. Make it a number first, "
            "such as the days since some date."
        )


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def plain(label: Any) -> Any:
    """A label as Python has it, not NumPy."""
    return label.item() if isinstance(label, np.generic) else label


def target_column(frame: pl.DataFrame, target: str) -> pl.Series:
    """The column called `target`; raises SchemaError with the nearest name where there is none."""
    if target not in frame.columns:
        hint = suggest(target, list(frame.columns))
        raise SchemaError(
            f"There is no column {target!r} to predict.{hint} The columns are: {', '.join(frame.columns[:12])}."
        )
    return frame[target]


def with_target(frame: pl.DataFrame, target: str) -> tuple[pl.DataFrame, int]:
    """The rows that have a target, and how many have none."""
    cells = target_column(frame, target)
    known = cells.is_not_null() & cells.is_not_nan() if cells.dtype.is_float() else cells.is_not_null()
    kept = frame.filter(known)
    if kept.height == 0:
        raise TargetError(f"The target {target!r} is empty in all {frame.height:,} rows.")
    return kept, frame.height - kept.height
