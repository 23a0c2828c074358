"""``"price ~ log(carat) + cut + C(year) + cut:color"``: a table whose columns are the terms of a formula.

formulaic reads the formula (``+``, ``-``, ``*``, ``:``, ``**``, parentheses); what stands in its terms is arithmetic on
columns, which Polars computes: log, log1p, log2, log10, exp, sqrt, abs, + - * / **, I(...), and C(...), which takes
numbers as levels. A term of several factors is their product: of texts each pair of levels, of numbers and texts a slope
a level. Which levels have a slope follows the usual rule (R, patsy, formulaic): all of them where the number has no term
of its own before, all but the reference where it has. Without an intercept, the first text has a column for each level.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from fallline.errors import MissingExtraError, SchemaError, SettingError
from fallline.family import suggest
from fallline.rows.columns import Levels, Number, Term, as_text
from fallline.rows.slopes import Slopes
from fallline.rows.sources._base import Source
from fallline.rows.table import brief
from fallline.tables.arithmetic import computed, numbers, parsed, shown
from fallline.tables.termcount import check_size

if TYPE_CHECKING:
    import polars as pl

BESIDE = " x "  # between the levels of two texts


@dataclass(frozen=True)
class Formula:
    """The target and the terms, each as the expressions of its factors."""

    text: str
    target: str
    terms: tuple[tuple[str, ...], ...]
    intercept: bool
    texts: tuple[str, ...] | None = None  # factors that are text; None: not known yet

    @classmethod
    def read(cls, text: str) -> Formula:
        """Raises SettingError where it is no formula."""
        try:
            import formulaic
        except ImportError:
            raise MissingExtraError("Formulas need formulaic: pip install 'fallline[formula]'.") from None
        if "." in text.replace("~", " ").replace("+", " ").replace("-", " ").split():
            raise SettingError(f"formula: got {shown(text)}; '.' is not supported: name the columns.")
        try:
            check_size(text)
            whole = formulaic.Formula(text)
            left, right = list(getattr(whole, "lhs", [])), list(getattr(whole, "rhs", whole))
        except SettingError:
            raise
        except Exception:  # it has several trees of errors, in words of its own
            raise SettingError(
                f"formula: got {shown(text)}; it cannot be read. Look for a bracket or a quotation mark that is open, and for "
                "signs other than ~ + - * : ** ( ). A name with such signs stands between backquotes: 'price ~ `living area`'."
            ) from None
        if len(left) != 1 or len(left[0].factors) != 1:
            raise SettingError(
                f"formula: got {shown(text)}; one target stands before the ~, such as 'price ~ area + town'."
            )
        terms = tuple(tuple(str(factor.expr) for factor in term.factors) for term in right)
        constant = [term for term in terms if term in (("1",), ("0",))]
        named = tuple(term for term in terms if term not in constant)
        target = str(left[0].factors[0].expr)
        if any(target in term for term in named):
            raise SettingError(f"formula: got {shown(text)}; the target {target!r} is among the terms that predict it.")
        if not named:
            raise SettingError(f"formula: got {shown(text)}; after the ~ stands at least one column.")
        return cls(text, target, named, ("1",) in constant)

    @classmethod
    def stored(cls, fields: dict[str, Any]) -> Formula:
        """The one that ``dataclasses.asdict`` took apart, read from a model."""
        terms = tuple(tuple(str(factor) for factor in term) for term in fields["terms"])
        texts = None if fields.get("texts") is None else tuple(str(factor) for factor in fields["texts"])
        return cls(str(fields["text"]), str(fields["target"]), terms, bool(fields["intercept"]), texts)

    def typed(self, frame: pl.DataFrame) -> Formula:
        """The same, knowing which factors are text; that of the first frame stays."""
        if self.texts is not None:
            return self
        factors = dict.fromkeys(factor for term in self.terms for factor in term)
        return replace(self, texts=tuple(factor for factor in factors if _is_text(_factor(frame, factor))))

    def _split(self, term: tuple[str, ...]) -> tuple[list[str], list[str]]:
        """Its factors that are numbers, and those that are text."""
        texts = self.texts or ()
        return [factor for factor in term if factor not in texts], [factor for factor in term if factor in texts]

    def _name(self, factors: list[str]) -> str:
        """As in the term of these factors alone, where there is one."""
        own = next((term for term in self.terms if sorted(term) == sorted(factors)), tuple(factors))
        return ":".join(own)

    def apply(self, frame: pl.DataFrame, target: bool, beside: tuple[str, ...] = ()) -> pl.DataFrame:
        """The columns of the terms; and, if wanted, the target and columns that are taken along."""
        import polars as pl

        try:
            typed = self.typed(frame)
            columns = {
                typed._name(factors): _product(frame, factors, text)
                for term in self.terms for text, factors in enumerate(typed._split(term)) if factors
            }  # fmt: skip
        except pl.exceptions.PolarsError as error:
            raise SettingError(f"formula: got {shown(self.text)}, which cannot be computed: {brief(error)}.") from None
        if target:
            columns[self.target] = _factor(frame, self.target)
        columns |= {name: frame[name] for name in beside if name in frame.columns}
        return pl.DataFrame(columns)

    def terms_of(self, columns: list[Term], left_out: dict[str, str]) -> list[Term]:
        """The terms, of what was learned of the columns of their factors; `left_out` gets those that have none, and why."""
        known = {column.name: column for column in columns}
        found: list[Term] = []
        alone = {self._name(numbers) for numbers, texts in map(self._split, self.terms) if not texts}
        first = not self.intercept  # the first text then has all its levels
        for term in self.terms:
            names = [self._name(factors) for factors in self._split(term) if factors]
            lacking = [name for name in names if name not in known]
            own = [known[name] for name in names if name in known]
            if lacking:
                left_out[":".join(term)] = left_out.get(lacking[0], "it is the weight, the offset or the exposure")
            elif len(own) == 1:
                column = own[0]
                if first and isinstance(column, Levels):
                    column, first = column.whole(), False
                found.append(column)
            else:
                found.append(self._slopes(":".join(term), own, alone))
        return found

    def _slopes(self, name: str, own: list[Term], alone: set[str]) -> Slopes:
        number, text = own
        if not isinstance(number, Number) or not isinstance(text, Levels):
            raise SettingError(f"formula: {name} multiplies text with dates, which is not supported.")
        if not number.varies:
            raise SettingError(f"formula: {name} multiplies text with a constant; C(...) makes levels of numbers.")
        seen, before = number.name in alone, len(alone)
        alone.add(number.name)
        marked = number.marked and len(alone) > before  # once
        return Slopes(name, replace(number, marked=marked), text if seen else text.whole())


class FormulaSource(Source):
    """A source whose frames hold the terms of a formula."""

    def __init__(self, source: Source, formula: Formula, beside: tuple[str, ...]) -> None:
        self.source, self._formula, self.beside = source, formula, beside
        self.name = source.name

    def frames(self, room: int | None = None) -> Iterator[pl.DataFrame]:
        self.source.again = self.again
        for frame in self.source.frames(room):
            for name in self.beside:
                if name not in frame.columns:
                    raise SchemaError(f"{self.name}: there is no column {name!r}.{suggest(name, frame.columns)}")
            made = self._formula.apply(frame, target=True, beside=self.beside)
            self._formula = self._formula.typed(frame)
            yield made

    @property
    def fingerprint(self) -> str | None:
        own = self.source.fingerprint
        return None if own is None else f"{own} {self._formula.text}"

    @property
    def formula(self) -> dict[str, Any]:
        return asdict(self._formula)

    @property
    def changed(self) -> bool:
        return self.source.changed

    @property
    def rows(self) -> int | None:
        return self.source.rows

    @property
    def size(self) -> int | None:
        return self.source.size


def _product(frame: pl.DataFrame, factors: list[str], text: int) -> pl.Series:
    product, *others = [_factor(frame, factor) for factor in factors]
    name = ":".join(factors)
    for other in others:
        product = as_text(product) + BESIDE + as_text(other) if text else numbers(product, name) * numbers(other, name)
    return product


def _is_text(cells: pl.Series) -> bool:
    import polars as pl

    return cells.dtype in (pl.String, pl.Categorical, pl.Enum)


def _factor(frame: pl.DataFrame, expression: str) -> pl.Series:
    """The cells of one factor."""
    if expression in frame.columns:
        return frame[expression]
    tree = parsed(expression)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "C" and len(tree.args) == 1:
        inner = tree.args[0]
        if isinstance(inner, ast.Name) and inner.id in frame.columns:
            return as_text(frame[inner.id])  # levels are the cells as they are
        return as_text(computed(inner, frame, expression))
    return computed(tree, frame, expression)
