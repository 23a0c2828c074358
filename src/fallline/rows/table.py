"""Tables from files: CSV, TSV, Parquet, Arrow IPC and JSON lines, each with one clear sentence when it cannot be read.

``pl`` is imported where it is used: ``import fallline`` does not load Polars.
"""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallline.errors import DataError
from fallline.family import suggest
from fallline.redaction import redacted
from fallline.rows.cells import date_text, type_text
from fallline.rows.delimited import line_of, read_delimited
from fallline.rows.pieces import json_line
from fallline.system_errors import read_reason

if TYPE_CHECKING:
    import polars as pl

DELIMITED = (".csv", ".tsv", ".tab", ".txt")
PARQUET = (".parquet", ".pq")
ARROW = (".arrow", ".feather", ".ipc")
JSON_LINES = (".jsonl", ".ndjson")
SUFFIXES = (*DELIMITED, *PARQUET, *ARROW, *JSON_LINES)
MOST_KINDS = 4  # of cells that an error names
MOST_TOLD = 300  # characters of another library's message that an error repeats


def read_table(path: str | Path, *, drop: Collection[str] = (), kinds: Mapping[str, str] | None = None) -> pl.DataFrame:
    r"""A table file as a Polars data frame, every column typed by all of its cells.

    Text files (CSV, TSV, JSON lines): see :func:`fallline.rows.cells.type_text`; the separator (comma, semicolon, tab,
    bar) is guessed, and where it is not a comma, 3,14 is a number. Parquet and Arrow files keep their types, except
    that text which holds dates throughout becomes dates. `drop` names columns that are not wanted. `kinds`, where
    given, is ``Encoder.kinds`` of the model that the rows are for: its text columns stay text, and columns that it
    does not use are not typed (nor complained about).

    Raises DataError: no such file, a folder, an empty or damaged file, no rows, duplicate names, ragged rows, text that
    is not UTF-8, text in a column of numbers.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "houses.csv")
    ...     _ = file.write_text("id;price;seen\n007;3,5;2024-03-31\n008;NA;2024-04-01\n", encoding="utf-8")
    ...     read_table(file).dtypes
    [String, Float64, Date]
    """
    file = existing(Path(path))
    suffix = file.suffix.lower()
    check_suffix(str(file), suffix)
    try:
        if suffix in DELIMITED:
            return _delimited(file, drop, kinds)
        if suffix in JSON_LINES:
            return _json_lines(file, drop, kinds)
        return date_text(_without(_binary(file, suffix), drop, file), _row)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {read_reason(error)}.") from None


def check_suffix(name: str, suffix: str) -> None:
    """Raise DataError where files that end so are not read."""
    if suffix not in SUFFIXES:
        raise DataError(
            f"{name}: files ending in {suffix or 'nothing'!r} are not tables that fallline reads; it reads "
            f"{', '.join(SUFFIXES)}, and .libsvm."
        )


def as_frame(table: Any) -> pl.DataFrame:
    """Any data frame (Polars eager or lazy, pandas, or what speaks Arrow) as a Polars data frame.

    Raises DataError for other things.
    """
    import polars as pl

    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, pl.LazyFrame):
        from fallline.rows.sources.frames import LazySource

        frames = list(LazySource(table, "the lazy frame").frames())
        return pl.concat(frames) if frames else table.collect()
    if hasattr(table, "iloc") and hasattr(table, "columns"):  # pandas, which needs pyarrow for the direct way
        names = [str(name) for name in table.columns]
        double = next((name for name in names if names.count(name) > 1), None)
        if double is not None:
            raise DataError(f"The table has several columns named {double!r}. Give every column its own name.")
        return pl.DataFrame({str(name): _from_pandas(table[name]) for name in table.columns})
    if hasattr(table, "__arrow_c_stream__"):
        return pl.DataFrame(table)
    raise DataError(f"A table must be a data frame (Polars, pandas, Arrow), got {type(table).__name__}.")


def _from_pandas(column: Any) -> pl.Series:
    """One pandas column; NaN, None and NaT become nulls, categories become text whatever they hold."""
    import polars as pl

    labelled = column.dtype.name == "category"
    values = column.to_numpy()
    if values.dtype.kind == "c":
        raise DataError(
            f"Column {str(column.name)!r} holds complex numbers; a model is trained on real ones. Give the real part, or real "
            "and imaginary part as two columns."
        )
    if values.dtype.kind in "iufb" and not labelled:
        return pl.Series(values)
    if values.dtype.kind in "mM" and not labelled:
        return pl.Series(values.astype(f"{values.dtype.kind}8[us]"))
    cells = column.astype(object).where(column.notna(), None).tolist()
    kinds = {type(cell) for cell in cells if cell is not None}
    if labelled or (len(kinds) > 1 and not kinds <= {int, float, bool}):
        cells = [None if cell is None else str(cell) for cell in cells]
    zones = [cell.tzinfo is not None for cell in cells if isinstance(cell, datetime.datetime)]
    if any(zones) and kinds <= {type(cell) for cell in cells if isinstance(cell, datetime.datetime)}:
        if not all(zones):
            raise DataError(
                f"Column {str(column.name)!r} mixes times with and without a time zone; give all of them one, such as UTC."
            )
        cells = [None if cell is None else cell.astimezone(datetime.UTC) for cell in cells]
    try:
        return pl.Series(cells, strict=False)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
        told = ", ".join(sorted(kind.__name__ for kind in kinds)[:MOST_KINDS])
        raise DataError(
            f"Column {str(column.name)!r} holds cells that make no column of numbers, text or dates ({told}). Convert it first."
        ) from None


def existing(file: Path) -> Path:
    """`file`, which is there and has something in it; raises DataError with the nearest name where it is not."""
    if file.is_dir():
        tables = sorted(p.name for p in file.iterdir() if p.suffix.lower() in SUFFIXES)
        inside = f"; it holds {', '.join(tables[:5])}{', ...' if len(tables) > 5 else ''}" if tables else ""
        raise DataError(f"{file} is a folder{inside}. Give one file.")
    if not file.exists():
        folder = file.parent
        names = [p.name for p in folder.iterdir() if p.is_file()] if folder.is_dir() else []
        near = difflib.get_close_matches(file.name, names, n=1)
        hint = f" Did you mean {folder / near[0]}?" if near else ""
        hint = hint if folder.is_dir() else f" There is no folder {folder}."
        raise DataError(f"There is no file {file}.{hint}")
    if file.stat().st_size == 0:
        raise DataError(f"{file} is empty.")
    return file


def is_utf8(path: str | Path) -> bool:
    r"""Whether Polars can be given this name: a file system may hold any bytes, which Python keeps as surrogates.

    >>> is_utf8("caf\u00e9.csv"), is_utf8("caf\udce9.csv")
    (True, False)
    """
    return not any("\ud800" <= c <= "\udfff" for c in str(path))


def refuse_bytes(path: str | Path) -> None:
    """Raise DataError for a name that Polars cannot be given."""
    if not is_utf8(path):
        raise DataError(
            f"{path}: files of this format are read by names in UTF-8 only. Rename it, or make a link to it."
        )


def _delimited(file: Path, drop: Collection[str], kinds: Mapping[str, str] | None) -> pl.DataFrame:
    frame, layout = read_delimited(file)
    rest = _without(frame, drop, file)
    return _typed(rest, file, lambda row: f"line {line_of(layout, row):,}", kinds, layout.separator != ",")


def _json_lines(file: Path, drop: Collection[str], kinds: Mapping[str, str] | None) -> pl.DataFrame:
    import polars as pl

    try:
        with file.open("rb") as opened:  # by its name Polars would take it as a pattern
            frame = pl.read_ndjson(opened, infer_schema_length=None)
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise DataError(f"{file} is not one JSON object a line: {brief(error)}.") from None
    rest = _without(_with_rows(frame, file), drop, file)
    return _typed(rest, file, lambda row: _json_place(file, row), kinds)


def _json_place(file: Path, row: int) -> str:
    with file.open("rb") as lines:
        return f"line {json_line(lines, row)[0] or 0:,}"


def _typed(
    frame: pl.DataFrame, file: Path, place: Callable[[int], str], kinds: Mapping[str, str] | None,
    decimal_comma: bool = False,
) -> pl.DataFrame:  # fmt: skip
    text = [] if kinds is None else [name for name in frame.columns if kinds.get(name, "text") == "text"]
    numbers = [] if kinds is None else [name for name in frame.columns if kinds.get(name) == "number"]
    try:
        return type_text(frame, place, text=text, numbers=numbers, decimal_comma=decimal_comma)
    except DataError as error:
        raise DataError(f"{file}: {error}") from None


def _binary(file: Path, suffix: str) -> pl.DataFrame:
    import polars as pl

    refuse_bytes(file.absolute())
    kind = "Parquet" if suffix in PARQUET else "Arrow"
    try:
        # A file is itself, whatever marks of patterns its name has. (``read_ipc`` knows no other way.)
        scan = pl.scan_parquet if suffix in PARQUET else pl.scan_ipc
        frame = scan(file.absolute(), glob=False, hive_partitioning=False).collect()
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        if isinstance(error, PermissionError):
            raise
        raise DataError(f"{file} cannot be read as {kind}; it may be truncated ({brief(error)}).") from None
    return _with_rows(frame, file)


def _with_rows(frame: pl.DataFrame, file: Path) -> pl.DataFrame:
    if frame.height == 0 or frame.width == 0:
        raise DataError(f"{file} has {frame.width} columns and no rows.")
    return frame


def _without(frame: pl.DataFrame, drop: Collection[str], file: Path) -> pl.DataFrame:
    for name in drop:
        if name not in frame.columns:
            raise DataError(f"{file} has no column '{name}' to drop.{suggest(name, frame.columns)}")
    return frame.drop(drop)


def _row(row: int) -> str:
    return f"row {row:,}"


def brief(error: BaseException) -> str:
    """The first line of another library's message, which may repeat an address: without the credentials of it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return redacted(lines[0]).rstrip(".")[:MOST_TOLD]
