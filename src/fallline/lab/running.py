"""One run of the lab: the real engine in a thread of its own, and what it tells, message by message."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import fallline
from fallline.errors import FalllineError
from fallline.lab.problems import Problem
from fallline.recorder import Event
from fallline.report.numbers import number
from fallline.report.surface import contours, heights_of

SHOWN = 6  # weights in the arithmetic
MOST_MESSAGES = 2000  # of a run; of a longer one every second step is told, or every fourth
EVERY = 20  # steps between two looks for symptoms, after as many with one each
ROOM = 0.6  # of the way's extent around it, in the picture
CELLS = 61


@dataclass(frozen=True)
class Asked:
    """The knobs."""

    optimizer: str
    learning_rate: float | str
    batch_size: int | None
    passes: float
    standardize: bool
    pause: float  # seconds between two steps, to watch them
    seed: int


def ground(problem: Problem, standardize: bool) -> dict[str, Any]:
    """The loss surface in the plane of the two weights that have the longest way, as contour lines."""
    best = fallline.fit(
        problem.X, problem.y, loss=problem.loss, standardize=standardize, feature_names=list(problem.names)
    )
    bowl = best.bowl
    if bowl is None or len(bowl.names) < 2:
        return {"kind": "ground", "names": [], "lines": []}
    bottom = bowl.bottom[0]
    i, j = sorted(np.argsort(-np.abs(bottom - bowl.start), kind="stable")[:2].tolist())
    x, y = (_range(bowl.start[k], bottom[k]) for k in (i, j))
    heights = heights_of(bowl, bottom, (i, j), x, y)
    return {
        "kind": "ground", "names": [bowl.names[i], bowl.names[j]], "all": list(bowl.names)[:SHOWN],
        "pair": [i, j], "exact": bowl.exact,
        "x": [float(x[0]), float(x[-1])], "y": [float(y[0]), float(y[-1])], "lowest": bowl.bottom[1],
        "limit": 2.0 / bowl.largest if bowl.largest > 0.0 else None,
        "lines": [[[round(float(a), 5), round(float(b), 5)] for a, b in line] for line in contours(x, y, heights)],
    }  # fmt: skip


def _range(a: float, b: float) -> Any:
    room = ROOM * abs(b - a) or 1.0
    return np.linspace(min(a, b) - room, max(a, b) + room, CELLS)


class Running:
    """A run that can be listened to, once, and stopped."""

    def __init__(self, problem: Problem, asked: Asked) -> None:
        self.problem, self.asked = problem, asked
        self.stopped = threading.Event()
        self._told: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._count, self._heard = 0, set[str]()

    def messages(self) -> Iterator[dict[str, Any] | None]:
        """What the run tells, until it ends; None where nothing has happened for a while."""
        self._thread.start()
        while True:
            try:
                message = self._told.get(timeout=0.2)
            except queue.Empty:
                yield None
                continue
            if message is None:
                return
            yield message

    def stop(self) -> None:
        """Let the run end at its next step."""
        self.stopped.set()

    def _run(self) -> None:
        p, asked = self.problem, self.asked
        try:
            run = fallline.fit(
                p.X, p.y, loss=p.loss, optimizer=asked.optimizer, learning_rate=asked.learning_rate,
                batch_size=asked.batch_size, max_passes=asked.passes, standardize=asked.standardize, seed=asked.seed,
                feature_names=list(p.names) or None, callback=self._step,
            )  # fmt: skip
            self._told.put({
                "kind": "end", "verdict": str(run.verdict), "certainty": str(run.certainty), "sentence": run.sentence,
                "loss": run.best_loss, "steps": run.steps, "rate": run.rate_reason, "stopped": self.stopped.is_set(),
                "findings": [finding.to_dict() for finding in run.findings],
            })  # fmt: skip
        except FalllineError as error:
            self._told.put({"kind": "refused", "sentence": str(error)})
        except Exception as error:  # or the page would wait for an end that never comes
            self._told.put(
                {"kind": "refused", "sentence": f"Something went wrong inside fallline ({type(error).__name__})."}
            )
        finally:
            self._told.put(None)

    def _step(self, event: Event) -> bool:
        self._count += 1
        stride = 1 + self._count // MOST_MESSAGES
        due = self._count <= EVERY or self._count % EVERY == 0  # a look takes about a millisecond
        new = [f for f in event.findings() if f.step > 0 and f.code not in self._heard] if due else []
        self._heard |= {finding.code for finding in new}
        if self._count % stride == 0 or new:
            theta = np.ravel(event.theta)
            g = None if event.gradient is None else np.ravel(event.gradient)
            self._told.put({
                "kind": "step", "step": event.step, "passes": event.passes, "loss": _finite(event.loss),
                "exact": _finite(event.full_loss), "rate": _finite(event.learning_rate),
                "theta": [_finite(v) for v in theta], "gradient": None if g is None else [_finite(v) for v in g[:SHOWN]],
                "findings": [f"{finding.code} {finding.sentence}" for finding in new],
            })  # fmt: skip
            until = time.monotonic() + self.asked.pause
            while time.monotonic() < until and not self.stopped.is_set():
                time.sleep(min(0.02, self.asked.pause))
        return self.stopped.is_set()


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def told(problem: Problem) -> dict[str, Any]:
    """A problem as the page shows it."""
    return {
        "title": problem.title, "sentence": problem.sentence, "rows": problem.rows, "loss": problem.loss,
        "size": f"{problem.rows:,} rows, {number(float(problem.X.shape[1]))} columns",
    }  # fmt: skip
