"""Predictions to a file: CSV or Parquet by its name, written beside and then renamed, so that nothing half is left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fallline.errors import FalllineError

if TYPE_CHECKING:
    import polars as pl


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write `frame` to `path`; raises FalllineError with the reason when it cannot be written."""
    beside = path.with_name(f".{path.name}.part")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame.write_parquet(beside)
        else:
            frame.write_csv(beside)
        beside.replace(path)
    except OSError as error:
        raise FalllineError(f"{path}: cannot be written: {error.strerror or error}.") from None
    finally:
        beside.unlink(missing_ok=True)
