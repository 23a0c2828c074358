"""Delimited text (CSV, TSV): its separator, its header, and whether every row has as many cells as the header."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.errors import DataError

if TYPE_CHECKING:
    import polars as pl

SEPARATORS = ",;\t|"  # in the order in which they win a draw
SAMPLE_LINES = 50  # lines that the separator is guessed from
CHUNK = 1 << 24  # bytes read at once when a file is scanned
NO_CELL = "\x01"  # a separator that no text holds: the whole line becomes one cell
UTF16 = (b"\xff\xfe", b"\xfe\xff")  # how UTF-16 files begin


class Layout(NamedTuple):
    """How a delimited file is written."""

    path: Path
    separator: str
    header: tuple[str, ...]
    quoted: bool  # whether it has quotation marks that enclose cells
    lines: int  # line ends in the file


def read_delimited(path: Path) -> tuple[pl.DataFrame, Layout]:
    """All cells as text, one row a record; blank lines are left out.

    Raises DataError for files that are empty, not UTF-8, without rows, with duplicate names or with ragged rows.
    """
    layout = look_at(path)
    try:
        frame, layout = _read(layout)
    except UnicodeDecodeError as error:
        raise DataError(_not_utf8(path, error)) from None
    if frame.height == 0:
        raise DataError(f"{path} has a header ({len(layout.header)} columns) and no rows.")
    return frame, layout


def look_at(path: Path) -> Layout:
    """Separator and header of a file, checked; reads the first lines, and counts the rest."""
    lines, quoted, first = _scan(path)
    if first.startswith(UTF16):
        raise DataError(f"{path} is UTF-16 text, not UTF-8. Save it as UTF-8 (in Excel: CSV UTF-8) and try again.")
    try:
        sample = list(_head(path))
        if not sample:
            raise DataError(f"{path} is empty.")
        separator = guess_separator(sample)
        header = next(record for record in _records(path, separator, quoted) if record)
    except UnicodeDecodeError as error:
        raise DataError(_not_utf8(path, error)) from None
    return Layout(path, separator, checked_names(header, path), quoted, lines)


def guess_separator(lines: list[str]) -> str:
    """The separator that cuts most lines into as many cells as the first, more than one; a comma where there is none.

    >>> guess_separator(["a;b", "1,5;2", "2,5;3"])
    ';'
    """

    def fit(separator: str) -> tuple[float, int]:
        widths = [len(record) for record in csv.reader(lines, delimiter=separator) if record]
        alike = sum(width == widths[0] for width in widths) / len(widths)
        return (alike if widths[0] > 1 else 0.0, widths[0])

    return max(SEPARATORS, key=fit)


def line_of(layout: Layout, row: int) -> int:
    """The line of the file, counted from 1, on which data row `row` (from 0) ends."""
    with layout.path.open(encoding="utf-8-sig", newline="") as file:
        reader = _reader(file, layout.separator, layout.quoted)
        seen = -1  # the header
        for record in reader:
            seen += bool(record)
            if seen == row + 1:
                break
        line: int = reader.line_num
        return line


def _scan(path: Path) -> tuple[int, bool, bytes]:
    """Line ends, whether there are quotation marks, and the first bytes."""
    lines, quoted, first = 0, False, b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            first = first or chunk[:4]
            lines += chunk.count(b"\n")
            quoted = quoted or b'"' in chunk
    return lines, quoted, first


def _head(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        count = 0
        for line in file:
            if line.strip():
                yield line
                count += 1
            if count == SAMPLE_LINES:
                return


def _reader(lines: Iterable[str], separator: str, quoted: bool) -> Any:
    return csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)


def _records(path: Path, separator: str, quoted: bool) -> Iterator[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from _reader(file, separator, quoted)


def checked_names(header: list[str], path: Path) -> tuple[str, ...]:
    """The names of the columns; raises DataError where two are the same."""
    names = [name.strip() or f"column {j + 1}" for j, name in enumerate(header)]
    double = sorted({name for name in names if names.count(name) > 1}, key=names.index)
    if double:
        told = ", ".join(f"'{name}' ({names.count(name)} times)" for name in double[:5])
        hint = " Does its first line hold column names?" if any(_is_number(name) for name in double) else ""
        raise DataError(f"{path} has columns of the same name: {told}. Give every column its own name.{hint}")
    return tuple(names)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _read(layout: Layout) -> tuple[pl.DataFrame, Layout]:
    import polars as pl

    try:
        frame = _parse(layout)
    except pl.exceptions.PolarsError as error:
        widths = _widths(layout)  # says where, or raises UnicodeDecodeError
        _check_widths(layout, widths)
        if not layout.quoted:
            raise DataError(f"{layout.path} cannot be read: {str(error).splitlines()[0]}.") from None
        layout = layout._replace(quoted=False)  # quotation marks within cells: 5" pipe
        _check_widths(layout, _widths(layout))
        frame = _parse(layout)
    # Short rows end in nulls, and a quotation mark gone astray swallows lines; only then is every row measured.
    if frame[:, -1].null_count() == 0 and not (layout.quoted and frame.height != layout.lines - 1):
        return frame, layout
    widths = _widths(layout)
    _check_widths(layout, widths)
    return _without_blank_lines(frame, widths, layout), layout


def _parse(layout: Layout) -> pl.DataFrame:
    import polars as pl

    return pl.read_csv(
        layout.path,
        separator=layout.separator,
        quote_char='"' if layout.quoted else None,
        infer_schema=False,
        new_columns=list(layout.header),
    )


def _widths(layout: Layout) -> NDArray[np.int64]:
    """The number of cells of every record after the header, 0 for blank lines."""
    import polars as pl

    if layout.quoted:
        records = _records(layout.path, layout.separator, True)
        widths = np.fromiter((len(record) for record in records), dtype=np.int64)
    else:
        lines = pl.read_csv(
            layout.path, separator=NO_CELL, quote_char=None, infer_schema=False, has_header=False, new_columns=["line"]
        )["line"].str.strip_chars("\r")
        cells = lines.str.count_matches(layout.separator, literal=True) + 1
        blank = lines.is_null() | (lines == "").fill_null(True)
        widths = np.where(blank.to_numpy(), 0, cells.fill_null(0).to_numpy()).astype(np.int64)
    return widths[int(np.argmax(widths > 0)) + 1 :]


def _check_widths(layout: Layout, widths: NDArray[np.int64]) -> None:
    bad = (widths != 0) & (widths != len(layout.header))
    if not bad.any():
        return
    row = int(np.argmax(bad))
    line = line_of(layout, int((widths[:row] != 0).sum()))
    count = f" ({int(bad.sum()):,} such lines)" if bad.sum() > 1 else ""
    separator = "a tab" if layout.separator == "\t" else repr(layout.separator)
    raise DataError(
        f"{layout.path}, line {line:,}: {widths[row]:,} {'cell' if widths[row] == 1 else 'cells'}, and the header has "
        f"{len(layout.header):,}{count}. Every line needs as many; a cell that holds the separator ({separator}) "
        f"belongs in double quotes{', and a quote that opens must close' if layout.quoted else ''}."
    )


def _without_blank_lines(frame: pl.DataFrame, widths: NDArray[np.int64], layout: Layout) -> pl.DataFrame:
    kept = widths[: frame.height]
    if len(widths) < frame.height:
        kept = np.concatenate([widths, np.zeros(frame.height - len(widths), dtype=np.int64)])
    if int((kept != 0).sum()) != int((widths != 0).sum()):
        raise DataError(f"{layout.path} cannot be read: its quotation marks do not pair up.")
    return frame if kept.all() else frame.filter(kept != 0)


def _not_utf8(path: Path, error: UnicodeDecodeError) -> str:
    line, column = 0, ""
    with path.open("rb") as file:
        for raw in file:
            line += 1
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError as found:
                column = f" (byte 0x{raw[found.start]:02x})"
                break
    return f"{path} is not UTF-8 text: line {line:,}{column}. Save it as UTF-8 and try again."
