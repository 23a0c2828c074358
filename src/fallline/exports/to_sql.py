"""A model as one SQL expression over the columns of the table that it was trained on.

What the encoder does is done in it: a hole (NULL) is filled and marked, a level picks its coefficient, a level that is not
known counts as ``(other)`` or as the reference, a date becomes days, weekday and month.
"""

from __future__ import annotations

from typing import Any

from fallline.errors import SettingError
from fallline.exports.linear import Linear
from fallline.family import suggest
from fallline.rows.columns import MISSING, MONTHS, Levels, Moment, Number, Term
from fallline.rows.hashed import Hashed
from fallline.rows.vectors import Vectors

DIALECTS = ("ansi", "sqlite")
FROM_SUNDAY = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")  # EXTRACT(DOW ...) counts from Sunday, which is 0


def to_sql(model: Linear, dialect: str = "ansi") -> str:
    """The expression; see ``Exports.to_sql``."""
    if dialect not in DIALECTS:
        hint = suggest(dialect, list(DIALECTS))
        raise SettingError(f"to_sql(dialect=...): got {dialect!r}; give one of {', '.join(DIALECTS)}.{hint}")
    if model.classes is None and model.coef.shape[1] > 1:
        raise SettingError("to_sql: a model of several outputs is several expressions; export one output at a time.")
    scores = [_score(model, k, dialect) for k in range(model.coef.shape[1])]
    if model.classes is not None and len(scores) > 1:
        return _label(scores, model.classes, model.names, dialect)
    z = scores[0]
    if model.link == "log":
        return f"EXP({z})"
    if model.link == "logit":  # far below zero EXP(-z) would overflow, which is an error in SQL
        return f"1.0e0 / (1.0e0 + EXP(-1.0e0 * {_most(z, dialect)}))"
    if model.link == "margin" and model.classes is not None:
        first, second = (literal(label, dialect) for label in model.classes)
        return f"CASE WHEN {z} > 0 THEN {second} ELSE {first} END"
    return z


def _most(z: str, dialect: str) -> str:
    low, high = ("MAX", "MIN") if dialect == "sqlite" else ("GREATEST", "LEAST")
    return f"{low}(-700.0e0, {high}(700.0e0, {z}))"


def _label(scores: list[str], classes: tuple[Any, ...], columns: tuple[str, ...], dialect: str) -> str:
    """The class of the highest score; of equal ones the first."""
    z = "fallline_z"
    while any(column.lower().startswith(z) for column in columns):  # some databases prefer a column of that name
        z += "_"
    inner = ", ".join(f"{score} AS {z}{k}" for k, score in enumerate(scores))
    ways = []
    for k in range(len(scores) - 1):
        beaten = " AND ".join(f"{z}{k} {'>' if j < k else '>='} {z}{j}" for j in range(len(scores)) if j != k)
        ways.append(f"WHEN {beaten} THEN {literal(classes[k], dialect)}")
    return f"(SELECT CASE {' '.join(ways)} ELSE {literal(classes[-1], dialect)} END FROM (SELECT {inner}) AS scores)"


def _score(model: Linear, k: int, dialect: str) -> str:
    """Z of class k: the intercept and a term a column."""
    w, terms = model.coef[:, k], [_number(model.intercept[k])]
    if model.encoder is None:
        terms += [f"{_number(v)} * {name(column)}" for column, v in zip(model.names, w, strict=True) if v]
    else:
        if model.encoder.formula is not None:
            raise SettingError(
                "to_sql: the model's columns come from a formula, which is not translated. Compute them in the table and "
                "train on that."
            )
        place = 0
        for column in model.encoder.columns:
            count = len(column.features)
            terms += _terms(column, w[place : place + count], name(column.name), dialect)
            place += count
    return " + ".join(terms)


def _terms(column: Term, w: Any, cell: str, dialect: str) -> list[str]:
    """The terms of one column of the table, whose columns of X have the coefficients w."""
    if isinstance(column, Number):
        return _number_terms(column, w, cell, dialect)
    if isinstance(column, Vectors):
        raise SettingError(
            f"to_sql: column '{column.name}' holds sparse vectors, which databases do not have. Export to ONNX or JSON."
        )
    if isinstance(column, Hashed):
        raise SettingError(
            f"to_sql: the levels of column '{column.name}' are hashed, by a function that databases do not have. Train with "
            "levels=5000 (--levels 5000), or export to ONNX, which takes the encoded columns."
        )
    if isinstance(column, Levels):
        return [_level_term(column, w, cell, dialect)]
    assert isinstance(column, Moment)
    if dialect == "sqlite":
        raise SettingError(f"to_sql: column '{column.name}' holds dates, which SQLite has no type for.")
    terms, place = [], 0
    for part in column.parts:
        mine = w[place : place + len(part.features)]
        place += len(part.features)
        terms += _part_terms(column, part, mine, cell)
    if column.marked:
        terms.append(f"CASE WHEN {cell} IS NULL THEN {_number(w[-1])} ELSE 0.0e0 END")
    return terms


def _number_terms(column: Number, w: Any, cell: str, dialect: str) -> list[str]:
    value = cell
    if column.source == "boolean":
        value = f"CASE WHEN {cell} THEN 1.0e0 ELSE 0.0e0 END"
    elif column.source != "number":
        if dialect == "sqlite":
            raise SettingError(f"to_sql: column '{column.name}' holds {column.source}s, which SQLite has no type for.")
        share = 86_400 if column.source == "time" else 1
        value = f"EXTRACT(EPOCH FROM {cell}) / {share}.0"
    terms = []
    if column.varies:
        terms.append(f"{_number(w[0])} * (CASE WHEN {cell} IS NULL THEN {_number(column.fill)} ELSE {value} END)")
    if column.marked:
        terms.append(f"CASE WHEN {cell} IS NULL THEN {_number(w[-1])} ELSE 0.0e0 END")
    return terms


def _level_term(column: Levels, w: Any, cell: str, dialect: str) -> str:
    weights = _weights(column, w)
    ways = [f"WHEN {cell} IS NULL THEN {_number(weights.get(column.for_holes, 0.0))}"]
    if column.reference not in (None, MISSING):
        ways.append(f"WHEN {cell} = {literal(column.reference, dialect)} THEN 0.0e0")
    ways += [
        f"WHEN {cell} = {literal(level, dialect)} THEN {_number(weights[level])}" for level in column.levels
    ]  # "(other)" may be text
    return f"CASE {' '.join(ways)} ELSE {_number(weights.get(column.for_others, 0.0))} END"


def _weights(column: Levels, w: Any) -> dict[str | None, float]:
    """By level; the reference, and what is none of them, have none, which is zero."""
    return dict(zip(column.levels, w.tolist(), strict=True))


def _part_terms(whole: Moment, part: Number | Levels, w: Any, cell: str) -> list[str]:
    which = part.name.rpartition(": ")[2]
    if isinstance(part, Levels):
        field, words = ("DOW", FROM_SUNDAY) if which == "weekday" else ("MONTH", ("", *MONTHS))
        weights = _weights(part, w)
        ways = [
            f"WHEN EXTRACT({field} FROM {cell}) = {words.index(level)} THEN {_number(weights.get(level, 0.0))}"
            for level in (part.known if part.usual else part.levels)  # else the reference is what others count as
            if level in words
        ]
        missing, others = (_number(weights.get(level, 0.0)) for level in (part.for_holes, part.for_others))
        return [f"CASE WHEN {cell} IS NULL THEN {missing} {' '.join(ways)} ELSE {others} END"]
    if which == "days":
        value = f"(CAST({cell} AS DATE) - DATE '{whole.first}')"
    else:
        value = f"EXTRACT(EPOCH FROM CAST({cell} AS TIME)) / 86400.0"
    return [f"{_number(w[0])} * (CASE WHEN {cell} IS NULL THEN {_number(part.fill)} ELSE {value} END)"]


def name(column: str) -> str:
    """A column's name, quoted."""
    return '"' + _storable(column).replace('"', '""') + '"'


def literal(value: Any, dialect: str) -> str:
    """A value as SQL writes it.

    A backslash stands outside of the quotes: to some databases (Snowflake, MySQL) it is an escape within them, and a text
    that ends in one would not end there.
    """
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        return repr(value)
    if dialect == "sqlite":
        return "'" + _storable(str(value)).replace("'", "''") + "'"
    words = ["'" + part.replace("'", "''") + "'" for part in _storable(str(value)).split("\\")]
    return words[0] if len(words) == 1 else f"({' || CHR(92) || '.join(words)})"


def _storable(text: str) -> str:
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise SettingError(
            f"to_sql: {text!r} holds a NUL or half of a surrogate pair, which no database can; rename it."
        )
    return text


def _number(value: Any) -> str:
    """A number with all its digits and an exponent, which makes it a double; in brackets if signed: -- begins a comment."""
    text = repr(float(value))
    text = text if "e" in text else f"{text}e0"
    return f"({text})" if text.startswith("-") else text
