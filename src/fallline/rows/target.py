"""Targets: what is being predicted, as the numbers that a loss takes."""

from __future__ import annotations

import datetime
import decimal
import numbers
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fallline.errors import DataError, SchemaError, TargetError
from fallline.family import suggest
from fallline.losses import as_loss
from fallline.losses._base import Loss
from fallline.numbering import row_told, rows_told
from fallline.rows.plain_arrays import STRANGE, as_array, shown

if TYPE_CHECKING:
    import polars as pl

FEW_CLASSES = 20  # distinct whole numbers: up to here a column of them is taken for labels when the task is guessed

SQUARING = ("squared", "huber", "quantile", "poisson")  # losses that grow with the size of the target
SMALLEST, LARGEST = (
    1e-140,
    1e140,
)  # spread and size of a target, of which sums of squares of a billion rows stay in range

FEW = 1000
ROWS_A_CLASS = 10  # rows for each of them on average: codes come again and again, measurements do not

Labels = tuple[Any, ...]


def guess_loss(values: Any, count: int | None = None) -> tuple[str, str]:
    """The loss that fits a target column (an array or a series), and why, as words that follow "target price".

    `count` tells how many rows there are, where `values` are only the different ones.

    Text and booleans are labels; two distinct values of any kind are two classes, unless they are shares
    (``are_shares``), which are numbers; numbers are numbers, unless they are whole, begin at 0 or 1, at most
    ``FEW_CLASSES`` of them are distinct with none left out, and there are at least ``ROWS_A_CLASS`` rows for each:
    0, 1, 2, ... as classes are coded. Counts are never guessed: `--loss poisson` says so.
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
    if len(labels) == 2 and not are_shares(values, as_loss("logistic")):
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


def encode_target(
    y: Any, loss: Loss, classes: Labels | None = None, *, shares: bool = False
) -> tuple[NDArray[np.floating], Labels | None]:
    """y as floats, and the labels where y are classes (sorted; class k is coded k).

    For logistic loss, numbers between 0 and 1 of which some are neither are shares of the second class (``are_shares``).
    `classes` are the labels of an earlier call, for rows that came later; `shares`: those rows were shares. Raises
    TargetError, which names the row.
    """
    values = _in_a_line(y)
    _refuse_dates(values)
    if loss.task == "number" or shares:
        labels = None
    else:
        labels = classes if classes is not None else labels_of(values, loss)
    return numbers_of(values, loss, labels), labels


def are_shares(values: NDArray[Any], loss: Loss) -> bool:
    """Whether targets of two classes are shares of the second one: numbers in [0, 1] that are not all 0 or 1.

    0 and 1 alone are labels, and so are two numbers of which one lies outside; text and booleans always are.

    >>> from fallline.losses import as_loss
    >>> [are_shares(np.array(y), as_loss("logistic")) for y in ([0.0, 0.5], [0.1, 0.12], [0.0, 1.0], [1.0, 2.0])]
    [True, True, False, False]
    """
    if loss.task != "two classes" or loss.link != "logit":
        return False
    if values.dtype.kind == "O" and all(_is_plain_number(v) for v in values):
        try:
            values = np.array([float(v) for v in values])
        except (ValueError, OverflowError):  # a signalling NaN, or beyond 1e308
            return False
    if values.dtype.kind != "f" or not len(values):
        return False
    return bool(np.all((values >= 0.0) & (values <= 1.0)) and np.any((values != 0.0) & (values != 1.0)))


def different(values: NDArray[Any]) -> NDArray[Any]:
    """np.unique, which sorts all of them; where they are few, most are told by those of the first rows."""
    found = np.unique(values[:FEW])
    if len(values) <= FEW or len(found) > FEW_CLASSES:
        return np.unique(values)
    others = np.ones(len(values), dtype=bool)
    for label in found:
        others &= values != label
    return np.union1d(found, values[others]) if others.any() else found


def numbers_of(values: NDArray[Any], loss: Loss, labels: Labels | None) -> NDArray[np.float64]:
    """Targets as floats, where their labels, or that they are numbers (None), are known."""
    found = _as_numbers(values, loss) if labels is None else _codes(values, labels)
    _check(found, loss)
    return found


def range_complaint(low: float, high: float, loss: Loss) -> str | None:
    """What is wrong with targets from `low` to `high`, whose losses would overflow or vanish; None where nothing is."""
    size, width = max(abs(low), abs(high)), high - low
    if loss.name not in SQUARING or (size <= LARGEST and not 0.0 < width < SMALLEST):
        return None
    if size > LARGEST:
        worst = high if abs(high) >= abs(low) else low
        return f"The target goes to {worst:.3g}, and squares of that leave double precision. Divide it by {size:.0e}."
    factor = min(1.0 / width, 1e300)
    return f"The target varies by {width:.3g} only, and squares of that vanish. Multiply it by {factor:.0e}."


def _check(numbers_: NDArray[np.float64], loss: Loss) -> None:
    complaint = loss.check_targets(numbers_)
    if complaint is not None:
        raise TargetError(complaint, code="D25")


def _in_a_line(y: Any) -> NDArray[Any]:
    values = as_array(y.to_numpy() if hasattr(y, "to_numpy") else y, "y")
    if values.dtype.kind in "cV":
        raise TargetError(
            f"The target holds {'complex numbers' if values.dtype.kind == 'c' else 'records or raw bytes'}; a model predicts "
            "real numbers or classes. Give one real number or label a row."
        )
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(f"y must be one value a row, got an array of shape {values.shape}.")
    if len(values) == 0:
        raise DataError("y is empty; training needs at least one row.")
    return values


def _as_numbers(values: NDArray[Any], loss: Loss) -> NDArray[np.float64]:
    strange = values.dtype.kind == "O" and any(isinstance(v, STRANGE) for v in values)
    try:
        if strange:
            raise TypeError
        with np.errstate(all="ignore"):
            floats = values.astype(np.float64, copy=not values.flags.writeable)  # compiled passes want one that is
    except (TypeError, ValueError, OverflowError):
        row = next(i for i, v in enumerate(values) if not _is_number(v))
        text = isinstance(values[row], str)
        remedy = (
            "For labels use loss='logistic' (two) or loss='softmax' (several)." if text else "Give one number a row."
        )
        raise TargetError(
            f"{loss.name.capitalize()} loss needs numbers as targets ({loss.targets}); {row_told(row)} is "
            f"{shown(values[row])}. {remedy}"
        ) from None
    with np.errstate(over="ignore"):
        if np.isfinite(floats.sum()):  # nearly always
            return floats
    bad = ~np.isfinite(floats)
    if bad.any():
        raise TargetError(
            f"The target is not finite in {rows_told(bad, f'y = {floats[int(np.argmax(bad))]}')}. Drop these rows."
        )
    return floats


def labels_of(values: NDArray[Any], loss: Loss) -> Labels | None:
    """The labels in order; None where they are shares of one of two classes."""
    if values.dtype.kind == "f":
        values = _as_numbers(values, loss)
    if are_shares(values, loss):
        return None
    missing = _missing(values)
    if missing.any():
        raise TargetError(f"The target is empty in {rows_told(missing)}. Drop these rows.")
    try:
        found = different(values)
        if any(isinstance(label, STRANGE) for label in found):
            raise TypeError
    except (TypeError, ValueError):  # labels of several kinds have no order; their words do
        raise TargetError(
            "The target's labels are of several kinds (such as text and numbers), or are no labels; make them all text."
        ) from None
    if len(found) < 2:
        raise TargetError(
            f"The target has one class only, {shown(plain(found[0]))}: nothing tells it from another. Is it the right column?"
        )
    if loss.task == "two classes" and len(found) > 2:
        some = ", ".join(shown(plain(v)) for v in found[:4])
        raise TargetError(
            f"{loss.name.capitalize()} loss is for two classes; the target has {len(found):,}: {some}"
            f"{', ...' if len(found) > 4 else ''}. Use loss='softmax'."
        )
    return tuple(plain(v) for v in found)


def _codes(values: NDArray[Any], labels: Labels) -> NDArray[np.float64]:
    known = np.array(labels, dtype=object) if values.dtype.kind == "O" else np.asarray(labels)
    try:
        return _coded(values, known, labels)
    except TypeError:  # 1 and "1" have no order
        raise TargetError(
            "The target's labels are of another kind than those that the model was trained on: "
            f"{', '.join(map(shown, labels[:4]))}{', ...' if len(labels) > 4 else ''}."
        ) from None


def _coded(values: NDArray[Any], known: NDArray[Any], labels: Labels) -> NDArray[np.float64]:
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
            f"The label {shown(plain(values[row]))} ({row_told(row)}) is not one that the model was trained on: "
            f"{', '.join(map(shown, labels[:4]))}{', ...' if len(labels) > 4 else ''}."
        )
    return codes.astype(np.float64)


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where nothing is said: None, NaN and what else is not equal to itself."""
    if values.dtype.kind not in "fO":
        return np.zeros(len(values), dtype=bool)
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values))
    return np.fromiter((_is_missing(v) for v in values), bool, len(values))


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA, which is neither equal to itself nor not
        return True
    except ValueError:  # an array
        return False
    except ArithmeticError:  # a signalling NaN of decimal, which may not be compared
        return True


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
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(value, STRANGE)


def _is_plain_number(value: Any) -> bool:
    return isinstance(value, (numbers.Real, decimal.Decimal)) and not isinstance(value, bool)


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
