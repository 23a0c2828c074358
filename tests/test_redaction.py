"""Passwords, tokens and signatures of addresses: kept nowhere, printed nowhere."""

from __future__ import annotations

import contextlib
import http.server
import io
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import fallline
from fallline import modelfile
from fallline.cli import main
from fallline.errors import DataError, FalllineError, SettingError
from fallline.redaction import redacted, redacted_all, redacted_message
from fallline.report.page import page
from fallline.rows.sources import SqlSource, as_source

SECRET = "S3CR3Tpw"
HIDDEN = [
    ("postgresql://ann:{}@host:5432/sales?sslmode=require", "postgresql://ann:***@host:5432/sales?sslmode=require"),
    ("postgresql://ann:a@b/c?{}@host/sales", "postgresql://ann:***@host/sales"),
    ("postgresql:///sales?user=ann&password={}&port=1", "postgresql:///sales?user=ann&password=***&port=1"),
    ("postgresql://host/sales?sslpassword={}", "postgresql://host/sales?sslpassword=***"),
    ("mysql://ann:{}@host/sales", "mysql://ann:***@host/sales"),
    ("https://ann:{}@host/a.csv", "https://***@host/a.csv"),
    ("https://{}@host:8080/a.csv", "https://***@host:8080/a.csv"),
    ("s3://KEY:{}/x@bucket/a.parquet", "s3://***@bucket/a.parquet"),
    ("https://host/a.csv?X-Amz-Expires=9&X-Amz-Signature={}", "https://host/a.csv?X-Amz-Expires=9&X-Amz-Signature=***"),
    ("az://box/a.csv?sv=2024&sig={}%2Bx&se=2", "az://box/a.csv?sv=2024&sig=***&se=2"),
    ("https://host/a.csv?token={}", "https://host/a.csv?token=***"),
    ("https://host/a.csv#access_token={}", "https://host/a.csv#access_token=***"),
    ("https://host/a.csv?api_key={}&design=3", "https://host/a.csv?api_key=***&design=3"),
    ("host=db user=ann password={} dbname=x", "host=db user=ann password=*** dbname=x"),
    ("host=db password='a {}' dbname=x", "host=db password=*** dbname=x"),
    ("Server=db;Uid=ann;Pwd={};", "Server=db;Uid=ann;Pwd=***;"),
    ("select * from read_csv('https://host/f?sig={}') limit 1", "select * from read_csv('https://host/f?sig=***') limit 1"),
]  # fmt: skip
KEPT = [
    "sales.csv", "postgresql://ann@host/sales", "abfss://box@account.dfs.core.windows.net/a.csv", "http://host:8080/a@b.csv",
    "s3://bucket/year=2024/a.parquet", "price ~ log(area) + password", "select a, token from t where a = 'x@y:z'",
]  # fmt: skip


@pytest.mark.parametrize(("given", "shown"), HIDDEN)
def test_a_credential_is_hidden_wherever_an_address_has_one(given: str, shown: str) -> None:
    assert redacted(given.format(SECRET)) == shown
    assert redacted(shown) == shown  # once more changes nothing
    assert redacted_all({"a": [given.format(SECRET), (1, given.format(SECRET))]}) == {"a": [shown, (1, shown)]}


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_credential_stays(text: str) -> None:
    assert redacted(text) == text


def test_pieces_of_a_password_that_a_driver_took_for_something_else_are_hidden_too() -> None:
    told = redacted_message(
        'invalid value "S3" for "port"; no host "CR3Tpw@host"', "postgresql://ann:S3/CR3Tpw@host/db"
    )
    assert told == 'invalid value "***" for "port"; no host "***@host"'


def call(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.mark.parametrize("address", [given for given, _ in HIDDEN if "://" in given and "select" not in given])
def test_no_error_repeats_a_credential(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    address = address.format(SECRET).replace("host", "127.0.0.1").replace(":5432", ":9").replace(":8080", ":9")
    if address.startswith(("postgres", "mysql")):
        words = ["--sql", "select 1 as y", "--db", address]
        with contextlib.suppress(FalllineError):
            list(SqlSource("select 1", address).frames())
    else:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        words = [
            address.replace("a.csv", "a.unknown").replace("a.parquet", "a.unknown")
        ]  # refused before it is asked for
    done = call("fit", *words, "--target", "y")
    assert done.exit_code in (2, 4) and SECRET not in done.output + done.stderr, done.stderr


def test_a_hidden_password_is_told_when_it_is_pasted() -> None:
    with pytest.raises(SettingError, match="PGPASSWORD"):
        SqlSource("select 1", "postgresql://ann:***@host/sales")
    with pytest.raises(SettingError) as caught:
        SqlSource("select 1", f"host=db password={SECRET}")
    assert SECRET not in str(caught.value)


class Served(http.server.BaseHTTPRequestHandler):
    """One CSV, whatever is asked for, in pieces; what is called broken is refused."""

    rows = "a,y\n" + "".join(f"{k % 17},{2 * (k % 17) + k % 3}\n" for k in range(200))

    def do_GET(self) -> None:
        if "broken" in self.path:
            self.send_error(403)
            return
        whole = self.rows.encode()
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "bytes=0-")
        assert found is not None
        first, last = int(found[1]), min(int(found[2] or len(whole) - 1), len(whole) - 1)
        body = whole[first : last + 1]
        self.send_response(206 if self.headers.get("Range") else 200)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(whole)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(b"" if self.command == "HEAD" else body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture(name="server")
def _server() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Served)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_signature_of_an_address_is_in_no_model_and_no_page(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    address = f"http://{server}/a.csv?part=1&sig={SECRET}"
    done = call(
        "fit",
        address,
        "--target",
        "y",
        "--optimizer",
        "descent",
        "--max-passes",
        "1",
        "--memory",
        "50MB",
        "--cache",
        "kept",
    )
    assert done.exit_code == 5 and SECRET not in done.output + done.stderr and "sig=***" in done.stderr, done.stderr
    assert call("report", "a.fall").exit_code == 0
    fallline.fit(address, "y").save("b.fall")
    assert fallline.load("a.fall").passes == 1
    for file in tmp_path.rglob("*"):
        assert SECRET not in file.name and (file.is_dir() or SECRET.encode() not in file.read_bytes()), file
    assert as_source(address).name.endswith("sig=***")
    refused = call("fit", address.replace("a.csv", "broken.csv"), "--target", "y")
    assert refused.exit_code == 4 and SECRET not in refused.stderr, refused.stderr


def test_a_model_of_before_that_holds_a_password_shows_none(tmp_path: Path) -> None:
    db = f"postgresql://ann:{SECRET}@host/sales"
    result = fallline.fit([[0.0], [1.0], [2.0], [4.0]], [0.0, 1.0, 2.0, 3.0], optimizer="descent", max_passes=1)
    assert result.evidence is not None
    result.settings["command"] = {"file": None, "sql": "select 1", "db": db, "options": {}, "named": {"db": db}}
    object.__setattr__(result.evidence, "named", {"sql": "select 1", "db": db})
    object.__setattr__(result.evidence, "source", f"the query of {db}")
    path = result.save(tmp_path / "m.fall")
    assert SECRET.encode() in path.read_bytes()
    loaded = fallline.load(path)
    shown = io.StringIO()
    print(loaded, loaded.settings, loaded.diagnose(), page({"m": loaded}), loaded.to_json(), file=shown)
    assert SECRET not in shown.getvalue() and "ann:***@host" in shown.getvalue()


def test_errors_of_a_stream_hide_what_they_repeat() -> None:
    class Stream:
        def read_next_batch(self) -> None:
            """As pyarrow has it."""

        def __iter__(self) -> Iterator[Any]:
            raise OSError(f"cannot open https://host/a?token={SECRET}")

    with pytest.raises(DataError) as caught:
        list(as_source(Stream()).frames())
    assert SECRET not in str(caught.value)
    assert modelfile.FORMAT == 1
