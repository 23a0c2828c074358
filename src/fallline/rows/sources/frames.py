"""Tables that some other library holds: data frames, lazy frames, streams of Arrow batches."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any

from fallline.errors import DataError, FalllineError, MissingExtraError
from fallline.redaction import redacted_message
from fallline.rows.cells import date_form, read_dates
from fallline.rows.sources._base import BATCH_ROWS, Source
from fallline.rows.sources.parquet import parquet_frames, readable
from fallline.rows.table import as_frame, brief

if TYPE_CHECKING:
    import polars as pl

CELL = 16  # bytes of a cell in memory, about
# What is read of files to tell whether they have changed: at so many places of all, so much at each, and so much in all.
STAMP_PLACES, LEAST_PLACE, MOST_PLACE, STAMP_BYTES = 48, 4 << 10, 64 << 10, 4 << 20


class FrameSource(Source):
    """A data frame in memory: Polars, pandas, or an Arrow table."""

    def __init__(self, table: Any, name: str = "the table") -> None:
        self.frame, self.name = as_frame(table), name

    def frames(self, room: int | None = None) -> Iterator[pl.DataFrame]:
        return self.frame.iter_slices(BATCH_ROWS)

    @property
    def rows(self) -> int:
        return self.frame.height

    @property
    def size(self) -> int:
        return int(self.frame.estimated_size())


class Widened(Exception):
    """A column turned out to hold more than its beginning said: what was read so far must be read again."""


def steady_frames(source: Source, room: int | None = None) -> Iterator[pl.DataFrame]:
    """All rows, each once, for who cannot begin again: after ``Widened`` the rows that were given are passed over."""
    source.again = True
    given = 0
    while True:
        passed = 0
        try:
            for frame in source.frames(room):
                rest = frame[max(0, given - passed) :]
                passed += frame.height
                if rest.height:
                    given += rest.height
                    yield rest
            return
        except Widened:
            continue


class LazySource(Source):
    """What Polars can stream: files, folders, object stores, a user's own query.

    In files, text that holds dates becomes dates.
    """

    def __init__(self, query: pl.LazyFrame, name: str, fingerprint: str | None = None, size: int | None = None) -> None:
        self.query, self.name, self._fingerprint, self._size = query, name, fingerprint, size
        self.files: list[Path] = []
        self.parquet = False  # whether these are Parquet
        self.dates = False  # whether text may become dates
        self.counted = False  # whether the files say how many rows they have
        self.address = ""  # where it is read from, which errors must not repeat with its credentials
        self._forms: dict[str, str] | None = None  # of the columns that do

    def frames(self, room: int | None = None) -> Iterator[pl.DataFrame]:
        try:
            # Of files a slice is what it was before; a user's query may give its rows in another order each time.
            sliced = self._sliced(room) if room is not None and self.files else None
            for frame in sliced or batches(self.query):
                yield self._dated(frame) if self.dates else frame
        except _reading_errors() as error:
            raise DataError(f"{self.name} cannot be read: {redacted_message(brief(error), self.address)}.") from None
        except (FalllineError, Widened):
            raise
        except Exception as error:  # a user's query calls a user's functions, which may raise anything
            if self.files:
                raise
            told = redacted_message(brief(error), self.address)
            raise DataError(f"{self.name} cannot be read: it raised {type(error).__name__}: {told}.") from error

    def without(self, columns: Sequence[str]) -> LazySource:
        try:
            known = set(self.query.collect_schema().names())
        except _reading_errors():  # to be told when it is read
            return self
        if not set(columns) < known:
            return self
        rest = copy.copy(self)
        rest.query, rest.unread = self.query.drop(columns), columns
        return rest

    def _sliced(self, room: int) -> Iterator[pl.DataFrame]:
        """The rows of the files in frames of about `room` bytes, in little more memory."""
        schema = self.query.collect_schema()
        if self.parquet and readable(self.files, schema.names()):
            return parquet_frames(self.files, schema, room)
        return slices(self.query, room)

    def _dated(self, frame: pl.DataFrame) -> pl.DataFrame:
        if self._forms is None:  # the first frame tells; what does not hold to it later is text after all
            self._forms = {}
            for cells in frame.iter_columns():
                form = _date_form(cells)
                if form is not None:
                    self._forms[cells.name] = form
        read = {name: read_dates(frame[name], form) for name, form in self._forms.items()}
        for name, cells in read.items():
            if cells.null_count() > frame[name].null_count():
                del self._forms[name]
                raise Widened
        return frame.with_columns(**read)

    @property
    def fingerprint(self) -> str | None:
        return self._fingerprint

    @property
    def changed(self) -> bool:
        return bool(self.files) and stamp(self.files) != self._fingerprint

    @property
    def rows(self) -> int | None:
        import polars as pl

        try:
            return int(self.query.select(pl.len()).collect().item()) if self.counted else None
        except _reading_errors():  # to be told when they are read
            return None

    @property
    def size(self) -> int | None:
        return self._size


class StreamSource(Source):
    """Arrow batches that come once: a RecordBatchReader, a DuckDB relation, a database's cursor."""

    def __init__(self, stream: Any, name: str) -> None:
        self.stream, self.name = stream, name

    def frames(self, room: int | None = None) -> Iterator[pl.DataFrame]:
        import polars as pl

        stream, self.stream = self.stream, None
        if stream is None:
            raise DataError(f"{self.name} has been read already, and a stream comes only once.")
        try:
            for batch in arrow_batches(stream):
                yield pl.DataFrame(batch)
        except (OSError, ValueError) as error:
            raise DataError(f"{self.name} cannot be read: {brief(error)}.") from None


def _date_form(cells: pl.Series) -> str | None:
    """The form of dates that text holds throughout, if it does and only one form fits."""
    import polars as pl

    if cells.dtype != pl.String:
        return None
    try:
        return date_form(cells, lambda row: f"row {row:,}")
    except DataError:  # nearly all are dates, or the day could be the month: text says less, and nothing wrong
        return None


def batches(query: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """The rows of a query, streamed, in order.

    The one place that calls Polars's ``collect_batches``, which it declares unstable; the way out, should it change, is
    pyarrow, Parquet row group by row group.
    """
    return iter(query.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True, lazy=True, engine="streaming"))


def slices(query: pl.LazyFrame, room: int) -> Iterator[pl.DataFrame]:
    """The same a slice at a time, each a query of its own: slower, in a third of the memory, for nothing is read ahead."""
    import polars as pl

    rows = max(1_000, room // (CELL * max(1, len(query.collect_schema()))))
    for first in range(0, int(query.select(pl.len()).collect().item()), rows):
        yield query.slice(first, rows).collect(engine="in-memory")


def arrow_batches(stream: Any) -> Iterator[Any]:
    """The batches of anything that speaks the Arrow stream interface."""
    if hasattr(stream, "read_next_batch"):  # pyarrow's own reader
        return iter(stream)
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingExtraError("To stream from Arrow, pyarrow is needed: pip install 'fallline[arrow]'.") from None
    return iter(pa.RecordBatchReader.from_stream(stream))


def stamp(files: list[Path]) -> str:
    """Digest of some files: their names, sizes, times and inodes, and samples of what they hold.

    A file may be changed and have its size and time put back; the time of the change (ctime) is not the user's to set.
    Of small files all is read.
    """
    told = hashlib.blake2b(digest_size=16)
    places = max(2, STAMP_PLACES // max(1, len(files)))
    size = max(LEAST_PLACE, min(MOST_PLACE, STAMP_BYTES // (places * max(1, len(files)))))
    for file in files:
        told.update(os.fsencode(file.resolve()) + b"\n")
        try:
            found = file.stat()
            told.update(f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}\n".encode())
            if S_ISREG(found.st_mode):
                for part in _sampled(file, found.st_size, places, size):
                    told.update(part)
        except OSError:  # to be told when it is read
            told.update(b"none\n")
    return told.hexdigest()


def _sampled(file: Path, size: int, places: int, room: int) -> Iterator[bytes]:
    """`room` bytes each of so many places, the beginning and the end among them; all of a file that has no more."""
    with file.open("rb", buffering=0) as opened:
        if size <= places * room:
            yield opened.read(places * room)
            return
        for k in range(places):
            opened.seek((size - room) * k // (places - 1))
            yield opened.read(room)


def _reading_errors() -> tuple[type[Exception], ...]:
    import polars as pl

    return pl.exceptions.PolarsError, OSError, ValueError
