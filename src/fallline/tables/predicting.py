"""Predictions for tables of any size: frames in, predictions out, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.errors import SchemaError
from fallline.rows.report import Report
from fallline.tables.choose import offset_of

if TYPE_CHECKING:
    import polars as pl

    from fallline.result import Result
    from fallline.rows.encoder import Encoder


class Predictor:
    """Predicts frame after frame; ``report`` says what was met in all of them."""

    def __init__(self, result: Result, encoder: Encoder, source: str) -> None:
        self.result, self.encoder, self.source = result, encoder, source
        self.report: Report | None = None
        self.rows = 0

    def frames(self, frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """One frame of predictions for each, with a row for each of its rows."""
        for frame in frames:
            yield self._predicted(frame)
            self.rows += frame.height

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
