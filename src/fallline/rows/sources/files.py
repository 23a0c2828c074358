"""Files: one, a folder, a pattern, or an address in an object store, streamed by Polars."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallline.errors import DataError
from fallline.redaction import redacted, redacted_message
from fallline.rows.cells import EMPTY_WORDS
from fallline.rows.pieces import PACKED
from fallline.rows.sources._base import Source
from fallline.rows.sources.frames import LazySource, stamp
from fallline.rows.sources.jsonlines import JsonLinesSource
from fallline.rows.sources.text import TextSource
from fallline.rows.table import (
    ARROW,
    DELIMITED,
    JSON_LINES,
    PARQUET,
    SUFFIXES,
    brief,
    check_suffix,
    existing,
    refuse_bytes,
)

if TYPE_CHECKING:
    import polars as pl

REMOTE = re.compile(r"^[a-z][a-z0-9+.-]+://")  # s3://, gs://, az://, https://, ...
LARGE = 256 << 20  # bytes of a file that is streamed rather than read whole


def is_remote(path: Any) -> bool:
    """Whether it is an address, not a path."""
    return bool(REMOTE.match(str(path)))


def is_several(path: Any) -> bool:
    """Whether it stands for more than a file on this machine: an address, a folder, a pattern, standard input."""
    text = str(path)
    return is_remote(text) or text == "-" or Path(text).is_dir() or (_is_pattern(text) and not Path(text).exists())


def _is_pattern(text: str) -> bool:
    return any(mark in text for mark in "*?[")


def is_large(path: Any) -> bool:
    """Whether a file is too large to be read whole without a thought."""
    return not is_remote(path) and Path(path).is_file() and Path(path).stat().st_size > LARGE


def scan_files(path: str | Path, kinds: Mapping[str, str] | None = None) -> Source:
    """The source of a path, a pattern, a folder or an address; raises DataError where nothing is there.

    Of a folder all files of one kind are read, those in folders within too, in the order of their names; folders named
    ``year=2024`` become columns (hive partitions). `kinds`: ``Encoder.kinds`` of the model that the rows are for.
    """
    if str(path) == "-":
        from fallline.rows.sources.standard_input import StandardInput

        return StandardInput(kinds)
    if is_remote(path):
        return _scanned([str(path)], redacted(str(path)), _suffix(str(path)), None, hive=False)
    given = str(path)
    files = _files(given)
    suffix = _suffix(files[0].name)
    if any(_suffix(file.name) != suffix for file in files):
        found = sorted({_suffix(file.name) for file in files})
        raise DataError(
            f"{given}: holds files of several kinds ({', '.join(found)}); give a pattern such as '*{suffix}'."
        )
    size = sum(file.stat().st_size for file in files)
    if suffix in DELIMITED:
        return TextSource(files, given, stamp(files), size, kinds)
    if suffix in JSON_LINES:
        return JsonLinesSource(files, given, stamp(files), size, kinds)
    hive = len(files) > 1 and any("=" in part for part in files[0].parts)
    source = _scanned([str(file.absolute()) for file in files], given, suffix, stamp(files), hive, size)
    source.files, source.parquet = files, suffix in PARQUET
    return source


def _files(given: str) -> list[Path]:
    if Path(given).is_dir():
        found = sorted(p for p in Path(given).rglob("*") if p.is_file() and _suffix(p.name) in SUFFIXES)
        if not found:
            raise DataError(f"{given} is a folder without a table in it ({', '.join(SUFFIXES)}).")
        return found
    if _is_pattern(given) and not Path(given).exists():
        found = sorted(Path(name) for name in glob.glob(given, recursive=True) if Path(name).is_file())
        if not found:
            raise DataError(f"{given}: no file has such a name.")
        return found
    return [existing(Path(given))]


def _suffix(name: str) -> str:
    """``.csv`` of ``sales.csv`` and of ``sales.csv.gz``."""
    name = name.lower().split("?")[0] if is_remote(name) else name.lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    return Path(name).suffix


def _scanned(
    paths: list[str], name: str, suffix: str, fingerprint: str | None, hive: bool, size: int | None = None
) -> LazySource:
    import polars as pl

    check_suffix(name, suffix)
    for path in paths:
        refuse_bytes(path)
    try:
        query = _query(paths, suffix, hive)
        schema = query.collect_schema()
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise DataError(f"{name} cannot be read: {redacted_message(brief(error), paths[0])}.") from None
    if not len(schema):
        raise DataError(f"{name} has no columns.")
    source = LazySource(query, name, fingerprint, size)
    source.dates, source.counted = True, suffix in PARQUET and not is_remote(name)
    source.address = paths[0] if is_remote(name) else ""
    return source


def _query(paths: list[str], suffix: str, hive: bool) -> pl.LazyFrame:
    import polars as pl

    if suffix in PARQUET:
        return pl.scan_parquet(paths, hive_partitioning=hive, glob=is_remote(paths[0]))
    if suffix in ARROW:
        return pl.scan_ipc(paths, hive_partitioning=hive, glob=is_remote(paths[0]))
    if suffix in JSON_LINES:
        return pl.scan_ndjson(paths, infer_schema_length=None)  # from afar; see jsonlines.py
    return pl.scan_csv(paths, infer_schema_length=None, null_values=list(EMPTY_WORDS))  # from afar; see text.py
