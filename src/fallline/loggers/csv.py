"""The curve as lines of a CSV file."""

from __future__ import annotations

from fallline.loggers._base import COLUMNS
from fallline.loggers._lines import LineLogger


class CsvLogger(LineLogger):
    """Adds a line to `path` at each recorded step, as it happens; a column ``run`` tells runs apart.

    >>> import tempfile, pathlib, fallline
    >>> from fallline.loggers.csv import CsvLogger
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "curve.csv"
    >>> _ = fallline.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 4.0], optimizer="descent", callback=CsvLogger(path))
    >>> path.read_text().splitlines()[0]
    'run,step,passes,seconds,loss,full_loss,check_loss,gradient_norm,learning_rate'
    """

    def begin(self) -> None:
        if self.is_empty():
            self.add(",".join(("run", *COLUMNS)))

    def log(self, step: int, values: dict[str, float]) -> None:
        cells = [repr(values[name]) if name in values else "" for name in COLUMNS[1:]]
        self.add(",".join([self.run, str(step), *cells]))
