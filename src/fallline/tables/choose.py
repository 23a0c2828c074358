"""Which rows of a table can be trained on, and what their targets are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fallline.errors import DataError, SchemaError, SettingError, TargetError
from fallline.family import suggest
from fallline.losses import as_loss
from fallline.losses._base import Loss
from fallline.numbering import numbered, rows_told, unnumbered
from fallline.rows.columns import as_floats
from fallline.rows.target import FEW_CLASSES, different, encode_target, guess_loss, labels_of
from fallline.tables.asked import Asked

if TYPE_CHECKING:
    import polars as pl

MOST_CLASSES = 1_000  # of softmax: a row costs as many numbers, and its curvature their square
MOST_LABELS = 10_000  # different targets that are kept: more are numbers, or a mistake


def check_columns(columns: list[str], asked: Asked) -> None:
    """Raise SchemaError for a column that is asked for and not there."""
    wanted = {
        "target": asked.target,
        "weight": asked.weight,
        "offset": asked.offset,
        "exposure": asked.exposure,
    }
    for which, name in wanted.items():
        if name is not None and name not in columns:
            listed = ", ".join(columns[:12]) + (", ..." if len(columns) > 12 else "")
            hint = suggest(name, list(columns))
            raise SchemaError(f"{which}: there is no column {name!r}.{hint} The columns are: {listed}.")
    given = [name for name in wanted.values() if name is not None]
    double = [name for name in given if given.count(name) > 1]
    if double:
        raise SettingError(f"{double[0]!r} is asked for twice, as two of target, weight, offset and exposure.")
    if asked.offset and asked.exposure:
        raise SettingError("offset and exposure: give one of them; exposure is an offset, its logarithm.")


def choose_rows(
    frame: pl.DataFrame, asked: Asked, lost: Counter[str], first: int = 0
) -> tuple[pl.DataFrame, NDArray[np.intp] | None]:
    """The rows that can be trained on, and their places where others were left out, which `lost` counts by the reason.

    `first` is the number of the first row, for errors. Raises DataError for infinities in columns of numbers.
    """
    import polars as pl

    places: NDArray[np.intp] | None = None

    def keep(mask: Any, why: str) -> None:
        nonlocal frame, places
        gone = frame.height - int(mask.sum())
        if gone:
            left = np.flatnonzero(mask.fill_null(False).to_numpy())
            places = left if places is None else places[left]
            frame = frame.filter(mask)
            lost[why] += gone

    target = frame[asked.target]
    known = target.is_not_null() & ~target.is_nan() if target.dtype.is_float() else target.is_not_null()
    keep(known, f"no {asked.target}")
    floats = [column.name for column in frame if column.dtype.is_float() and not _sum_is_finite(column)]
    frame = frame.with_columns(pl.col(floats).fill_nan(None)) if floats else frame
    for column in (asked.weight, asked.offset, asked.exposure):
        if column:
            if not frame[column].dtype.is_numeric():
                raise DataError(
                    f"Column {column!r} holds {frame[column].dtype}; weights, offsets and exposures are numbers."
                )
            keep(frame[column].is_not_null(), f"no {column}")
    if asked.weight:
        keep(frame[asked.weight] != 0, f"{asked.weight} is 0 (a row without weight is as good as absent)")
    if asked.exposure:
        negative = (frame[asked.exposure] < 0).fill_null(False)
        if negative.any():
            with numbered(places, first):
                raise DataError(
                    f"Column {asked.exposure!r} is negative in {rows_told(negative.to_numpy())}; an exposure is a positive "
                    "time or amount."
                )
        keep(frame[asked.exposure] > 0, f"{asked.exposure} is 0 (no exposure tells nothing)")
    if asked.na == "drop":
        keep(~pl.Series(frame.select(pl.any_horizontal(pl.all().is_null())).to_series()), "empty cells (--na drop)")
    beside = (asked.target, asked.weight, asked.offset, asked.exposure)
    with numbered(places, first):
        for name in floats:
            if name not in beside:  # the same check of the rows to train on would count among these alone
                as_floats(frame[name], "number")
    return frame, places


def _sum_is_finite(column: pl.Series) -> bool:
    """Whether there is no NaN in it, for sure: most columns need no other look."""
    total: Any = column.sum()
    return bool(np.isfinite(total))


def lost_told(lost: Counter[str]) -> list[str]:
    """A sentence for each reason why rows were left out."""
    return [f"{count:,} {'row' if count == 1 else 'rows'} left out: {why}" for why, count in lost.items()]


class Targets:
    """What the targets are, as the rows stream by: which labels there are, or that they are numbers."""

    def __init__(self, name: str) -> None:
        self.name, self.count = name, 0
        self.labels: NDArray[Any] | None = None
        self.many = False  # more different ones than are kept

    def see(self, values: NDArray[Any]) -> None:
        """Some more of them."""
        self.count += len(values)
        if self.many or not len(values):
            return
        if len(values) > 2 * MOST_LABELS and values.dtype.kind == "f":  # most often the first few tell already
            some = np.unique(values[: 2 * MOST_LABELS])
            if len(some) > MOST_LABELS:
                self.many, self.labels = True, some
                return
        new = different(values)
        self.labels = new if self.labels is None else np.union1d(self.labels, new)
        if len(self.labels) > MOST_LABELS:
            if self.labels.dtype.kind not in "iuf":
                raise TargetError(
                    f"The target {self.name!r} is text, and more than {MOST_LABELS:,} of its values are different: these "
                    "are neither numbers nor classes. Is it the right column?"
                )
            self.many = True

    def are_classes(self, form: Loss | None) -> bool:
        """Whether they are classes, or may turn out to be: by the loss if that is named, else as it would be guessed."""
        if self.many or self.labels is None:
            return False
        if form is not None:
            return form.task != "number" and len(self.labels) <= MOST_CLASSES
        return self.labels.dtype.kind not in "iuf" or len(self.labels) <= FEW_CLASSES

    def settle(self, asked: Asked, lost: Counter[str]) -> tuple[Loss, str]:
        """(loss, why): the one asked for, or the one that fits these targets."""
        if self.count == 0 or self.labels is None:
            told = "; ".join(lost_told(lost)) or "there is none"
            raise TargetError(f"No row is left to train on: {told}.")
        if asked.loss is not None:
            return as_loss(asked.loss), "as named"
        loss, why = ("squared", "number") if self.many else guess_loss(self.labels, self.count)
        return as_loss(loss), why

    def classes(self, form: Loss) -> tuple[Any, ...] | None:
        """The labels in order, where the loss is for classes. Raises TargetError where it cannot take them."""
        assert self.labels is not None
        if form.task == "classes" and (
            self.many or len(self.labels) > max(FEW_CLASSES, min(MOST_CLASSES, self.count / 2))
        ):
            told = f"more than {MOST_LABELS:,}" if self.many else f"{len(self.labels):,}"
            raise TargetError(
                f"{form.name.capitalize()} loss: {told} of the {self.count:,} targets are different, "
                f"which is too many for classes. Is {self.name!r} a number? "
                "For numbers use loss='squared'."
            )
        with unnumbered():
            if not self.many:
                encode_target(self.labels, form)  # complains of one value only, and of what the loss cannot take
            return None if form.task == "number" else labels_of(self.labels, form)


def plain_values(target: pl.Series) -> Any:
    """A target column as an array. Raises TargetError for cells that are no numbers, labels or truth values."""
    import polars as pl

    if target.dtype.is_temporal():
        raise TargetError(f"The target {target.name!r} holds dates; predict a number: days since some day, say.")
    kind = target.dtype
    if not (kind.is_numeric() or kind in (pl.Boolean, pl.String, pl.Categorical, pl.Enum, pl.Null)):
        raise TargetError(
            f"The target {target.name!r} holds {kind} cells; a model predicts one number or one label a row."
        )
    values = (target.cast(float) if kind.is_decimal() else target).to_numpy()
    return values.astype(str) if values.dtype.kind == "O" else values


def sides_of(frame: pl.DataFrame, asked: Any) -> dict[str, Any]:
    """Weights and offsets of the rows, where there are any; raises DataError for weights that cannot be."""
    sides = {}
    if asked.weight:
        weight = frame[asked.weight].cast(float).to_numpy()
        bad = ~(np.isfinite(weight) & (weight >= 0.0))
        if bad.any():
            raise DataError(
                f"Column {asked.weight!r}: weights must be finite and at least 0, and are not in "
                f"{rows_told(bad, f'{weight[int(np.argmax(bad))]:g}')}."
            )
        sides["weight"] = weight
    offset = offset_of(frame, asked.offset, asked.exposure)
    if offset is not None:
        bad = ~np.isfinite(offset)
        if bad.any():
            raise DataError(
                f"Column {asked.offset or asked.exposure!r}: offsets must be finite, and are not in {rows_told(bad)}."
            )
        sides["offset"] = offset
    return sides


def offset_of(frame: pl.DataFrame, offset: str | None, exposure: str | None) -> Any:
    """The offset that a column gives, or None."""
    if exposure:
        return np.log(frame[exposure].cast(float).to_numpy())
    return None if offset is None else frame[offset].cast(float).to_numpy()
