"""Columns as JSON holds them, and back: of a file that a stranger may have written, each part of the kind that it must be."""

from __future__ import annotations

import dataclasses
import datetime
import math
from typing import Any

from fallline.rows.columns import PLURALS, Levels, Moment, Number, Term
from fallline.rows.hashed import Hashed
from fallline.rows.slopes import Slopes
from fallline.rows.vectors import Vectors

WAYS = ("auto", "median", "mean", "drop", "refuse")  # of holes
MAKES: dict[str, type[Term]] = {
    "number": Number, "levels": Levels, "hashed": Hashed, "moment": Moment, "slopes": Slopes, "vectors": Vectors,
}  # fmt: skip
INNER = {"number": ("number",), "text": ("levels", "hashed"), "parts": ("number", "levels")}  # columns within a column
FIELDS: dict[str, Any] = {
    "name": str, "fill": (int, float), "marked": bool, "varies": bool, "source": str, "levels": tuple,
    "reference": (str, type(None)), "usual": str, "buckets": int, "lowest": int, "width": int,
    "entries": (int, float), "number": Number, "text": Levels, "first": str,
    "parts": tuple, "target": str, "left_out": dict, "holes": dict, "na": str, "weight": (str, type(None)),
    "offset": (str, type(None)), "exposure": (str, type(None)), "formula": (dict, type(None)),
}  # fmt: skip


def packed(term: Term) -> dict[str, Any]:
    """What JSON can hold of it."""
    fields = {f.name: getattr(term, f.name) for f in dataclasses.fields(term)}
    for name in INNER:
        if name in fields:
            inner = fields[name]
            fields[name] = packed(inner) if isinstance(inner, Term) else [packed(part) for part in inner]
    return {"is": next(name for name, make in MAKES.items() if type(term) is make), **fields}


def unpacked(fields: dict[str, Any], makes: tuple[str, ...] = tuple(MAKES)) -> Term:
    """The term again. Raises ValueError, TypeError or KeyError for what is none."""
    make = fields.pop("is")
    if make not in makes or not all(isinstance(fields.get(name, []), list) for name in ("parts", "levels")):
        raise ValueError(f"{make!r} is not a kind of column, or its parts are not lists")
    for name, own in INNER.items():
        if name in fields:
            inner = fields[name]
            fields[name] = (
                tuple(unpacked(part, own) for part in inner) if isinstance(inner, list) else unpacked(inner, own)
            )
    if "levels" in fields:
        fields["levels"] = tuple(fields["levels"])
    term = MAKES[make](**checked(fields))
    if isinstance(term, Moment):
        datetime.date.fromisoformat(term.first)
    if isinstance(term, Levels) and (len(set(term.known)) < len(term.known) or not {term.usual} <= {"", *term.known}):
        raise ValueError(f"column {term.name!r} has a level twice, or its most frequent one is not among them")
    if isinstance(term, Levels) and not term.known or isinstance(term, Hashed) and term.buckets < 1:
        raise ValueError(f"column {term.name!r} has no levels")
    if isinstance(term, Vectors) and (term.lowest < 0 or term.width < 1):
        raise ValueError(f"column {term.name!r} has no vectors")
    if isinstance(term, Slopes) and not term.number.varies:
        raise ValueError(f"{term.name!r} is a product with a constant")
    return term


def checked(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a term or of an encoder."""
    for name, value in fields.items():
        wanted = FIELDS[name]
        inner = value.keys() if isinstance(value, dict) else value if name == "levels" else ()
        if not isinstance(value, wanted) or not all(isinstance(word, str) for word in inner):
            raise ValueError(f"{name!r} is {value!r}")
    if fields.get("source", "number") not in PLURALS or fields.get("na", "auto") not in WAYS:
        raise ValueError("a setting is not one that there is")
    if not all(math.isfinite(fields.get(name, 0.0)) for name in ("fill", "entries")):
        raise ValueError("a number is not finite")
    return fields
