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
import errno
import hashlib
import json
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallline import __version__
from fallline.errors import ModelFileError, SettingError, SettingTypeError
from fallline.modelparts import Tensors, put_together, take_apart
from fallline.modelvalues import known, printable

if TYPE_CHECKING:
    from fallline.result import Result

FORMAT = 1  # of the files written here; raised when readers of the one before would misread it
OLDEST = 1  # format that is still read
KEY = "fallline"  # in the metadata of safetensors
MOST_HEADER = 64 * 2**20  # bytes, a million column names: a longer header is refused before it is read
ROOM = 2**16  # of them for what says where the tensors are
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
    """Write `result` to `path`: beside it first, then renamed, so that an existing file is replaced whole or not.

    Of a history of more than 5,000 rows that many are kept, evenly, with the first, the last, the lowest, the steps of
    findings, and rejected steps and epoch ends as far as half of the room goes. A penalty or an optimizer that is not
    of fallline's families is left out, for predictions do not need it; a model with such a loss cannot be saved.

    Raises ModelFileError when the file cannot be written: a full disk, no permission, no such folder.
    """
    from safetensors.numpy import save

    model, tensors = take_apart(result)
    text = _dumps({"format": FORMAT, "library": __version__, "sha256": _digest(model, tensors), "model": model})
    size = len(json.dumps(text)) + ROOM  # as it is written, in JSON once more
    if size > MOST_HEADER:
        raise ModelFileError(
            f"The model cannot be saved: names and settings take {size:,} bytes, and {MOST_HEADER:,} is the most. "
            "Leave out text columns of many levels."
        )
    data = save(tensors, metadata={KEY: text})
    write_whole(path, data)


def load_model(path: str | Path) -> dict[str, Any]:
    """What :class:`Result` takes to be the saved result again: ``Result(**load_model(path))``.

    Raises ModelFileError, in one sentence, for a file that is missing, damaged, not a model, or of a newer version.
    """
    target = _as_path(path)
    try:
        return put_together(*_read(target))
    except ModelFileError as error:
        raise ModelFileError(f"{target}: {error}") from None
    except OSError as error:
        raise ModelFileError(f"{target}: cannot be read ({error.strerror or error}).") from None
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # Every part is a stranger's word: what does not fit is the file's fault, and no reason to crash.
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ModelFileError(f"{target}: damaged, or not written by fallline ({printable(what)}).") from None


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
        text = os.fsdecode(os.fsencode(path))
    except (TypeError, UnicodeError):
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
    written, library = known(sealed["format"], int, "format"), printable(str(sealed["library"]))
    if not OLDEST <= written <= FORMAT:
        raise ModelFileError(
            f"this model was written by fallline {library} (format {written}); this is fallline {__version__}, which "
            f"reads formats {OLDEST} to {FORMAT}: {'upgrade fallline' if written > FORMAT else 'train it again'}."
        )
    for name, part in parts.items():
        if part["dtype"] not in ("F32", "F64"):
            raise ModelFileError(
                f"its array '{printable(name)}' is of {printable(str(part['dtype']))}, not F32 or F64."
            )
    return sealed, max((int(part["data_offsets"][1]) for part in parts.values()), default=0)


def _tensors(data: bytes) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(data)
    except SafetensorError as error:
        raise ModelFileError(f"the file is damaged ({printable(str(error))}).") from None
    return {name: tensor.astype(tensor.dtype.newbyteorder("=")) for name, tensor in tensors.items()}


def write_whole(given: str | Path, data: bytes) -> None:
    """Write beside the path, then rename: after an error nothing is left, and what was there still is."""
    path = _as_path(given)
    target = Path(os.path.realpath(path))  # the file behind a link, not the link
    part = target.parent / f".{secrets.token_hex(8)}.part"
    try:
        before = target.stat() if target.exists() else None
        if before is not None and not stat.S_ISREG(before.st_mode):
            raise ModelFileError(f"{path} is a folder or a device; give the name of a file for the model.")
        if before is not None and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "read-only")
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if before is not None:
                os.chmod(part, stat.S_IMODE(before.st_mode))
            os.replace(part, target)
        finally:
            with contextlib.suppress(OSError):  # it is gone when it was renamed
                os.unlink(part)
    except OSError as error:
        why = WRITE_ERRORS.get(error.errno or 0, error.strerror or str(error))
        raise ModelFileError(f"{path} was not written: {why}. Nothing was changed.") from None
