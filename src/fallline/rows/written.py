"""Columns as JSON holds them, and back: of a file that a stranger may have written, each part of the kind that it must be."""

from __future__ import annotations

import ast
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
AMOUNTS, WORDS = ("days", "time of day"), ("weekday", "month")  # parts of dates, as numbers and as levels
MOST_COLUMNS = 2**31 - 1  # that a sparse matrix can number
MOST_NODES, MOST_LETTERS = 500, 2000  # of the arithmetic of one factor of a formula
MOST_NUMBER = 1e300  # in it
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
        for part in term.parts:
            whole, _, which = part.name.rpartition(": ")
            if whole != term.name or which not in (WORDS if isinstance(part, Levels) else AMOUNTS):
                raise ValueError(f"{part.name!r} is no part of a date")
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
            raise ValueError(f"{name!r} is {value!r:.60}")
        for word in (value, *inner):
            if isinstance(word, str):
                word.encode()  # what is no UTF-8 can be in no table
    if not all(isinstance(why, str) for why in fields.get("left_out", {}).values()):
        raise ValueError("why a column is left out is no text")
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in fields.get("holes", {}).values()):
        raise ValueError("a number of holes is no count")
    if fields.get("formula") is not None:
        _check_formula(fields["formula"])
    if isinstance(fields.get("buckets"), bool) or not 0 <= fields.get("buckets", 0) <= MOST_COLUMNS:
        raise ValueError("the number of buckets is out of range")
    if isinstance(fields.get("lowest"), bool) or not 0 <= fields.get("lowest", 0) <= MOST_COLUMNS:
        raise ValueError("the first column of vectors is out of range")
    if fields.get("source", "number") not in PLURALS or fields.get("na", "auto") not in WAYS:
        raise ValueError("a setting is not one that there is")
    if not all(math.isfinite(fields.get(name, 0.0)) for name in ("fill", "entries")):
        raise ValueError("a number is not finite")
    return fields


def check_terms(terms: tuple[Term, ...]) -> None:
    """Terms that read a column of the same name read it alike, and no column of X is made twice."""
    kinds: dict[str, str] = {}
    for column in (column for term in terms for column in term.reads):
        if kinds.setdefault(column.name, column.kind) != column.kind:
            raise ValueError(f"column {column.name!r} is read as {kinds[column.name]} and as {column.kind}")
    if len({term.name for term in terms}) < len(terms):
        raise ValueError("two columns have the same name")


def _check_formula(fields: dict[str, Any]) -> None:
    """The formula of an encoder, whose factors are arithmetic that will be computed."""
    texts = fields.get("texts")
    lists = [*fields["terms"], [] if texts is None else texts]
    if not isinstance(fields["intercept"], bool) or not all(isinstance(factors, (list, tuple)) for factors in lists):
        raise ValueError("the formula is none")
    factors = [factor for factors in lists for factor in factors]
    if not all(fields["terms"]) or not all(
        isinstance(text, str) for text in (fields["text"], fields["target"], *factors)
    ):
        raise ValueError("the formula is none")
    for factor in {*factors, fields["target"]}:
        _check_factor(factor)


def _check_factor(factor: str) -> None:
    if len(factor) > MOST_LETTERS:
        raise ValueError("a factor of the formula is too long")
    try:
        nodes = list(ast.walk(ast.parse(factor, mode="eval")))
    except SyntaxError:
        return  # the name of a column; where there is none of that name, predicting says so
    except (MemoryError, RecursionError):
        raise ValueError("a factor of the formula is too deep") from None
    numbers = [node.value for node in nodes if isinstance(node, ast.Constant)]
    if len(nodes) > MOST_NODES or any(isinstance(n, (int, float)) and not abs(n) < MOST_NUMBER for n in numbers):
        raise ValueError("a factor of the formula is out of range")
