"""Model files: safetensors, whose metadata holds JSON. Nothing in a file is ever run, and nothing that it names is opened.

::

    header   {"__metadata__": {"fallline": JSON}, "coef": ..., "intercept": ..., "theta": ..., "history.loss": ..., ...}
    JSON     {"format": 1, "library": "0.1.0", "sha256": ..., "model": {verdict, findings, names, settings, ...}}
    tensors  float64, or float32 where training was

The checksum covers the JSON and the tensors. It tells damage; whoever makes a file with intent makes a right one, so
everything is checked as if there were none (:mod:`fallline.modelchecks`): what loads can be shown and exported. The same result
gives the same bytes. Credentials of addresses are not kept (:mod:`fallline.redaction`).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline import __version__
from fallline.atomic_write import as_path, write_whole
from fallline.errors import ModelFileError
from fallline.modelparts import Tensors, put_together, take_apart
from fallline.modelvalues import known
from fallline.system_errors import read_reason
from fallline.visible import shortened

if TYPE_CHECKING:
    from fallline.result import Result

FORMAT = 1  # of the files written here; raised when readers of the one before would misread it
OLDEST = 1  # format that is still read
KEY = "fallline"  # in the metadata of safetensors
MOST_HEADER = 64 * 2**20  # bytes, a million column names: a longer header is refused before it is read
ROOM = 2**16  # of them for what says where the tensors are
MOST_PARTS = 4_000_000  # commas and brackets of a header: each is an object of Python, of 60 to 100 bytes
MOST_TENSORS = 2**35  # bytes of all arrays, a billion weights with what is kept of their columns
MOST_TOLD = 240  # characters of what is wrong with a file
COPIES = 3  # of the arrays that are in memory at once while a file is read: as read, by name, and one for the checksum


def save_model(result: Result, path: str | Path) -> None:
    """Write `result` to `path`: an existing file is replaced whole or not at all, a device or a pipe is written to.

    Of a history of more than 5,000 rows that many are kept, evenly, with the first, the last, the lowest, the steps of
    findings, and rejected steps and epoch ends as far as half of the room goes. A penalty or an optimizer that is not
    of fallline's families is left out, for predictions do not need it; a model with such a loss cannot be saved.

    Raises OutputError when the file cannot be written: a full disk, no permission, no such folder; and ModelFileError for
    weights that are not finite, which could not be loaded.
    """
    from safetensors.numpy import save

    if not all(np.isfinite(part).all() for part in (result.theta, result.coef, result.intercept)):
        raise ModelFileError("The model cannot be saved: its weights are not finite, so it predicts nothing.")
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
    target = as_path(path)
    try:
        return put_together(*_read(target))
    except ModelFileError as error:
        raise ModelFileError(f"{target}: {shortened(str(error), MOST_TOLD)}") from None
    except OSError as error:
        raise ModelFileError(f"{target}: cannot be read ({read_reason(error)}).") from None
    except MemoryError:
        raise ModelFileError(f"{target}: does not fit into memory.") from None
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # Every part is a stranger's word: what does not fit is the file's fault, and no reason to crash.
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ModelFileError(f"{target}: damaged, or not written by fallline ({shortened(what)}).") from None


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _digest(model: dict[str, Any], tensors: Tensors) -> str:
    digest = hashlib.sha256(_dumps(model).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(_dumps([name, tensor.dtype.itemsize, tensor.shape]).encode())
        digest.update(tensor.astype(tensor.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


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
        if size != 8 + length + end:
            how = "cut off: it has" if size < 8 + length + end else "longer than it says:"
            raise ModelFileError(f"the file is {how} {size:,} of {8 + length + end:,} bytes.")
        _check_room(end)
        tensors = _tensors(start[:8] + header + file.read(end))
    if sealed["sha256"] != _digest(sealed["model"], tensors):
        raise ModelFileError("the file is damaged: its checksum is not that of its contents.")
    return sealed["model"], tensors


def _sealed(header: bytes) -> tuple[dict[str, Any], int]:
    """The JSON of the model, whose format is known, and how many bytes the tensors have."""
    if sum(map(header.count, (b",", b"[", b"{"))) > MOST_PARTS:
        raise ModelFileError(f"its header has more than {MOST_PARTS:,} parts.")
    parts = json.loads(header.decode("utf-8"))
    text = parts.pop("__metadata__", {}).get(KEY)
    if text is None:
        raise ModelFileError("this is a safetensors file, but not one of a fallline model.")
    sealed = json.loads(text)
    written, library = known(sealed["format"], int, "format"), shortened(str(sealed["library"]))
    if not OLDEST <= written <= FORMAT:
        raise ModelFileError(
            f"this model was written by fallline {library} (format {written}); this is fallline {__version__}, which "
            f"reads formats {OLDEST} to {FORMAT}: {'upgrade fallline' if written > FORMAT else 'train it again'}."
        )
    for name, part in parts.items():
        if part["dtype"] not in ("F32", "F64"):
            raise ModelFileError(
                f"its array '{shortened(name)}' is of {shortened(str(part['dtype']))}, not F32 or F64."
            )
    return sealed, max((int(part["data_offsets"][1]) for part in parts.values()), default=0)


def _check_room(size: int) -> None:
    """Refuse arrays that are not to be read: a file may be sparse, so that it has their size and no contents."""
    from fallline.tables.asked import free_memory

    if size > MOST_TENSORS or COPIES * size > free_memory():
        raise ModelFileError(
            f"its arrays take {size / 1e9:,.1f} GB, and reading them {COPIES} times that; {free_memory() / 1e9:,.1f} GB are free."
        )


def _tensors(data: bytes) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(data)
    except SafetensorError as error:
        raise ModelFileError(f"the file is damaged ({shortened(str(error))}).") from None
    return {name: tensor.astype(tensor.dtype.newbyteorder("="), copy=False) for name, tensor in tensors.items()}
