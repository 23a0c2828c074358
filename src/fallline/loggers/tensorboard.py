"""Event files for TensorBoard."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallline.errors import MissingExtraError
from fallline.loggers._base import Logger

if TYPE_CHECKING:
    from fallline.result import Result


class TensorBoardLogger(Logger):
    """Writes scalars into a folder below `folder` for each run. Needs the extra ``fallline[tensorboard]``, not TensorFlow.

    See them with ``tensorboard --logdir FOLDER``.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.folder = Path(folder)
        self._writer: Any = None

    def begin(self) -> None:
        try:
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError:
            raise MissingExtraError(
                "TensorBoardLogger needs TensorBoard: pip install 'fallline[tensorboard]'."
            ) from None
        self._close()
        self._writer = EventFileWriter(str(self.folder / self.run.replace(":", "-")))

    def log(self, step: int, values: dict[str, float]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        scalars = [Summary.Value(tag=name, simple_value=value) for name, value in values.items() if name != "step"]
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=scalars)))

    def finish(self, result: Result | None) -> None:
        self._close()
        super().finish(result)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None
