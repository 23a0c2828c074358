"""Delimited text is one table, whichever way it is read: whole, streamed at once, in small frames, or resumed by who predicts.

Files are made at random, many of them malformed: the ways agree on the table, or all refuse, each with one line.
"""

from __future__ import annotations

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

FILES = 6_000 if os.environ.get("FALLLINE_LONG_TESTS") else 250  # of each seed
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


@pytest.mark.parametrize("seed", range(4))
def test_the_ways_agree_on_any_file(seed: int, tmp_path: Path) -> None:
    chance, path = random.Random(seed), tmp_path / "t.csv"
    read = 0
    for _ in range(FILES):
        path.write_bytes(wild(chance))
        read += not isinstance(same(path), str)
    assert read > FILES // 10  # not all of them are refused
