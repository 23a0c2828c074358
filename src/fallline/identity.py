"""Digests of settings and functions: two that are alike compute alike, so an answer of the one is that of the other.

Made of values, never of addresses or of ``repr``, which leaves out the middle of long arrays. Code is identified by its
bytecode and by the values that it closes over.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

OURS = "fallline"  # the package whose code is known by its version
DIGEST = 16  # bytes
PLAIN = (type(None), bool, int, float, complex, str, bytes)


def identity(*values: Any) -> str:
    """Digest of some values: numbers, text, arrays, settings, functions, and containers of these.

    Objects that hold nothing of the kind count with the name of their class alone.

    >>> identity(1.5, "a") == identity(1.5, "a"), identity(lambda x: x + 1) == identity(lambda x: x + 2)
    (True, False)
    """
    return _Walk().digest(values)


def known_identity(*values: Any) -> str | None:
    """The same; None where a part is neither plain nor of fallline's own classes, so that its code may have changed."""
    walk = _Walk()
    told = walk.digest(values)
    return None if walk.foreign else told


class _Walk:
    """One digest, and whether a foreign object was met on the way."""

    def __init__(self) -> None:
        self.foreign = False
        self._digest = hashlib.blake2b(digest_size=DIGEST)
        self._within: set[int] = set()  # objects that are being walked: a function may close over itself

    def digest(self, values: tuple[Any, ...]) -> str:
        self._add(values)
        return self._digest.hexdigest()

    def _tell(self, *words: Any) -> None:
        self._digest.update(repr(words).encode("utf-8", "surrogatepass"))

    def _add(self, value: Any) -> None:
        if isinstance(value, PLAIN) and not isinstance(value, enum.Enum):
            self._tell(type(value).__name__, value)
        elif isinstance(value, (np.ndarray, np.generic)):
            self._array(np.asarray(value))
        elif id(value) in self._within:
            self._tell("itself")
        else:
            self._within.add(id(value))
            self._compound(value)
            self._within.discard(id(value))

    def _array(self, array: Any) -> None:
        self._tell("array", array.dtype.str, array.shape)
        if array.dtype.hasobject:
            self._add(array.tolist())
        else:
            self._digest.update(np.ascontiguousarray(array).tobytes())

    def _compound(self, value: Any) -> None:
        kind = type(value)
        self._tell(kind.__module__, kind.__qualname__)
        if isinstance(value, (list, tuple, set, frozenset)):
            items = sorted(map(repr, value)) if isinstance(value, (set, frozenset)) else value
            self._each(items)
        elif isinstance(value, Mapping):
            self._each(item for pair in value.items() for item in pair)
        elif isinstance(value, enum.Enum):
            self._tell(value.name)
        elif isinstance(value, types.MethodType):
            self._each((value.__func__, value.__self__))
        elif isinstance(value, functools.partial):
            self._each((value.func, value.args, value.keywords))
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif kind.__module__.startswith("scipy.sparse"):
            rows = value.tocsr()  # all formats alike
            self._each((rows.shape, rows.indptr, rows.indices, rows.data))
        elif kind.__module__.partition(".")[0] == OURS:
            self._own(value)
        else:
            self.foreign = True

    def _each(self, values: Any) -> None:
        for item in values:
            self._add(item)
        self._tell("end")

    def _own(self, value: Any) -> None:
        """An object of a class of ours: rows are the same for whoever asks, all else is its fields."""
        from fallline.rows._base import Rows

        if isinstance(value, Rows):
            self._tell(value.m, value.n)
        elif is_dataclass(value) and not isinstance(value, type):
            self._each(getattr(value, field.name) for field in fields(value) if field.compare)
        else:
            self._each(vars(value).values() if hasattr(value, "__dict__") else ())

    def _function(self, function: types.FunctionType) -> None:
        if function.__module__.partition(".")[0] != OURS:
            self.foreign = True
        self._tell(function.__module__, function.__qualname__)
        self._code(function.__code__)
        self._each(function.__defaults__ or ())
        for cell in function.__closure__ or ():
            try:
                self._add(cell.cell_contents)
            except ValueError:  # not bound yet
                self._tell("unbound")

    def _code(self, code: types.CodeType) -> None:
        self._digest.update(code.co_code)
        self._tell(code.co_names)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._code(constant)
            else:
                self._tell(constant)
