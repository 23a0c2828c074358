"""The curve as lines of JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fallline.loggers._lines import LineLogger

if TYPE_CHECKING:
    from fallline.result import Result


class JsonLinesLogger(LineLogger):
    """Adds a line of JSON to `path` at each recorded step, and one with the verdict at the end.

    >>> import tempfile, pathlib, json, fallline
    >>> from fallline.loggers.jsonl import JsonLinesLogger
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "curve.jsonl"
    >>> _ = fallline.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 4.0], callback=JsonLinesLogger(path))
    >>> json.loads(path.read_text().splitlines()[-1])["verdict"]
    'converged'
    """

    def log(self, step: int, values: dict[str, float]) -> None:
        self._add({"run": self.run, **values, "step": step})

    def finish(self, result: Result | None) -> None:
        if result is None:
            self._add({"run": self.run, "verdict": "broken off"})
        else:
            told = {"verdict": str(result.verdict), "certainty": str(result.certainty), "sentence": result.sentence}
            self._add({"run": self.run, **told, "loss": result.best_loss, "gap": result.gap, "steps": result.steps})
        super().finish(result)

    def _add(self, values: dict[str, Any]) -> None:
        self.add(json.dumps(values))
