"""Tables larger than the budget: read once, scattered over files, then shuffled, encoded and packed for the loop.

One reading tells what the columns are (see rows/facts.py) and splits the rows; what is written is read back a file at a
time. From then on a pass over the data reads packed blocks, at the speed of the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline import __version__
from fallline.errors import DataError, TargetError
from fallline.losses import as_loss
from fallline.losses._base import Loss
from fallline.rows.coded import Coded
from fallline.rows.encoder import Encoder, first_hole, refused, table_facts
from fallline.rows.facts import Facts
from fallline.rows.journal import Journal
from fallline.rows.learning import Read
from fallline.rows.packed import DENSE, FORMAT, SPARSE, Reader, Shape, Writer, read_index
from fallline.rows.sources import Source
from fallline.rows.stored import StoredRows
from fallline.rows.target import numbers_of, plain
from fallline.tables.asked import Asked
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
ONCE = "rows-once-"  # folders that nobody could find again
STALE = 7 * 86_400  # seconds after which what a killed run left behind is deleted
HASH = "\0hash"  # a column that no table has


class Cache:
    """The folder where rows lie while they are trained on.

    It is named after what is read and how, so that a run that was killed finds it again.
    """

    def __init__(self, home: Path, digest: str | None, keep: bool) -> None:
        self.home, self.digest, self.keep = home, digest, keep
        self.folder: Path | None = None
        self._lock: int | None = None

    @classmethod
    def of(cls, source: Source, asked: Asked) -> Cache:
        """The cache for this source and these settings; nothing is written yet."""
        told = None
        if source.fingerprint is not None:
            made_of = json.dumps([__version__, FORMAT, source.fingerprint, asked.told()], sort_keys=True)
            told = hashlib.blake2b(made_of.encode(), digest_size=10).hexdigest()
        return cls(asked.cache or _home(), told, asked.cache is not None)

    def open(self) -> Path:
        """The folder, empty; raises DataError where none can be made."""
        if self.folder is None:
            try:
                self.home.mkdir(parents=True, exist_ok=True)
                if not self.keep:
                    _sweep(self.home)
                if self.digest is not None and self._locked():
                    self.folder = self.home / f"rows-{self.digest}"
                    shutil.rmtree(self.folder, ignore_errors=True)
                    self.folder.mkdir()
                else:  # nobody could find it again, or another process is at it
                    self.folder = Path(tempfile.mkdtemp(prefix=ONCE, dir=self.home))
            except OSError as error:
                raise no_room(self.home, error) from None
        return self.folder

    def found(self, source: Source, asked: Asked) -> Prepared | None:
        """What an earlier run left there, whole; None where there is nothing."""
        if self.digest is None:
            return None
        folder = self.home / f"rows-{self.digest}"
        index = read_index(folder / "train")
        if index is None or not self._locked():
            return None
        self.folder = folder
        return _from_index(folder, index[0], index[1], source, asked, self)

    def close(self, finished: bool) -> None:
        """Delete the folder unless it is to be kept: because the user named it, or because the run is not finished."""
        kept = False
        if self.folder is not None:
            again = (self.folder / "train").exists() and not self.folder.name.startswith(ONCE)  # of use to another run
            kept = again and (self.keep or not finished)
            if not kept:
                shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            if not kept:
                self._lock_file.unlink(missing_ok=True)  # while it is held: who waits for it sees that it is gone
            os.close(self._lock)
            self._lock = None

    def _locked(self) -> bool:
        if self._lock is not None:
            return True
        try:
            import fcntl
        except ImportError:  # Windows: two runs at once on the same table and settings are on their own
            return True
        lock = os.open(self._lock_file, os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.fstat(lock).st_ino == self._lock_file.stat().st_ino  # not one that was deleted meanwhile
        except OSError:
            mine = False
        if not mine:
            os.close(lock)
            return False
        self._lock = lock
        return True

    @property
    def _lock_file(self) -> Path:
        return self.home / f"rows-{self.digest}.lock"


def _home() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "fallline" / "rows"


def _sweep(home: Path) -> None:
    """Delete what runs left behind in our own folder that nobody took up again; a run writes to its folder at each pass."""
    for found in home.glob("rows-*"):
        try:
            newest = max(path.stat().st_mtime for path in [found, *found.rglob("*")])
            if time.time() - newest > STALE:
                shutil.rmtree(found, ignore_errors=True) if found.is_dir() else found.unlink(missing_ok=True)
        except OSError:
            continue


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
        frame = choose_rows(frame.with_columns(pl.Series(HASH, hashes)), self.asked, self.lost)
        sides_of(frame, self.asked)  # complains of what cannot be
        values = plain_values(frame[self.asked.target])
        self._see_targets(values, first)
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
        try:
            for name, spill in (("check", self.check), ("train", self.train)):
                self._pack(name, spill, encoder, form, classes, told)
        except OSError as error:
            raise no_room(self.folder, error) from None
        index = read_index(self.folder / "train")
        assert index is not None
        return _from_index(self.folder, *index, self.source, asked, self.cache)

    def _see_targets(self, values: Any, first: int) -> None:
        self.targets.see(values)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row = first + int(np.argmax(~np.isfinite(values)))
            raise TargetError(f"The target is not finite (first: about row {row:,}). Drop these rows.")
        if self.form is not None and self.form.task == "number" and len(values):
            try:
                numbers_of(values, self.form, None)
            except TargetError as error:
                raise TargetError(f"In the rows from {first:,} on: {error}") from None

    def _middle(self, name: str, read: Read) -> float:
        """The median of what is to be trained on."""
        return median(lambda: (read(frame[name]).drop_nulls().to_numpy() for frame in self.train.buckets()))

    def _pack(self, name: str, spill: Spill, encoder: Encoder, form: Loss, classes: Any, told: dict[str, Any]) -> None:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
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
                writer.finish(told)

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


def _from_index(
    folder: Path, shape: Shape, told: dict[str, Any], source: Source, asked: Asked, cache: Cache
) -> Prepared:
    check = read_index(folder / "check")
    return Prepared(
        source.name, as_loss(asked.loss or told["loss"]), told["why"], asked, Encoder.from_json(told["encoder"]),
        StoredRows(Reader(folder / "train", shape), Journal(folder / "journal")),
        None if check is None else StoredRows(Reader(folder / "check", check[0])),
        None if told["classes"] is None else tuple(told["classes"]), told["holes"], told["dropped"], told["total"],
        str(folder), closing=[cache.close],
    )  # fmt: skip
