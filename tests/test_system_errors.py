"""What cannot be read is said in words of ours, whatever the system, the packing or the names say of it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import fallline
from fallline.errors import DataError


@pytest.mark.parametrize("name", ["t.csv.gz", "t.jsonl.gz", "t.libsvm.gz"])
@pytest.mark.parametrize("how", ["no gzip", "cut", "changed"])
def test_packed_files_that_are_damaged(tmp_path: Path, name: str, how: str) -> None:
    lines = {
        "t.csv.gz": "a,y\n" + "".join(f"{k},{k * k % 7}\n" for k in range(3000)),
        "t.jsonl.gz": "".join(f'{{"a": {k}, "y": {k * k % 7}}}\n' for k in range(3000)),
        "t.libsvm.gz": "".join(f"{k * k % 7} 1:{k}\n" for k in range(3000)),
    }
    packed = gzip.compress(lines[name].encode())
    damaged = {
        "no gzip": b"no gzip at all\n" * 9, "cut": packed[: len(packed) // 2],
        "changed": packed[:200] + bytes(255 - byte for byte in packed[200:300]) + packed[300:],
    }  # fmt: skip
    (tmp_path / name).write_bytes(damaged[how])
    with pytest.raises(DataError) as caught:
        fallline.fit(tmp_path / name, "target" if "libsvm" in name else "y")
    told = str(caught.value)
    why = {"cut": "it ends too early"}.get(how, "it is damaged, or not packed as its name says")
    assert told.endswith(f"{name} cannot be read: {why}."), told


def test_a_cached_file_that_cannot_be_read_names_the_reason(tmp_path: Path) -> None:
    from fallline.rows.index import Index

    (tmp_path / "index.json").symlink_to("other")
    with pytest.raises(DataError, match=r"index\.json cannot be read: it is a symbolic link\."):
        Index.read(tmp_path, "")


def test_the_option_that_leaves_a_column_out_is_one_word_of_a_shell(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a;$(id) 'b',y\n" + "1,2\n" * 30 + "x,2\n")
    with pytest.raises(DataError) as caught:
        fallline.fit(tmp_path / "t.csv", "y")
    assert """--drop 'a;$(id) '"'"'b'"'"'' leaves the column out""" in str(caught.value)
