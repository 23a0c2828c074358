"""A result and its parts: what JSON can say of it, and its arrays. Only fallline's own classes are made, by name."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fallline import __version__
from fallline.errors import ModelFileError
from fallline.history import COLUMNS, History
from fallline.inference import Inference
from fallline.losses import losses
from fallline.optimizers import optimizers
from fallline.penalties import penalties
from fallline.reliability import Reliability
from fallline.summary import DataSummary
from fallline.symptoms._base import Finding
from fallline.verdict import Certainty, Verdict

if TYPE_CHECKING:
    from fallline.result import Result

Tensors = dict[str, NDArray[np.floating]]

MOST_HISTORY = 5000  # rows of the history that are kept
FAMILIES: dict[str, Callable[[], dict[str, Any]]] = {"loss": losses, "penalty": penalties, "optimizer": optimizers}
TEXTS = ("sentence", "rate_reason", "method", "target_name", "stop_reason")
NUMBERS = ("best_loss", "baseline_loss", "seconds", "passes")
RANGES = ("mean", "sd", "low", "high")  # the arrays of a DataSummary
SPREADS = ("target_mean", "target_sd", "target_low", "target_high")
RARE = ("full_loss", "full_gradient_norm", "check_loss", "gap")  # columns of the history that few rows may have


def take_apart(result: Result) -> tuple[dict[str, Any], Tensors]:
    """Everything of `result`: what JSON can hold, and the arrays by name."""
    kept = _kept_rows(result.history, result.findings)
    columns = {f"history.{name}": result.history[name][kept] for name in COLUMNS}
    tensors = {"theta": result.theta, "coef": result.coef, "intercept": np.asarray(result.intercept)}
    tensors |= {name: column for name, column in columns.items() if not np.isnan(column).all()}
    names, encoder = list(result.feature_names), result.encoder
    model = {
        "verdict": str(result.verdict), "certainty": str(result.certainty),
        **{name: str(getattr(result, name)) for name in TEXTS},
        **{name: _pack(getattr(result, name)) for name in NUMBERS},
        "steps": int(result.steps), "gap": _pack(result.gap),
        "findings": [_pack(finding.to_dict()) for finding in result.findings],
        **{kind: _member_to_json(kind, getattr(result, kind)) for kind in FAMILIES},
        "feature_names": _pack(names),
        "classes": None if result.classes is None else [_pack(_label(c)) for c in result.classes],
        "check": _pack(result.check), "settings": _pack(result.settings),
        "encoder": None if encoder is None else _pack(encoder.to_json()),
        "history": {"rows": len(kept), "of": len(result.history)}, "summary": None,
    }  # fmt: skip
    summary = result.summary
    if summary is not None:
        tensors |= {f"summary.{name}": getattr(summary, name) for name in RANGES}
        model["summary"] = {
            "names": None if list(summary.names) == names else _pack(list(summary.names)), "rows": int(summary.rows),
            "target_name": str(summary.target_name), "missing": _pack(summary.missing),
            **{name: _pack(getattr(summary, name)) for name in SPREADS},
        }  # fmt: skip
    told, came_true = result.inference, result.reliability
    if came_true is not None:
        tensors["reliability"] = np.array([came_true.predicted, came_true.observed, came_true.weight])
    if told is not None:
        tensors |= {"inference.estimate": told.estimate, "inference.covariance": told.covariance}
        model["inference"] = {
            "names": _pack(list(told.names)),
            "dispersion": _pack(told.dispersion),
            "freedom": _pack(told.freedom),
        }
    elif result.no_inference:
        model["no_inference"] = str(result.no_inference)
    return model, {name: _storable(tensor) for name, tensor in tensors.items()}


def put_together(model: dict[str, Any], tensors: Tensors) -> dict[str, Any]:
    """The arguments of Result, each checked. What does not fit raises ModelFileError or one of Python's own errors."""
    names = _names(model["feature_names"])
    classes = _unpack(model["classes"])
    built: dict[str, Any] = {
        "theta": tensors["theta"], "coef": tensors["coef"], "intercept": tensors["intercept"],
        "verdict": Verdict(model["verdict"]), "certainty": Certainty(model["certainty"]),
        **{name: known(model[name], str, name) for name in TEXTS},
        **{name: _number(model[name], name) for name in NUMBERS},
        "steps": known(model["steps"], int, "steps"),
        "gap": None if model["gap"] is None else _number(model["gap"], "gap"),
        "findings": [_finding(_unpack(finding)) for finding in model["findings"]],
        **{kind: _member(kind, model[kind]) for kind in FAMILIES},
        "feature_names": names, "classes": None if classes is None else tuple(_label(c) for c in classes),
        "check": None if model["check"] is None else {k: _number(v, k) for k, v in model["check"].items()},
        "settings": known(_unpack(model["settings"]), dict, "settings"),
        "encoder": _encoder(model["encoder"]),
        "history": _history(model["history"], tensors), "summary": _summary(model["summary"], names, tensors),
    }  # fmt: skip
    built["inference"] = _inference(model.get("inference"), built, tensors)  # files of before have neither
    built["reliability"] = _reliability(tensors.get("reliability"))
    built["no_inference"] = known(model.get("no_inference", ""), str, "no_inference")
    _check_shapes(built)
    if built["intercept"].ndim == 0:
        built["intercept"] = float(built["intercept"])
    return built


def _check_shapes(built: dict[str, Any]) -> None:
    theta, coef, intercept, classes = (built[name] for name in ("theta", "coef", "intercept", "classes"))
    if built["loss"] is None:  # a point that minimize() found
        fits = theta.shape == coef.shape and intercept.ndim == 0
    else:
        n = len(built["feature_names"])
        fits = coef.ndim in (1, 2) and len(coef) == n and intercept.shape == coef.shape[1:]
        fits = fits and theta.shape in ((n, *coef.shape[1:]), (n + 1, *coef.shape[1:]))
        fits = fits and (classes is None or len(classes) == (coef.shape[1] if coef.ndim == 2 else 2))
    if not fits:
        raise ModelFileError(
            f"the arrays do not fit together: coef has shape {coef.shape}, intercept {intercept.shape}, theta "
            f"{theta.shape}, for {len(built['feature_names'])} columns and {len(classes or ())} classes."
        )


def _kept_rows(history: History, findings: list[Finding]) -> NDArray[np.intp]:
    """The rows of a long history that say most; all rows of a short one."""
    rows = np.arange(len(history))
    if len(rows) <= MOST_HISTORY:
        return rows
    kept, event = {0, len(rows) - 1}, history["accepted"] == 0.0
    kept |= {int(np.argmax(history["step"] >= finding.step)) for finding in findings}
    for name in ("loss", *RARE):
        measured = np.isfinite(history[name])
        if measured.any():
            kept.add(int(np.argmin(np.where(measured, history[name], np.inf))))
        if measured.mean() < 0.5:
            event |= measured
    kept |= set(_evenly(np.flatnonzero(event), MOST_HISTORY // 2))
    return np.array(sorted(kept | set(_evenly(rows, MOST_HISTORY - len(kept)))))


def _evenly(rows: NDArray[np.intp], most: int) -> list[int]:
    """At most `most` of the rows, evenly."""
    chosen = rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.intp)]
    return [int(row) for row in chosen]


def _history(shape: dict[str, Any], tensors: Tensors) -> History:
    rows = known(shape["rows"], int, "history")
    columns = {name: tensors[f"history.{name}"] for name in COLUMNS if f"history.{name}" in tensors}
    if not 0 <= rows <= MOST_HISTORY or any(column.shape != (rows,) for column in columns.values()):
        raise ModelFileError("the columns of the history are not of the length that it says.")
    return History.from_dict({"step": np.full(rows, np.nan)} | columns)


def _summary(data: dict[str, Any] | None, names: tuple[str, ...], tensors: Tensors) -> DataSummary | None:
    if data is None:
        return None
    names = names if data["names"] is None else _names(data["names"])
    ranges: dict[str, Any] = {name: tensors[f"summary.{name}"] for name in RANGES}
    if any(array.shape != (len(names),) for array in ranges.values()):
        raise ModelFileError(f"the data summary does not have one entry for each of its {len(names)} columns.")
    return DataSummary(
        names=names, rows=known(data["rows"], int, "rows"), target_name=known(data["target_name"], str, "name"),
        missing={column: known(holes, int, "missing") for column, holes in _unpack(data["missing"]).items()},
        **(ranges | {name: _number(data[name], name) for name in SPREADS}),
    )  # fmt: skip


def _inference(data: dict[str, Any] | None, built: dict[str, Any], tensors: Tensors) -> Inference | None:
    if data is None:
        return None
    estimate, covariance = tensors["inference.estimate"], tensors["inference.covariance"]
    names = _names(data["names"])
    if (
        estimate.shape != built["theta"].shape
        or len(names) != len(estimate)
        or covariance.shape != (estimate.size, estimate.size)
    ):
        raise ModelFileError("the standard errors do not have one entry for each weight.")
    classes = built["classes"] if estimate.ndim == 2 else None
    return Inference(
        names,
        estimate,
        covariance,
        _number(data["dispersion"], "dispersion"),
        _number(data["freedom"], "freedom"),
        classes,
    )


def _reliability(bins: Any) -> Reliability | None:
    if bins is None:
        return None
    if bins.ndim != 2 or len(bins) != 3 or not (bins[2] >= 0.0).all() or not bins[2].any():
        raise ModelFileError("the bins of its calibration are not what they must be.")
    return Reliability(*bins)


def _finding(data: dict[str, Any]) -> Finding:
    texts = {name: known(data[name], str, name) for name in ("code", "title", "sentence", "remedy", "automatic")}
    evidence = known(data["evidence"], dict, "evidence")
    if not all(isinstance(value, (int, float, str)) for value in evidence.values()):
        raise ModelFileError("the evidence of a finding is neither numbers nor text.")
    return Finding(
        certainty=Certainty(data["certainty"]), evidence=evidence, step=known(data["step"], int, "step"), **texts
    )


def _encoder(data: Any) -> Any:
    if data is None:
        return None
    from fallline.rows.encoder import Encoder

    return Encoder.from_json(_unpack(data))


# Members of the families: by name, with the settings that their dataclasses declare.


def _member_to_json(kind: str, member: Any) -> dict[str, Any] | None:
    """Its name and settings; None for none, and for strangers that predictions can do without."""
    if member is None:
        return None
    try:
        return {"name": member.name, "settings": _settings(kind, member)}
    except ModelFileError:
        if kind != "loss":
            return None
        raise ModelFileError(
            f"The model cannot be saved: its loss {type(member).__name__} is not one of fallline's, so nobody could "
            "load it. Put its file into the folder of the losses."
        ) from None


def _settings(kind: str, member: Any) -> dict[str, Any]:
    if type(member) not in FAMILIES[kind]().values():
        raise ModelFileError(f"{member!r:.80} is not in the family of its kind.")
    return {f.name: _pack(getattr(member, f.name)) for f in dataclasses.fields(member) if f.init}


def _member(kind: str, data: dict[str, Any] | None) -> Any:
    """The inverse: made by its own class, which checks its settings' ranges, once they are of the declared kinds."""
    if data is None:
        return None
    family, name = FAMILIES[kind](), data["name"]
    if name not in family:
        raise ModelFileError(
            f"it names the {kind} '{printable(str(name))}', which fallline {__version__} does not have. "
            f"There are: {', '.join(family)}."
        )
    settings, hints = known(data["settings"], dict, "settings"), typing.get_type_hints(family[name])
    settings = {setting: _unpack(value) for setting, value in settings.items()}
    for setting, value in settings.items():
        if not _fits(value, hints[setting]):
            raise ModelFileError(f"the {kind} '{name}' has {printable(repr(value))} as its {setting}.")
    return family[name](**settings)


def _fits(value: Any, hint: Any) -> bool:
    """Whether `value` is what the annotation of a setting says."""
    if hint is Any:
        return True
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, choice) for choice in inner)
    if origin is typing.Literal:
        return value in inner
    if origin is tuple:
        kinds = inner[:1] * len(value) if isinstance(value, tuple) and inner[-1] is Ellipsis else inner
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(_fits, value, kinds))
    if isinstance(origin, type):
        return isinstance(value, origin)
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    if not isinstance(hint, type) or not isinstance(value, hint):
        return hint is None and value is None
    if not dataclasses.is_dataclass(value):
        return True
    hints = typing.get_type_hints(type(value))
    return all(_fits(getattr(value, part.name), hints[part.name]) for part in dataclasses.fields(value))


# Values that JSON has not: {"$tuple": [1, 2]}, {"$float": "inf"}, {"$penalty": {"name": "l2", "settings": ...}}.


def _pack(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, list):
        return [_pack(v) for v in value]
    if isinstance(value, tuple):
        return {"$tuple": [_pack(v) for v in value]}
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return {"$array": _pack(value.tolist())}
    if isinstance(value, dict):
        packed = {str(k): _pack(v) for k, v in value.items()}
        return {"$dict": [[k, v] for k, v in packed.items()]} if any(k.startswith("$") for k in packed) else packed
    for kind, family in FAMILIES.items():
        if type(value) in family().values():
            return {f"${kind}": {"name": value.name, "settings": _settings(kind, value)}}
    raise ModelFileError(f"The model cannot be saved: {value!r:.80} ({type(value).__name__}) is not plain data.")


def _unpack(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpack(v) for v in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1 or not next(iter(value)).startswith("$"):
        return {k: _unpack(v) for k, v in value.items()}
    ((tag, inner),) = value.items()
    if tag == "$float":
        return float(inner)
    if tag == "$tuple":
        return tuple(_unpack(v) for v in inner)
    if tag == "$array":
        return np.asarray(_unpack(inner))
    if tag == "$dict":
        return {k: _unpack(v) for k, v in inner}
    return _member(tag[1:], inner)


def known(value: Any, kind: type, name: str) -> Any:
    """`value`, when it is of the kind that `name` must be; True is no whole number."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ModelFileError(f"{name} is {printable(repr(value))}, which is not of the kind {kind.__name__}.")
    return value


def _number(value: Any, name: str) -> float:
    value = _unpack(value)
    return float(value if isinstance(value, float) else known(value, int, name))


def _names(value: Any) -> tuple[str, ...]:
    return tuple(known(name, str, "a column's name") for name in known(value, list, "the columns' names"))


def _label(value: Any) -> str | int | float | bool:
    label = value.item() if isinstance(value, np.generic) else value
    if not isinstance(label, (str, int, float)):
        kind = type(label).__name__
        raise ModelFileError(
            f"the class label {label!r:.60} is of the kind {kind}; text, numbers and truth values can be kept."
        )
    return label


def printable(text: str) -> str:
    """The beginning of a stranger's text, safe to show on a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text[:120])


def _storable(array: Any) -> NDArray[np.floating]:
    dtype = np.float32 if getattr(array, "dtype", None) == np.float32 else np.float64
    return np.array(array, dtype=dtype, order="C")
