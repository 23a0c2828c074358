"""libsvm's text: ``target column:value column:value ...``, a line a row; what is not named is zero.

A file of up to 200 columns is a table of numbers. One of more is a table of one column, whose cells are sparse vectors
(:mod:`fallline.rows.vectors`).
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from fallline.errors import DataError
from fallline.rows.delimited import NO_CELL
from fallline.rows.pieces import UNREADABLE, unreadable, whole_lines
from fallline.rows.sources._base import Source
from fallline.rows.sources.frames import stamp
from fallline.rows.table import SUFFIXES, brief
from fallline.rows.vectors import ENTRY, entries_of, vector_type

if TYPE_CHECKING:
    import polars as pl

LIBSVM = (".libsvm", ".svm", ".svmlight")
TARGET, VECTORS = "target", "x"
MOST_COLUMNS = 200  # as columns of a table: what is wider is a sparse matrix, or as good as one
CHUNK, LEAST_CHUNK = 8 << 20, 1 << 20  # bytes that are parsed together
IN_PARTS = 8  # times the size of the text: what parsing it takes for a moment
# Each column costs 0.4 KB and 30 microseconds, named or not, so that one high number would cost memory and minutes.
FEW_COLUMNS, MOST_EMPTY = 100_000, 100  # columns that are taken in any case; and as many times the entries
LINES = 20_000  # that become columns together
SHOWN = 60  # characters of a line that is not as it should be
OPEN: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
NUMBERED = re.compile(rf"{VECTORS}(0|[1-9]\d*)")


def is_libsvm(path: str | Path) -> bool:
    """Whether the file's name says so: ``a9a.libsvm``, ``a9a.svm.bz2``, ``a9a.libsvm.train``."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes[-2:]]
    return bool(suffixes) and (suffixes[-1] in LIBSVM or (suffixes[0] in LIBSVM and suffixes[-1] not in SUFFIXES))


class LibsvmSource(Source):
    """A file as a table with the columns ``target``, ``x1``, ``x2``, ..., or ``target`` and ``x``.

    Its columns begin with ``x0`` where it names one. `kinds`: the columns of the model that the rows are for
    (``Encoder.kinds``), which are given whether the file names them or not.
    """

    def __init__(self, path: Path, kinds: Mapping[str, str] | None = None) -> None:
        self.path, self.name, self._stamp = path, str(path), stamp([path])
        wanted = [int(found[1]) for name in kinds or () if (found := NUMBERED.fullmatch(name))]
        self._known = kinds is not None  # whether a model says how many columns there are
        self.vectors = (kinds or {}).get(VECTORS) == "vectors"
        lowest, highest = 1, 0
        for frame in () if self.vectors else self._parsed(CHUNK):
            _, where, _ = entries_of(frame[VECTORS])
            lowest, highest = min(lowest, int(where.min(initial=1))), max(highest, int(where.max(initial=0)))
            if highest - lowest >= MOST_COLUMNS and not wanted:
                self.vectors = True
                break
        highest = min(highest, max(wanted) + MOST_COLUMNS) if wanted else highest
        self.columns = range(min([lowest, *wanted]), max([highest, *wanted]) + 1)
        self._left_out: list[int] = []

    def frames(self, room: int | None = None) -> Iterator[pl.DataFrame]:
        import polars as pl

        entries, lowest, highest = 0, 1, 0
        entry = pl.element().struct.field(ENTRY[0])
        rest = pl.col(VECTORS).list.eval(pl.element().filter(~entry.is_in(self._left_out)))
        for frame in self._parsed(CHUNK if room is None else max(LEAST_CHUNK, min(CHUNK, room // IN_PARTS))):
            if self.vectors:
                where = entries_of(frame[VECTORS])[1]
                entries += len(where)
                lowest, highest = min(lowest, int(where.min(initial=1))), max(highest, int(where.max(initial=0)))
                yield frame.with_columns(rest) if self._left_out else frame
            else:
                yield from map(self._spread, frame.iter_slices(LINES))
        width, most = highest - lowest + 1, max(FEW_COLUMNS, MOST_EMPTY * entries)
        if width > most and not self._known:
            raise DataError(
                f"{self.path}: its columns go up to {highest:,}, and only {entries:,} entries are there; of so few, at most "
                f"{most:,} columns are taken. Number the columns one after the other."
            )

    def without(self, columns: Sequence[str]) -> LibsvmSource:
        if self.vectors:
            found = {name: int(each[1]) for name in columns if (each := NUMBERED.fullmatch(name))}
            self.unread, self._left_out = tuple(found), list(found.values())
        return self

    @property
    def fingerprint(self) -> str:
        return self._stamp

    @property
    def changed(self) -> bool:
        return stamp([self.path]) != self._stamp

    @property
    def size(self) -> int | None:
        return None if self.path.suffix.lower() in OPEN else self.path.stat().st_size

    def _spread(self, frame: pl.DataFrame) -> pl.DataFrame:
        """With a column for each number."""
        import polars as pl

        starts, where, values = entries_of(frame[VECTORS])
        X, kept = np.zeros((frame.height, len(self.columns))), where < self.columns.stop
        rows = np.repeat(np.arange(frame.height), np.diff(starts))
        X[rows[kept], where[kept] - self.columns.start] = values[kept]
        cells = pl.DataFrame(X, schema=[f"{VECTORS}{j}" for j in self.columns])
        return frame.select(TARGET).hstack(cells)

    def _parsed(self, chunk: int) -> Iterator[pl.DataFrame]:
        """Targets and vectors, some lines after the other."""
        line = 1
        for text in self._chunks(chunk):
            yield self._read(text, line)
            line += text.count(b"\n")

    def _chunks(self, size: int) -> Iterator[bytes]:
        """Whole lines of the file, about `size` bytes at a time."""
        try:
            with _opened(self.path) as raw:
                yield from whole_lines(raw, size, self.path)
        except (*UNREADABLE, lzma.LZMAError) as error:
            raise DataError(unreadable(self.path, error)) from None

    def _read(self, text: bytes, line: int) -> pl.DataFrame:
        """The rows of these lines, the first of which is line `line` of the file."""
        import polars as pl

        try:
            lines = pl.read_csv(
                text, separator=NO_CELL, quote_char=None, has_header=False, new_columns=["line"], infer_schema=False
            ).with_row_index("number", line)
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{self.path} cannot be read: {brief(error)}.") from None
        frame = _pairs(lines)
        if not _whole(frame):  # comments, empty lines, more blanks than one, or what is not a row
            tidy = (
                pl.col("line").str.replace("#.*", "").str.replace_all(r"\sqid:-?\d+", "").str.replace_all(r"\s+", " ")
            )
            lines = lines.with_columns(tidy.str.strip_chars(" ")).filter(pl.col("line").fill_null("") != "")
            frame = _pairs(lines)
            if not _whole(frame):
                self._refuse(lines, frame)
        starts, where, _ = entries_of(frame[VECTORS])
        rising = np.diff(where) > 0
        rising[starts[1:-1][(starts[1:-1] > 0) & (starts[1:-1] < len(where))] - 1] = True
        if not rising.all():
            inner = pl.element().sort_by(pl.element().struct.field(ENTRY[0]))
            frame = frame.with_columns(pl.col(VECTORS).list.eval(inner))
            self._check_once(lines, frame)
        return frame

    def _refuse(self, lines: pl.DataFrame, frame: pl.DataFrame) -> NoReturn:
        """Raise DataError for the first line that is not a row."""
        import polars as pl

        column, value = (pl.element().struct.field(name) for name in ENTRY)
        wrong = pl.col(VECTORS).list.eval(column.is_null() | (column < 0) | value.is_null()).list.any()
        number, text = lines.row(_first(frame, pl.col(TARGET).is_null() | wrong))
        raise DataError(
            f"{self.path}, line {number:,}: {text[:SHOWN]!r} is not 'target column:value column:value ...'."
        )

    def _check_once(self, lines: pl.DataFrame, frame: pl.DataFrame) -> None:
        """Raise DataError for a row that names a column twice; the columns of each are in order."""
        import polars as pl

        column = pl.element().struct.field(ENTRY[0])
        twice = pl.col(VECTORS).list.eval(column == column.shift(1)).list.any()
        if frame.select(twice.any()).item():
            number, text = lines.row(_first(frame, twice))
            raise DataError(f"{self.path}, line {number:,}: {text[:SHOWN]!r} names a column twice.")


def _first(frame: pl.DataFrame, wrong: pl.Expr) -> int:
    """The first row of which that is true."""
    return int(frame.select(wrong.fill_null(False).arg_max()).item())


def _opened(path: Path) -> Any:
    packed = OPEN.get(path.suffix.lower())
    return path.open("rb") if packed is None else packed(path, "rb")


def _pairs(lines: pl.DataFrame) -> pl.DataFrame:
    """The target and the vector of each line; null where something is not a number."""
    import polars as pl

    pair = pl.element().str.splitn(":", 2).struct.rename_fields(list(ENTRY))
    return lines.select(words=pl.col("line").str.split(" ")).select(
        pl.col("words").list.first().cast(pl.Float64, strict=False).alias(TARGET),
        pl.col("words").list.slice(1).list.eval(pair.cast(vector_type().inner, strict=False)).alias(VECTORS),
    )


def _whole(frame: pl.DataFrame) -> bool:
    """Whether all of it is numbers, and columns count from 0 on."""
    vectors = frame[VECTORS]
    if frame[TARGET].null_count() or vectors.null_count():
        return False
    filled = vectors.filter(vectors.list.len() > 0).explode()
    columns, values = (filled.struct.field(name) for name in ENTRY)
    low: Any = columns.min()
    return not columns.null_count() and not values.null_count() and (low is None or low >= 0)
