"""Predictions to a file: CSV or Parquet by its name, frame by frame; an existing file is replaced when all are there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallline.atomic_write import writing

if TYPE_CHECKING:
    import polars as pl

PARQUET = (".parquet", ".pq")


def write_table(frames: Iterator[pl.DataFrame], path: Path) -> None:
    """Write the frames to `path` as they come; raises OutputError with the reason when it cannot be written."""
    with writing(path) as output:
        if path.suffix.lower() in PARQUET:
            _parquet(frames, output)
        else:
            write_csv(frames, output.write)


def write_csv(frames: Iterator[pl.DataFrame], write: Callable[[bytes], Any]) -> None:
    """Write the frames as one CSV in UTF-8, with one header."""
    for k, frame in enumerate(frames):
        write(frame.write_csv(include_header=k == 0).encode())


def _parquet(frames: Iterator[pl.DataFrame], output: Any) -> None:
    """One Parquet file from frames that come one by one, through Polars's streaming writer, to an ``Output``."""
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
        register_io_source(source, schema=first.schema).sink_parquet(output, maintain_order=True)
    except Exception:
        if failed:
            raise failed[0] from None
        if output.error is not None:
            raise output.error from None
        raise
