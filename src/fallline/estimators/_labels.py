"""Labels of classes and the weights of classes, checked."""

from __future__ import annotations

import contextlib
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets

from fallline.errors import SettingError, TargetError
from fallline.family import suggest
from fallline.rows.plain_arrays import shown

Array = NDArray[np.floating]


def known_labels(classes: Any) -> NDArray[Any]:
    """The labels of ``classes=``, sorted."""
    try:
        labels = np.asarray(list(classes))
        known: NDArray[Any] = np.unique(labels)
        empty = labels.ndim != 1 or bool(np.any(labels != labels))
    except (TypeError, ValueError, ArithmeticError):  # no order, ragged, signalling NaN
        raise SettingError(f"partial_fit: classes={shown(classes)}; give a list of labels of one kind.") from None
    if empty:
        raise SettingError(f"partial_fit: classes={shown(classes)}; give a list of labels, none of them empty.")
    return known


def refuse_strange(y: NDArray[Any], classes: NDArray[Any], label: str, known: str) -> None:
    """Raise TargetError for labels that are not among the classes."""
    words = [array.dtype.kind in "OUS" for array in (y, classes)]
    strange = np.ones(len(y), dtype=bool)  # 1 is not "1"
    if words[0] == words[1]:
        with contextlib.suppress(TypeError):  # dates and numbers have no common type
            strange = ~np.isin(y, classes)
    if strange.any():
        row = int(np.argmax(strange))
        raise TargetError(
            f"{label} {y[row : row + 1].tolist()[0]!r} (row {row:,}) is not one of the classes {known}: "
            f"{', '.join(map(repr, classes.tolist()[:8]))}."
        )


def labels_in_a_line(y: Any) -> NDArray[Any]:
    """Labels (m,), refused where they are measurements."""
    try:
        check_classification_targets(y)
    except TypeError:
        raise TargetError("The target's labels are bytes; make them text: y.astype(str).") from None
    except ValueError:
        raise TargetError(
            "Unknown label type: the target holds numbers that are no classes, or several columns. Use GDRegressor; of shares "
            "between 0 and 1, fallline.fit(X, y, loss='logistic')."
        ) from None
    labels: NDArray[Any] = np.asarray(y).ravel()
    return labels


def with_class_weights(class_weight: Any, classes: NDArray[Any], y: NDArray[Any], weight: Array | None) -> Array | None:
    """`weight` times the weight of each row's class; None for none."""
    if class_weight is None:
        return weight
    codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)  # labels beyond are of rows without weight
    own = np.ones(len(y)) if weight is None else weight
    if isinstance(class_weight, Mapping):
        known = classes.tolist()
        strange = [label for label in class_weight if label not in known]
        if strange:
            raise SettingError(f"class_weight: {strange[0]!r} is not a class of the target; there are {known[:8]}.")
        for label, value in class_weight.items():
            if isinstance(value, bool) or not isinstance(value, numbers.Real):
                raise SettingError(f"class_weight: got {value!r} for {label!r}; weights are numbers, zero or more.")
        factors = np.array([float(class_weight.get(label, 1.0)) for label in known])
        if not (np.isfinite(factors).all() and (factors >= 0.0).all()):
            raise SettingError(f"class_weight: got {dict(class_weight)!r}; weights must be finite and zero or more.")
    elif class_weight == "balanced":
        sums = np.bincount(codes, weights=own, minlength=len(classes))
        factors = sums.sum() / (len(classes) * sums)
    else:
        hint = suggest(str(class_weight), ["balanced"])
        raise SettingError(
            f"class_weight: got {class_weight!r}; give None, 'balanced' or a dict from class to weight.{hint}"
        )
    heavy: Array = own * factors[codes]
    return heavy
