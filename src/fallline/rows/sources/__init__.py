"""Where tables come from, one kind a file. All of them are read in the same way: as frames, one after another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fallline.errors import DataError
from fallline.rows.sources._base import Source
from fallline.rows.sources.files import is_large, is_several, scan_files
from fallline.rows.sources.frames import FrameSource, LazySource, StreamSource
from fallline.rows.sources.libsvm import LibsvmSource, is_libsvm
from fallline.rows.sources.sql import SqlSource
from fallline.rows.table import existing

__all__ = ["FrameSource", "LazySource", "Source", "SqlSource", "StreamSource", "as_source", "is_large", "is_several"]


def as_source(table: Any, kinds: Mapping[str, str] | None = None) -> Source:
    """The source of a data frame (Polars eager or lazy, pandas, Arrow), a stream of Arrow batches, or a path.

    A path may be a file, a folder, a pattern (``"sales/*.parquet"``) or an address in an object store
    (``"s3://bucket/sales.parquet"``). `kinds`: ``Encoder.kinds`` of the model that the rows are for, where there is one.
    Raises DataError for other things.
    """
    import polars as pl

    if isinstance(table, Source):
        return table
    if isinstance(table, (str, Path)):
        if is_libsvm(table) and not is_several(table):
            return LibsvmSource(existing(Path(table)), kinds)
        return scan_files(table, kinds)
    if isinstance(table, pl.LazyFrame):
        return LazySource(table, "the lazy frame")
    if hasattr(table, "read_next_batch") or type(table).__name__ in ("RecordBatchReader", "DuckDBPyRelation"):
        return StreamSource(table, "the stream")
    if isinstance(table, pl.DataFrame) or hasattr(table, "iloc") or hasattr(table, "__arrow_c_stream__"):
        return FrameSource(table)
    raise DataError(
        f"X: to name the target column, X must be a table: a data frame (Polars, pandas, Arrow) or a file's path; got "
        f"{type(table).__name__}."
    )
