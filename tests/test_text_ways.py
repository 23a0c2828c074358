"""Delimited text is one table, whichever way it is read: whole, streamed at once, in small frames, or resumed by who predicts.

Files are made at random, many of them malformed: the ways agree on the table, or all refuse, each with one line.
"""

from __future__ import annotations

import gzip
import math
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from fallline.errors import DataError
from fallline.rows.sources import as_source
from fallline.rows.sources.frames import Widened, steady_frames
from fallline.rows.table import read_table

FILES = 6_000 if os.environ.get("FALLLINE_LONG_TESTS") else 100  # of each seed
MOST_LETTERS = 300  # of an error, beside the path of the file
CELLS = [
    "", "NA", "nan", "NaN", "null", "None", " ", "1e5", "+1", "-0", "0x1F", "1_000", "1,5", "1.5.2", "007", "1e400",
    "inf", "Infinity", "true", "TRUE", "false", "abc", "a b", '"q"', '5" pipe', "2024-01-02", "02/03/2024", "12:30",
    "2024-01-02T10:00:00Z", "\u00e9", "\u200b1", "1\u00a0000", " 3", "3 ", "\t4", "\0", "\x01", "1d5", "\u0663", "\u00bd",
    "9223372036854775808", "1e-400", ".5", "5.", "--1", "%", "=1+1", "'1'", "#5", ";", "|", "A", "A ", " A", '"', '""',
]  # fmt: skip


def again(source: Any, room: int | None) -> pl.DataFrame:
    source.again = True
    for _ in range(9):
        try:
            return pl.concat(list(source.frames(room)))
        except Widened:
            continue
    raise AssertionError("it begins again for ever")


WAYS: dict[str, Callable[[Path], pl.DataFrame]] = {
    "whole": read_table,
    "at once": lambda path: again(as_source(path), None),
    "small frames": lambda path: again(as_source(path), 150),
    "each row once": lambda path: pl.concat(list(steady_frames(as_source(path), 400)), how="vertical_relaxed"),
}


def told(path: Path, way: str) -> Any:
    """The names, the kinds and the cells of a table; or the error, without the name of the file."""
    try:
        frame = WAYS[way](path)
    except DataError as error:
        sentence = str(error).replace(str(path), "FILE")
        assert "\n" not in sentence and len(sentence) <= MOST_LETTERS, sentence
        return sentence
    columns = []
    for column in frame.iter_columns():
        kind = "number" if column.dtype.is_numeric() else str(column.dtype)
        cells = [None if isinstance(cell, float) and math.isnan(cell) else cell for cell in column.to_list()]
        empty = all(cell is None for cell in cells)
        columns.append((column.name, "empty" if empty else kind, cells))
    return columns


def same(path: Path) -> Any:
    found = {way: told(path, way) for way in WAYS}
    if all(isinstance(each, str) for each in found.values()):
        return found["whole"]
    first = found["whole"]
    assert all(each == first for each in found.values()), (path.read_bytes()[:500], found)
    return first


def wild(chance: random.Random) -> bytes:
    """A file that may be well formed."""
    columns, rows = chance.randint(1, 5), chance.choice([0, 3, 20, 70])
    separator, end = chance.choice([",", ",", ";", "\t", "|"]), chance.choice(["\n", "\n", "\r\n"])
    often = [chance.random() < 0.25 for _ in range(columns)]
    header = [
        f"c{j}" if chance.random() > 0.1 else chance.choice(["", "a", "a b", '"x"', "é", "1"]) for j in range(columns)
    ]
    lines = [separator.join(header)]
    for _ in range(rows):
        cells = [
            chance.choice(CELLS) if often[j] or chance.random() < 0.01 else str(chance.randint(0, 9))
            for j in range(columns)
        ]
        if chance.random() < 0.2:
            cells = ['"' + cell.replace('"', '""') + '"' if chance.random() < 0.5 else cell for cell in cells]
        if chance.random() < 0.01:
            cells = chance.choice([cells[:-1] or [""], [*cells, "x"]])
        if chance.random() < 0.02:
            cells = [chance.choice(["", " ", "  \t"])]
        lines.append(separator.join(cells))
    text = (
        chance.choice(["", "", "", "\ufeff", end, f" {end}{end}"])
        + end.join(lines)
        + chance.choice([end, end, "", end * 3])
    )
    data = bytearray(text.encode())
    if chance.random() < 0.15:
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] = chance.choice([0, 10, 13, 34, 44, 255, 0xC3, 9, 59])
    return bytes(data)


@pytest.mark.parametrize("sampled", [64, 2 << 20])
@pytest.mark.parametrize("seed", range(2))
def test_the_ways_agree_on_any_file(seed: int, sampled: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallline.rows.sources.sampled.SAMPLE_BYTES", sampled)
    chance, path, read = random.Random(seed), tmp_path / "t.csv", 0
    for _ in range(FILES):
        text = wild(chance)
        if sampled == 64:  # a code that the sample has not met is a number, as the docs say
            text = text.replace(b"007", b"7")
        path.write_bytes(text)
        read += not isinstance(same(path), str)
    assert read > FILES // 10  # not all of them are refused


ROWS = [f"{i % 7},{'AB'[i % 2]},{i}" for i in range(40)]


@pytest.fixture(name="small", autouse=True)
def _small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules are tried with a sample of a few lines, beyond which all is a surprise."""
    if "sampled" not in request.fixturenames:
        monkeypatch.setattr("fallline.rows.sources.sampled.SAMPLE_BYTES", 100)
        monkeypatch.setattr("fallline.rows.sources.sampled.PLACES", 0)


def of(tmp_path: Path, lines: list[str], end: str = "\n", last: str = "\n") -> Any:
    path = tmp_path / "t.csv"
    path.write_bytes((end.join(lines) + last).encode())
    found = same(path)
    return found if isinstance(found, str) else {name: cells for name, _, cells in found}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_blank_lines_are_left_out_wherever_they_are(end: str, tmp_path: Path) -> None:
    wanted = of(tmp_path, ["x,town,y", *ROWS])
    assert len(wanted["y"]) == 40
    assert of(tmp_path, ["", " ", "x,town,y", "", *ROWS[:20], "", "  ", *ROWS[20:], "", ""], end) == wanted
    assert of(tmp_path, ["x,town,y", *(line for row in ROWS for line in (row, ""))], end) == wanted
    assert of(tmp_path, ["y", "", *map(str, range(40)), "", " "], end) == {"y": wanted["y"]}


def test_blanks_around_cells_do_not_count(tmp_path: Path) -> None:
    wanted = of(tmp_path, ["x,town,y", *ROWS])
    assert of(tmp_path, ["x,town,y", *ROWS[:30], *(row.replace(",", " , ") for row in ROWS[30:])]) == wanted
    assert of(tmp_path, ["x,town,y", *ROWS[:39], "1,  ,3"])["town"][-1] is None


def test_quotation_marks_enclose_only_where_they_begin_a_cell(tmp_path: Path) -> None:
    wanted = of(tmp_path, ["x,town,y", *ROWS])
    quoted = [",".join(f'"{cell}"' for cell in row.split(",")) for row in ROWS]
    assert of(tmp_path, ["x,town,y", *ROWS[:20], *quoted[20:]]) == wanted
    odd = of(
        tmp_path, ["x,town,y", *ROWS[:20], '1,5" pipe,2', *quoted[20:], '1,"say ""hi"", you",2', '1,"two\nlines",2']
    )
    assert odd["town"][20] == '5" pipe' and odd["town"][-2:] == ['say "hi", you', "two\nlines"]
    assert odd["town"][:20] + odd["town"][21:-2] == wanted["town"]


def test_cells_that_the_sample_does_not_foretell_are_read_as_in_a_whole_file(tmp_path: Path) -> None:
    numbers = [f"{i},{i}" for i in range(100)]
    assert of(tmp_path, ["x,y", *numbers, "2.5,1"])["x"][-1] == 2.5
    assert of(tmp_path, ["x,y", *numbers, *[f"word{i},1" for i in range(20)]])["x"][:2] == ["0", "1"]
    assert of(tmp_path, ["x,y", *[",1"] * 50, *numbers])["x"][-1] == 99
    assert of(tmp_path, ["x;y", *[f"{i};1" for i in range(50)], "2,5;1"])["x"][-1] == 2.5
    days = [f"2024-01-{1 + i % 28:02},1" for i in range(60)]
    assert str(of(tmp_path, ["x,y", *days])["x"][0]) == "2024-01-01"
    assert of(tmp_path, ["x,y", *days, *["later,1"] * 9])["x"][0] == "2024-01-01"
    assert "line 62: 'later' is not a date (the other 60 cells are)" in of(tmp_path, ["x,y", *days, "later,1"])
    assert "line 102: 'oops' is not a number (the other 100 cells are)" in of(tmp_path, ["x,y", *numbers, "oops,1"])
    mixed = ["a,1", "b,2", "c,3", *numbers]
    assert "line 2: 'a' is not a number (3 such cells" in of(tmp_path, ["x,y", *mixed])


def test_what_is_wrong_with_a_file_is_the_same_sentence(tmp_path: Path) -> None:
    body = ["x,town,y", *ROWS * 9]
    assert "line 362: the quotation mark that begins a cell does not end" in of(tmp_path, [*body, '"1,A,2'])
    assert "ends its lines with CR alone" in of(tmp_path, body, end="\r", last="\r")
    assert "line 362: 2 cells" in of(tmp_path, [*body, "1,2", "1,2,3"])
    path = tmp_path / "t.csv"
    path.write_bytes("\n".join(body).encode() + b"\n1,caf\xe9,2\n")
    assert same(path) == "FILE is not UTF-8 text: line 362 (byte 0xe9). Save it as UTF-8 and try again."
    path.write_bytes("\n".join(body).encode() + b"\n\xff1,A,2\n")
    assert "line 362 (byte 0xff)" in same(path)


def test_lines_may_be_long_and_have_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"x{j}" for j in range(500)]
    row = ",".join(f"{j}.5{'0' * 300}" for j in range(500))
    assert len(row) > 131_072  # where Python's csv module ends
    assert of(tmp_path, [",".join(names), row, row])["x499"] == [499.5] * 2
    monkeypatch.setattr("fallline.rows.pieces.LONGEST", 5_000)
    monkeypatch.setattr("fallline.rows.delimited.LONGEST", 5_000)
    for line in ("1" * 90_000, '1,"' + "2\n" * 45_000):
        assert "line 41" in (told := of(tmp_path, ["x,town,y", *ROWS[:39], line])), told


def test_packed_text_is_the_same_and_may_have_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(["x,town,y", *ROWS]).encode()
    (tmp_path / "t.csv").write_bytes(text)
    wanted = read_table(tmp_path / "t.csv")
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(text))
    for room in (None, 100):
        assert again(as_source(packed), room).equals(wanted)
    pa = pytest.importorskip("pyarrow")
    (tmp_path / "t.csv.zst").write_bytes(pa.compress(text, "zstd", asbytes=True))
    assert again(as_source(tmp_path / "t.csv.zst"), 100).equals(wanted)
    monkeypatch.setattr("fallline.rows.pieces.LONGEST", 100_000)
    monkeypatch.setattr("fallline.rows.delimited.LONGEST", 100_000)
    packed.write_bytes(gzip.compress(bytes(10_000_000)))
    with pytest.raises(DataError, match="line 1: the line is longer"):
        as_source(packed)
    packed.write_bytes(gzip.compress(text)[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        again(as_source(packed), None)


JSON_LINES = [
    ['{"p": "12", "y": 1}', '{"p": "7", "y": 2.5}', '{"y": 3, "q": "2024-01-31"}'] * 20,
    ['{"p": "12", "y": 1}', "", '{"p": " x ", "y": true}'] * 20,
    ['{"p": "12", "y": 1}'] * 30 + ['{"p": "oops", "y": 1}'],
    ['{"p": "007"}', '{"p": 5}', '{"p": null}'] * 20,
    ['{"p": "NA"}', '{"p": "1.5"}'] * 20 + ['{"p": [1]}'],
]


@pytest.mark.parametrize("lines", JSON_LINES, ids=range(5))
def test_json_lines_are_the_same_table_whole_and_streamed(
    lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fallline.rows.sources.jsonlines.LEAST_CHUNK", 50)
    monkeypatch.setattr("fallline.rows.sources.jsonlines.LEARNT", 70)
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(lines))
    same(path)
