"""Delimited text cut into pieces of whole records, and records cut into cells.

Polars parses the pieces. It takes every quotation mark as the beginning or the end of an enclosed part, so what it is given
has them nowhere else: ``Piece.plain`` says whether they stand so.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.errors import DataError, MissingExtraError
from fallline.system_errors import read_reason

PIECE = 32 << 20  # bytes that are parsed together
LONGEST = 16 << 20  # bytes of a line, or of a record with line ends in its cells: a million columns have room
PACKED = (".gz", ".zst", ".zstd", ".zlib")  # what names of packed files end in
UNREADABLE = (OSError, EOFError, zlib.error)  # what reading and unpacking raise
QUOTE, LF, CR = ord('"'), ord("\n"), ord("\r")
BLANKS = b" \t\r"


class Record(NamedTuple):
    """Cells between two line ends that are not enclosed."""

    cells: list[bytes]
    begin: int
    end: int  # after the line end
    blank: bool  # nothing but blanks
    open: bool  # a quotation mark encloses all the rest


@dataclass(frozen=True)
class Piece:
    """Whole records of a file."""

    text: bytes
    line: int  # the number of its first line
    quoted: bool  # whether there are quotation marks
    plain: bool  # whether they stand only where they enclose cells, or are doubled within
    open: int | None = None  # the line where one encloses all the rest of the file
    unfinished: bool = False  # whether its last record goes on

    def line_of(self, record: Record) -> int:
        """The line on which the record ends."""
        return self.line + self.text.count(b"\n", 0, max(record.end - 1, 0))


def unpacked(path: Path) -> Any:
    """The bytes of a file, unpacked where its name says that it is packed."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        import gzip

        return gzip.open(path, "rb")
    if suffix in (".zst", ".zstd"):
        try:
            import pyarrow
        except ImportError:
            raise MissingExtraError("To read .zst, pyarrow is needed: pip install 'fallline[arrow]'.") from None
        return pyarrow.CompressedInputStream(pyarrow.OSFile(str(path), "rb"), "zstd")
    if suffix in PACKED:
        raise DataError(f"{path}: text packed so cannot be read; unpack it, or pack it as .gz or .zst.")
    return path.open("rb")


def unreadable(path: Path, error: Exception) -> str:
    """What to say of a file that cannot be opened, or is packed and damaged."""
    if isinstance(error, OSError) and error.errno is not None:
        return f"{path} cannot be read: {read_reason(error)}."
    how = "it ends too early" if isinstance(error, EOFError) else "it is damaged, or not packed as its name says"
    return f"{path} cannot be read: {how}."


def too_long(path: Path, line: int) -> str:
    """What to say of a line without an end."""
    return f"{path}, line {line:,}: the line is longer than {LONGEST >> 20} MB. Is it a table of text, with line ends?"


def whole_lines(raw: Any, size: int, path: Path) -> Iterator[bytes]:
    """The lines of a file, about `size` bytes at a time; raises DataError for one of more than LONGEST bytes."""
    rest, line = b"", 1
    while some := raw.read(size):
        end = some.rfind(b"\n") + 1
        if end:
            yield rest + some[:end]
            line += rest.count(b"\n") + some.count(b"\n", 0, end)
            rest = some[end:]
        else:
            rest += some
        if len(rest) > LONGEST:
            raise DataError(too_long(path, line))
    if rest:
        yield rest


def json_line(lines: Any, row: int) -> tuple[int | None, int]:
    """The number of the line that is row `row` of those with anything in them; None and what is left of `row` beyond the end."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            if row == 0:
                return number, 0
            row -= 1
    return None, row


def records(text: bytes, separator: str) -> Iterator[Record]:
    """The records of a text, by the rules of :mod:`fallline.rows.delimited`."""
    cut, begin, cells = separator.encode(), 0, list[bytes]()
    empty = BLANKS.replace(cut, b"")
    for found in _cell(separator).finditer(text):
        inner, closed, rest, end = found.groups()
        if end == cut:
            cells.append(rest if inner is None else inner.replace(b'""', b'"') + rest)
            continue
        if found.start() == len(text) and not cells:
            return  # after the last line end
        rest = rest.removesuffix(b"\r")
        unclosed = inner is not None and not closed
        blank = inner is None and not cells and not rest.strip(empty)
        cells.append(rest if inner is None else inner.replace(b'""', b'"') + rest)
        yield Record(cells, begin, found.end(), blank, unclosed)
        begin, cells = found.end(), []
        if found.end() == len(text):
            return


def pieces(raw: Any, separator: str, size: int, line: int) -> Iterator[Piece]:
    """A file from where it stands, about `size` bytes of whole records at a time; its next line is number `line`."""
    rest = b""
    while some := raw.read(size):
        rest += some
        end, plain = _cut(rest, separator)
        if end:
            yield Piece(rest[:end], line, b'"' in rest[:end], plain)
            line += rest.count(b"\n", 0, end)
            rest = rest[end:]
        if len(rest) > LONGEST:
            last = next(records(rest, separator))
            yield Piece(rest, line, True, False, open=line if last.open else None, unfinished=True)
    if rest:
        quoted = b'"' in rest
        found = next((record for record in records(rest, separator) if record.open), None) if quoted else None
        broken = None if found is None else line + rest.count(b"\n", 0, found.begin)
        yield Piece(rest, line, quoted, not quoted or _plain(rest, separator), broken)


def measure(piece: Piece, separator: str) -> tuple[NDArray[np.int64], bytes]:
    """The cells of every record, 0 for blank lines, and the text without those; of a piece that is ``plain``."""
    text = piece.text if piece.text.endswith(b"\n") else piece.text + b"\n"
    read = np.frombuffer(text, np.uint8)
    ends, cuts = np.flatnonzero(read == LF), np.flatnonzero(read == ord(separator))
    if piece.quoted:
        quotes = np.flatnonzero(read == QUOTE)
        ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
        cuts = cuts[np.searchsorted(quotes, cuts) % 2 == 0]
    before = np.searchsorted(cuts, ends)
    widths = np.diff(before, prepend=0) + 1
    alone = widths == 1
    if alone.any():
        begins = np.concatenate([[0], ends[:-1] + 1])
        filled = ~np.isin(read, np.frombuffer(BLANKS.replace(separator.encode(), b"") + b"\n", np.uint8))
        widths[alone & (np.add.reduceat(filled, begins, dtype=np.int64) == 0)] = 0
        if not widths.all():
            return widths, read[np.repeat(widths != 0, np.diff(ends, prepend=-1))].tobytes()
    return widths, piece.text


def _cut(text: bytes, separator: str) -> tuple[int, bool]:
    """Where the last whole record ends, 0 where none does, and whether all before is plain."""
    if b'"' not in text:
        return text.rfind(b"\n") + 1, True
    read = np.frombuffer(text, np.uint8)
    quotes, ends = np.flatnonzero(read == QUOTE), np.flatnonzero(read == LF)
    outside = ends[np.searchsorted(quotes, ends) % 2 == 0]
    if len(outside):
        end = int(outside[-1]) + 1
        if _plain(text[:end], separator):
            return end, True
    end = 0
    for record in records(text, separator):
        if not record.open and text[record.end - 1 : record.end] == b"\n":
            end = record.end
    return end, False


def _plain(text: bytes, separator: str) -> bool:
    """Whether every first quotation mark begins a cell, or follows the last, and every second one ends it."""
    read = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(read == QUOTE)
    if len(quotes) % 2:
        return False
    opening, closing = quotes[::2], quotes[1::2]
    before = read[np.maximum(opening - 1, 0)]
    begins = (opening == 0) | (before == ord(separator)) | (before == LF)
    begins[1:] |= opening[1:] == closing[:-1] + 1  # two in a row, within a cell
    after = read[np.minimum(closing + 1, len(read) - 1)]
    beyond = read[np.minimum(closing + 2, len(read) - 1)]
    ends = (closing == len(read) - 1) | (after == ord(separator)) | (after == LF) | ((after == CR) & (beyond == LF))
    ends[:-1] |= opening[1:] == closing[:-1] + 1
    return bool(begins.all() and ends.all())


@functools.cache
def _cell(separator: str) -> re.Pattern[bytes]:
    """A cell and what ends it: what is enclosed, the mark that closes it, what follows, and the end."""
    cut = re.escape(separator.encode())
    return re.compile(rb'(?:"([^"]*(?:""[^"]*)*)("?))?([^' + cut + rb"\n]*)(" + cut + rb"|\n|\Z)")
