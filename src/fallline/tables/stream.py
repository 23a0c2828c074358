"""Tables larger than the budget: read once, scattered over files, then shuffled, encoded and packed for the loop.

One reading tells what the columns are (see rows/facts.py) and splits the rows; what is written is read back a file at a
time. From then on a pass over the data reads packed blocks, at the speed of the disk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.errors import DataError, FalllineError, TargetError
from fallline.losses import as_loss
from fallline.losses._base import Loss
from fallline.numbering import numbered, rows_told
from fallline.private import FOLDER
from fallline.rows.coded import Coded
from fallline.rows.encoder import Encoder, first_hole, refused, table_facts
from fallline.rows.facts import Facts
from fallline.rows.index import Index, write_index
from fallline.rows.journal import Journal
from fallline.rows.learning import Read
from fallline.rows.packed import DENSE, SPARSE, Reader, Shape, Writer
from fallline.rows.sources import Source
from fallline.rows.stored import StoredRows
from fallline.rows.target import numbers_of, plain
from fallline.rows.vectors import Vectors
from fallline.tables.asked import Asked
from fallline.tables.cache import Cache
from fallline.tables.choose import Targets, choose_rows, lost_told, plain_values, sides_of
from fallline.tables.median import median
from fallline.tables.prepare import Prepared, Progress, check_link
from fallline.tables.spill import Spill, no_room, row_hashes

if TYPE_CHECKING:
    import polars as pl

# Parts of the budget: rows that wait, a piece that is worked on (of which there are several copies for a moment), a file to
# shuffle, a block of which two are in memory. Together about half of it; tests/test_streaming.py measures the peak.
WAITING_SHARE, PIECE_SHARE, BUCKET_SHARE, BLOCK_SHARE = 16, 32, 16, 16
LEAST_ROWS = 5_000  # of a piece: a few hundred calls of Polars should not be all that it costs
LEAST_BLOCK, MOST_BLOCK = 1 << 20, 32 << 20  # bytes
FEW_BUCKETS, BUCKETS, MOST_BUCKETS = 8, 64, 1024
UNPACKED = 2  # times the size of a file, about: rows in memory
HASH = "\0hash"  # a column that no table has


class Streaming:
    """Takes in frames, keeps none of them in memory, and ends in rows on disk."""

    def __init__(self, source: Source, asked: Asked, cache: Cache, progress: Progress | None) -> None:
        self.source, self.asked, self.cache, self.progress = source, asked, cache, progress
        self.folder = cache.open()
        buckets, room = _buckets(source, asked.budget), asked.budget // WAITING_SHARE
        self.train = Spill(self.folder, "train", buckets, room)
        self.check = Spill(self.folder, "check", 1 + int(buckets * asked.check), room)
        self.targets, self.lost = Targets(asked.target), Counter[str]()
        self.facts: dict[str, Facts] = {}
        self.holes, self.first_holes = Counter[str](), dict[str, int]()
        self.form = None if asked.loss is None else as_loss(asked.loss)
        self.seen = 0
        self.trained: Any = None  # classes among the rows to train on

    def add(self, frame: pl.DataFrame) -> None:
        """The next rows of the table, a piece at a time: several copies of a piece are made on the way."""
        a_row = max(1, int(frame.estimated_size()) // max(1, frame.height))
        for piece in frame.iter_slices(max(LEAST_ROWS, self.asked.budget // PIECE_SHARE // a_row)):
            self._add(piece)

    def _add(self, frame: pl.DataFrame) -> None:
        import polars as pl

        first, self.seen = self.seen, self.seen + frame.height
        hashes = row_hashes(first, frame.height, self.asked.seed)
        frame, places = choose_rows(frame.with_columns(pl.Series(HASH, hashes)), self.asked, self.lost, first)
        values = plain_values(frame[self.asked.target])
        with numbered(places, first):
            sides_of(frame, self.asked)  # complains of what cannot be
            self._see_targets(values)
        hashes, frame = frame[HASH].to_numpy(), frame.drop(HASH)
        held = (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53 < self.asked.check
        if self.targets.are_classes(self.form):
            known = np.unique(values[~held])  # a class is checked on when there are rows of it to train on
            self.trained = known if self.trained is None else np.union1d(self.trained, known)
            held &= np.isin(values, self.trained)
            self.trained = np.union1d(self.trained, np.unique(values))
        others = [n for n in (self.asked.target, self.asked.weight, self.asked.offset, self.asked.exposure) if n]
        features = frame.drop(others)
        for name in features.columns:
            count = features[name].null_count()
            if count:
                self.holes[name] += count
                self.first_holes.setdefault(name, first + first_hole(features, name))
        train = features.filter(~held)
        facts = table_facts(train, first)
        try:
            self.facts = {name: self.facts[name] + own for name, own in facts.items()} if self.facts else facts
        except (ValueError, KeyError) as error:
            raise DataError(f"{self.source.name}: its parts do not fit together: {error}.") from None
        self.train.add(frame.filter(~held), hashes[~held])
        if held.any():
            self.check.add(frame.filter(held), hashes[held])

    def finish(self) -> Prepared:
        """Learn from what was seen, encode and pack; raises DataError and its kin."""
        asked = self.asked
        self.train.flush()
        self.check.flush()
        form, why = self.targets.settle(asked, self.lost)
        check_link(form, asked)
        classes = self.targets.classes(form)
        encoder = Encoder.learn_facts(
            self.facts, self._middle, asked.target, na=asked.na, weight=asked.weight, offset=asked.offset,
            exposure=asked.exposure, formula=self.source.formula, **asked.coding,
        )  # fmt: skip
        holes = {name: self.holes[name] for name in encoder.reads if self.holes[name]}
        if asked.na == "refuse" and holes:
            raise DataError(refused(self.first_holes, holes), code="D20")
        told = {
            "encoder": replace(encoder, formula=self.source.formula).to_json(),
            "loss": form.name, "why": why, "holes": holes, "dropped": lost_told(self.lost),
            "classes": None if classes is None else [plain(label) for label in classes],
            "total": self.train.rows + self.check.rows,
        }  # fmt: skip
        made_of = self.cache.made_of or ""
        try:
            check, train = (
                self._pack(name, spill, encoder, form, classes)
                for name, spill in (("check", self.check), ("train", self.train))
            )
            assert train is not None
            write_index(self.folder / "train", made_of, train, check, told)
        except OSError as error:
            raise no_room(self.folder, error) from None
        index = Index.read(self.folder / "train", made_of)
        assert index is not None
        return _from_index(self.folder, index, self.source, asked, self.cache)

    def _see_targets(self, values: Any) -> None:
        self.targets.see(values)
        if values.dtype.kind == "f":
            bad = ~np.isfinite(values)
            if bad.any():
                told = rows_told(bad, f"y = {values[int(np.argmax(bad))]}")
                raise TargetError(f"The target is not finite in {told}. Drop these rows.")
        if self.form is not None and self.form.task == "number" and len(values):
            numbers_of(values, self.form, None)

    def _middle(self, name: str, read: Read) -> float:
        """The median of what is to be trained on."""
        return median(lambda: (read(frame[name]).drop_nulls().to_numpy() for frame in self.train.buckets()))

    def _pack(self, name: str, spill: Spill, encoder: Encoder, form: Loss, classes: Any) -> Shape | None:
        """Write the rows; None where there are none."""
        folder = self.folder / name
        folder.mkdir(mode=FOLDER, exist_ok=True)
        done, block = 0, min(max(self.asked.budget // BLOCK_SHARE, LEAST_BLOCK), MOST_BLOCK)
        with ExitStack() as stack:
            writer: Writer | None = None
            for X, sides in self._encoded(spill, encoder, form, classes):
                if writer is None:
                    writer = stack.enter_context(Writer(folder, _shape(X, sides)))
                writer.add(X, sides, block)
                done += X.shape[0]
                if self.progress is not None:
                    self.progress("packing", done)
            if writer is not None:
                writer.finish()
        return None if writer is None else writer.shape

    def _encoded(
        self, spill: Spill, encoder: Encoder, form: Loss, classes: Any
    ) -> Iterator[tuple[Any, dict[str, Any]]]:
        """The rows of each file, shuffled; the files are deleted as they are done with."""
        how = encoder.form(1 << 40)
        for k in range(len(spill.files)):
            frame = spill.bucket(k)
            if frame is None:
                continue
            frame = frame[np.random.default_rng([self.asked.seed, k]).permutation(frame.height)]
            X, _ = encoder.transform(frame, how)
            y = numbers_of(plain_values(frame[self.asked.target]), form, classes)
            yield X, {"y": y, **sides_of(frame, self.asked)}
            spill.remove(k)


def _shape(X: Any, sides: dict[str, Any]) -> Shape:
    if not isinstance(X, Coded):
        return Shape(X.shape[1], [], DENSE if isinstance(X, np.ndarray) else SPARSE, list(sides))
    return Shape(X.n, [int(j) for j in X.places], X.codes.shape[1], list(sides))


def _buckets(source: Source, budget: int) -> int:
    if source.size is None:
        return BUCKETS
    return min(max(UNPACKED * source.size // (budget // BUCKET_SHARE), FEW_BUCKETS), MOST_BUCKETS)


def found(cache: Cache, source: Source, asked: Asked) -> Prepared | None:
    """What an earlier run left, with every checksum compared; None where there is nothing, or it must be made anew."""
    left = cache.find()
    if left is None:
        return None
    folder, index = left
    try:
        for name, shape in (("train", index.train), ("check", index.check)):
            if shape is not None:
                Reader(folder / name, shape).verify()
        prepared = _from_index(folder, index, source, asked, cache)
        terms = prepared.encoder.columns
        columns = sum(term.width if isinstance(term, Vectors) else len(term.features) for term in terms)
        if columns != index.train.n or (index.check is not None and index.check.n != columns):
            raise DataError(f"{folder / 'train'} is damaged: its columns are not those of its rows")
    except (FalllineError, ValueError, KeyError, TypeError, AttributeError) as error:  # nothing of it can be trusted
        cache.discard(str(error))
        return None
    except BaseException:  # Ctrl-C: it is as good as before
        cache.close(finished=False)
        raise
    return prepared


def _from_index(folder: Path, index: Index, source: Source, asked: Asked, cache: Cache) -> Prepared:
    told, check = index.told, index.check
    return Prepared(
        source.name, as_loss(asked.loss or told["loss"]), told["why"], asked, Encoder.from_json(told["encoder"]),
        StoredRows(Reader(folder / "train", index.train), Journal(folder / "journal", index.digest)),
        None if check is None else StoredRows(Reader(folder / "check", check)),
        None if told["classes"] is None else tuple(told["classes"]), told["holes"], told["dropped"], told["total"],
        str(folder), closing=[cache.close], note=cache.note,
    )  # fmt: skip
