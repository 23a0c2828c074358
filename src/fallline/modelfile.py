"""Model files: safetensors, whose metadata holds JSON. Nothing in a file is ever run, so strangers' files are safe.

::

    header   {"__metadata__": {"fallline": JSON}, "coef": ..., "intercept": ..., "theta": ..., "history.loss": ..., ...}
    JSON     {"format": 1, "library": "0.1.0", "sha256": ..., "model": {verdict, findings, names, settings, ...}}
    tensors  float64, or float32 where training was

The checksum covers the JSON and the tensors. It tells damage; whoever makes a file with intent makes a right one, so
everything is checked as if there were none. The same result gives the same bytes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import math
import os
import secrets
import stat
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fallline import __version__
from fallline.errors import ModelFileError, SettingError, SettingTypeError
from fallline.history import COLUMNS, History
from fallline.losses import losses
from fallline.optimizers import optimizers
from fallline.penalties import penalties
from fallline.summary import DataSummary
from fallline.symptoms._base import Finding
from fallline.verdict import Certainty, Verdict

if TYPE_CHECKING:
    from fallline.result import Result

Tensors = dict[str, NDArray[np.floating]]

FORMAT = 1  # of the files written here; raised when readers of the one before would misread it
OLDEST = 1  # format that is still read
KEY = "fallline"  # in the metadata of safetensors
MOST_HEADER = 64 * 2**20  # bytes, a million column names: a longer header is refused before it is read
MOST_HISTORY = 5000  # rows of the history that are kept
DTYPES = {"F64": "<f8", "F32": "<f4"}  # safetensors' names and NumPy's

FAMILIES: dict[str, Callable[[], dict[str, Any]]] = {"loss": losses, "penalty": penalties, "optimizer": optimizers}
TEXTS = ("sentence", "rate_reason", "method", "target_name", "stop_reason")
NUMBERS = ("best_loss", "baseline_loss", "seconds", "passes")
RANGES = ("mean", "sd", "low", "high")  # the arrays of a DataSummary
SPREADS = ("target_mean", "target_sd", "target_low", "target_high")
RARE = ("full_loss", "full_gradient_norm", "check_loss", "gap")  # columns of the history that few rows may have
WRITE_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than is allowed",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "there is no permission to write there",
    errno.EPERM: "there is no permission to write there",
    errno.ENOENT: "there is no such folder",
    errno.ENOTDIR: "there is no such folder",
}


def save_model(result: Result, path: str | Path) -> None:
    """Write `result` to `path`: beside it first, then renamed, so that an existing file is replaced whole or not at all.

    Of a history of more than 5,000 rows that many are kept, evenly, with the first, the last, the lowest, the steps of
    findings, and rejected steps and epoch ends as far as half of the room goes. A penalty or an optimizer that is not
    of fallline's families is left out, for predictions do not need it; a model with such a loss cannot be saved.

    Raises ModelFileError when the file cannot be written: a full disk, no permission, no such folder.
    """
    from safetensors.numpy import save

    model, tensors = _take_apart(result)
    text = _dumps({"format": FORMAT, "library": __version__, "sha256": _digest(model, tensors), "model": model})
    data = save(tensors, metadata={KEY: text})
    if int.from_bytes(data[:8], "little") > MOST_HEADER:
        raise ModelFileError(
            f"The model cannot be saved: names and settings take {len(text):,} bytes, and {MOST_HEADER:,} is the most. "
            "Leave out text columns of many levels."
        )
    _write(_as_path(path), data)


def load_model(path: str | Path) -> dict[str, Any]:
    """What :class:`Result` takes to be the saved result again: ``Result(**load_model(path))``.

    Raises ModelFileError, in one sentence, for a file that is missing, damaged, not a model, or of a newer version.
    """
    target = _as_path(path)
    try:
        return _put_together(*_read(target))
    except ModelFileError as error:
        raise ModelFileError(f"{target}: {error}") from None
    except OSError as error:
        raise ModelFileError(f"{target}: cannot be read ({error.strerror or error}).") from None
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # Every part is a stranger's word: what does not fit is the file's fault, and no reason to crash.
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ModelFileError(f"{target}: damaged, or not written by fallline ({_printable(what)}).") from None


# A result and its parts: JSON and tensors.


def _take_apart(result: Result) -> tuple[dict[str, Any], Tensors]:
    kept = _kept_rows(result.history, result.findings)
    columns = {f"history.{name}": result.history[name][kept] for name in COLUMNS}
    tensors = {"theta": result.theta, "coef": result.coef, "intercept": np.asarray(result.intercept, dtype=np.float64)}
    tensors |= {name: column for name, column in columns.items() if not np.isnan(column).all()}
    names = list(result.feature_names)
    model = {
        "verdict": str(result.verdict), "certainty": str(result.certainty),
        **{name: str(getattr(result, name)) for name in TEXTS},
        **{name: _pack(getattr(result, name)) for name in NUMBERS},
        "steps": int(result.steps), "gap": _pack(result.gap),
        "findings": [_pack(finding.to_dict()) for finding in result.findings],
        **{kind: _member_to_json(kind, getattr(result, kind)) for kind in FAMILIES},
        "feature_names": _pack(names), "classes": _pack(result.classes and [_label(c) for c in result.classes]),
        "check": _pack(result.check), "settings": _pack(result.settings),
        "encoder": _pack(result.encoder and result.encoder.to_json()),
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
    return model, {name: _storable(tensor) for name, tensor in tensors.items()}


def _put_together(model: dict[str, Any], tensors: Tensors) -> dict[str, Any]:
    names = _names(model["feature_names"])
    classes = _unpack(model["classes"])
    built: dict[str, Any] = {
        "theta": tensors["theta"], "coef": tensors["coef"], "intercept": tensors["intercept"],
        "verdict": Verdict(model["verdict"]), "certainty": Certainty(model["certainty"]),
        **{name: _known(model[name], str, name) for name in (*TEXTS,)},
        **{name: _number(model[name], name) for name in NUMBERS},
        "steps": _known(model["steps"], int, "steps"),
        "gap": None if model["gap"] is None else _number(model["gap"], "gap"),
        "findings": [_finding(_unpack(finding)) for finding in model["findings"]],
        **{kind: _member(kind, model[kind]) for kind in FAMILIES},
        "feature_names": names, "classes": None if classes is None else tuple(_label(c) for c in classes),
        "check": None if model["check"] is None else {k: _number(v, k) for k, v in model["check"].items()},
        "settings": _known(_unpack(model["settings"]), dict, "settings"),
        "encoder": _encoder(model["encoder"]),
        "history": _history(model["history"], tensors), "summary": _summary(model["summary"], names, tensors),
    }  # fmt: skip
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
    rows = _known(shape["rows"], int, "history")
    columns = {name: tensors[f"history.{name}"] for name in COLUMNS if f"history.{name}" in tensors}
    if not 0 <= rows <= MOST_HISTORY or any(column.shape != (rows,) for column in columns.values()):
        raise ModelFileError("the columns of the history are not of the length that it says.")
    return History.from_dict({"step": np.full(rows, np.nan)} | columns)


def _summary(data: dict[str, Any] | None, names: tuple[str, ...], tensors: Tensors) -> DataSummary | None:
    if data is None:
        return None
    names = names if data["names"] is None else _names(data["names"])
    ranges = {name: tensors[f"summary.{name}"] for name in RANGES}
    if any(array.shape != (len(names),) for array in ranges.values()):
        raise ModelFileError(f"the data summary does not have one entry for each of its {len(names)} columns.")
    return DataSummary(
        names=names, rows=_known(data["rows"], int, "rows"), target_name=_known(data["target_name"], str, "target_name"),
        missing={column: _known(holes, int, "missing") for column, holes in _unpack(data["missing"]).items()},
        **ranges, **{name: _number(data[name], name) for name in SPREADS},
    )  # fmt: skip


def _finding(data: dict[str, Any]) -> Finding:
    texts = {name: _known(data[name], str, name) for name in ("code", "title", "sentence", "remedy", "automatic")}
    evidence = _known(data["evidence"], dict, "evidence")
    if not all(isinstance(value, (int, float, str)) for value in evidence.values()):
        raise ModelFileError("the evidence of a finding is neither numbers nor text.")
    return Finding(
        certainty=Certainty(data["certainty"]), evidence=evidence, step=_known(data["step"], int, "step"), **texts
    )


def _encoder(data: Any) -> Any:
    if data is None:
        return None
    from fallline.rows.encoder import Encoder

    return Encoder.from_json(_unpack(data))


# Members of the families: by name, with the settings that their dataclasses declare.


def _member_to_json(kind: str, member: Any) -> dict[str, Any] | None:
    if member is None:
        return None
    if FAMILIES[kind]().get(member.name) is not type(member):
        if kind != "loss":
            return None
        raise ModelFileError(
            f"The model cannot be saved: its loss {type(member).__name__} is not one of fallline's, so nobody could load it. "
            "Put its file into the folder of the losses."
        )
    return {
        "name": member.name,
        "settings": {f.name: _pack(getattr(member, f.name)) for f in dataclasses.fields(member) if f.init},
    }


def _member(kind: str, data: dict[str, Any] | None) -> Any:
    if data is None:
        return None
    name, family = data["name"], FAMILIES[kind]()
    if name not in family:
        raise ModelFileError(
            f"it names the {kind} '{_printable(str(name))}', which fallline {__version__} does not have. "
            f"There are: {', '.join(family)}."
        )
    settings, hints = _known(data["settings"], dict, "settings"), typing.get_type_hints(family[name])
    settings = {setting: _unpack(value) for setting, value in settings.items()}
    for setting, value in settings.items():
        if not _fits(value, hints[setting]):
            raise ModelFileError(f"the {kind} '{name}' has {_printable(repr(value))} as its {setting}.")
    return family[name](**settings)


def _fits(value: Any, hint: Any) -> bool:
    """Whether `value` is what the annotation of a setting says."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, choice) for choice in inner)
    if origin is typing.Literal:
        return value in inner
    if origin is tuple:
        kinds = inner[:1] * len(value) if isinstance(value, tuple) and inner[-1] is Ellipsis else inner
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(_fits, value, kinds))
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else hint is None and value is None


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
    for kind in FAMILIES:
        if getattr(value, "name", None) in FAMILIES[kind]():
            return {f"${kind}": _member_to_json(kind, value)}
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
        return {str(k): _unpack(v) for k, v in inner}
    return _member(tag[1:], inner)


def _known(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ModelFileError(f"{name} is {_printable(repr(value))}, which is not of the kind {kind.__name__}.")
    return value


def _number(value: Any, name: str) -> float:
    value = _unpack(value)
    return float(value if isinstance(value, float) else _known(value, int, name))


def _names(value: Any) -> tuple[str, ...]:
    return tuple(_known(name, str, "a column's name") for name in _known(value, list, "the columns' names"))


def _label(value: Any) -> str | int | float | bool:
    label = value.item() if isinstance(value, np.generic) else value
    if not isinstance(label, (str, int, float)):
        kind = type(label).__name__
        raise ModelFileError(
            f"the class label {label!r:.60} is of the kind {kind}; text, numbers and truth values can be kept."
        )
    return label


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:120])


# Bytes.


def _storable(array: Any) -> NDArray[np.floating]:
    dtype = np.float32 if getattr(array, "dtype", None) == np.float32 else np.float64
    return np.array(array, dtype=dtype, order="C")


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _digest(model: dict[str, Any], tensors: Tensors) -> str:
    digest = hashlib.sha256(_dumps(model).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(_dumps([name, tensor.dtype.itemsize, tensor.shape]).encode())
        digest.update(tensor.astype(tensor.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def _as_path(path: Any) -> Path:
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise SettingTypeError(f"path: got {path!r:.80}; it must be a file name.") from None
    if "\0" in text or not text:
        raise SettingError(f"path: got {text!r:.80}; it must be a file name.")
    return Path(text)


def _read(path: Path) -> tuple[dict[str, Any], Tensors]:
    if not path.exists():
        raise ModelFileError("there is no such file.")
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
        raise ModelFileError("this is a folder or a device, not a model file.")
    with path.open("rb") as file:
        size, start = os.fstat(file.fileno()).st_size, file.read(9)
        length = int.from_bytes(start[:8], "little")
        if size < 9 or start[8:] != b"{":
            raise ModelFileError("this is not a fallline model." if size else "the file is empty.")
        if length > MOST_HEADER:
            raise ModelFileError(
                f"this is not a fallline model: a header of {length:,} bytes; {MOST_HEADER:,} is the most."
            )
        if size < 8 + length:
            raise ModelFileError(f"the file is cut off: it has {size:,} bytes, and its header alone {length:,}.")
        header = start[8:] + file.read(length - 1)
        sealed, end = _sealed(header)
        if size < 8 + length + end:
            raise ModelFileError(f"the file is cut off: it has {size:,} of {8 + length + end:,} bytes.")
        tensors = _tensors(start[:8] + header + file.read())
    if sealed["sha256"] != _digest(sealed["model"], tensors):
        raise ModelFileError("the file is damaged: its checksum is not that of its contents.")
    return sealed["model"], tensors


def _sealed(header: bytes) -> tuple[dict[str, Any], int]:
    """The JSON of the model, whose format is known, and how many bytes the tensors have."""
    parts = json.loads(header.decode("utf-8"))
    text = parts.pop("__metadata__", {}).get(KEY)
    if text is None:
        raise ModelFileError("this is a safetensors file, but not one of a fallline model.")
    sealed = json.loads(text)
    written, library = _known(sealed["format"], int, "format"), _printable(str(sealed["library"]))
    if not OLDEST <= written <= FORMAT:
        raise ModelFileError(
            f"this model was written by fallline {library} (format {written}); this is fallline {__version__}, which reads "
            f"formats {OLDEST} to {FORMAT}: {'upgrade fallline' if written > FORMAT else 'train it again'}."
        )
    return sealed, max((int(part["data_offsets"][1]) for part in parts.values()), default=0)


def _tensors(data: bytes) -> Tensors:
    from safetensors import SafetensorError, deserialize

    try:
        parts = deserialize(data)
    except SafetensorError as error:
        raise ModelFileError(f"the file is damaged ({_printable(str(error))}).") from None
    return {
        name: np.frombuffer(part["data"], dtype=DTYPES[part["dtype"]])
        .reshape(part["shape"])
        .astype(np.dtype(DTYPES[part["dtype"]]).newbyteorder("="))
        for name, part in parts
    }


def _write(path: Path, data: bytes) -> None:
    """Write beside `path`, then rename: after an error nothing is left, and what was there still is."""
    target = Path(os.path.realpath(path))  # the file behind a link, not the link
    if target.exists() and not target.is_file():
        raise ModelFileError(f"{path} is a folder or a device; give the name of a file for the model.")
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "read-only")
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, target)
        finally:
            with contextlib.suppress(OSError):  # it is gone when it was renamed
                os.unlink(part)
    except OSError as error:
        why = WRITE_ERRORS.get(error.errno or 0, error.strerror or str(error))
        raise ModelFileError(f"{path} was not written: {why}. Nothing was changed.") from None
