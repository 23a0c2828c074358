"""What the columns of delimited text hold: by a sample of its lines, and by all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fallline.errors import DataError
from fallline.rows.cells import NOTHING, Facts, Kind, emptied, facts_of, kind_of, mistake, read_as
from fallline.rows.delimited import Layout, line_of, parse, rows_of
from fallline.rows.pieces import PACKED

if TYPE_CHECKING:
    import polars as pl

SAMPLE_BYTES = 2 << 20  # of each file's beginning are looked at: all of a small one
PLACES, PLACE_BYTES = 15, 1 << 16  # and some lines at so many places further on, for surprises come late
MOST_GATHERED = 5_000_000  # cells of a column of dates that are looked at together: 80 MB


class Sample(NamedTuple):
    """Lines of some files, as text."""

    frame: pl.DataFrame
    whole: bool  # whether they are all lines
    heights: tuple[int, ...]  # lines of each file
    quoted: bool  # whether quotation marks were met
    line: float  # bytes of a line, on average


def sample_of(layouts: Sequence[Layout]) -> Sample:
    """Lines of the beginning of each file, and of some places further on."""
    import polars as pl

    schema = dict.fromkeys(layouts[0].header, pl.String())
    frames, whole, quoted, heights = [pl.DataFrame(schema=schema)], True, False, list[int]()
    for layout in layouts:
        taken = 0
        heights.append(0)
        for piece in rows_of(layout, SAMPLE_BYTES):
            if taken >= SAMPLE_BYTES:
                whole = False
                frames += () if quoted or layout.path.suffix.lower() in PACKED else _further(layout)
                break
            frames.append(parse(layout, piece, schema))
            heights[-1] += frames[-1].height
            taken += len(piece.text)
            quoted = quoted or piece.quoted
    frame = pl.concat(frames)
    cells = frame.select(pl.all().str.len_bytes().sum() / max(1, frame.height)).row(0)
    return Sample(frame, whole, tuple(heights), quoted, max(1.0, float(sum(cells)) + frame.width))


def _further(layout: Layout) -> Iterator[pl.DataFrame]:
    """Lines from places all over the file; none of one with quotation marks there, where a line may lie within a cell."""
    import polars as pl

    size, schema = layout.path.stat().st_size, dict.fromkeys(layout.header, pl.String())
    with layout.path.open("rb") as raw:
        for k in range(1, PLACES + 1):
            raw.seek(size * k // (PLACES + 1))
            some = raw.read(PLACE_BYTES)
            lines = some[some.find(b"\n") + 1 : some.rfind(b"\n") + 1]
            if b'"' in some:
                return
            try:
                yield pl.read_csv(
                    lines, has_header=False, separator=layout.separator, quote_char=None, schema=schema,
                    truncate_ragged_lines=True,
                )  # fmt: skip
            except pl.exceptions.PolarsError:  # blank, short or no UTF-8: to be told when it is read
                continue


def kinds_of_all(
    layouts: Sequence[Layout], size: int, must: Collection[str], known: Mapping[str, Kind], fixed: Collection[str]
) -> dict[str, Kind]:
    """The kinds of the columns by all of their cells, as in a file that is read whole; read `size` bytes at a time.

    `must` names columns of numbers, `fixed` columns that are text whatever they hold. Columns that are dates by what is
    `known` of them, or nothing yet, are looked at whole. Raises DataError for cells that are mistakes.
    """
    comma = layouts[0].separator != ","
    names = [name for name in layouts[0].header if name not in fixed]
    total = dict.fromkeys(names, NOTHING)
    heights = []
    for layout in layouts:
        heights.append(0)
        for frame in _texts(layout, size, names):
            heights[-1] += frame.height
            total = {name: total[name] + own for name, own in facts_of(frame, names).items()}
    kinds = dict.fromkeys(layouts[0].header, Kind("text"))
    for name, facts in total.items():
        kind = facts.kind(name in must, comma)
        if kind is not None:
            kinds[name] = kind
        elif facts.mistakes(name in must, comma):
            _refuse(layouts, size, name, Kind("comma" if comma else "number"), facts)
        elif name not in known or known[name].what == "date":
            if sum(heights) > MOST_GATHERED:
                _refuse(layouts, size, name, known.get(name, Kind("number")), facts)
            kinds[name] = _looked_at(layouts, size, name, facts, heights)
    return kinds


def place_of(layouts: Sequence[Layout], heights: Sequence[int], row: int) -> str:
    """Where a row of all files is."""
    for layout, height in zip(layouts, heights, strict=True):
        if row < height:
            where = f" of {layout.path.name}" if len(layouts) > 1 else ""
            return f"line {line_of(layout, row):,}{where}"
        row -= height
    return f"row {row:,}"


def _texts(layout: Layout, size: int, names: Collection[str]) -> Iterator[pl.DataFrame]:
    """These columns of a file, as text without blanks around it."""
    import polars as pl

    schema = dict.fromkeys(layout.header, pl.String())
    for piece in rows_of(layout, size):
        yield parse(layout, piece, schema).select(emptied(names))


def _looked_at(layouts: Sequence[Layout], size: int, name: str, facts: Facts, heights: Sequence[int]) -> Kind:
    import polars as pl

    cells = pl.concat(frame[name] for layout in layouts for frame in _texts(layout, size, [name]))
    return kind_of(cells, facts, lambda row: place_of(layouts, heights, row))


def _refuse(layouts: Sequence[Layout], size: int, name: str, kind: Kind, facts: Facts) -> None:
    """Raise DataError for the first cell that is not of this kind; `facts` are of the whole column."""
    bad, first = 0, None
    for layout in layouts:
        row = 0
        for frame in _texts(layout, size, [name]):
            wrong = frame[name].is_not_null() & read_as(frame[name], kind).is_null()
            bad += int(wrong.sum())
            if first is None and wrong.any():
                at = int(wrong.arg_max() or 0)
                where = f" of {layout.path.name}" if len(layouts) > 1 else ""
                first = f"line {line_of(layout, row + at):,}{where}", frame[name][at]
            row += frame.height
    place, cell = first or ("line 0", "")
    raise DataError(mistake(name, place, cell, "date" if kind.what == "date" else "number", bad, facts.cells - bad))
