"""Tables on a terminal: their names and cells may be anybody's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fallline.visible import visible

if TYPE_CHECKING:
    import polars as pl


def for_terminal(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The frames with names and text as they are shown; in a file or a pipe they are written as they are."""
    import polars as pl

    for frame in frames:
        names: list[str] = []
        for name in map(visible, frame.columns):
            while name in names:  # two names that differ in nothing but what cannot be seen
                name += "'"
            names.append(name)
        cells = [
            pl.Series(name, [None if cell is None else visible(cell) for cell in column], dtype=pl.String)
            if column.dtype == pl.String else column.alias(name)
            for name, column in zip(names, frame, strict=True)
        ]  # fmt: skip
        yield pl.DataFrame(cells)
