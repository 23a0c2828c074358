"""What a symptom is: a rule over the recorded history and the data summary that finds one cause of one trouble."""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fallline.history import History
from fallline.summary import DataSummary
from fallline.verdict import Certainty, Verdict


@dataclass(frozen=True)
class Evidence:
    """All that a symptom may look at. Symptoms look and never touch."""

    history: History
    summary: DataSummary | None  # None for a user's function
    optimizer: str  # name of the update rule: "descent", "adam", ...
    plain_descent: bool  # full-batch, plain gradient descent on a convex J: any rise proves the rate too large
    full_batch: bool
    learning_rate: float | None  # what the user named, or None for "auto" and schedules
    largest_curvature: float | None  # L: 2/L is the largest stable rate of plain descent in the coordinates trained in
    standardized: bool  # whether the columns were standardised inside
    link: str  # of the loss: "identity", "log", "logit", "softmax"; "none" for a user's function
    verdict: Verdict
    stop_reason: str  # "certificate", "gradient", "budget", "time", "interrupt", "diverged", "stalled", ...
    budget: int  # passes over the data that were allowed
    tol: float  # relative gap that was asked for
    gap: float | None  # proved bound on J - J*
    best_loss: float
    rollbacks: int = 0  # how many times the run was rolled back to its best parameters
    source: str = ""  # the file's name, for commands that can be pasted; empty for arrays
    target: str = "y"
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One symptom found: what was seen, how sure, and what mends it."""

    code: str  # "D02"
    title: str  # "diverging"
    certainty: Certainty
    sentence: str  # one plain sentence with the numbers in it
    remedy: str  # a command line or line of code that can be pasted, or "" when nothing need be done
    evidence: dict[str, float | int | str] = field(default_factory=dict)
    step: int = 0  # since when
    automatic: str = ""  # what fallline has already done about it, or ""

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``: the same object as in ``result.findings``."""
        return {
            "code": self.code, "title": self.title, "certainty": str(self.certainty), "sentence": self.sentence,
            "remedy": self.remedy, "evidence": dict(self.evidence), "step": self.step, "automatic": self.automatic,
        }  # fmt: skip


class Symptom(abc.ABC):
    """One diagnosis per file. The class docstring is what ``fallline explain CODE`` prints."""

    name: ClassVar[str]  # the code: "D02"
    summary: ClassVar[str]  # the title: "diverging"
    rank: ClassVar[int]  # root causes have low ranks; consequences are folded under them

    @abc.abstractmethod
    def find(self, evidence: Evidence) -> Finding | None:
        """The finding, or None for a healthy run."""
