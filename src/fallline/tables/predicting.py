"""Predictions for tables of any size: frames in, predictions out, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.arrivals import Arrivals
from fallline.errors import SchemaError
from fallline.numbering import numbered
from fallline.rows.report import Report
from fallline.tables.choose import offset_of

if TYPE_CHECKING:
    import polars as pl

    from fallline.result import Result
    from fallline.rows.encoder import Encoder
    from fallline.symptoms._base import Finding

LOOK_AGAIN = 1.1  # times as many rows as at the last look: a look takes as long as there are columns


class Predictor:
    """Predicts frame after frame; ``report`` says what was met in all of them, ``findings`` whether they have drifted.

    Rows that look as if somebody had standardised them already are refused, unless `force`.
    """

    def __init__(self, result: Result, encoder: Encoder, source: str, force: bool = False) -> None:
        self.result, self.encoder, self.source, self.force = result, encoder, source, force
        self.report: Report | None = None
        self.rows = 0
        self._arrivals = None if result.summary is None else Arrivals(result.summary)
        self._looked = 0

    @property
    def findings(self) -> list[Finding]:
        """Of all rows so far."""
        return [] if self._arrivals is None else self._arrivals.findings()

    def frames(self, frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """One frame of predictions for each, with a row for each of its rows."""
        for frame in frames:
            with numbered(None, self.rows), np.errstate(all="ignore"):  # see entry.py
                predicted = self._predicted(frame)
            yield predicted
            self.rows += frame.height
        self._look()  # before what was written counts

    def _look(self) -> None:
        """Raise SchemaError where the rows so far look standardised."""
        self._looked = 0 if self._arrivals is None else self._arrivals.rows
        scaled = [finding for finding in self.findings if "already_scaled" in finding.evidence]
        if scaled and not self.force:
            told = f"{self.source}: {scaled[0].sentence} Give the raw columns; or --force, if they are right."
            raise SchemaError(told, code="D22")

    def _predicted(self, frame: pl.DataFrame) -> pl.DataFrame:
        import polars as pl

        result, encoder = self.result, self.encoder
        for column in (encoder.offset, encoder.exposure):
            if column and column not in frame.columns:
                raise SchemaError(
                    f"{self.source}: lacks the column {column!r}, the exposure or offset that the model was trained with."
                )
        X, report = encoder.transform(frame)
        self.report = report if self.report is None else self.report + report
        if self._arrivals is not None:
            self._arrivals.add(X)
            if self._arrivals.rows > LOOK_AGAIN * self._looked:
                self._look()
        kept = frame if report.kept is None else frame[report.kept]
        shift = offset_of(kept, encoder.offset, encoder.exposure)
        answer: dict[str, Any] = {f"predicted {result.target_name}": result.predict(X, shift)}
        if result.classes is not None and result.loss is not None and result.loss.link in ("logit", "softmax"):
            probability = result.predict_probability(X, shift)
            answer |= {f"probability {label}": probability[:, k] for k, label in enumerate(result.classes)}
        table = pl.DataFrame(answer)
        if report.kept is None:
            return table
        place = pl.DataFrame({"row": np.arange(frame.height)})  # a row for each, empty where it had holes
        return place.join(
            table.with_columns(row=pl.Series(report.kept)), on="row", how="left", maintain_order="left"
        ).drop("row")
