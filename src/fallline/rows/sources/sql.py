"""The rows that a query of a database returns, streamed as Arrow batches: SQLite, DuckDB, PostgreSQL."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallline.errors import DataError, MissingExtraError, SettingError
from fallline.rows.sources._base import Source
from fallline.rows.sources.frames import stamp
from fallline.rows.table import brief

if TYPE_CHECKING:
    import polars as pl

SQLITE = (".db", ".sqlite", ".sqlite3")
DUCKDB = (".duckdb", ".ddb")
BATCH_ROWS = 50_000
TYPE_NAME = b"ADBC:postgresql:typname"  # where the driver tells the type of a column that Arrow has not


class SqlSource(Source):
    """``SqlSource("select * from homes", "sqlite:///homes.db")``.

    `db` is ``sqlite:///file`` or a file ending in .db or .sqlite, ``duckdb:///file`` or a file ending in .duckdb, or
    ``postgresql://user@host/name``. Numbers of arbitrary precision (NUMERIC) are read as float64.
    """

    def __init__(self, query: str, db: str) -> None:
        self.query, self.db = query, db
        self.kind, self.path = _kind(db)
        self.name = f"the query of {self.path or db.split('@')[-1]}"

    def frames(self, room: int | None = None) -> Iterator[pl.DataFrame]:
        try:
            for frame in {"sqlite": self._sqlite, "duckdb": self._duckdb, "postgresql": self._postgresql}[self.kind]():
                if frame.height:
                    yield frame
        except (DataError, MissingExtraError):
            raise
        except Exception as error:  # each driver has its own tree of errors
            hint = ""
            if "type mismatch" in str(error).lower():
                hint = " The column holds values of several types: CAST it to one, as in select cast(price as real) ..."
            raise DataError(f"{self.name} failed: {brief(error)}.{hint}") from None

    @property
    def fingerprint(self) -> str | None:
        """Of the query and the file; a server does not say whether its rows have changed."""
        if self.path is None or not self.path.exists():
            return None
        logs = [self.path.with_name(self.path.name + end) for end in ("-wal", ".wal")]  # of what is not in the file yet
        return hashlib.blake2b(f"{self.query} {stamp([self.path, *logs])}".encode(), digest_size=16).hexdigest()

    def _sqlite(self) -> Iterator[pl.DataFrame]:
        driver = _driver("adbc_driver_sqlite.dbapi", "sql")
        if self.path is None or not self.path.exists():
            raise DataError(f"There is no file {self.path}.")
        return self._adbc(driver.connect(str(self.path)))

    def _postgresql(self) -> Iterator[pl.DataFrame]:
        return self._adbc(_driver("adbc_driver_postgresql.dbapi", "sql").connect(self.db))

    def _adbc(self, connection: Any) -> Iterator[pl.DataFrame]:
        import polars as pl

        with connection, connection.cursor() as cursor:
            cursor.execute(self.query)
            reader = cursor.fetch_record_batch()
            numeric = [field.name for field in reader.schema if (field.metadata or {}).get(TYPE_NAME) == b"numeric"]
            for batch in reader:
                stored = [getattr(column, "storage", column) for column in batch.columns]  # NUMERIC comes as text
                frame = pl.DataFrame([pl.Series(*pair) for pair in zip(batch.schema.names, stored, strict=True)])
                yield frame.with_columns(pl.col(name).cast(pl.Float64) for name in numeric)

    def _duckdb(self) -> Iterator[pl.DataFrame]:
        import polars as pl

        duckdb = _driver("duckdb", "duckdb")
        if self.path is not None and not self.path.exists():
            raise DataError(f"There is no file {self.path}.")
        pyarrow = _driver("pyarrow", "sql")
        with duckdb.connect(
            ":memory:" if self.path is None else str(self.path), read_only=self.path is not None
        ) as con:
            for batch in pyarrow.RecordBatchReader.from_stream(con.sql(self.query)):
                yield pl.DataFrame(batch)


def _kind(db: str) -> tuple[str, Path | None]:
    scheme, found, rest = db.partition("://")
    if scheme in ("postgresql", "postgres") and found:
        return "postgresql", None
    path = Path(rest.removeprefix("/") if found else db)  # sqlite:///file is relative, sqlite:////file is not
    if scheme in ("sqlite", "duckdb") and found:
        return scheme, path if rest.strip("/") else None
    for kind, suffixes in (("sqlite", SQLITE), ("duckdb", DUCKDB)):
        if path.suffix.lower() in suffixes and not found:
            return kind, path
    raise SettingError(
        f"db: got {db!r}; give sqlite:///file.db, duckdb:///file.duckdb, postgresql://user@host/name, or a file ending in "
        f"{', '.join((*SQLITE, *DUCKDB))}."
    )


def _driver(module: str, extra: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingExtraError(
            f"For this database {module.partition('.')[0]} is needed: pip install 'fallline[{extra}]'."
        ) from None
