"""The rows that a query of a database returns, streamed as Arrow batches: SQLite, DuckDB, PostgreSQL.

A query is one statement that reads. The database is opened so that it cannot do more: SQLite and DuckDB read-only, PostgreSQL
in a read-only transaction, and DuckDB without access to other files and addresses unless that was asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallline.errors import DataError, FalllineError, MissingExtraError, SettingError, SettingTypeError
from fallline.redaction import HIDDEN, redacted, redacted_message
from fallline.rows.sources._base import Source
from fallline.rows.sources.frames import stamp
from fallline.rows.sources.statements import NOT_ONE, check_query
from fallline.rows.table import brief, is_utf8

if TYPE_CHECKING:
    import polars as pl

SQLITE = (".db", ".sqlite", ".sqlite3")
DUCKDB = (".duckdb", ".ddb")
BATCH_ROWS = 50_000
TYPED_ROWS = 50_000  # from which the driver for SQLite types the columns
TYPE_NAME = b"ADBC:postgresql:typname"  # where the driver tells the type of a column that Arrow has not
READ_ONLY = "set transaction read only"  # of PostgreSQL; a query cannot take it back
MOST_TOLD = 160  # characters of a driver's message that an error repeats
# Settings of DuckDB for a query that somebody else may have written. See https://duckdb.org/docs/stable/operations_manual/securing_duckdb
CLOSED = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
FIXED = {"python_enable_replacements": "false", "lock_configuration": "true"}  # no variable of ours is a table
NO_FILES = "are disabled by configuration"  # what DuckDB says of a file or an address that a query names


class SqlSource(Source):
    """``SqlSource("select * from homes", "sqlite:///homes.db")``.

    `db` is ``sqlite:///file`` or a file ending in .db or .sqlite, ``duckdb:///file`` or a file ending in .duckdb, or
    ``postgresql://user@host/name``. Numbers of arbitrary precision (NUMERIC) are read as float64.

    The query is one SELECT (WITH, VALUES) and can change nothing. A query of DuckDB reads no other file and no address:
    ``select * from 'sales.csv'`` needs `external_access`. Give a password in ``PGPASSWORD`` or ``~/.pgpass``; one in `db`
    is shown as ``***`` and kept nowhere.
    """

    def __init__(self, query: str, db: str, external_access: bool = False) -> None:
        for name, value, kind, wanted in (
            ("query", query, str, "text"), ("db", db, str, "text"), ("external_access", external_access, bool, "True or False"),
        ):  # fmt: skip
            if not isinstance(value, kind):
                raise SettingTypeError(f"SqlSource({name}=...): got a {type(value).__name__}; it must be {wanted}.")
        self.query, self.db, self.external_access = query, db, external_access
        self.kind, self.path = _kind(db)
        self.name = f"the query of {self.path or redacted(db).split('@')[-1]}"
        if HIDDEN in db and self.kind == "postgresql":
            raise SettingError(
                f"db: {HIDDEN} stands for a password, which is kept nowhere. Leave it out and set PGPASSWORD, use ~/.pgpass, or "
                "put the password in its place."
            )
        if not is_utf8(query):
            raise SettingError("sql: the query holds bytes that are not UTF-8; save it as UTF-8.")
        check_query(query, self.kind)

    def frames(self, room: int | None = None) -> Iterator[pl.DataFrame]:
        try:
            for frame in {"sqlite": self._sqlite, "duckdb": self._duckdb, "postgresql": self._postgresql}[self.kind]():
                if frame.height:
                    yield frame
        except FalllineError:
            raise
        except Exception as error:  # each driver has its own tree of errors
            told, hint = redacted_message(brief(error), self.db)[:MOST_TOLD], ""
            if "type mismatch" in told.lower():
                hint = " The column holds values of several types: CAST it to one, as in select cast(price as real) ..."
            elif NO_FILES in told:
                hint = " To let the query read files and addresses: --external-access (external_access=True)."
            raise DataError(f"{self.name} failed: {told}.{hint}") from None

    @property
    def fingerprint(self) -> str | None:
        """Of the query and the file; a server does not say whether its rows have changed."""
        if self.path is None or not self.path.exists():
            return None
        logs = [self.path.with_name(self.path.name + end) for end in ("-wal", ".wal")]  # of what is not in the file yet
        logs = [log for log in logs if log.exists() and log.stat().st_size]  # reading may leave an empty one behind
        return hashlib.blake2b(f"{self.query} {stamp([self.path, *logs])}".encode(), digest_size=16).hexdigest()

    def _sqlite(self) -> Iterator[pl.DataFrame]:
        driver = _driver("adbc_driver_sqlite.dbapi", "sql")
        if self.path is None or not self.path.exists():
            raise DataError(f"There is no file {self.path or self.db}.")
        address = f"{self.path.absolute().as_uri()}?mode=ro"
        self._check_cells(driver, address)
        return self._adbc(driver.connect(address))

    def _check_cells(self, driver: Any, address: str) -> None:
        """Raise DataError for columns of numbers and text: SQLite types cells, and the driver makes text of such columns."""
        query = f"({self.query.strip().rstrip(';')}\n)"  # the line end: of a comment
        with driver.connect(address) as connection, connection.cursor() as cursor:
            try:
                cursor.execute(f"select * from {query} limit {TYPED_ROWS}")
                schema = cursor.fetch_record_batch().schema
                texts = ['"' + field.name.replace('"', '""') + '"' for field in schema if "string" in str(field.type)]
                asked = [f"max(typeof({name}) = 'text') + max(typeof({name}) in ('integer', 'real'))" for name in texts]
                if not asked:
                    return
                cursor.execute(f"select {', '.join(asked)} from {query}")
                found = cursor.fetchone()
            except Exception:  # no query that can stand in another; what is wrong with it is told when it is read
                return
        mixed = [name for name, kinds in zip(texts, found or (), strict=False) if kinds == 2]
        if mixed:
            raise DataError(
                f"{self.name}: column {mixed[0]} holds numbers and text. CAST it to one of them, as in select "
                f"cast({mixed[0]} as real) ..."
            )

    def _postgresql(self) -> Iterator[pl.DataFrame]:
        return self._adbc(_driver("adbc_driver_postgresql.dbapi", "sql").connect(self.db), READ_ONLY)

    def _adbc(self, connection: Any, before: str = "") -> Iterator[pl.DataFrame]:
        import polars as pl

        with connection, connection.cursor() as cursor:
            if before:
                cursor.execute(before)
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
        settings = FIXED if self.external_access else FIXED | CLOSED
        where, read_only = (":memory:", False) if self.path is None else (str(self.path), True)
        with duckdb.connect(where, read_only=read_only, config=settings) as con:
            kinds = [str(statement.type).rpartition(".")[2] for statement in con.extract_statements(self.query)]
            if len(kinds) != 1 or kinds[0] not in ("SELECT", "MULTI"):  # a PIVOT counts as several
                raise SettingError(NOT_ONE.format("; ".join(kinds).lower() or "none"))
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
        f"db: got {redacted(db)[:80]!r}; give sqlite:///file.db, duckdb:///file.duckdb, postgresql://user@host/name, or a "
        f"file ending in {', '.join((*SQLITE, *DUCKDB))}."
    )


def _driver(module: str, extra: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingExtraError(
            f"For this database {module.partition('.')[0]} is needed: pip install 'fallline[{extra}]'."
        ) from None
