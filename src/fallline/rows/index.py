"""The index of rows on disk: what lies where, how it was encoded, and the checksums of all of it, under one of its own.

One JSON file for the rows to train on and those to check on, written last and renamed into place: a folder with an index
is whole. It says what the rows were made of, so that an index of other rows is not taken for this one. Whatever does not
fit is refused before any memory is asked for.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fallline.errors import DataError
from fallline.private import open_private
from fallline.rows.packed import DENSE, SPARSE, Shape
from fallline.system_errors import read_reason

FORMAT = 3  # of the index and of the rows: others are made anew
INDEX = "index.json"
SIDES = ("y", "weight", "offset")
MOST_BYTES = 1 << 30  # of an index: a million levels take 50 MB
MOST_COLUMNS = 2**31 - 1  # of sparse rows, whose columns are int32


@dataclass(frozen=True)
class Index:
    """What a folder of rows holds."""

    train: Shape
    check: Shape | None
    told: dict[str, Any]  # what was written beside the shapes
    digest: str  # of all of it

    @classmethod
    def read(cls, folder: Path, made_of: str) -> Index | None:
        """The index of rows that were made of that; None where there is none. Raises DataError where it is not right."""
        path = folder / INDEX
        try:
            with open_private(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                text = file.read() if size <= MOST_BYTES else b""
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DataError(f"{path} cannot be read: {read_reason(error)}.") from None
        try:
            told = json.loads(text)
            digest = told.pop("blake2b")
            if digest != _digest(told) or told.pop("format") != FORMAT:
                raise DataError(f"{path} is damaged, or of another version.")
            if told.pop("made_of") != made_of:
                raise DataError(f"{path} is of other rows.")
            train, check = _shape(told.pop("shape")), told.pop("check")
            return cls(train, None if check is None else _shape(check), told, digest)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{path} is damaged.") from None


def write_index(folder: Path, made_of: str, train: Shape, check: Shape | None, told: dict[str, Any]) -> None:
    """Write the index beside its place, then rename: from now on the folder is whole."""
    shapes = {"shape": asdict(train), "check": None if check is None else asdict(check)}
    told = {"format": FORMAT, "made_of": made_of, **shapes, **told}
    text = json.dumps({"blake2b": _digest(told), **told})
    beside = folder / f".{INDEX}.part"
    with open_private(beside, "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / INDEX)


def _digest(told: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=32).hexdigest()


def _shape(told: dict[str, Any]) -> Shape:
    """A shape whose parts fit together. Raises ValueError and its kin."""
    if set(told) != {field.name for field in fields(Shape)}:
        raise ValueError("parts")
    shape = Shape(**told)
    shape.blocks = [(int(a), int(b), int(c), int(d)) for a, b, c, d in shape.blocks]
    whole = [shape.n, shape.m, shape.groups, *shape.places, *shape.entries]
    if not all(type(number) is int for number in whole) or tuple(shape.sides) != tuple(
        side for side in SIDES if side in shape.sides
    ):
        raise ValueError("kinds")
    sparse, least = shape.groups == SPARSE, 0
    if not (0 < shape.n <= MOST_COLUMNS and shape.groups >= min(SPARSE, DENSE) and shape.sides[0] == "y"):
        raise ValueError("columns")
    if not all(0 <= j < shape.n for j in shape.places) or len(shape.entries) != (len(shape.blocks) if sparse else 0):
        raise ValueError("columns")
    for k, (where, rows, *_) in enumerate(shape.blocks):
        if where != least or rows < 1 or (sparse and shape.entries[k] < 0):
            raise ValueError("blocks")
        least += shape.bytes_of(rows, shape.entries[k] if sparse else 0)
    if shape.m != sum(rows for _, rows, *_ in shape.blocks):
        raise ValueError("rows")
    return shape
