"""Parquet in little memory: page by page, or, where a page is a whole column, a few columns at a time by way of the disk.

Polars reads whole row groups, and there are files of one. pyarrow reads pages, of about a megabyte; but each column has
one open, so that 2,000 columns of 60,000 rows, a page each, would be in memory all together.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallline.private import user_cache

if TYPE_CHECKING:
    import polars as pl

PAGE = 2 << 20  # bytes of a column that are unpacked at a time: a page and a dictionary of 1 MB each, by most writers
BUFFER = 1 << 18  # bytes that are read of a column at a time; else a whole column of a row group is
MOST_PAGES = 128 << 20  # bytes of the open pages of all columns; 60 columns of 1,048,576 rows took 165 MB
LEAST_ROWS = 1_000  # of a frame
CELL = 16  # bytes of a cell in memory, about


def readable(files: Sequence[Path], columns: Sequence[str]) -> bool:
    """Whether the files can be read so: pyarrow is there, and they have these columns themselves."""
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        return False
    try:
        return all(set(columns) <= set(parquet.read_schema(file).names) for file in files)
    except Exception:  # of pyarrow's many: Polars is asked instead, and says what is wrong with the file
        return False


def parquet_frames(files: Sequence[Path], schema: Mapping[str, Any], room: int) -> Iterator[pl.DataFrame]:
    """The rows of the files, with these columns in these types; a frame has about `room` bytes."""
    import polars as pl
    import pyarrow.parquet as parquet

    names = list(schema)
    rows = max(LEAST_ROWS, room // (CELL * max(1, len(names))))
    for path in files:
        with parquet.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:
            for group in range(file.num_row_groups):
                sizes = _sizes(file.metadata.row_group(group), names)
                if sum(min(size, PAGE) for size in sizes.values()) <= MOST_PAGES:
                    batches = file.iter_batches(rows, row_groups=[group], columns=names, use_threads=False)
                    frames: Iterator[pl.DataFrame] = map(pl.DataFrame, batches)
                else:
                    frames = _by_columns(file, group, sizes, rows, room)
                for frame in frames:
                    if frame.height:
                        yield frame.select(pl.col(name).cast(kind) for name, kind in schema.items())


def _sizes(group: Any, names: Sequence[str]) -> dict[str, int]:
    """Bytes of each column in a row group, unpacked; a column of structs has several parts."""
    sizes = dict.fromkeys(names, 0)
    for k in range(group.num_columns):
        column = group.column(k)
        name = next(
            (name for name in (column.path_in_schema, column.path_in_schema.split(".")[0]) if name in sizes), None
        )
        if name is not None:
            sizes[name] += column.total_uncompressed_size
    return sizes


def _by_columns(file: Any, group: int, sizes: Mapping[str, int], rows: int, room: int) -> Iterator[pl.DataFrame]:
    """A row group written to disk unpacked, some columns after the other, and read from there."""
    import polars as pl
    import pyarrow as pa

    with tempfile.TemporaryDirectory(prefix="columns-", dir=_home()) as folder:
        parts: list[Path] = []
        for names in _portions(sizes, room):
            table = file.read_row_group(group, columns=names, use_threads=False)
            parts.append(Path(folder, f"{len(parts)}.arrow"))
            with pa.OSFile(str(parts[-1]), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table, max_chunksize=rows)
            del table
        readers = [pa.ipc.open_file(pa.memory_map(str(part))) for part in parts]
        for k in range(readers[0].num_record_batches):
            yield pl.concat([pl.DataFrame(reader.get_batch(k)) for reader in readers], how="horizontal")
        del readers


def _portions(sizes: Mapping[str, int], room: int) -> Iterator[list[str]]:
    """The columns in portions of about `room` bytes."""
    names: list[str] = []
    taken = 0
    for name, size in sizes.items():
        if names and taken + size > room:
            yield names
            names, taken = [], 0
        names.append(name)
        taken += size
    yield names


def _home() -> Path:
    """Where the columns may lie for a while: beside the rows of other runs, for the folder of temporary files may be memory."""
    base = user_cache()
    if base is not None:
        with contextlib.suppress(OSError):
            (base / "fallline").mkdir(parents=True, exist_ok=True)
            return base / "fallline"
    return Path(tempfile.gettempdir())
