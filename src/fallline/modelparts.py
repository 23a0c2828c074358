"""A result and its parts: what JSON can say of it, and its arrays. Only fallline's own classes are made, by name."""

from __future__ import annotations

import dataclasses
import typing
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fallline.bowl import Bowl
from fallline.errors import ModelFileError
from fallline.history import COLUMNS, History
from fallline.inference import Inference
from fallline.modelchecks import (
    CODE,
    amount_of,
    check_bowl,
    check_history,
    check_inference,
    check_plain,
    check_reliability,
    check_together,
    check_weights,
    quality_of,
    settings_of_run,
    text_of,
    whole_of,
)  # fmt: skip
from fallline.modelvalues import (
    FAMILIES,
    fits,
    known,
    label_of,
    member_of,
    member_to_json,
    names_of,
    number_of,
    pack,
    storable,
    unpack,
)  # fmt: skip
from fallline.redaction import redacted, redacted_all
from fallline.relations import Relations
from fallline.reliability import Reliability
from fallline.summary import DataSummary
from fallline.symptoms import diagnose
from fallline.symptoms._base import Evidence, Finding
from fallline.symptoms._pasted import pasteable
from fallline.verdict import Certainty, Verdict
from fallline.visible import shortened

if TYPE_CHECKING:
    from fallline.result import Result

Tensors = dict[str, NDArray[np.floating]]

MOST_HISTORY = 5000  # rows of the history that are kept
TEXTS = ("sentence", "rate_reason", "method", "target_name", "stop_reason")
LOSSES, AMOUNTS = ("best_loss", "baseline_loss"), ("seconds", "passes")
RANGES = ("mean", "sd", "low", "high")  # the arrays of a DataSummary
SPREADS = ("target_mean", "target_sd", "target_low", "target_high")
BOWL = ("centre", "slope", "curvature", "start")  # the arrays of a Bowl
RARE = ("full_loss", "full_gradient_norm", "check_loss", "gap")  # columns of the history that few rows may have


def take_apart(result: Result) -> tuple[dict[str, Any], Tensors]:
    """Everything of `result`: what JSON can hold, and the arrays by name."""
    kept = _kept_rows(result.history, result.findings)
    columns = {f"history.{name}": result.history[name][kept] for name in COLUMNS}
    tensors = {"theta": result.theta, "coef": result.coef, "intercept": np.asarray(result.intercept)}
    tensors |= {name: column for name, column in columns.items() if not np.isnan(column).all()}
    names, encoder = list(result.feature_names), result.encoder
    # Millions of names have no room, and need none.
    implied = encoder is not None and encoder.numbered and encoder.features == result.feature_names
    model = {
        "verdict": str(result.verdict), "certainty": str(result.certainty),
        **{name: str(getattr(result, name)) for name in TEXTS},
        **{name: pack(getattr(result, name)) for name in (*LOSSES, *AMOUNTS)},
        "steps": int(result.steps), "gap": pack(result.gap),
        "findings": [pack(finding.to_dict()) for finding in result.findings],
        **{kind: member_to_json(kind, getattr(result, kind)) for kind in FAMILIES},
        "feature_names": None if implied else pack(names),
        "classes": None if result.classes is None else [pack(label_of(c)) for c in result.classes],
        "check": pack(result.check), "settings": pack(result.settings),
        "encoder": None if encoder is None else pack(encoder.to_json()),
        "history": {"rows": len(kept), "of": len(result.history)}, "summary": None,
        "evidence": None if result.evidence is None else pack(_plain(result.evidence.conditions())),
    }  # fmt: skip
    summary = result.summary
    if summary is not None:
        tensors |= {f"summary.{name}": getattr(summary, name) for name in RANGES}
        model["summary"] = {
            "names": None if list(summary.names) == names else pack(list(summary.names)), "rows": int(summary.rows),
            "target_name": str(summary.target_name), "missing": pack(summary.missing),
            **{name: pack(getattr(summary, name)) for name in SPREADS},
            "relations": None if summary.relations is None else pack(dataclasses.asdict(summary.relations)),
        }  # fmt: skip
    if result.path is not None and np.isfinite(result.path).all():
        tensors["path"] = result.path
    if result.bowl is not None:
        tensors |= {f"bowl.{name}": getattr(result.bowl, name) for name in BOWL}
        model["bowl"] = {
            "loss": pack(result.bowl.loss), "exact": result.bowl.exact, "rows": int(result.bowl.rows),
            "whole": result.bowl.whole, "names": pack(list(result.bowl.names)),
        }  # fmt: skip
    told, came_true = result.inference, result.reliability
    if came_true is not None:
        tensors["reliability"] = np.array([came_true.predicted, came_true.observed, came_true.weight])
    if told is not None:
        tensors |= {"inference.estimate": told.estimate, "inference.covariance": told.covariance}
        model["inference"] = {
            "names": pack(list(told.names)),
            "dispersion": pack(told.dispersion),
            "freedom": pack(told.freedom),
        }
    elif result.no_inference:
        model["no_inference"] = str(result.no_inference)
    return model, {name: storable(tensor) for name, tensor in tensors.items()}


def put_together(model: dict[str, Any], tensors: Tensors) -> dict[str, Any]:
    """The arguments of Result, each checked. What does not fit raises ModelFileError or one of Python's own errors."""
    check_plain(model)
    encoder = _encoder(model["encoder"], tensors["coef"].size)
    implied = encoder is not None and encoder.numbered and model["feature_names"] is None
    names = encoder.features if implied else names_of(model["feature_names"])
    classes = unpack(model["classes"])
    built: dict[str, Any] = {
        "theta": tensors["theta"], "coef": tensors["coef"], "intercept": tensors["intercept"],
        "verdict": Verdict(model["verdict"]), "certainty": Certainty(model["certainty"]),
        **{name: text_of(model[name], name) for name in TEXTS},
        **{name: number_of(model[name], name) for name in LOSSES},
        **{name: amount_of(model[name], name) for name in AMOUNTS},
        "steps": whole_of(model["steps"], "steps"),
        "gap": None if model["gap"] is None else amount_of(model["gap"], "gap", endless=True),
        "findings": [_finding(unpack(finding)) for finding in known(model["findings"], list, "findings")],
        **{kind: member_of(kind, model[kind]) for kind in FAMILIES},
        "feature_names": names, "classes": None if classes is None else tuple(label_of(c) for c in classes),
        "check": quality_of(model["check"]), "settings": redacted_all(settings_of_run(unpack(model["settings"]))),
        "encoder": encoder,
        "history": _history(model["history"], tensors), "summary": _summary(model["summary"], names, tensors),
    }  # fmt: skip
    built["inference"] = _inference(model.get("inference"), built, tensors)  # files of before have neither
    built["reliability"] = _reliability(tensors.get("reliability"))
    built["bowl"], built["path"] = _bowl(model.get("bowl"), tensors), tensors.get("path")
    built["no_inference"] = text_of(model.get("no_inference", ""), "no_inference")
    check_weights(built)
    check_together(built)
    built["evidence"] = _evidence(unpack(model.get("evidence")), built)
    if built["intercept"].ndim == 0:
        built["intercept"] = float(built["intercept"])
    return built


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
    history = History.from_dict({"step": np.full(rows, np.nan)} | columns)
    check_history(history)
    return history


def _summary(data: dict[str, Any] | None, names: tuple[str, ...], tensors: Tensors) -> DataSummary | None:
    if data is None:
        return None
    names = names if data["names"] is None else names_of(data["names"])
    ranges: dict[str, Any] = {name: tensors[f"summary.{name}"] for name in RANGES}
    if any(array.shape != (len(names),) for array in ranges.values()):
        raise ModelFileError(f"the data summary does not have one entry for each of its {len(names)} columns.")
    if (ranges["sd"] < 0.0).any():
        raise ModelFileError("a spread in the data summary is below zero.")
    return DataSummary(
        names=names, rows=whole_of(data["rows"], "rows"), target_name=text_of(data["target_name"], "name"),
        missing={column: whole_of(holes, "missing") for column, holes in unpack(data["missing"]).items()},
        relations=_relations(unpack(data.get("relations"))),
        **(ranges | {name: number_of(data[name], name) for name in SPREADS}),
    )  # fmt: skip


def _relations(data: Any) -> Relations | None:
    """Of columns with one another; each part of the kind that it says."""
    if data is None:
        return None
    return Relations(**_checked(Relations, data, "relations"))


def _checked(kind: Any, data: Any, name: str) -> dict[str, Any]:
    """Parts of `kind`, a dataclass, that are what its annotations say."""
    hints, parts = typing.get_type_hints(kind), dict(known(data, dict, name))
    hints |= {"verdict": str | None, "overfit": tuple | None, "arrived": tuple | None}  # as JSON has them
    for part, value in parts.items():
        if part not in hints or not fits(value, hints[part]):
            raise ModelFileError(f"{name}: {shortened(repr(value))} as {shortened(str(part))}.")
    return parts


def _evidence(conditions: Any, built: dict[str, Any]) -> Evidence | None:
    """What symptoms were shown, when they can look at it again."""
    if conditions is None:
        return None
    parts = _checked(Evidence, conditions, "evidence")
    parts |= {name: redacted_all(parts[name]) for name in ("source", "named") if name in parts}
    evidence = Evidence.recalled(built["history"], built["summary"], parts)
    diagnose(evidence, include_healthy=True)  # raises where the parts cannot be those of a run
    return evidence


def _plain(conditions: dict[str, Any]) -> dict[str, Any]:
    """Named tuples as tuples."""
    return {name: tuple(value) if isinstance(value, tuple) else value for name, value in conditions.items()}


def _inference(data: dict[str, Any] | None, built: dict[str, Any], tensors: Tensors) -> Inference | None:
    if data is None:
        return None
    estimate, covariance = tensors["inference.estimate"], tensors["inference.covariance"]
    names = names_of(data["names"])
    if (
        estimate.shape != built["theta"].shape
        or len(names) != len(estimate)
        or covariance.shape != (estimate.size, estimate.size)
    ):
        raise ModelFileError("the standard errors do not have one entry for each weight.")
    dispersion, freedom = number_of(data["dispersion"], "dispersion"), number_of(data["freedom"], "freedom")
    check_inference(estimate, covariance, dispersion, freedom)
    return Inference(
        names, estimate, covariance, dispersion, freedom, built["classes"] if estimate.ndim == 2 else None
    )  # fmt: skip


def _bowl(data: dict[str, Any] | None, tensors: Tensors) -> Bowl | None:
    if data is None:
        return None
    arrays: dict[str, Any] = {name: tensors[f"bowl.{name}"] for name in BOWL}
    names = names_of(data["names"])
    p = len(names)
    if any(array.shape != ((p, p) if name == "curvature" else (p,)) for name, array in arrays.items()):
        raise ModelFileError("the shape of its loss does not have one entry for each weight.")
    bowl = Bowl(
        names, loss=number_of(data["loss"], "loss"), exact=known(data["exact"], bool, "exact"),
        rows=whole_of(data["rows"], "rows"), whole=known(data["whole"], bool, "whole"), **arrays,
    )  # fmt: skip
    check_bowl(bowl)
    return bowl


def _reliability(bins: Any) -> Reliability | None:
    if bins is None:
        return None
    check_reliability(bins)
    return Reliability(*bins)


def _finding(data: dict[str, Any]) -> Finding:
    texts = {name: text_of(data[name], name) for name in ("code", "title", "sentence", "remedy", "automatic")}
    texts["remedy"] = redacted(texts["remedy"])
    if not CODE.fullmatch(texts["code"]):
        raise ModelFileError(f"'{shortened(texts['code'])}' is no code of a finding.")
    if not pasteable(texts["remedy"]):
        texts["remedy"] = ""
    evidence = known(data["evidence"], dict, "evidence")
    if not all(isinstance(value, (int, float, str)) for value in evidence.values()):
        raise ModelFileError("the evidence of a finding is neither numbers nor text.")
    return Finding(
        certainty=Certainty(data["certainty"]), evidence=evidence, step=whole_of(data["step"], "step"), **texts
    )


def _encoder(data: Any, width: int) -> Any:
    if data is None:
        return None
    from fallline.rows.encoder import Encoder
    from fallline.rows.vectors import Vectors

    encoder = Encoder.from_json(unpack(data))
    if any(isinstance(term, Vectors) and term.width > width for term in encoder.columns):  # before their names are made
        raise ModelFileError("its vectors are wider than its coefficients.")
    return encoder
