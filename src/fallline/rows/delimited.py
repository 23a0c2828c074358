"""Delimited text (CSV, TSV): how a file is written, and the table of text that it holds, a piece after another.

These rules hold wherever delimited text is read, whole or streamed:

- Lines end in LF or CR LF. Lines without anything but blanks are left out; the first other line is the header.
- A quotation mark that begins a cell encloses it, separators and line ends too, up to the next that is not doubled. Elsewhere
  it is a character like others: ``5" pipe``.
- Every line has as many cells as the header. The text is UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from fallline.errors import DataError
from fallline.rows.cells import one_line
from fallline.rows.pieces import (
    LONGEST,
    PIECE,
    UNREADABLE,
    Piece,
    Record,
    measure,
    pieces,
    records,
    too_long,
    unpacked,
    unreadable,
)  # fmt: skip

if TYPE_CHECKING:
    import polars as pl

SEPARATORS = ",;\t|"  # in the order in which they win a draw
SAMPLE_LINES = 50  # lines that the separator is guessed from
HEAD = 1 << 16  # bytes that are read at once until there are so many lines
NO_CELL = "\x01"  # a separator that no text holds: the whole line becomes one cell
BOM = b"\xef\xbb\xbf"
UTF16 = (b"\xff\xfe", b"\xfe\xff")  # how UTF-16 files begin


class Layout(NamedTuple):
    """How a delimited file is written."""

    path: Path
    separator: str
    header: tuple[str, ...]
    start: int  # bytes of the unpacked text before the first line after the header
    line: int  # the number of that line, counted from 1


def read_delimited(path: Path) -> tuple[pl.DataFrame, Layout]:
    """All cells as text, one row a record; blank lines are left out.

    Raises DataError for files that are empty, not UTF-8, without rows, with duplicate names or with ragged rows.
    """
    import polars as pl

    layout = look_at(path)
    schema = dict.fromkeys(layout.header, pl.String())
    try:
        frames = [parse(layout, piece, schema) for piece in rows_of(layout)]
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}.") from None
    if not any(frame.height for frame in frames):
        raise DataError(no_rows(layout))
    return pl.concat(frames, rechunk=True), layout


def look_at(path: Path) -> Layout:
    """Separator and header of a file, checked; reads its first lines."""
    text, whole = _head(path)
    if text.startswith(UTF16):
        raise DataError(f"{path} is UTF-16 text, not UTF-8. Save it as UTF-8 (in Excel: CSV UTF-8) and try again.")
    begin = len(BOM) if text.startswith(BOM) else 0
    lines = text[begin:].split(b"\n")
    lines = lines if whole else lines[:-1]
    filled = [line for line in lines if line.strip()][:SAMPLE_LINES]
    if not lines:
        raise DataError(too_long(path, 1))
    if not filled:
        raise DataError(f"{path} is empty.")
    for line in lines:
        check_utf8(path, line)
    separator = guess_separator([line.decode() for line in filled])
    header = next(record for record in records(text[begin:], separator) if not record.blank)
    if header.open:
        raise DataError(open_quote(path, 1 + text.count(b"\n", 0, begin + header.begin)))
    names = [cell.decode(errors="replace") for cell in header.cells]
    if any("\r" in name.replace("\r\n", "") for name in names):
        raise DataError(f"{path} ends its lines with CR alone; LF, or CR and LF, are read. Save it so and try again.")
    end = begin + header.end
    layout = Layout(path, separator, checked_names(names, path), end, 1 + text.count(b"\n", 0, end))
    if whole and all(record.blank for record in records(text[end:], separator)):
        raise DataError(no_rows(layout))
    return layout


def guess_separator(lines: list[str]) -> str:
    """The separator that cuts most lines into as many cells as the first, more than one; a comma where there is none.

    >>> guess_separator(["a;b", "1,5;2", "2,5;3"])
    ';'
    """
    text = "\n".join(line.rstrip("\r\n") for line in lines).encode()

    def fit(separator: str) -> tuple[float, int]:
        widths = [len(record.cells) for record in records(text, separator) if not record.blank]
        alike = sum(width == widths[0] for width in widths) / len(widths)
        return (alike if widths[0] > 1 else 0.0, widths[0])

    return max(SEPARATORS, key=fit)


def rows_of(layout: Layout, size: int = PIECE) -> Iterator[Piece]:
    """The lines after the header, about `size` bytes of whole records at a time.

    Raises DataError for a quotation mark that stays open, and for a line of more than LONGEST bytes.
    """
    try:
        with unpacked(layout.path) as raw:
            _skip(raw, layout.start)
            for piece in pieces(raw, layout.separator, size, layout.line):
                if piece.open is not None:
                    raise DataError(open_quote(layout.path, piece.open))
                if len(piece.text) > LONGEST and piece.unfinished:
                    raise DataError(too_long(layout.path, piece.line))
                yield piece
    except UNREADABLE as error:
        raise DataError(unreadable(layout.path, error)) from None


def parse(layout: Layout, piece: Piece, schema: Mapping[str, Any], **how: Any) -> pl.DataFrame:
    """The rows of a piece, without blank lines.

    Raises DataError for ragged lines and text that is not UTF-8; a PolarsError where cells do not fit the types.
    """
    import polars as pl

    if not piece.plain:
        text = _tidied(layout, piece)
        check_utf8(layout.path, text)
        return _parsed(text, layout, True, schema, how)
    try:
        frame = _parsed(piece.text, layout, piece.quoted, schema, how)
    except pl.exceptions.PolarsError:
        text = _tidied(layout, piece)
        check_utf8(layout.path, text)
        return _parsed(text, layout, piece.quoted, schema, how)
    if not frame[:, -1].null_count() and frame.width > 1:  # short and blank lines end in nulls
        return frame
    text = _tidied(layout, piece)
    return frame if len(text) == len(piece.text) else _parsed(text, layout, piece.quoted, schema, how)


def has_blank_lines(layout: Layout) -> bool:
    """Whether some lines are blank; raises DataError where one has not as many cells as the header."""
    found = False
    for piece in rows_of(layout):
        found = found or len(_tidied(layout, piece)) != len(piece.text)
    return found


def line_of(layout: Layout, row: int) -> int:
    """The line of the file, counted from 1, on which data row `row` (from 0) ends."""
    seen = 0
    for piece in rows_of(layout):
        for record in records(piece.text, layout.separator):
            seen += not record.blank
            if seen == row + 1:
                return piece.line_of(record)
    return 0


def checked_names(header: list[str], path: Path) -> tuple[str, ...]:
    """The names of the columns; raises DataError where two are the same."""
    names = [name.strip() or f"column {j + 1}" for j, name in enumerate(header)]
    if len(set(names)) == len(names):
        return tuple(names)
    double = sorted({name for name in names if names.count(name) > 1}, key=names.index)
    told = ", ".join(f"'{one_line(name)}' ({names.count(name)} times)" for name in double[:3])
    hint = " Does its first line hold column names?" if any(_is_number(name) for name in double) else ""
    raise DataError(f"{path} has columns of the same name: {told}. Give every column its own name.{hint}")


def check_utf8(path: Path, text: bytes) -> None:
    """Raise DataError where this text, which is of the file, is not UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        raise DataError(_not_utf8(path)) from None


def no_rows(layout: Layout) -> str:
    """What to say of a file with a header alone."""
    return f"{layout.path} has a header ({len(layout.header):,} columns) and no rows."


def open_quote(path: Path, line: int) -> str:
    """What to say of a quotation mark that encloses the rest of the file."""
    return f"{path}, line {line:,}: the quotation mark that begins a cell does not end. A quote that opens must close."


def _head(path: Path) -> tuple[bytes, bool]:
    """The first lines of a file, and whether they are all of it."""
    text = b""
    try:
        with unpacked(path) as raw:
            while len(text) <= LONGEST:
                some = raw.read(max(HEAD, len(text)))
                text += some
                if not some or sum(bool(line.strip()) for line in text.split(b"\n")[:-1]) >= SAMPLE_LINES:
                    return text, not some
    except UNREADABLE as error:
        raise DataError(unreadable(path, error)) from None
    return text, False


def _skip(raw: Any, count: int) -> None:
    while count and (some := raw.read(min(count, HEAD))):
        count -= len(some)


def _parsed(text: bytes, layout: Layout, quoted: bool, schema: Mapping[str, Any], how: dict[str, Any]) -> pl.DataFrame:
    import polars as pl

    if not text:
        return pl.DataFrame(schema=schema)
    return pl.read_csv(
        text, has_header=False, separator=layout.separator, quote_char='"' if quoted else None, schema=schema, **how
    )


def _tidied(layout: Layout, piece: Piece) -> bytes:
    """The piece without blank lines; raises DataError for lines that have not as many cells as the header."""
    if not piece.plain:
        return _rewritten(layout, piece)
    widths, tidy = measure(piece, layout.separator)
    if ((widths != 0) & (widths != len(layout.header))).any():
        _refuse_ragged(layout)
    return tidy


def _rewritten(layout: Layout, piece: Piece) -> bytes:
    """The same records with every quotation mark in its place, for Polars, and without blank lines."""
    lines = []
    for record in records(piece.text, layout.separator):
        if record.blank:
            continue
        if len(record.cells) != len(layout.header):
            _refuse_ragged(layout)
        lines.append(layout.separator.encode().join(b'"' + cell.replace(b'"', b'""') + b'"' for cell in record.cells))
    return b"\n".join([*lines, b""])


def _refuse_ragged(layout: Layout) -> NoReturn:
    """Raise DataError for the first line that has not as many cells as the header, and count the others."""
    first: tuple[int, int] | None = None
    count, wanted = 0, len(layout.header)
    for piece in rows_of(layout):
        if piece.plain and first is not None:
            widths = measure(piece, layout.separator)[0]
            count += int(((widths != 0) & (widths != wanted)).sum())
            continue
        odd: Iterator[Record] = (
            record
            for record in records(piece.text, layout.separator)
            if not record.blank and len(record.cells) != wanted
        )
        for record in odd:
            count += 1
            first = first or (piece.line_of(record), len(record.cells))
    line, width = first or (0, 0)
    such = f" ({count:,} such lines)" if count > 1 else ""
    separator = "a tab" if layout.separator == "\t" else repr(layout.separator)
    raise DataError(
        f"{layout.path}, line {line:,}: {width:,} {'cell' if width == 1 else 'cells'}, and the header has "
        f"{wanted:,}{such}. Every line needs as many; a cell that holds the separator ({separator}) belongs in double "
        "quotes, and a quote that opens must close."
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _not_utf8(path: Path) -> str:
    line, column = 0, ""
    with unpacked(path) as file:
        while raw := file.readline(LONGEST):
            line += 1
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError as found:
                column = f" (byte 0x{raw[found.start]:02x})"
                break
    return f"{path} is not UTF-8 text: line {line:,}{column}. Save it as UTF-8 and try again."
