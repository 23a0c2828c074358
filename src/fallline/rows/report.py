"""What was met while a table was encoded, for people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fallline.rows.columns import EXAMPLES, Unseen

MOST_NAMED = 5  # columns that a sentence names before it says "..."


@dataclass(frozen=True)
class Report:
    """What was met while a table was encoded."""

    rows: int  # of X
    kept: NDArray[np.intp] | None  # rows of the table that X holds; None for all of them
    dropped: int  # rows with holes that were dropped (na="drop")
    holes: dict[str, int]  # holes that were filled, by column
    new_holes: tuple[str, ...]  # of these, columns that had none in training
    unseen: dict[str, Unseen]  # cells whose level has no column, by column
    ignored: tuple[str, ...]  # columns of the table that the model does not know

    def __add__(self, other: Report) -> Report:
        """Of both tables, one after the other."""
        kept = (
            None
            if self.kept is None and other.kept is None
            else np.concatenate([_kept(self), self.before + _kept(other)])
        )
        holes = {n: self.holes.get(n, 0) + other.holes.get(n, 0) for n in [*self.holes, *other.holes]}
        unseen = dict(other.unseen)
        for name, mine in self.unseen.items():
            its = other.unseen.get(name)
            examples = tuple(dict.fromkeys([*mine.examples, *(its.examples if its else ())]))[:EXAMPLES]
            unseen[name] = Unseen(mine.cells + (its.cells if its else 0), examples, mine.counted_as)
        new_holes = tuple(dict.fromkeys([*self.new_holes, *other.new_holes]))
        ignored = tuple(dict.fromkeys([*self.ignored, *other.ignored]))
        return Report(self.rows + other.rows, kept, self.dropped + other.dropped, holes, new_holes, unseen, ignored)

    @property
    def before(self) -> int:
        """Rows of the table."""
        return self.rows + self.dropped

    def sentences(self) -> list[str]:
        """One sentence for everything that a person should know of; none for a table like the training table."""
        said = [f"{_count(self.dropped, 'row')} with empty cells dropped."] if self.dropped else []
        said += [
            f"'{name}': {_count(self.holes[name], 'empty cell')} filled; training met none in this column."
            for name in self.new_holes
        ]
        for name, unseen in self.unseen.items():
            some = ", ".join(repr(level) for level in unseen.examples)
            if unseen.counted_as is None:
                said.append(f"{_count(unseen.cells, 'entry')} of columns that training never met ({some}) left out.")
                continue
            counted = f"'{unseen.counted_as}'" if unseen.counted_as else "none of the known ones"
            said.append(
                f"'{name}': {_count(unseen.cells, 'cell')} of levels without a column of their own ({some}), counted as "
                f"{counted}."
            )
        if self.ignored:
            said.append(f"Not used by the model: {told(self.ignored)}.")
        return said


def _kept(report: Report) -> NDArray[np.intp]:
    return np.arange(report.rows) if report.kept is None else report.kept


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing if number == 1 else f'{thing[:-1]}ies' if thing.endswith('ry') else f'{thing}s'}"


def told(names: tuple[str, ...]) -> str:
    """The names, the first of many."""
    return ", ".join(f"'{name}'" for name in names[:MOST_NAMED]) + ", ..." * (len(names) > MOST_NAMED)
