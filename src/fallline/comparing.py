"""Several runs side by side: one table, one picture of all curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fallline.errors import SettingError, SettingTypeError
from fallline.result import Result
from fallline.visible import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Comparison:
    """Runs by name. ``print`` it, ``plot`` it, or write a page with ``report``."""

    results: dict[str, Result]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how far each run was above the best loss, by passes over the data; return the axes."""
        from fallline.report.figure import compare_curves

        return compare_curves(self.results, ax)

    def report(self, path: str | Path) -> Path:
        """Write a page about the first run, with the others laid over it."""
        from fallline.report.page import write_page

        return write_page(self.results, path)

    def __str__(self) -> str:
        from fallline.report.page.tables import compared

        table = compared(self.results)
        rows = [[visible(cell) for cell in row] for row in (table["head"], *table["rows"])]
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        return "\n".join(
            "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows
        )

    __repr__ = __str__


def compare(results: Sequence[Result] | Mapping[str, Result]) -> Comparison:
    """Lay several runs over one another: a list, named by their optimizers, or a mapping of names.

    Raises SettingError for no results, SettingTypeError for what are none.

    >>> import numpy as np, fallline
    >>> X = np.arange(20.0).reshape(10, 2) % 7
    >>> runs = [fallline.fit(X, X[:, 0], optimizer=name, max_passes=20) for name in ("descent", "adam")]
    >>> print(str(fallline.compare(runs)).splitlines()[1].split()[0])
    descent
    """
    if isinstance(results, Mapping):
        named = {str(name): result for name, result in results.items()}
    else:
        named = {}
        for k, result in enumerate(results, 1):
            name = result.optimizer.name if isinstance(result, Result) and result.optimizer is not None else f"run {k}"
            named[f"{name} ({k})" if name in named else name] = result
    if not named:
        raise SettingError("compare: got no results; give a list of them, or a mapping of names to results.")
    for name, result in named.items():
        if not isinstance(result, Result):
            raise SettingTypeError(f"compare: {name!r} is {type(result).__name__}; each must be a fallline.Result.")
    return Comparison(named)
