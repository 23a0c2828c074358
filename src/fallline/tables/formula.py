"""``"price ~ log(carat) + cut + C(year) + cut:color"``: a table whose columns are the terms of a formula.

formulaic reads the formula (``+``, ``-``, ``*``, ``:``, ``**``, parentheses); what stands in its terms is arithmetic on
columns, which Polars computes: log, log1p, log2, log10, exp, sqrt, abs, + - * / **, I(...), and C(...), which takes
numbers as levels. A term of several factors is their product, of texts each pair of levels.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fallline.errors import MissingExtraError, SchemaError, SettingError
from fallline.family import suggest
from fallline.rows.columns import as_text
from fallline.rows.sources._base import Source
from fallline.rows.table import brief

if TYPE_CHECKING:
    import polars as pl

FUNCTIONS = ("log", "log1p", "log2", "log10", "exp", "sqrt", "abs")
BESIDE = " x "  # between the levels of two texts


@dataclass(frozen=True)
class Formula:
    """The target and the terms, each as the expressions of its factors."""

    text: str
    target: str
    terms: tuple[tuple[str, ...], ...]
    intercept: bool

    @classmethod
    def read(cls, text: str) -> Formula:
        """Raises SettingError where it is no formula."""
        try:
            import formulaic
        except ImportError:
            raise MissingExtraError("Formulas need formulaic: pip install 'fallline[formula]'.") from None
        if "." in text.replace("~", " ").replace("+", " ").replace("-", " ").split():
            raise SettingError(f"formula: got {text!r}; '.' is not supported: name the columns.")
        try:
            parsed = formulaic.Formula(text)
            left, right = list(getattr(parsed, "lhs", [])), list(getattr(parsed, "rhs", parsed))
        except Exception as error:  # it has several trees of errors
            raise SettingError(f"formula: got {text!r}; {str(error).splitlines()[0]}") from None
        if len(left) != 1 or len(left[0].factors) != 1:
            raise SettingError(f"formula: got {text!r}; one target stands before the ~, such as 'price ~ area + town'.")
        terms = tuple(tuple(str(factor.expr) for factor in term.factors) for term in right)
        constant = [term for term in terms if term in (("1",), ("0",))]
        named = tuple(term for term in terms if term not in constant)
        target = str(left[0].factors[0].expr)
        if (target,) in named:
            raise SettingError(f"formula: got {text!r}; the target {target!r} is among the terms that predict it.")
        if not named:
            raise SettingError(f"formula: got {text!r}; after the ~ stands at least one column.")
        return cls(text, target, named, ("1",) in constant)

    @classmethod
    def stored(cls, fields: dict[str, Any]) -> Formula:
        """The one that ``dataclasses.asdict`` took apart, read from a model."""
        terms = tuple(tuple(str(factor) for factor in term) for term in fields["terms"])
        return cls(str(fields["text"]), str(fields["target"]), terms, bool(fields["intercept"]))

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that the terms become."""
        return tuple(":".join(term) for term in self.terms)

    def apply(self, frame: pl.DataFrame, target: bool, beside: tuple[str, ...] = ()) -> pl.DataFrame:
        """The columns of the terms; and, if wanted, the target and columns that are taken along."""
        import polars as pl

        try:
            columns = {name: _product(frame, term) for term, name in zip(self.terms, self.names, strict=True)}
        except pl.exceptions.PolarsError as error:
            raise SettingError(f"formula: got {self.text!r}, which cannot be computed: {brief(error)}.") from None
        if target:
            columns[self.target] = _factor(frame, self.target)
        columns |= {name: frame[name] for name in beside if name in frame.columns}
        return pl.DataFrame(columns)


class FormulaSource(Source):
    """A source whose frames hold the terms of a formula."""

    def __init__(self, source: Source, formula: Formula, beside: tuple[str, ...]) -> None:
        self.source, self.formula, self.beside = source, formula, beside
        self.name = source.name

    def frames(self, room: int | None = None) -> Iterator[pl.DataFrame]:
        for frame in self.source.frames(room):
            for name in self.beside:
                if name not in frame.columns:
                    raise SchemaError(f"{self.name}: there is no column {name!r}.{suggest(name, frame.columns)}")
            yield self.formula.apply(frame, target=True, beside=self.beside)

    @property
    def fingerprint(self) -> str | None:
        own = self.source.fingerprint
        return None if own is None else f"{own} {self.formula.text}"

    @property
    def changed(self) -> bool:
        return self.source.changed

    @property
    def rows(self) -> int | None:
        return self.source.rows

    @property
    def size(self) -> int | None:
        return self.source.size


def _product(frame: pl.DataFrame, term: tuple[str, ...]) -> pl.Series:
    factors = [_factor(frame, expression) for expression in term]
    product = factors[0]
    for factor in factors[1:]:
        texts = [_is_text(product), _is_text(factor)]
        if all(texts):
            product = as_text(product) + BESIDE + as_text(factor)
        elif any(texts):
            raise SettingError(
                f"formula: {':'.join(term)} multiplies text with numbers, which is not supported; C(...) makes levels of numbers."
            )
        else:
            product = product * factor
    return product


def _is_text(cells: pl.Series) -> bool:
    import polars as pl

    return cells.dtype in (pl.String, pl.Categorical, pl.Enum)


def _factor(frame: pl.DataFrame, expression: str) -> pl.Series:
    """The cells of one factor."""
    if expression in frame.columns:
        return frame[expression]
    try:
        tree = ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise SettingError(f"formula: {expression!r} is neither a column nor arithmetic.") from None
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "C" and len(tree.args) == 1:
        return as_text(frame.select(_computed(tree.args[0], frame, expression)).to_series())
    found: pl.Series = frame.select(_computed(tree, frame, expression)).to_series()
    return found


def _computed(node: ast.AST, frame: pl.DataFrame, whole: str) -> Any:
    import polars as pl

    if isinstance(node, ast.Name):
        if node.id not in frame.columns:
            raise SchemaError(f"formula: there is no column {node.id!r}.{suggest(node.id, frame.columns)}")
        return pl.col(node.id)
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return pl.lit(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_computed(node.operand, frame, whole)
    if isinstance(node, ast.BinOp):
        a, b = _computed(node.left, frame, whole), _computed(node.right, frame, whole)
        if isinstance(node.op, (ast.Add, ast.Sub)):
            return a + b if isinstance(node.op, ast.Add) else a - b
        if isinstance(node.op, (ast.Mult, ast.Div, ast.Pow)):
            return a * b if isinstance(node.op, ast.Mult) else a / b if isinstance(node.op, ast.Div) else a**b
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1 and not node.keywords:
        inner = _computed(node.args[0], frame, whole)
        if node.func.id == "I":
            return inner
        if node.func.id in FUNCTIONS:
            return inner.log(2) if node.func.id == "log2" else getattr(inner, node.func.id)()
    raise SettingError(
        f"formula: {whole!r} is more than fallline computes: columns, numbers, + - * / **, I(...), C(...), "
        f"{', '.join(f'{name}(...)' for name in FUNCTIONS)}."
    )
