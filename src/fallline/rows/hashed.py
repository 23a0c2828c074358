"""Very many levels in a few columns: feature hashing, without signs.

A level's bucket is computed from its text alone, so levels that training never met have one too. The sign that Weinberger
et al. 2009 ("Feature hashing for large scale multitask learning") draw for each level keeps inner products of two rows
right on average although levels share buckets, which is for kernels. A linear model's weight of a bucket is about the mean
effect of its levels; with signs it would be a mean of effects and their opposites, which nobody could read.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fallline.rows.columns import MISSING, Levels, Notes, Piece

if TYPE_CHECKING:
    import polars as pl


def bucket(level: str, buckets: int) -> int:
    """The bucket of a level, 0 to buckets - 1: the same on every machine and with every version of everything.

    BLAKE2b of its UTF-8 text, 8 bytes of digest read as a number with the lowest byte first, modulo `buckets`.

    >>> [bucket(level, 4096) for level in ("ATL", "JFK", "Z\u00fcrich")]
    [1376, 3260, 1136]
    """
    return int.from_bytes(hashlib.blake2b(level.encode(), digest_size=8).digest(), "little") % buckets


@dataclass(frozen=True)
class Hashed(Levels):
    """A column of text of very many levels: `levels` are the buckets ("17") that training met, without the reference.

    The reference is the bucket of the most frequent level, or of the one that was named. What falls in a bucket that
    training never met counts as the reference, or as none where there is none: its weight would be zero.
    """

    buckets: int = 0

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(f"{self.name}={k}" if k == MISSING else f"{self.name}#{k}" for k in self.levels)

    @property
    def told(self) -> str:
        beside = "each with a column" if self.reference is None else f"compared with bucket {self.reference}"
        return f"{len({*self.known} - {MISSING}):,} of {self.buckets:,} buckets, {beside}"

    def encode(self, cells: pl.Series, notes: Notes) -> list[Piece]:
        import polars as pl

        if cells.null_count():
            notes.holes[self.name] = cells.null_count()
        place = {level: j - (self.reference is not None) for j, level in enumerate(self.known)}
        elsewhere = -1 if self.for_others is None else place[self.for_others]
        different = cells.drop_nulls().unique()
        own = [place.get(str(bucket(level, self.buckets)), elsewhere) for level in different]
        codes = cells.replace_strict(
            different, pl.Series(own, dtype=pl.Int32), default=place[self.for_holes], return_dtype=pl.Int32
        )
        return [Piece(len(self.levels), codes=codes.to_numpy())]
