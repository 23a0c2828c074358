"""Large delimited text, streamed: typed by a sample of its lines, and held to it by every cell.

A column that is whole numbers in the sample and numbers later is read again as numbers. Any other cell that does not
fit stops the reading, with its line.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TextIO

from fallline.errors import DataError
from fallline.rows.cells import EMPTY_WORDS, date_form, emptied, read_dates, type_text
from fallline.rows.delimited import NO_CELL, SAMPLE_LINES, checked_names, guess_separator
from fallline.rows.sources._base import Source
from fallline.rows.sources.frames import Widened, batches, stamp
from fallline.rows.table import brief

if TYPE_CHECKING:
    import polars as pl

HEAD_LINES = 2_000  # of each file's beginning are looked at
PLACES, PLACE_BYTES = 15, 1 << 16  # and some lines at so many places further on, for surprises come late
CHUNK = 32 << 20  # bytes that are parsed together
SOME_LINES = 50_000  # are looked at together when the one that does not fit is searched
PACKED = (".gz", ".zst", ".zstd", ".zlib")
MORE_ROWS = 1.05  # times as many rows as the sampled lines tell
TRUTH = "true or false"  # the form of truth values


class Kind(NamedTuple):
    """How a column is read: its type, and the form of its dates."""

    dtype: Any
    form: str | None = None  # of dates, or TRUTH: such columns are read as text first


class TextSource(Source):
    """CSV and its kin, plain or compressed, one file or several with the same header."""

    def __init__(self, files: list[Path], name: str, fingerprint: str | None, size: int) -> None:
        self.files, self.name, self._fingerprint, self._size = files, name, fingerprint, size
        self.separator, self.header = _header(files[0])
        for file in files[1:]:
            if _header(file) != (self.separator, self.header):
                raise DataError(f"{file}: its columns are not those of {files[0].name}; read them one by one.")
        self._words = False  # whether a cell was met that is no number, and may be a word for nothing
        self._measured: set[Path] = set()  # files whose lines were found to be of one width
        sample = _sample(files, self.separator, self.header)
        self.kinds, self._line = _kinds(sample, self.separator, files[0]), _line_length(sample)

    def frames(self, room: int | None = None) -> Iterator[pl.DataFrame]:
        import polars as pl

        for file in self.files:
            try:
                quick = room is None and not any("\n" in name for name in self.header)
                for frame in self._quickly(file) if quick else map(self._parsed, self._chunks(file, room or CHUNK)):
                    yield self._read(frame, file)
            except (pl.exceptions.PolarsError, OSError, EOFError, ValueError) as error:
                if isinstance(error, DataError):
                    raise
                self._explain(file, error)

    @property
    def fingerprint(self) -> str | None:
        return self._fingerprint

    @property
    def changed(self) -> bool:
        return self._fingerprint is not None and stamp(self.files) != self._fingerprint

    @property
    def rows(self) -> int | None:
        packed = any(file.suffix.lower() in PACKED for file in self.files)
        return None if packed else int(MORE_ROWS * self._size / self._line)

    @property
    def size(self) -> int:
        return self._size

    def _chunks(self, file: Path, size: int) -> Iterator[bytes]:
        """Whole lines of the file after its header, about `size` bytes at a time."""
        with _raw(file) as raw:
            next(csv.reader(codecs.iterdecode(iter(raw.readline, b""), "utf-8-sig"), delimiter=self.separator))
            rest = b""
            while some := raw.read(size):
                rest += some
                end = _last_line_end(rest)
                if end:
                    yield rest[:end]
                    rest = rest[end:]
            if rest.strip():
                yield rest

    def _parsed(self, chunk: bytes) -> pl.DataFrame:
        import polars as pl

        return pl.read_csv(chunk, has_header=False, **self._how)

    def _quickly(self, file: Path) -> Iterator[pl.DataFrame]:
        """All of the file mapped into memory at once, which is fastest.

        Of nothing but numbers, words for nothing are looked for only when one was met: that saves an eighth. (What Polars
        has given before an error are not all of the rows before it, so the reading begins again.)
        """
        import polars as pl

        numbers = all(kind.dtype in (pl.Int64, pl.Float64) for kind in self.kinds.values())
        hopeful = self.again and numbers and not self._words
        how = self._how | ({"null_values": None} if hopeful else {})
        try:
            yield from batches(pl.scan_csv(file, has_header=False, skip_rows=1, **how))
        except (pl.exceptions.PolarsError, OSError, ValueError):
            if not hopeful:
                raise
            self._words = True
            raise Widened from None

    @property
    def _how(self) -> dict[str, Any]:
        return {
            "separator": self.separator, "null_values": list(EMPTY_WORDS), "decimal_comma": self.separator != ",",
            "schema": {name: kind.dtype for name, kind in self.kinds.items()},
        }  # fmt: skip

    def _read(self, frame: pl.DataFrame, file: Path) -> pl.DataFrame:
        """The frame with its dates and truth values read; what does not fit stops it."""
        if file not in self._measured and frame[frame.columns[-1]].null_count():  # a short line ends in nulls, too
            self._measured.add(file)
            self._check_widths(file)
        done = []
        for name, kind in self.kinds.items():
            if kind.form is not None:
                cells = frame.select(emptied(name)).to_series()
                read = _as(cells, kind, self.separator)
                if read.null_count() > cells.null_count():
                    self._refuse(file, name)
                done.append(read.alias(name))
        return frame.with_columns(done)

    def _explain(self, file: Path, error: Exception) -> NoReturn:
        """Why Polars could not go on: a line of another width, or the first cell that does not fit."""
        import polars as pl

        self._check_widths(file)
        for name, kind in self.kinds.items():
            if kind.dtype in (pl.Int64, pl.Float64) and f"'{name}'" in str(error):
                if kind.dtype == pl.Int64 and self._first_bad(file, name, Kind(pl.Float64)) is None:
                    self.kinds[name] = Kind(pl.Float64)
                    raise Widened from None
                self._refuse(file, name)
        raise DataError(f"{file} cannot be read: {brief(error)}.") from None

    def _refuse(self, file: Path, name: str) -> NoReturn:
        kind = self.kinds[name]
        line, cell = self._first_bad(file, name, kind) or (0, "")
        what = "number" if kind.form is None else "true or false" if kind.form == TRUTH else "date like the others"
        raise DataError(
            f"{file}: column '{name}', line {line:,}: {cell!r} is not a {what}, as the lines before it have. Correct the "
            f"cell or leave it empty; --drop {name} leaves the column out."
        )

    def _first_bad(self, file: Path, name: str, kind: Kind) -> tuple[int, str] | None:
        """The line and the cell of the first that does not read as the type."""
        import polars as pl

        place = self.header.index(name)
        with _opened(file) as lines:
            reader = csv.reader(lines, delimiter=self.separator)
            next(reader)
            records = ((reader.line_num, record[place]) for record in reader if len(record) > place)
            while some := list(itertools.islice(records, SOME_LINES)):
                cells = pl.DataFrame({name: [cell for _, cell in some]}).select(emptied(name)).to_series()
                wrong = cells.is_not_null() & _as(cells, kind, self.separator).is_null()
                if wrong.any():
                    return some[int(wrong.arg_max() or 0)]
        return None

    def _check_widths(self, file: Path) -> None:
        """Raise DataError for the first line that has not as many cells as the header."""
        import polars as pl

        def lines(chunk: bytes) -> pl.DataFrame:
            return pl.read_csv(
                chunk, separator=NO_CELL, quote_char=None, infer_schema=False, has_header=False, new_columns=["line"]
            )

        cells = pl.col("line").str.count_matches(self.separator, literal=True) + 1
        filled = pl.col("line").is_not_null() & (pl.col("line").str.strip_chars() != "")
        odd = filled & (cells != len(self.header))
        if not any(lines(chunk).select(odd.any()).item() for chunk in self._chunks(file, CHUNK)):
            return  # most files: a line without quotes around separators is measured at once
        with _opened(file) as text:
            reader = csv.reader(text, delimiter=self.separator)
            for record in reader:
                if record and len(record) != len(self.header):
                    raise DataError(
                        f"{file}, line {reader.line_num:,}: {len(record):,} {'cell' if len(record) == 1 else 'cells'}, and "
                        f"the header has {len(self.header):,}. Every line needs as many; a cell that holds the separator "
                        f"({self.separator!r}) belongs in double quotes, and a quote that opens must close."
                    )


def _as(cells: pl.Series, kind: Kind, separator: str) -> pl.Series:
    """Cells of text in their type, null where they do not fit it."""
    if kind.form == TRUTH:
        return cells.str.to_lowercase().replace_strict({"true": True, "false": False}, default=None)
    if kind.form is not None:
        return read_dates(cells, kind.form)
    return (cells if separator == "," else cells.str.replace(",", ".", literal=True)).cast(kind.dtype, strict=False)


def _line_length(sample: pl.DataFrame) -> float:
    """Bytes of a line, on average, without quotation marks."""
    import polars as pl

    cells = sample.select(pl.all().str.len_bytes().mean().fill_null(0.0)).row(0) if sample.height else ()
    return max(1.0, float(sum(cells)) + sample.width)


def _header(file: Path) -> tuple[str, tuple[str, ...]]:
    """The separator of a file and the names of its columns."""
    try:
        with _opened(file) as lines:
            head = [line for line in itertools.islice(lines, SAMPLE_LINES) if line.strip()]
    except (UnicodeDecodeError, OSError, EOFError) as error:
        raise DataError(f"{file} cannot be read as text in UTF-8: {brief(error)}.") from None
    if len(head) < 2:
        raise DataError(f"{file} has {'a header and no rows' if head else 'nothing in it'}.")
    separator = guess_separator(head)
    return separator, checked_names(next(csv.reader(head, delimiter=separator)), file)


def _sample(files: list[Path], separator: str, header: tuple[str, ...]) -> pl.DataFrame:
    """Lines of the beginning of each file, and of some places further on, as text."""
    import polars as pl

    records: list[list[str]] = []
    for file in files:
        try:
            with _opened(file) as lines:
                reader = csv.reader(lines, delimiter=separator)
                next(reader)
                records += itertools.islice(reader, HEAD_LINES)
        except (UnicodeDecodeError, OSError, EOFError, csv.Error) as error:
            raise DataError(f"{file} cannot be read: {brief(error)}.") from None
        if file.suffix.lower() not in PACKED and file.stat().st_size > 2 * PLACES * PLACE_BYTES:
            records += _further(file, separator)
    kept = [record for record in records if len(record) == len(header)]
    return pl.DataFrame(kept, schema=dict.fromkeys(header, pl.String), orient="row")


def _further(file: Path, separator: str) -> Iterator[list[str]]:
    """Lines from places all over the file; none of a file with quotation marks, where a line may lie within a cell."""
    size = file.stat().st_size
    with file.open("rb") as raw:
        for k in range(1, PLACES + 1):
            raw.seek(size * k // (PLACES + 1))
            some = raw.read(PLACE_BYTES)
            if b'"' in some:
                return
            lines = some.decode("utf-8", errors="replace").splitlines()[1:-1]
            yield from csv.reader(lines, delimiter=separator)


def _kinds(sample: pl.DataFrame, separator: str, file: Path) -> dict[str, Kind]:
    import polars as pl

    def place(row: int) -> str:
        return f"sampled row {row:,}"

    try:
        typed = type_text(sample, place, decimal_comma=separator != ",")
    except DataError as error:
        raise DataError(f"{file}: {error}") from None
    kinds = {}
    for name, dtype in typed.schema.items():
        if dtype in (pl.Int64, pl.Float64):
            kinds[name] = Kind(dtype)
        elif dtype == pl.Boolean:
            kinds[name] = Kind(pl.String(), TRUTH)
        else:
            cells = sample.select(emptied(name)).to_series()
            kinds[name] = Kind(pl.String(), date_form(cells, place) if dtype.is_temporal() else None)
    return kinds


def _raw(file: Path) -> Any:
    if file.suffix.lower() == ".gz":
        return gzip.open(file, "rb")
    if file.suffix.lower() in PACKED:
        raise DataError(f"{file}: text packed so cannot be streamed; unpack it, or pack it as .gz.")
    return file.open("rb")


def _opened(file: Path) -> TextIO:
    return io.TextIOWrapper(_raw(file), encoding="utf-8-sig", newline="")


def _last_line_end(text: bytes) -> int:
    """After the last line end that is not within quotation marks; 0 where there is none."""
    end = text.rfind(b"\n") + 1
    while end and text.count(b'"', 0, end) % 2:
        end = text.rfind(b"\n", 0, end - 1) + 1
    return end
