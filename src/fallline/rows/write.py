"""Predictions to a file: CSV or Parquet by its name, written beside and then renamed, so that nothing half is left."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallline.errors import FalllineError

if TYPE_CHECKING:
    import polars as pl

PARQUET = (".parquet", ".pq")


def write_table(frames: Iterator[pl.DataFrame], path: Path) -> None:
    """Write the frames to `path` as they come; raises FalllineError with the reason when it cannot be written."""
    beside = path.with_name(f".{path.name}.part")
    try:
        if path.suffix.lower() in PARQUET:
            _parquet(frames, beside)
        else:
            with beside.open("w", encoding="utf-8", newline="") as file:
                write_csv(frames, file.write)
        beside.replace(path)
    except OSError as error:
        raise FalllineError(f"{path}: cannot be written: {error.strerror or error}.") from None
    finally:
        beside.unlink(missing_ok=True)


def write_csv(frames: Iterator[pl.DataFrame], write: Callable[[str], Any]) -> None:
    """Write the frames as one CSV, with one header."""
    for k, frame in enumerate(frames):
        write(frame.write_csv(include_header=k == 0))


def _parquet(frames: Iterator[pl.DataFrame], path: Path) -> None:
    """One Parquet file from frames that come one by one, through Polars's streaming writer."""
    from polars.io.plugins import register_io_source

    first = next(frames)
    failed: list[BaseException] = []

    def source(*_: Any) -> Iterator[pl.DataFrame]:
        try:
            yield from itertools.chain([first], frames)
        except BaseException as error:  # Polars would wrap it into one of its own
            failed.append(error)
            raise

    try:
        register_io_source(source, schema=first.schema).sink_parquet(path, maintain_order=True)
    except Exception:
        if failed:
            raise failed[0] from None
        raise
