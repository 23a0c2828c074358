"""A number times the levels of a text: a slope a level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fallline.rows.columns import Column, Levels, Notes, Number, Piece, Term

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Slopes(Term):
    """``carat:cut=Ideal``, ...: where the text is that level the number, else 0.

    A hole of the number is filled as in a column of its own, and marked here where that column is not in the model.
    """

    number: Number
    text: Levels

    @property
    def kind(self) -> str:
        return "product"

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(f"{self.number.name}:{feature}" for feature in self.text.features) + self.number.features[1:]

    @property
    def filled(self) -> float:
        return 1.0

    @property
    def reads(self) -> tuple[Column, ...]:
        return (self.number, self.text)

    def pieces(self, cells: dict[str, pl.Series], notes: Notes) -> list[Piece]:
        number, *mark = self.number.encode(cells[self.number.name], notes)
        (level,) = self.text.encode(cells[self.text.name], notes)
        return [Piece(level.width, number.values, level.codes), *mark]
