"""The curve as lines of a CSV file."""

from __future__ import annotations

from pathlib import Path

from fallline.loggers._base import COLUMNS, Logger


class CsvLogger(Logger):
    """Adds a line to `path` at each recorded step, as it happens; a column ``run`` tells runs apart.

    >>> import tempfile, pathlib, fallline
    >>> from fallline.loggers.csv import CsvLogger
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "curve.csv"
    >>> _ = fallline.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 4.0], optimizer="descent", callback=CsvLogger(path))
    >>> path.read_text().splitlines()[0]
    'run,step,passes,seconds,loss,full_loss,check_loss,gradient_norm,learning_rate'
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = Path(path)

    def begin(self) -> None:
        if not self.path.exists() or self.path.stat().st_size == 0:
            self._add(",".join(("run", *COLUMNS)))

    def log(self, step: int, values: dict[str, float]) -> None:
        cells = [repr(values[name]) if name in values else "" for name in COLUMNS[1:]]
        self._add(",".join([self.run, str(step), *cells]))

    def _add(self, line: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:  # one write a line: other processes may add theirs
            file.write(line + "\n")
