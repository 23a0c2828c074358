"""What a source is: a table that comes as frames, as often as it is asked for."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

BATCH_ROWS = 100_000  # rows of a frame: few megabytes, and enough for vectorised work


class Source(abc.ABC):
    """A table, wherever it is. All frames have the same columns of the same types."""

    name: str  # what headers and errors call it
    unread: Sequence[str] = ()  # columns of it that the frames leave out
    again = False  # whether who reads it begins again when ``Widened`` is raised

    @abc.abstractmethod
    def frames(self, room: int | None = None) -> Iterator[pl.DataFrame]:
        """All rows in order, a frame at a time. Raises DataError where they cannot be read.

        `room`: bytes that a frame may have, where memory is scarce; None: as many as are fastest.
        """

    def without(self, columns: Sequence[str]) -> Source:
        """The same without these columns, where that saves reading them, and all of them are there; else itself."""
        return self

    @property
    def formula(self) -> dict[str, Any] | None:
        """The formula whose terms the columns are, taken apart, as far as it is known after the first frame; or None."""
        return None

    @property
    def fingerprint(self) -> str | None:
        """Changes when the rows do; None where that cannot be told without reading them."""
        return None

    @property
    def changed(self) -> bool:
        """Whether the rows have changed since this was made, as far as can be told."""
        return False

    @property
    def rows(self) -> int | None:
        """About how many there are, and rather more than fewer; None where that cannot be told without reading them."""
        return None

    @property
    def size(self) -> int | None:
        """Bytes of the rows as they are stored; None where nobody knows."""
        return None
