"""Runs in MLflow: metrics at each step, settings as parameters, the verdict as a tag."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fallline.errors import MissingExtraError
from fallline.loggers._base import Logger

if TYPE_CHECKING:
    from fallline.result import Result

LONGEST = 500  # characters of a parameter


class MlflowLogger(Logger):
    """Makes one MLflow run of each fit. Needs the extra ``fallline[mlflow]``.

    `tracking_uri`: a folder (MLflow's file store), a database or a server; None for what MLflow is set to. `experiment`
    is made where there is none of that name. Nothing of MLflow's global state is touched.
    """

    def __init__(self, tracking_uri: str | None = None, experiment: str = "fallline") -> None:
        super().__init__()
        self.tracking_uri, self.experiment, self.run_id = tracking_uri, experiment, ""

    def begin(self) -> None:
        client = self._client()
        found = client.get_experiment_by_name(self.experiment)
        where = client.create_experiment(self.experiment) if found is None else found.experiment_id
        self.run_id = str(client.create_run(where, run_name=f"fallline {self.run}").info.run_id)

    def log(self, step: int, values: dict[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in values.items() if name != "step"]
        self._client().log_batch(self.run_id, metrics=metrics)

    def finish(self, result: Result | None) -> None:
        client = self._client()
        if result is not None:
            for name, value in result.settings.items():
                client.log_param(self.run_id, name, str(value)[:LONGEST])
            client.set_tag(self.run_id, "verdict", str(result.verdict))
            client.set_tag(self.run_id, "certainty", str(result.certainty))
            client.set_tag(self.run_id, "sentence", result.sentence)
            if result.gap is not None:
                client.log_metric(self.run_id, "gap", result.gap)
        client.set_terminated(self.run_id, "FAILED" if result is None else "FINISHED")
        super().finish(result)

    def _client(self) -> Any:
        try:
            from mlflow import MlflowClient
        except ImportError:
            raise MissingExtraError("MlflowLogger needs MLflow: pip install 'fallline[mlflow]'.") from None
        return MlflowClient(tracking_uri=self.tracking_uri)
