"""JSON lines, streamed: typed by all of their cells, as in a file that is read whole, in a first reading of them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallline.errors import DataError
from fallline.rows.cells import NOTHING, Facts, Kind, emptied, facts_of, kind_of, may_be_date, mistake, read_as
from fallline.rows.pieces import PACKED, UNREADABLE, json_line, unpacked, unreadable, whole_lines
from fallline.rows.sources._base import Source
from fallline.rows.sources.frames import stamp
from fallline.rows.table import brief

if TYPE_CHECKING:
    import polars as pl

CHUNK, LEAST_CHUNK = 16 << 20, 1 << 18  # bytes that are parsed together
IN_PARTS = 4  # times the size of the text: what parsing it takes for a moment
LEARNT = 4 << 20  # bytes that are parsed together in the first reading
MOST_GATHERED = 5_000_000  # cells of a column that are looked at together, for dates and mistakes: 80 MB


class JsonLinesSource(Source):
    """One file or several with an object a line; a column that some lines lack is empty there.

    `kinds`: the columns of the model that the rows are for (``Encoder.kinds``), as in ``TextSource``.
    """

    def __init__(
        self, files: list[Path], name: str, fingerprint: str | None, size: int, kinds: Mapping[str, str] | None = None
    ) -> None:
        import polars as pl

        self.files, self.name, self._fingerprint, self._size = files, name, fingerprint, size
        self._schema = self._learn_schema()
        texts = [column for column, kind in self._schema.items() if kind == pl.String]
        self._texts = texts if kinds is None else [each for each in texts if kinds.get(each, "text") != "text"]
        self._must = set() if kinds is None else {each for each in texts if kinds.get(each) == "number"}
        self.kinds = self._learn_kinds() if self._texts else {}

    def frames(self, room: int | None = None) -> Iterator[pl.DataFrame]:
        import polars as pl

        chunk = CHUNK if room is None else max(LEAST_CHUNK, min(CHUNK, room // IN_PARTS))
        every = [column for column, kind in self._schema.items() if kind == pl.String]
        for frame in self._parsed(chunk, self._schema):
            empty = frame.with_columns(emptied(every)) if every else frame
            yield empty.with_columns(read_as(empty[column], kind).alias(column) for column, kind in self.kinds.items())

    @property
    def fingerprint(self) -> str | None:
        return self._fingerprint

    @property
    def changed(self) -> bool:
        return self._fingerprint is not None and stamp(self.files) != self._fingerprint

    @property
    def size(self) -> int | None:
        return None if any(file.suffix.lower() in PACKED for file in self.files) else self._size

    def _learn_schema(self) -> dict[str, Any]:
        """The columns of all lines, each of a type that has room for all of its cells."""
        import polars as pl

        known = pl.DataFrame()
        for frame in self._parsed(LEARNT, None):
            own = frame.clear()
            known = own if not known.width else pl.concat([known, own], how="diagonal_relaxed")
        if not known.width:
            raise DataError(f"{self.name} has no columns and no rows.")
        return dict(known.schema)

    def _learn_kinds(self) -> dict[str, Kind]:
        total, first, rows = dict.fromkeys(self._texts, NOTHING), dict[str, str](), 0
        for frame in self._cells(self._texts):
            rows += frame.height
            for column, own in facts_of(frame, self._texts).items():
                total[column] += own
                if own.cells and column not in first:
                    first[column] = frame[column].drop_nulls()[0]
        kinds = {}
        for column, facts in total.items():
            kinds[column] = facts.kind(column in self._must, False) or Kind("text")
            undecided = facts.kind(column in self._must, False) is None
            mistaken = undecided and facts.mistakes(column in self._must, False)
            if undecided and (mistaken or may_be_date(first[column])):
                kinds[column] = self._looked_at(column, facts, rows, mistaken)
        return kinds

    def _looked_at(self, column: str, facts: Facts, rows: int, mistaken: bool) -> Kind:
        """The kind of a column by its cells; raises DataError where some are mistakes."""
        import polars as pl

        if rows > MOST_GATHERED and mistaken:
            told = mistake(column, "in some line", "", "number", facts.cells - facts.numbers, facts.numbers)
            raise DataError(f"{self.name}: {told}")
        if rows > MOST_GATHERED:
            return Kind("text")
        cells = pl.concat(frame[column] for frame in self._cells([column]))
        try:
            return kind_of(cells, facts, self._place, column in self._must)
        except DataError as error:
            raise DataError(f"{self.name}: {error}") from None

    def _cells(self, columns: list[str]) -> Iterator[pl.DataFrame]:
        for frame in self._parsed(LEARNT, self._schema):
            yield frame.select(emptied(columns))

    def _parsed(self, chunk: int, schema: dict[str, Any] | None) -> Iterator[pl.DataFrame]:
        import polars as pl

        for file in self.files:
            try:
                with unpacked(file) as raw:
                    for text in whole_lines(raw, chunk, file):
                        if text.strip():
                            yield pl.read_ndjson(io.BytesIO(text), schema=schema, infer_schema_length=None)
            except (pl.exceptions.PolarsError, ValueError) as error:
                if isinstance(error, DataError):
                    raise
                raise DataError(f"{file} is not one JSON object a line: {brief(error)}.") from None
            except UNREADABLE as error:
                raise DataError(unreadable(file, error)) from None

    def _place(self, row: int) -> str:
        for file in self.files:
            with unpacked(file) as lines:
                line, row = json_line(lines, row)
            if line is not None:
                return f"line {line:,}" + (f" of {file.name}" if len(self.files) > 1 else "")
        return f"row {row:,}"
