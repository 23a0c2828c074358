"""Reading tables: every column typed by all of its cells, and one clear sentence for every file that cannot be read."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import numpy as np
import pytest

from fallline.errors import DataError
from fallline.rows.delimited import guess_separator
from fallline.rows.table import as_frame, read_table

pl = pytest.importorskip("polars")


@pytest.fixture(name="write")
def _write(tmp_path: Path):
    def write(content: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def column(write, *cells: str):
    """A CSV file with one column of these cells beside a column of numbers, read; the first column as a series."""
    return read_table(write("a,n\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(cells))))["a"]


# Types


@pytest.mark.parametrize(
    ("cells", "kind", "first"),
    [
        (("1", "-2", "+3", " 4 "), "Int64", 1),
        (("1", "2.5", "1e3", ".5"), "Float64", 1.0),
        (("true", "False", "TRUE"), "Boolean", True),
        (("007", "12", "13"), "String", "007"),
        (("0", "0.5", "10"), "Float64", 0.0),
        (("99999999999999999999", "1"), "Float64", 1e20),
        (("2024-03-31", "2024-04-01"), "Date", datetime.date(2024, 3, 31)),
        (("31.03.2024", "1.4.2024"), "Date", datetime.date(2024, 3, 31)),
        (("3/4/2024", "24/4/2024"), "Date", datetime.date(2024, 4, 3)),
        (("3/4/2024", "4/24/2024"), "Date", datetime.date(2024, 3, 4)),
        (("5/5/2024", "6/6/2024"), "Date", datetime.date(2024, 5, 5)),
        (("31.03.24", "01.04.24"), "String", "31.03.24"),
        (("2024-03-31 10:30", "2024-04-01 00:00"), "Datetime", datetime.datetime(2024, 3, 31, 10, 30)),
        (("2024-03-31T10:30:00+02:00", "2024-04-01T00:00:00Z"), "Datetime", datetime.datetime(2024, 3, 31, 8, 30)),
        (("10:30", "23:59"), "Time", datetime.time(10, 30)),
        (("1-2", "3-4"), "String", "1-2"),
        (("a", "b"), "String", "a"),
    ],
)
def test_cells_become_what_all_of_them_are(write, cells, kind, first) -> None:
    read = column(write, *cells)
    assert type(read.dtype).__name__ == kind or str(read.dtype) == kind
    assert read[0] == first
    assert read.null_count() == 0


def test_types_come_from_the_last_row_too(write) -> None:
    assert column(write, *["1"] * 30_000, "2.5").dtype == pl.Float64
    assert column(write, *["1"] * 3_000, *["x"] * 300).dtype == pl.String


@pytest.mark.parametrize("word", ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "  ", '""'])
def test_words_for_nothing_are_holes(write, word) -> None:
    read = column(write, "1", word, "3")
    assert read.to_list() == [1, None, 3]
    assert column(write, "x", word, "y").to_list() == ["x", None, "y"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_guessed(write, separator) -> None:
    text = "name|a|b\nx|1|2\ny|3|4\n".replace("|", separator)
    assert read_table(write(text)).rows() == [("x", 1, 2), ("y", 3, 4)]


def test_a_separator_within_quotes_does_not_count() -> None:
    assert guess_separator(['a;b;"c,d,e,f"', '1;2;"x,y"']) == ";"
    assert guess_separator(["a", "1"]) == ","


def test_a_comma_is_a_decimal_point_where_it_does_not_separate(write) -> None:
    assert read_table(write("a;b\n1,5;x\n2;y\n"))["a"].to_list() == [1.5, 2.0]


def test_quotes_blank_lines_and_line_ends(write) -> None:
    frame = read_table(write('\ufeff\na,b\r\n"x, y",1\r\n\r\n"two\r\nlines",2\r\n"say ""hi""",\r\n\r\n'))
    assert frame.rows() == [("x, y", 1), ("two\r\nlines", 2), ('say "hi"', None)]
    assert read_table(write('a,b\nx,5" pipe\ny,6" pipe\nz,7\n'))["b"].to_list() == ['5" pipe', '6" pipe', "7"]
    assert read_table(write("a\n1\n\n2\n"))["a"].to_list() == [1, 2]
    assert read_table(write("a,b\n1,\n,\n"))["b"].null_count() == 2


def test_names_are_trimmed_and_completed(write) -> None:
    assert read_table(write(",  a ,b\n1,2,3\n")).columns == ["column 1", "a", "b"]


def test_the_other_formats(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"a": [1, 2], "code": ["7", "8"], "when": ["2024-01-01T10:00:00Z", None], "sort": ["x", "y"]},
        schema_overrides={"sort": pl.Categorical},
    )
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_ipc(tmp_path / "t.arrow")
    for name in ("t.parquet", "t.arrow"):
        read = read_table(tmp_path / name)
        assert read["when"].to_list() == [datetime.datetime(2024, 1, 1, 10), None]
        assert read.drop("when").equals(frame.drop("when"))  # what a file declares to be text stays text
    (tmp_path / "t.jsonl").write_text('{"a": 1, "b": "x"}\n{"a": 2.5}\n{"b": "y", "c": "2024-01-01"}\n')
    lines = read_table(tmp_path / "t.jsonl")
    assert lines["a"].to_list() == [1.0, 2.5, None]
    assert lines["c"].dtype == pl.Date


def test_columns_can_be_dropped_and_kinds_given(write) -> None:
    path = write("age,code,note\n7,12,3\nabc,13,4\n9,14,5\n8,1,1\n6,1,1\n")
    assert read_table(path, drop=["age"]).columns == ["code", "note"]
    kinds = {"code": "text"}
    assert read_table(path, kinds=kinds).dtypes == [pl.String, pl.String, pl.String]  # age is not the model's
    with pytest.raises(DataError, match=r"column 'age', line 3: 'abc' is not a number"):
        read_table(path, kinds={"age": "number"})
    with pytest.raises(DataError, match="no column 'agee' to drop. Did you mean 'age'"):
        read_table(path, drop=["agee"])


# Bad files


def refused(path: Path, *words: str) -> str:
    with pytest.raises(DataError) as caught:
        read_table(path)
    told = str(caught.value)
    assert [word for word in words if word not in told] == [], told
    assert "\n" not in told and told.endswith((".", "?"))
    return told


def test_no_such_file(write) -> None:
    path = write("a,b\n1,2\n", "houses.csv")
    refused(path.with_name("house.csv"), "There is no file", f"Did you mean {path}?")
    refused(path.parent / "nowhere" / "x.csv", "There is no folder")


def test_a_folder(write) -> None:
    refused(write("a,b\n1,2\n", "houses.csv").parent, "is a folder", "houses.csv")


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.arrow", "t.jsonl"])
def test_an_empty_file(write, name) -> None:
    refused(write("", name), "is empty")


def test_white_space_only(write) -> None:
    refused(write("  \n\n"), "is empty")


@pytest.mark.parametrize("text", ["a,b\n", "a,b", "a,b\n\n\n"])
def test_header_only(write, text) -> None:
    refused(write(text), "no rows")


def test_no_rows_in_parquet(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1]}).clear().write_parquet(tmp_path / "t.parquet")
    refused(tmp_path / "t.parquet", "no rows")


def test_duplicate_names(write) -> None:
    refused(write("a,b, a,b,c\n1,2,3,4,5\n"), "'a' (2 times)", "'b' (2 times)")
    refused(write("1,2,1\n3,4,5\n"), "Does its first line hold column names?")


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_a_truncated_file(tmp_path: Path, name) -> None:
    path = tmp_path / name
    frame = pl.DataFrame({"a": np.arange(10_000.0)})
    frame.write_parquet(path) if name == "t.parquet" else frame.write_ipc(path)
    for size in (4, path.stat().st_size // 2, path.stat().st_size - 3):
        cut = tmp_path / f"cut{size}{path.suffix}"
        cut.write_bytes(path.read_bytes()[:size])
        refused(cut, "truncated")


def test_text_under_another_name(write) -> None:
    refused(write("a,b\n1,2\n", "t.parquet"), "cannot be read as Parquet")
    refused(write("a,b\n1,2\n", "t.jsonl"), "is not one JSON object a line")


def test_an_unknown_suffix(write) -> None:
    refused(write("a", "t.xlsx"), "'.xlsx'", ".csv", ".parquet")
    refused(write("a", "table"), "'nothing'")


@pytest.mark.parametrize("quote", ["", '"'])
def test_ragged_rows(write, quote) -> None:
    cell = f"{quote}x{quote}"
    refused(write(f"a,b,c\n{cell},2,3\n{cell},2\n{cell},5,6\n"), "line 3: 2 cells", "the header has 3")
    refused(write(f"a,b\n{cell},2\n\n{cell},2,3\n{cell},5,6\n"), "line 4: 3 cells", "the header has 2", "2 such lines")


def test_a_quote_that_stays_open(write) -> None:
    refused(write('a,b\n"x,1\ny,2\n'))


def test_not_utf8(write) -> None:
    refused(write(b"a,b\nx,1\nM\xfcnchen,2\n"), "not UTF-8", "line 3", "0xfc")
    refused(write(b"M\xfcnchen,b\nx,1\n"), "not UTF-8", "line 1")
    refused(write("a,b\n1,2\n".encode("utf-16")), "UTF-16")


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_text_cell_among_numbers(write, name) -> None:
    cells = [str(i) for i in range(20_000)]
    cells[5] = "abc"
    text = "age\n" + "\n".join(cells) if name == "t.csv" else "".join(f'{{"age": {c!r}}}\n' for c in cells)
    line = "7" if name == "t.csv" else "6"
    told = refused(write(text.replace("'", '"'), name), f"column 'age', line {line}: 'abc' is not a number")
    assert "(the other 19,999 cells are). Correct the cell or leave it empty; --drop age leaves the column out." in told


def test_the_line_is_that_of_the_file(write) -> None:
    text = '\n\nage,note\n1,"two\nlines"\n\n2,x\n3,x\n4,x\nabc,x\n'
    refused(write(text), "column 'age', line 10: 'abc' is not a number (the other 4 cells are)")


def test_a_few_mistakes_are_mistakes_and_many_are_text(write) -> None:
    with pytest.raises(DataError, match=r"'x' is not a number \(5 such cells; the other 95 cells are\)"):
        column(write, *["x"] * 5, *map(str, range(95)))
    assert column(write, *["x"] * 6, *map(str, range(94))).dtype == pl.String
    assert column(write, "x", "1", "2").dtype == pl.String
    assert column(write, "x", *map(str, range(90)), "007").dtype == pl.String  # codes


def test_a_wrong_date(write) -> None:
    with pytest.raises(DataError, match=r"line 4: '2024-02-30' is not a date \(the other 4 cells are\)"):
        column(write, "2024-02-01", "2024-02-02", "2024-02-30", "2024-02-03", "2024-02-04")


def test_dates_that_can_be_read_in_two_ways(write) -> None:
    with pytest.raises(DataError, match="'3/4/2024' could have the day first or the month first"):
        column(write, "3/4/2024", "5/6/2024")


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="the superuser may read all files")
def test_a_file_that_may_not_be_read(write) -> None:
    path = write("a,b\n1,2\n")
    path.chmod(0)
    refused(path, "cannot be read")


# Data frames


def test_frames_of_others() -> None:
    pd = pytest.importorskip("pandas")
    theirs = pd.DataFrame(
        {
            "f": [1.5, np.nan], "i": [1, 2], "b": [True, False], "s": ["x", None], "c": pd.Categorical([3, 4]),
            "t": pd.to_datetime(["2024-01-01", None]), "m": [1, "x"], "n": pd.array([1, None], dtype="Int64"),
        }
    )  # fmt: skip
    ours = as_frame(theirs)
    assert [str(kind) for kind in ours.dtypes[:5]] == ["Float64", "Int64", "Boolean", "String", "String"]
    assert ours["t"].dtype == pl.Datetime("us") and ours["t"].null_count() == 1
    assert ours["m"].to_list() == ["1", "x"] and ours["n"].fill_nan(None).to_list() == [1, None]
    assert as_frame(ours.lazy()).equals(ours, null_equal=True)
    assert as_frame(ours.to_arrow()).shape == ours.shape
    with pytest.raises(DataError, match="got list"):
        as_frame([[1, 2]])


# Real files


def test_housing(shared) -> None:
    frame = read_table(shared("housing.csv"))
    assert frame.shape == (20_640, 10)
    assert frame["total_bedrooms"].null_count() == 207
    assert frame.dtypes == [pl.Float64] * 9 + [pl.String]


def test_motorcycles(shared) -> None:
    frame = read_table(shared("motorcycle_claims.csv"))
    assert frame.shape == (64_548, 9)
    assert frame.dtypes == [pl.Int64, pl.String, *[pl.Int64] * 4, pl.Float64, *[pl.Int64] * 2]


@pytest.mark.slow
def test_flights_are_the_same_from_csv(shared, tmp_path: Path) -> None:
    frame = read_table(shared("flights.parquet"))
    assert frame["time_hour"].dtype == pl.Datetime("us")
    frame.write_csv(tmp_path / "flights.csv")
    assert read_table(tmp_path / "flights.csv").equals(frame, null_equal=True)
