"""Wherever a table comes from, it is the same table: and what is wrong with it is said in one sentence."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import fallline
from fallline.errors import DataError, SettingError
from fallline.rows.sources import SqlSource, as_source

ROWS = 500


def homes(rows: int = ROWS) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    rooms = rng.integers(1, 9, rows)
    return pl.DataFrame(
        {
            "rooms": rooms, "area": np.round(rng.normal(size=rows) * 20 + 30.0 * rooms, 3),
            "town": rng.choice(["Rome", "Oslo", "Ulm, old"], rows), "sea": rng.random(rows) < 0.3,
            "sold": np.datetime64("2024-01-01") + rng.integers(0, 300, rows),
            "price": np.round(rooms * 50 + rng.normal(size=rows), 4),
        }
    )  # fmt: skip


def all_of(source: Any, room: int | None = None) -> pl.DataFrame:
    return pl.concat(list(as_source(source).frames(room)))


def _packed(folder: Path, frame: pl.DataFrame) -> Path:
    with gzip.open(folder / "homes.csv.gz", "wb") as file:
        file.write(frame.write_csv().encode())
    return folder / "homes.csv.gz"


def _written(name: str, how: str, **settings: Any) -> Callable[[Path, pl.DataFrame], Path]:
    def write(folder: Path, frame: pl.DataFrame) -> Path:
        getattr(frame, how)(folder / name, **settings)
        return folder / name

    return write


WAYS: dict[str, Callable[[Path, pl.DataFrame], Any]] = {
    "csv": _written("homes.csv", "write_csv"),
    "tsv": _written("homes.tsv", "write_csv", separator="\t"),
    "semicolons": _written("homes.csv", "write_csv", separator=";", decimal_comma=True),
    "packed csv": _packed,
    "parquet": _written("homes.parquet", "write_parquet"),
    "ipc": _written("homes.arrow", "write_ipc"),
    "frame": lambda _, frame: frame,
    "lazy frame": lambda _, frame: frame.lazy(),
    "pandas": lambda _, frame: frame.to_pandas(),
    "arrow table": lambda _, frame: frame.to_arrow(),
    "arrow stream": lambda _, frame: frame.to_arrow().to_reader(max_chunksize=100),
}


@pytest.mark.parametrize("room", [None, 5_000])
@pytest.mark.parametrize("way", sorted(WAYS))
def test_every_way_is_the_same_table(way: str, room: int | None, tmp_path: Path) -> None:
    frame = homes()
    if way in ("pandas", "arrow table", "arrow stream"):
        pytest.importorskip("pyarrow")
        pytest.importorskip("pandas")
    assert_frame_equal(
        all_of(WAYS[way](tmp_path, frame), room).with_columns(pl.col("sold").cast(pl.Date)), frame, check_dtypes=False
    )


@pytest.mark.parametrize("way", sorted(WAYS))
def test_every_way_trains_the_same_model(way: str, tmp_path: Path) -> None:
    if way in ("pandas", "arrow table", "arrow stream"):
        pytest.importorskip("pyarrow")
        pytest.importorskip("pandas")
    wanted = fallline.fit(homes(), "price")
    result = fallline.fit(WAYS[way](tmp_path, homes()), "price")
    assert result.feature_names == wanted.feature_names and str(result.verdict) == "converged"
    np.testing.assert_allclose(result.coef, wanted.coef, rtol=1e-6, atol=1e-9)


def test_text_that_holds_dates_is_dates(tmp_path: Path) -> None:
    days = [str(np.datetime64("2024-01-01") + k % 300) for k in range(3000)]
    pl.DataFrame({"day": days, "y": range(3000)}).write_parquet(tmp_path / "t.parquet")
    result = fallline.fit(tmp_path / "t.parquet", "y")
    assert "day: days" in result.feature_names and result.encoder is not None and result.encoder.kinds["day"] == "date"
    pl.DataFrame({"day": [*days[:-1], "later"], "y": range(3000)}).write_parquet(tmp_path / "t.parquet")
    for memory in (None, "50MB"):
        mixed = fallline.fit(tmp_path / "t.parquet", "y", memory=memory)
        assert mixed.encoder is not None and mixed.encoder.kinds["day"] == "text"


def test_folders_patterns_and_partitions(tmp_path: Path) -> None:
    frame = homes()
    for k, part in enumerate(frame.iter_slices(200)):
        for folder in ("flat", f"hive/year={2020 + k}"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            part.write_parquet(tmp_path / folder / f"part{k}.parquet")
        (tmp_path / "text").mkdir(exist_ok=True)
        part.write_csv(tmp_path / "text" / f"part{k}.csv")
    assert_frame_equal(all_of(tmp_path / "flat"), frame)
    assert_frame_equal(all_of(str(tmp_path / "flat" / "*.parquet")), frame)
    assert_frame_equal(all_of(tmp_path / "text"), frame)
    hive = all_of(tmp_path / "hive")
    assert hive["year"].to_list() == [2020] * 200 + [2021] * 200 + [2022] * 100
    with pytest.raises(DataError, match="no file has such a name"):
        as_source(str(tmp_path / "*.nothing"))
    (tmp_path / "flat" / "more.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match="several kinds"):
        as_source(tmp_path / "flat")


def test_text_that_changes_its_mind(tmp_path: Path) -> None:
    """Whole numbers that become numbers late are numbers; other surprises are told with their line."""
    lines = ["a,b,y"] + [f"{i % 7},x{i % 3},{i}" for i in range(60_000)]
    file = tmp_path / "t.csv"

    def read(changed: dict[int, str]) -> pl.DataFrame:
        file.write_text("\n".join(changed.get(i + 1, line) for i, line in enumerate(lines)) + "\n")
        source = as_source(file)
        try:
            return pl.concat(list(source.frames()))
        except Exception as error:
            if type(error).__name__ != "Widened":
                raise
            return pl.concat(list(source.frames()))

    assert read({})["a"].dtype == pl.Int64
    assert read({41_234: "2.5,x1,3"})["a"][41_232] == 2.5
    with pytest.raises(DataError, match=r"'a', line 41,234: 'oops' is not a number"):
        read({41_234: "oops,x1,3"})
    with pytest.raises(DataError, match=r"line 50,001: 2 cells"):
        read({50_001: "1,x2"})
    with pytest.raises(DataError, match=r"line 50,001: 4 cells"):
        read({50_001: "1,x2,3,4"})
    read({41_234: "2.5,x1,3"})
    assert str(fallline.fit(file, "y").verdict) == "converged"


def test_quotes_may_hold_anything(tmp_path: Path) -> None:
    words = ['a "word"', "two\nlines", "a, comma", "plain"] * 50
    frame = pl.DataFrame({"word": words, "y": range(200)})
    frame.write_csv(tmp_path / "t.csv")
    for room in (None, 64, 1000):
        assert all_of(tmp_path / "t.csv", room)["word"].to_list() == words


def test_damaged_files_are_one_sentence(tmp_path: Path) -> None:
    homes().write_parquet(tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read"):
        all_of(tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_bytes(b"a,y\n1,2\n\xff\xfe,3\n" * 10)
    with pytest.raises(DataError, match=r"t\.csv"):
        all_of(tmp_path / "t.csv")
    with pytest.raises(DataError, match="must be a table"):
        as_source(np.zeros((3, 2)))


def test_libsvm(tmp_path: Path) -> None:
    file = tmp_path / "t.libsvm"
    file.write_text("+1 1:0.5 3:2 # first\n-1 2:1\n\n1\n")
    frame = all_of(file)
    assert frame.columns == ["target", "x1", "x2", "x3"]
    assert frame.rows() == [(1.0, 0.5, 0.0, 2.0), (-1.0, 0.0, 1.0, 0.0), (1.0, 0.0, 0.0, 0.0)]
    file.write_text("1 1:0.5\n1 2;3\n")
    with pytest.raises(DataError, match="line 2: '1 2;3'"):
        all_of(file)


def test_standard_input(tmp_path: Path) -> None:
    code = "from fallline.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "fit", "-", "--target", "price", "--out", str(tmp_path / "m.fall"), "--quiet"],
        input=homes().write_csv(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0 and "converged" in done.stderr, done.stderr


def database(folder: Path) -> Path:
    file = folder / "homes.db"
    frame = homes(3000).with_columns(pl.col("sold").cast(pl.String), pl.col("sea").cast(pl.Int64))
    with sqlite3.connect(file) as connection:
        connection.execute(
            "create table homes (rooms integer, area real, town text, sea integer, sold text, price real)"
        )
        connection.executemany("insert into homes values (?, ?, ?, ?, ?, ?)", frame.rows())
    connection.close()
    return file


def test_sqlite(tmp_path: Path) -> None:
    pytest.importorskip("adbc_driver_sqlite")
    file = database(tmp_path)
    source = SqlSource("select area, town, price from homes where rooms > 2", f"sqlite:///{file}")
    assert_frame_equal(all_of(source), homes(3000).filter(pl.col("rooms") > 2).select("area", "town", "price"))
    assert str(fallline.fit(source, "price").verdict) == "converged"
    with pytest.raises(DataError, match="no such table"):
        all_of(SqlSource("select * from nowhere", str(file)))
    connection = sqlite3.connect(file)
    connection.execute("update homes set rooms = 'many' where rowid = 2900")
    connection.commit()
    connection.close()
    with pytest.raises(DataError, match="CAST"):
        all_of(SqlSource("select rooms, price from homes", str(file)))
    with pytest.raises(SettingError, match="sqlite:///"):
        SqlSource("select 1", "mysql://nowhere")


def test_duckdb(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    file = tmp_path / "homes.duckdb"
    frame = homes()
    with duckdb.connect(str(file)) as connection:
        connection.register("frame", frame.to_arrow())
        connection.execute("create table homes as select * from frame")
        relation = connection.sql("select area, price from homes")
        assert_frame_equal(all_of(relation), frame.select("area", "price"))
    assert_frame_equal(all_of(SqlSource("select * from homes", f"duckdb:///{file}")), frame)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of our own, where PostgreSQL is installed."""
    pytest.importorskip("adbc_driver_postgresql")
    found = [*sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")), *filter(None, [shutil.which("initdb")])]
    if not found:
        pytest.skip("PostgreSQL is not installed")
    programs, folder = Path(found[-1]).resolve().parent, tmp_path_factory.mktemp("postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    as_who: list[str] = []
    if os.geteuid() == 0:  # the server refuses to be run by root
        as_who = ["runuser", "-u", "postgres", "--"]
        for above in (folder, *folder.parents):
            if above == Path(tempfile.gettempdir()):
                break
            above.chmod(0o755)
        shutil.chown(folder, "postgres")

    def run(*words: str) -> None:
        with (folder.parent / "postgres.log").open("ab") as log:
            subprocess.run([*as_who, *words], check=True, timeout=120, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    data = str(folder / "data")
    run(str(programs / "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    run(str(programs / "pg_ctl"), "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        run(str(programs / "pg_ctl"), "-D", data, "-m", "immediate", "stop")


def test_postgresql(postgres: str, tmp_path: Path) -> None:
    """Typed and streamed from a real server; numbers of arbitrary precision are numbers, not text."""
    import adbc_driver_postgresql.dbapi as driver

    with driver.connect(postgres, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(
            "create table homes as select (i * 0.5)::numeric(10, 2) as price, (i % 97) * 1.5::double precision as area, "
            "case when i % 3 = 0 then 'Rome' else 'Oslo' end as town, now() as at, i % 2 = 0 as sea, "
            "nullif(i % 5, 0) as rooms from generate_series(1, 60000) i"
        )
    source = SqlSource("select price, area, town, sea, rooms from homes order by price", postgres)
    frame = all_of(source)
    assert frame.height == 60_000 and frame["price"].dtype == pl.Float64 and frame["price"][9] == 5.0
    result = fallline.fit(source, "price", check=0.2)
    assert result.feature_names == ("area", "town=Rome", "sea", "rooms", "rooms is missing")
    code = "from fallline.cli import main; main()"
    words = [
        "fit",
        "--sql",
        source.query,
        "--db",
        postgres,
        "--target",
        "price",
        "--out",
        str(tmp_path / "m.fall"),
        "--quiet",
    ]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "converged" in done.stderr, done.stderr
    with pytest.raises(DataError, match="does not exist"):
        all_of(SqlSource("select * from nothing", postgres))


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, str]]:
    """An object store on this machine."""
    server_of = pytest.importorskip("moto.server")
    server = server_of.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    for _ in range(100):
        if server._server is not None:
            break
        time.sleep(0.05)
    host, port = server.get_host_and_port()
    yield {
        "aws_endpoint_url": f"http://{host}:{port}", "aws_access_key_id": "a", "aws_secret_access_key": "b",
        "aws_region": "us-east-1", "aws_allow_http": "true",
    }  # fmt: skip
    server.stop()


def test_object_stores(bucket: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3 = pytest.importorskip("boto3")
    for name, value in bucket.items():
        monkeypatch.setenv(name.upper(), value)
    client = boto3.client("s3", endpoint_url=bucket["aws_endpoint_url"])
    client.create_bucket(Bucket="sales")
    for name, how in (("homes.parquet", "write_parquet"), ("homes.csv", "write_csv")):
        getattr(homes(), how)(tmp_path / name)
        client.upload_file(str(tmp_path / name), "sales", name)
    assert_frame_equal(all_of("s3://sales/homes.parquet"), homes())
    wanted = fallline.fit(homes().drop("sold"), "price")
    for name in ("homes.parquet", "homes.csv"):
        result = fallline.fit(f"s3://sales/{name}", "price", drop=["sold"])
        np.testing.assert_allclose(result.coef, wanted.coef, rtol=1e-6)
    with pytest.raises(DataError, match="cannot be read"):
        all_of("s3://sales/nothing.parquet")


# What a query can do


WRITES = [
    "attach 'made.db' as m", "insert into homes values (1)", "delete from homes", "create table made (a)",
    "vacuum into 'made.db'", "pragma journal_mode = wal", "select 1; attach 'made.db' as m",
    "select * from homes; delete from homes", "", "-- select 1", "/* select 1 */ attach 'made.db' as m",
    "select 1\0; attach 'made.db' as m", "copy homes to 'made.csv'", "set memory_limit='1GB'", "export database 'made'",
    "install httpfs",
]  # fmt: skip


@pytest.mark.parametrize("query", WRITES)
@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_query_is_one_that_reads(kind: str, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("adbc_driver_sqlite" if kind == "sqlite" else "duckdb")
    monkeypatch.chdir(tmp_path)
    made = prices(kind)
    before = sorted(Path().iterdir()), made.read_bytes()
    with pytest.raises(SettingError, match="a query is one SELECT"):
        all_of(SqlSource(query, str(made)))
    assert (sorted(Path().iterdir()), made.read_bytes()) == before


def prices(kind: str) -> Path:
    """homes(price) of nine rows; a name with letters that addresses escape (of which DuckDB takes no ?)."""
    file = Path(f"ho #{'?' * (kind == 'sqlite')}%mes.{kind}")
    if kind == "sqlite":
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(
                "create table homes as with n(i) as (values (1), (2), (3)) select a.i + b.i as price from n a, n b"
            )
    else:
        import duckdb

        with duckdb.connect(str(file)) as connection:
            connection.execute("create table homes as select range as price from range(9)")
    return file


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
@pytest.mark.parametrize(
    "query",
    ["select price from homes;", "/* ; */ select price, ';' as x from homes -- ;",
     "with a as (select * from homes) select * from a", " values (1),(2),(3),(4),(5),(6),(7),(8),(9)"],
)  # fmt: skip
def test_queries_that_read_are_read(kind: str, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("adbc_driver_sqlite" if kind == "sqlite" else "duckdb")
    monkeypatch.chdir(tmp_path)
    assert all_of(SqlSource(query, str(prices(kind)))).height == 9


def test_a_database_with_a_journal_is_read_and_has_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a SQLite database in WAL mode leaves an empty journal behind, which is no change."""
    pytest.importorskip("adbc_driver_sqlite")
    monkeypatch.chdir(tmp_path)
    file = prices("sqlite")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("pragma journal_mode = wal")
    source = SqlSource("select price from homes", str(file))
    before = source.fingerprint
    assert all_of(source).height == 9 and source.fingerprint == before


@pytest.mark.parametrize("db", ["duckdb://", "homes.duckdb"])
def test_a_query_of_duckdb_reads_other_files_only_where_that_is_asked_for(
    db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    duckdb.connect("homes.duckdb").close()
    Path("sales.csv").write_text("a,b\n1,2\n3,4\n")
    for query in ("select * from 'sales.csv'", "select * from read_text('sales.csv')", "select * from glob('*')"):
        with pytest.raises(DataError, match="--external-access") as caught:
            all_of(SqlSource(query, db))
        assert len(str(caught.value)) <= 300
        assert all_of(SqlSource(query, db, external_access=True)).height >= 1
    with pytest.raises(SettingError, match="one SELECT"):
        all_of(SqlSource("copy (select 1) to 'made.csv'", db, external_access=True))
    frame = pl.DataFrame({"a": [1]})  # a variable is no table
    with pytest.raises(DataError, match="does not exist"):
        all_of(SqlSource("select * from frame", db, external_access=True))
    assert frame.height == 1 and not Path("made.csv").exists()


def test_a_query_of_postgresql_changes_nothing(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for query in (
        "with gone as (delete from pg_description returning 1) select * from gone",
        "select set_config('transaction_read_only', 'off', false)",
        "select 1; select 2",
    ):
        with pytest.raises(DataError, match="read-only|read-write|syntax|multiple"):
            all_of(SqlSource(query, postgres))
    for query in (
        "create table made (a int)",
        "copy (select 1) to program 'true'",
        "do $$ begin end $$",
        "set role postgres",
    ):
        with pytest.raises(SettingError, match="one SELECT"):
            SqlSource(query, postgres)
    monkeypatch.setenv("PGPASSWORD", "S3CR3Tpw")  # where a password belongs; this server asks for none
    assert all_of(SqlSource("table pg_am", postgres)).height > 0
