"""Tables from files: CSV, TSV, Parquet, Arrow IPC and JSON lines, read by Polars, checked before anything is trained."""

from __future__ import annotations

import csv
import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallline.errors import DataError

if TYPE_CHECKING:
    import polars as pl

EMPTY = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "none", "?"]  # words that mean an empty cell
SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet",
    ".arrow": "ipc", ".feather": "ipc", ".ipc": "ipc", ".jsonl": "json", ".ndjson": "json",
}  # fmt: skip
MOSTLY = 0.95  # of the cells that are not empty: a text column so numeric has slips in it, and they are named
FEWEST = 20  # cells from which on that judgement is made
SEPARATORS = ",;\t|"
SNIFFED = 64_000  # bytes of the file's head in which the separator is looked for


def read_table(path: str | Path) -> pl.DataFrame:
    """Return the table in `path` with types found over the whole file.

    Codes with leading zeros ("007") stay text, dates become dates, the words of ``EMPTY`` are empty cells. Raises DataError
    with one sentence: no such file (with the nearest name), a folder, an empty file, a header without rows, two columns
    of one name, a text cell in a column of numbers (its line and value), a file that is damaged or of an unknown kind.
    """
    path = Path(path)
    _check_file(path)
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise DataError(f"{path}: unknown kind of file {path.suffix!r}; fallline reads {', '.join(SUFFIXES)}.")
    frame = _read(path, kind)
    if frame.width == 0:
        raise DataError(f"{path}: there are no columns in it.")
    if frame.height == 0:
        raise DataError(f"{path}: there is a header ({frame.width} columns) and no row under it.")
    import polars as pl

    if kind == "csv":
        return frame.with_columns([_typed(frame[name], path) for name in frame.columns])
    return frame.with_columns([_moments(frame[n], frame[n]) for n in frame.select(pl.col(pl.String)).columns])


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"{path}: is a folder; give one file.")
    if not path.exists():
        folder = path.parent if path.parent.is_dir() else None
        names = [p.name for p in folder.iterdir()] if folder else []
        near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
        raise DataError(f"{path}: no such file.{f' Did you mean {str(path.with_name(near[0]))!r}?' if near else ''}")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty.")


def _read(path: Path, kind: str) -> pl.DataFrame:
    import polars as pl

    try:
        if kind == "parquet":
            return pl.read_parquet(path)
        if kind == "ipc":
            return pl.read_ipc(path, memory_map=False)
        if kind == "json":
            return pl.read_ndjson(path, infer_schema_length=None)
        return _read_csv(path)
    except DataError:
        raise
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text; save it as UTF-8.") from None
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{path}: cannot be read as {path.suffix[1:].upper()}; it may be damaged ({reason}).") from None


def _read_csv(path: Path) -> pl.DataFrame:
    """Every cell as text first: types are then judged over the whole column, not over its first rows."""
    import polars as pl

    with path.open("rb") as file:
        head = file.read(SNIFFED)
    text = head.decode("utf-8-sig", errors="strict" if len(head) < SNIFFED else "ignore")
    separator = "\t" if path.suffix.lower() == ".tsv" else _separator(text)
    names = next(csv.reader(text.splitlines(), delimiter=separator), [])
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: two columns are called {twice[0]!r}; give every column a name of its own.")
    return pl.read_csv(path, separator=separator, infer_schema=False, null_values=EMPTY, encoding="utf8")


def _separator(text: str) -> str:
    """The separator that splits the first lines into the same number of columns, the most columns winning."""
    lines = [line for line in text.splitlines()[:50] if line.strip()][: 50 if len(text) < SNIFFED else 49]
    best, columns = ",", 1
    for separator in SEPARATORS:
        counts = [len(row) for row in csv.reader(lines, delimiter=separator)]
        if counts and min(counts) == max(counts) > columns:
            best, columns = separator, counts[0]
    return best


def _typed(column: pl.Series, path: Path) -> pl.Series:
    """A text column as integers, numbers, booleans, dates or timestamps, if all its cells are that; else as text."""
    import polars as pl

    cells = column.str.strip_chars()
    known = cells.drop_nulls()
    if known.len() == 0:
        return column
    if known.str.contains(r"^[+-]?0\d").any():  # 007 is a code: as a number it would lose its zeros
        return cells
    numbers = cells.cast(pl.Float64, strict=False)
    failed = int(numbers.is_null().sum()) - int(cells.is_null().sum())
    if failed == 0:
        whole = cells.cast(pl.Int64, strict=False)
        return whole if whole.null_count() == cells.null_count() else numbers
    if known.str.to_lowercase().is_in(["true", "false"]).all():
        return cells.str.to_lowercase() == "true"
    if known.len() >= FEWEST and failed <= (1.0 - MOSTLY) * known.len():
        row = int((numbers.is_null() & cells.is_not_null()).arg_max() or 0)
        raise DataError(
            f"{path}: column {column.name!r}, line {row + 2:,}: {cells[row]!r} is not a number, and the other "
            f"{known.len() - failed:,} cells are. Correct the cell{'' if failed == 1 else f' ({failed} such cells)'}, or "
            f"leave the column out with --drop {column.name!r}."
        )
    return _moments(cells, cells)


def _moments(cells: pl.Series, otherwise: pl.Series) -> pl.Series:
    """Text as dates or timestamps if every cell is one, else `otherwise`."""
    import polars as pl

    if cells.null_count() == cells.len():
        return otherwise
    for parse in (cells.str.to_date, cells.str.to_datetime):
        try:
            moments = parse(strict=False)
        except pl.exceptions.PolarsError:
            continue
        if moments.null_count() == cells.null_count():
            return moments
    return otherwise


def write_table(frame: Any, path: Path) -> None:
    """Write predictions as CSV or Parquet by the file's name, beside first and then renamed."""
    beside = path.with_name(f".{path.name}.part")
    try:
        frame.write_parquet(beside) if path.suffix.lower() in (".parquet", ".pq") else frame.write_csv(beside)
        beside.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}.") from None
    finally:
        beside.unlink(missing_ok=True)
