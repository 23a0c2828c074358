"""A table becomes rows: in memory where it fits the budget, else on disk, shuffled and encoded."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fallline.errors import DataError, SettingError
from fallline.family import suggest
from fallline.losses._base import Loss
from fallline.numbering import numbered
from fallline.rows._base import Rows
from fallline.rows.arrays import ArrayRows
from fallline.rows.encoder import Encoder
from fallline.rows.intake import Named
from fallline.rows.sources import Source
from fallline.rows.sources.frames import Widened
from fallline.rows.target import encode_target
from fallline.tables.asked import Asked
from fallline.tables.choose import (
    Targets,
    check_columns,
    choose_rows,
    lost_told,
    plain_values,
    sides_of,
)
from fallline.tables.plain import Plain

if TYPE_CHECKING:
    import polars as pl

# Measured: 3,000,000 flights, 72 MB as a table, peaked 420 MB above the libraries.
IN_MEMORY = 6  # times the size of the table: itself, its parts, what is made of them, and room to make it
SCARCE = 2 * 10**9  # bytes of a budget below which sources are read in small frames
FRAME_SHARE = 16  # of the budget: one frame
Progress = Callable[[str, int], None]  # (what is being done, rows so far)


@dataclass
class Prepared:
    """Rows to train and to check on, with all that was done to make them."""

    source: str
    form: Loss
    why: str
    asked: Asked
    encoder: Encoder
    rows: Rows
    held: Rows | None
    classes: tuple[Any, ...] | None
    holes: dict[str, int]
    dropped: list[str]
    total: int  # rows that could be trained on
    where: str = "memory"
    intercept: bool = True
    closing: list[Callable[[bool], None]] = field(default_factory=list)
    note: str | None = None  # why rows on disk of an earlier run could not be used, where that is so

    @property
    def named(self) -> Named:
        """What the columns of X, the target and the classes are called."""
        return Named(self.encoder.features, self.asked.target, self.classes)

    def close(self, finished: bool) -> None:
        """Delete what lies on disk, if nothing is left to do with it."""
        for close in self.closing:
            close(finished)


@np.errstate(all="ignore")
def prepare(source: Source, asked: Asked, progress: Progress | None = None) -> Prepared:
    """Choose rows and columns, guess the loss, split, encode. Raises DataError and its kin before any training."""
    from fallline.tables.cache import Cache
    from fallline.tables.stream import found

    if "~" in asked.target:
        return _by_formula(source, asked, progress)
    cache = Cache.of(source, asked)
    left = found(cache, source, asked)
    if left is not None:
        return left
    source = source.without(asked.drop)
    source.again = True
    while True:
        try:
            return _read(source, asked, cache, progress)
        except Widened:  # a column turned out to be of a wider type: read all of it so
            continue
        except BaseException:
            cache.close(finished=True)
            raise


def _by_formula(source: Source, asked: Asked, progress: Progress | None) -> Prepared:
    """The columns are the terms of a formula, which the model keeps for later tables."""
    from fallline.tables.formula import Formula, FormulaSource

    formula = Formula.read(asked.target)
    beside = tuple(name for name in (asked.weight, asked.offset, asked.exposure) if name is not None)
    made = FormulaSource(source, formula, beside)
    prepared = prepare(made, replace(asked, target=formula.target, drop=()), progress)
    prepared.intercept = formula.intercept
    return prepared


def _read(source: Source, asked: Asked, cache: Any, progress: Progress | None) -> Prepared:
    import polars as pl

    from fallline.tables.stream import Streaming

    frames: list[pl.DataFrame] = []
    size, rows, streaming, plain, budget = 0, 0, None, None, asked.budget
    expected = source.rows if source.formula is None else None  # before others are busy reading
    for frame in source.frames(frame_room(budget)):
        frame = dropped(frame, asked, source.unread)
        if not rows:
            check_columns(frame.columns, asked)
            plain = Plain.begun(frame, asked, expected)
        rows += frame.height
        if progress is not None:
            progress("reading", rows)
        if streaming is not None:
            streaming.add(frame)
            continue
        size += int(frame.estimated_size())
        scarce = IN_MEMORY * size > budget
        if plain is not None and (scarce or not plain.add(frame)):
            frames, plain = [plain.frame()], None
        if plain is None:
            frames.append(frame)
        if scarce:
            streaming = Streaming(source, asked, cache, progress)
            for frame in frames:
                streaming.add(frame)
            frames = []
    if not rows:
        raise DataError(f"{source.name} has no rows.")
    if source.changed:
        raise DataError(f"{source.name} changed while it was read. Run again when nobody writes to it.")
    if streaming is not None:
        return streaming.finish()
    cache.close(finished=True)
    if plain is not None and plain.finished():
        return _prepare_plain(plain, asked, source.name)
    frames = frames if plain is None else [plain.frame()]
    whole = frames[0] if len(frames) == 1 else pl.concat(frames, rechunk=True)
    return prepare_frame(whole, asked, source.name, source.formula)


def frame_room(budget: int) -> int | None:
    """Bytes of a frame where memory is scarce, else None."""
    return budget // FRAME_SHARE if budget < SCARCE else None


def prepare_frame(frame: pl.DataFrame, asked: Asked, name: str, formula: dict[str, Any] | None = None) -> Prepared:
    """The same for a table in memory; `formula`: whose terms its columns are."""
    check_columns(frame.columns, asked)
    lost: Counter[str] = Counter()
    frame, places = choose_rows(frame, asked, lost)
    with numbered(places):
        found = _learned(plain_values(frame[asked.target]), asked, lost)
        sides_of(frame, asked)  # complains of what cannot be, with the row

    def learn(part: pl.DataFrame) -> Encoder:
        return Encoder.learn(
            part, asked.target, na=asked.na, weight=asked.weight, offset=asked.offset, exposure=asked.exposure,
            formula=formula, **asked.coding,
        )  # fmt: skip

    if asked.na == "refuse":  # holes are counted over all rows, not only those to train on
        learn(frame)
    encoder = learn(frame if found.train is None else frame[found.train])
    holes = {name: frame[name].null_count() for name in encoder.reads}

    def rows(chosen: Any) -> ArrayRows:
        part, y = (frame, found.y) if chosen is None else (frame[chosen], found.y[chosen])
        X, _ = encoder.transform(part)
        sides = sides_of(part, asked)
        return ArrayRows(X, y, sides.get("weight"), sides.get("offset"))

    told = {name: count for name, count in holes.items() if count}
    return found.prepared(name, asked, replace(encoder, formula=formula), rows, told)


def _prepare_plain(plain: Plain, asked: Asked, name: str) -> Prepared:
    """The same for a table that has become rows already."""
    found = _learned(plain_values(plain.targets), asked, Counter())
    train = plain.rows(found.train, found.y)
    encoder = Encoder.learn_facts(
        plain.facts(train), lambda *_: math.nan, asked.target, na=asked.na, **asked.coding  # no hole to fill
    )  # fmt: skip
    kept = np.flatnonzero([column in encoder.features for column in plain.kinds])

    def rows(chosen: Any) -> ArrayRows:
        return (train if chosen is found.train else plain.rows(chosen, found.y)).narrowed(kept)

    return found.prepared(name, asked, encoder, rows, {})


class _Learned(NamedTuple):
    """What the targets have told."""

    form: Loss
    why: str
    y: Any
    classes: tuple[Any, ...] | None
    train: Any  # the numbers of the rows to train on, in order; None: all of them
    held: Any  # those of the rows to check on; None: there are none
    lost: Counter[str]

    def prepared(
        self, name: str, asked: Asked, encoder: Encoder, rows: Callable[[Any], ArrayRows], holes: dict[str, int]
    ) -> Prepared:
        """All together; `rows` makes some of them."""
        train, held = rows(self.train), None if self.held is None else rows(self.held)
        told, total = lost_told(self.lost), len(self.y)
        return Prepared(
            name, self.form, self.why, asked, encoder, train, held, self.classes, holes, told, total
        )  # fmt: skip


def _learned(values: Any, asked: Asked, lost: Counter[str]) -> _Learned:
    """The loss, the targets as it takes them, and the rows to train and to check on."""
    targets = Targets(asked.target)
    targets.see(values)
    form, why = targets.settle(asked, lost)
    check_link(form, asked)
    y, classes = encode_target(values, form)  # complains with the row
    targets.classes(form)
    return _Learned(form, why, y, classes, *_split(values, asked, classes is not None), lost)


def dropped(frame: pl.DataFrame, asked: Asked, unread: Sequence[str] = ()) -> pl.DataFrame:
    """The table without the columns that are not wanted; raises DataError for one that is not there.

    Those that were not read have been there.
    """
    gone = [name for name in asked.drop if name not in unread]
    for name in gone:
        if name not in frame.columns:
            raise DataError(f"--drop: there is no column '{name}' to drop.{suggest(name, frame.columns)}")
    return type(frame)([cells for cells in frame.iter_columns() if cells.name not in gone]) if gone else frame


def check_link(form: Loss, asked: Asked) -> None:
    """Raise SettingError for exposures where they mean nothing."""
    if asked.exposure and form.link != "log":
        raise SettingError(
            f"--exposure is for losses with a log link (poisson, gamma); {form.name!r} has none. Use --offset."
        )


def _split(values: Any, asked: Asked, classes: bool) -> tuple[Any, Any]:
    """Row numbers to train on and to hold out, None for all and for none.

    A class that would be held out whole is trained on.
    """
    m = len(values)
    if round(asked.check * m) == 0 or m < 2:
        return None, None
    order = np.random.default_rng(asked.seed).permutation(m)
    held = order[: round(asked.check * m)]
    train = order[len(held) :]
    if classes:
        unseen = ~np.isin(values[held], values[train])
        train, held = np.concatenate([train, held[unseen]]), held[~unseen]
    return np.sort(train), np.sort(held) if len(held) else None
