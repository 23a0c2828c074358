"""Arithmetic on the columns of a table, as formulas have it: computed in double precision, whatever the columns' types are.

In the columns' own types whole numbers would overflow without a word: 100 * 100 is 16 where cells have eight bits.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from fallline.errors import SchemaError, SettingError
from fallline.family import suggest

if TYPE_CHECKING:
    import polars as pl

FUNCTIONS = ("log", "log1p", "log2", "log10", "exp", "sqrt", "abs")
SHOWN = 60  # characters of an expression that an error repeats


def parsed(expression: str) -> ast.expr:
    """The syntax tree of an expression; raises SettingError where it is none."""
    try:
        return ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: thousands of parentheses
        raise SettingError(f"formula: {shown(expression)} is neither a column nor arithmetic.") from None


def computed(tree: ast.expr, frame: pl.DataFrame, whole: str) -> pl.Series:
    """The numbers that `tree`, a part of the expression `whole`, comes to in each row."""
    try:
        found: pl.Series = frame.select(_expression(tree, frame, whole)).to_series()
    except RecursionError:
        raise SettingError(f"formula: {shown(whole)} is nested too deeply.") from None
    return found.new_from_index(0, frame.height) if len(found) != frame.height else found  # a constant


def numbers(cells: pl.Series, whole: str) -> pl.Series:
    """A column in double precision; raises SchemaError where it does not hold numbers, or true and false."""
    import polars as pl

    if not (cells.dtype.is_numeric() or cells.dtype in (pl.Boolean, pl.Null)):
        kind = "dates or times" if cells.dtype.is_temporal() else f"{cells.dtype}, which is no number"
        raise SchemaError(
            f"formula: {shown(whole)} needs numbers, and column {shown(cells.name)} holds {kind}. Make a column of "
            "numbers of it first."
        )
    return cells.cast(pl.Float64)


def shown(text: str) -> str:
    """An expression as errors quote it, shortened."""
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")


def _expression(node: ast.AST, frame: pl.DataFrame, whole: str) -> Any:
    import polars as pl

    if isinstance(node, ast.Name):
        if node.id not in frame.columns:
            raise SchemaError(f"formula: there is no column {node.id!r}.{suggest(node.id, frame.columns)}")
        return pl.lit(numbers(frame[node.id], whole))
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return pl.lit(_constant(node.value, whole), dtype=pl.Float64)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        inner = _expression(node.operand, frame, whole)
        return -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp):
        a, b = _expression(node.left, frame, whole), _expression(node.right, frame, whole)
        if isinstance(node.op, (ast.Add, ast.Sub)):
            return a + b if isinstance(node.op, ast.Add) else a - b
        if isinstance(node.op, (ast.Mult, ast.Div, ast.Pow)):
            return a * b if isinstance(node.op, ast.Mult) else a / b if isinstance(node.op, ast.Div) else a**b
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1 and not node.keywords:
        inner = _expression(node.args[0], frame, whole)
        if node.func.id == "I":
            return inner
        if node.func.id in FUNCTIONS:
            return inner.log(2) if node.func.id == "log2" else getattr(inner, node.func.id)()
    raise SettingError(
        f"formula: {shown(whole)} is more than fallline computes: columns, numbers, + - * / **, I(...), C(...), "
        f"{', '.join(f'{name}(...)' for name in FUNCTIONS)}."
    )


def _constant(value: float, whole: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise SettingError(f"formula: {shown(whole)} has a number above 1.8e308.") from None
