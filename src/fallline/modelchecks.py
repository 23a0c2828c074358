"""What the parts of a model file must be, one by one and together, so that all that loads can be shown and exported.

A checksum tells damage only: who writes a file with intent gives it a right one. Each check raises ModelFileError.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from fallline.bowl import Bowl, usable
from fallline.errors import ModelFileError
from fallline.history import History
from fallline.modelvalues import known, number_of
from fallline.visible import shortened

MOST_WHOLE = 2**53  # of counts: up to here float64 knows whole numbers, and no computer counts further
MOST_INTEGER = 10**300  # of any whole number: the next powers of ten are no float64
MOST_DEPTH = 40  # of lists in lists: settings of fallline's own have five levels
MOST_TEXT = 100_000  # letters of a sentence
CODE = re.compile(r"[A-Z]\d{1,3}[A-Za-z]?")  # of a finding
QUALITY = ("rows", "loss", "baseline_loss")  # that are always measured on check rows


def check_plain(model: Any) -> None:
    """All values of the JSON: no deeper than `MOST_DEPTH`, no whole number that is no float64."""
    level, depth = [model], 0
    while level:
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value.values()
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, int) and not -MOST_INTEGER < value < MOST_INTEGER:
                raise ModelFileError("a number in it is out of range.")
        level, depth = inner, depth + 1
        if depth > MOST_DEPTH:
            raise ModelFileError(f"its values lie more than {MOST_DEPTH} deep in one another.")


def whole_of(value: Any, name: str) -> int:
    """A count."""
    if not 0 <= known(value, int, name) <= MOST_WHOLE:
        raise ModelFileError(f"{name} is {shortened(repr(value))}, which is no count.")
    return int(value)


def amount_of(value: Any, name: str, endless: bool = False) -> float:
    """A number that is not below zero, nor, unless it may be, infinite."""
    number = number_of(value, name)
    if not (number >= 0.0 and (endless or number < math.inf)):
        raise ModelFileError(f"{name} is {number}, which it cannot be.")
    return number


def text_of(value: Any, name: str) -> str:
    """A sentence or a name."""
    if len(known(value, str, name)) > MOST_TEXT:
        raise ModelFileError(f"{name} has {len(value):,} letters; {MOST_TEXT:,} is the most.")
    return str(value)


def quality_of(data: Any) -> dict[str, float] | None:
    """Measures on the check rows."""
    if data is None:
        return None
    check = {name: number_of(value, name) for name, value in known(data, dict, "check").items()}
    lacking = [name for name in QUALITY if name not in check]
    if lacking:
        raise ModelFileError(f"what was measured on its check rows lacks {', '.join(lacking)}.")
    amount_of(check["rows"], "rows of the check")
    return check


def settings_of_run(data: Any) -> dict[str, Any]:
    """What the run was asked for. Anything plain may be there; parts that are shown or used are what they must be."""
    settings: dict[str, Any] = known(data, dict, "settings")
    versions, command = settings.get("versions"), settings.get("command")
    if not isinstance(versions, (dict, type(None))) or not isinstance(settings.get("seed"), (int, str, type(None))):
        raise ModelFileError("the versions or the seed in its settings are none.")
    if command is None:
        return settings
    named = command.get("named", {}) if isinstance(command, dict) else None
    if not isinstance(named, dict) or not all(isinstance(word, str) for pair in named.items() for word in pair):
        raise ModelFileError("the command in its settings is none.")
    return settings


def check_history(history: History) -> None:
    """Steps, passes and seconds go on; what was accepted is 0 or 1."""
    step, accepted = history.step, history.accepted
    if not (
        np.isfinite(step).all() and (np.diff(step) >= 0.0).all() and (step >= 0.0).all() and (step <= MOST_WHOLE).all()
    ):
        raise ModelFileError("the steps of its history are not in order.")
    if not np.isin(accepted[~np.isnan(accepted)], (0.0, 1.0)).all():
        raise ModelFileError("a step of its history is neither accepted nor refused.")
    for name in ("passes", "seconds", "sample"):
        column = history[name]
        if np.isinf(column).any() or (column < 0.0).any():
            raise ModelFileError(f"the {name} of its history are out of range.")


def check_weights(built: dict[str, Any]) -> None:
    """Weights are numbers, and as many as the loss, the columns and the classes say."""
    theta, coef, intercept, classes = (built[name] for name in ("theta", "coef", "intercept", "classes"))
    names, loss = built["feature_names"], built["loss"]
    if loss is None:  # a point that minimize() found
        fits = theta.shape == coef.shape and intercept.ndim == 0 and classes is None
    else:
        n = len(names)
        fits = coef.ndim in (1, 2) and len(coef) == n and intercept.shape == coef.shape[1:]
        fits = fits and theta.shape in ((n, *coef.shape[1:]), (n + 1, *coef.shape[1:])) and coef.shape[1:] != (0,)
        fits = fits and (classes is None or len(classes) == (coef.shape[1] if coef.ndim == 2 else 2) >= 2)
        fits = fits and (loss.link != "softmax" or coef.ndim == 2 and classes is not None)
    if not fits:
        raise ModelFileError(
            f"the arrays do not fit together: coef has shape {coef.shape}, intercept {intercept.shape}, theta "
            f"{theta.shape}, for {len(names)} columns and {len(classes or ())} classes."
        )
    for name in ("theta", "coef", "intercept"):
        if not np.isfinite(built[name]).all():
            raise ModelFileError(f"its {name} is not finite, so it predicts nothing.")


def check_together(built: dict[str, Any]) -> None:
    """The parts that are kept beside the weights are of these weights and these columns."""
    theta, names, encoder, summary = (built[name] for name in ("theta", "feature_names", "encoder", "summary"))
    if encoder is not None and built["loss"] is None:
        raise ModelFileError("it has columns of a table, and no loss.")
    if encoder is not None and not encoder.numbered and encoder.features != names:
        raise ModelFileError("the columns that its table is turned into are not those of its weights.")
    if summary is not None and (built["loss"] is None or len(summary.names) != len(names)):
        raise ModelFileError("its data summary is not of the columns of its weights.")
    bowl, path, told = built["bowl"], built["path"], built["inference"]
    if path is not None and (path.ndim != 2 or path.shape[1] != 1 + theta.size or not len(path)):
        raise ModelFileError("the path of its weights is not a list of steps.")
    if path is not None and not (np.isfinite(path).all() and (path[:, 0] >= 0.0).all()):
        raise ModelFileError("the path of its weights is not finite.")
    if bowl is not None and (theta.ndim != 1 or len(bowl.names) != theta.size):
        raise ModelFileError("the shape of its loss does not have one entry for each weight.")
    if told is not None and built["loss"] is None:
        raise ModelFileError("it has standard errors, and no loss.")


def check_bowl(bowl: Bowl) -> None:
    """A shape of the loss that can be drawn."""
    if not usable(bowl):
        raise ModelFileError("the shape of its loss is out of range.")


def check_inference(estimate: Any, covariance: Any, dispersion: float, freedom: float) -> None:
    """Standard errors; those of constant columns are unknown (NaN)."""
    variance = np.diag(covariance)
    if np.isinf(covariance).any() or (variance < 0.0).any() or not np.isfinite(estimate).all():
        raise ModelFileError("its standard errors are out of range.")
    if not (0.0 <= dispersion < math.inf and freedom > 0.0):
        raise ModelFileError("the dispersion or the freedom of its standard errors is out of range.")


def check_reliability(bins: Any) -> None:
    """Predicted probability, share that came true, and weight of each bin."""
    if (
        bins.ndim != 2
        or len(bins) != 3
        or not np.isfinite(bins[2]).all()
        or not (bins[2] >= 0.0).all()
        or not bins[2].any()
    ):
        raise ModelFileError("the bins of its calibration are not what they must be.")
    shares = bins[:2, bins[2] > 0.0]
    if not ((shares >= 0.0) & (shares <= 1.0 + 1e-9)).all() or not bins[2].sum() < math.inf:
        raise ModelFileError("the bins of its calibration are out of range.")
