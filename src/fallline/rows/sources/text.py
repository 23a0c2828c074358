"""Large delimited text, streamed: typed by a sample of its lines, and held to it by every cell.

Where a cell does not fit, the columns are typed by all of their cells, as in a file that is read whole, and the reading
begins again. The rules of the text itself are those of :mod:`fallline.rows.delimited`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from fallline.errors import DataError
from fallline.rows.cells import CODE, EMPTY_WORDS, NOTHING, Facts, Kind, emptied, facts_of, kind_of, read_as
from fallline.rows.delimited import Layout, has_blank_lines, look_at, parse, rows_of
from fallline.rows.pieces import PACKED, PIECE
from fallline.rows.sources._base import Source
from fallline.rows.sources.frames import Widened, batches, stamp
from fallline.rows.sources.sampled import Sample, kinds_of_all, place_of, sample_of
from fallline.rows.table import brief, is_utf8

if TYPE_CHECKING:
    import polars as pl

MORE_ROWS = 1.05  # times as many rows as the sampled lines tell
NUMBERS = ("whole", "number", "comma")  # kinds that Polars may read as such


class TextSource(Source):
    """CSV and its kin, plain or compressed, one file or several with the same header.

    `kinds`: the columns of the model that the rows are for (``Encoder.kinds``): its texts stay text, and so do columns that
    it does not use; its numbers must be numbers.
    """

    def __init__(
        self, files: list[Path], name: str, fingerprint: str | None, size: int, kinds: Mapping[str, str] | None = None
    ) -> None:
        self.files, self.name, self._fingerprint, self._size = files, name, fingerprint, size
        self.layouts = [look_at(file) for file in files]
        first = self.layouts[0]
        for other in self.layouts[1:]:
            if (other.separator, other.header) != (first.separator, first.header):
                raise DataError(f"{other.path}: its columns are not those of {files[0].name}; read them one by one.")
        self.header, self._comma = first.header, first.separator != ","
        self._fixed = set() if kinds is None else {name for name in self.header if kinds.get(name, "text") == "text"}
        self._must = set() if kinds is None else {name for name in self.header if kinds.get(name) == "number"}
        sample = sample_of(self.layouts)
        self._line = sample.line
        self._odd = sample.quoted or any(
            "\n" in name for name in self.header
        )  # quotation marks or blank lines were met
        self._careful = self._odd  # whether the text is parsed in pieces, and not as a whole
        self._words = False  # whether a cell was met that is no number, and may be a word for nothing
        self._exact = sample.whole  # whether the kinds are known by all cells
        self._measured: set[Path] = set()  # files that have no blank lines
        self._slow: set[str] = set()  # columns of numbers whose cells Polars does not read as such: blanks around them
        self._empty: set[str] = set()  # columns without a cell in the sample
        # Columns of text with numbers among them in the sample, and what they hold all in all: numbers with mistakes?
        self._mixed: dict[str, Facts] = {}
        self.kinds: dict[str, Kind] = {}
        self._learn(sample)

    def frames(self, room: int | None = None) -> Iterator[pl.DataFrame]:
        import polars as pl

        self._mixed = dict.fromkeys({} if self._exact else self._mixed, NOTHING)
        for layout in self.layouts:
            try:
                quick = room is None and not self._careful and is_utf8(layout.path.absolute())
                yield from self._quickly(layout) if quick else self._in_pieces(layout, room or PIECE)
            except (pl.exceptions.PolarsError, OSError, ValueError) as error:
                if isinstance(error, DataError):
                    raise
                raise DataError(f"{layout.path} cannot be read: {brief(error)}.") from None
        for facts in self._mixed.values():
            if facts.kind(False, self._comma) is None and facts.mistakes(False, self._comma):
                self._by_all_cells(room or PIECE)  # which refuses them

    @property
    def fingerprint(self) -> str | None:
        return self._fingerprint

    @property
    def changed(self) -> bool:
        return self._fingerprint is not None and stamp(self.files) != self._fingerprint

    @property
    def rows(self) -> int | None:
        return None if self._packed else int(MORE_ROWS * self._size / self._line)

    @property
    def size(self) -> int | None:
        return None if self._packed else self._size

    @property
    def _packed(self) -> bool:
        return any(file.suffix.lower() in PACKED for file in self.files)

    def _learn(self, sample: Sample) -> None:
        """The kinds of the columns by the sample; by all cells where the sample would be refused."""
        text = sample.frame.select(emptied(self.header))
        facts = facts_of(text, self.header)
        try:
            for name in self.header:
                self.kinds[name] = Kind("text")
                if name not in self._fixed:
                    self.kinds[name] = kind_of(
                        text[name], facts[name], lambda row: place_of(self.layouts, sample.heights, row), name in self._must,
                        self._comma,
                    )  # fmt: skip
                    if not facts[name].cells:
                        self._empty.add(name)
                    elif self.kinds[name].what == "text" and facts[name].commas and not facts[name].codes:
                        self._mixed[name] = NOTHING
        except DataError as error:
            if sample.whole:
                raise DataError(f"{self.name}: {error}") from None
            self.kinds = self._by_all_cells(PIECE)

    def _by_all_cells(self, size: int) -> dict[str, Kind]:
        known = {name: kind for name, kind in self.kinds.items() if name not in self._empty}
        self._exact, self._empty = True, set()
        try:
            return kinds_of_all(self.layouts, size, self._must, known, self._fixed)
        except DataError as error:
            raise error if str(error).startswith(str(self.name)) else DataError(f"{self.name}: {error}") from None

    def _in_pieces(self, layout: Layout, size: int) -> Iterator[pl.DataFrame]:
        import polars as pl

        for piece in rows_of(layout, size):
            try:
                frame = parse(layout, piece, self._schema, **self._how)
            except pl.exceptions.PolarsError as error:
                numbers = [name for name, dtype in self._schema.items() if dtype != pl.String]
                self._retype([name for name in numbers if f"'{name}'" in str(error)] or numbers, size)
            yield self._read(frame, size)

    def _quickly(self, layout: Layout) -> Iterator[pl.DataFrame]:
        """All of the file mapped into memory at once, which is fastest; in pieces after the first surprise.

        Of nothing but numbers, words for nothing are looked for only when one was met: that saves an eighth. (What Polars
        has given before an error are not all of the rows before it, so the reading begins again.)
        """
        import polars as pl

        texts = [pl.col(name) for name, dtype in self._schema.items() if dtype == pl.String]
        hopeful = self.again and not texts and not self._words
        how = self._how | ({"null_values": None} if hopeful else {})
        query = pl.scan_csv(
            layout.path.absolute(), has_header=False, skip_lines=layout.line - 1, glob=False, quote_char=None,
            separator=layout.separator, schema=self._schema, **how,
        )  # fmt: skip
        try:
            for frame in batches(query):
                if (
                    texts
                    and frame.select(
                        pl.any_horizontal(cells.str.contains('"', literal=True).any() for cells in texts)
                    ).item()
                ):
                    self._begin_again(odd=True)
                read = self._read(frame, PIECE)
                if layout.path not in self._measured and read[:, -1].null_count():
                    if has_blank_lines(layout):  # or short ones, which it refuses
                        self._begin_again(odd=True)
                    self._measured.add(layout.path)
                yield read
        except (pl.exceptions.PolarsError, OSError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            self._words, self._careful = True, not hopeful
            raise Widened from None

    @property
    def _schema(self) -> dict[str, Any]:
        """As what Polars reads the columns."""
        import polars as pl

        points = any(kind.what == "comma" for kind in self.kinds.values())  # those with points are then read as text
        types = {"whole": pl.Int64(), "comma": pl.Float64(), "number": pl.String() if points else pl.Float64()}
        return {
            name: pl.String() if name in self._slow else types.get(kind.what, pl.String())
            for name, kind in self.kinds.items()
        }

    @property
    def _how(self) -> dict[str, Any]:
        return {
            "null_values": list(EMPTY_WORDS),
            "decimal_comma": any(kind.what == "comma" for kind in self.kinds.values()),
        }

    def _read(self, frame: pl.DataFrame, size: int) -> pl.DataFrame:
        """The frame with the columns that came as text in their types."""
        import polars as pl

        texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
        frame = frame.with_columns(emptied(texts)) if texts else frame
        for name, facts in facts_of(frame, self._mixed).items():
            self._mixed[name] += facts
        done = []
        for name in texts:
            kind, cells = self.kinds[name], frame[name]
            if name in self._empty and cells.null_count() < len(cells):
                self._retype([name], size)
            if kind.what != "text":
                read = read_as(cells, kind)
                codes = kind.what in NUMBERS and not self._exact and cells.str.contains(CODE).any()
                if codes or read.null_count() > cells.null_count():
                    self._retype([name], size)
                done.append(read.alias(name))
        return frame.with_columns(done)

    def _retype(self, names: list[str], size: int) -> NoReturn:
        """Type all columns by all of their cells, for some of these do not fit, and begin again."""
        if self._exact:  # the cells do fit, but Polars does not read them
            if self._slow.issuperset(names):
                raise DataError(f"{self.name} cannot be read: column {names[0]!r} changed while it was read.")
            self._slow.update(names)
        else:
            self.kinds = self._by_all_cells(size)
        self._begin_again(odd=False)

    def _begin_again(self, odd: bool) -> NoReturn:
        """Read from the beginning; in pieces where quotation marks or blank lines were met."""
        self._odd = self._odd or odd
        self._careful = self._odd
        raise Widened from None
