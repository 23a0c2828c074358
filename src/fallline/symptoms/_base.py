"""What a symptom is: a rule over the recorded history and the data summary that finds one cause of one trouble."""

from __future__ import annotations

import abc
import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fallline.history import History
from fallline.summary import DataSummary
from fallline.verdict import Certainty, Verdict
from fallline.visible import visible


class Overfit(NamedTuple):
    """How much worse the kept weights are on the check rows than those of the best step there."""

    step: int  # of the lowest check loss
    excess: float  # mean loss of the kept weights less that of the best, on the same check rows
    error: float  # standard error of that mean of differences
    looks: int  # at the check rows since


class Arrived(NamedTuple):
    """How rows to predict differ from those of training, in the column that differs most."""

    rows: int
    column: str
    moved: float  # difference of the means in standard deviations of training
    spread: float  # ratio of the standard deviations
    outside: float  # share of the rows beyond the lowest and highest value of training
    standard: int  # columns whose mean is about 0 and sd about 1 although those of training were not
    columns: int  # that could be so


@dataclass(frozen=True)
class Evidence:
    """All that a symptom may look at. Symptoms look and never touch.

    The same while a run goes on, after it, and of a model that was saved: `verdict` None says that it goes on.
    """

    history: History
    summary: DataSummary | None  # None for a user's function
    # how it is trained
    optimizer: str = "descent"  # name of the update rule: "descent", "adam", ...
    plain_descent: bool = False  # full-batch, plain gradient descent on a convex J: any rise proves the rate too large
    full_batch: bool = True
    adaptive: bool = False  # a rule whose step has the size of the rate itself: Adam and its kin
    preconditioned: bool = False  # by second derivatives: the shape of the valley does not matter
    searched: bool = False  # each step has a rate of its own, found by backtracking
    learning_rate: float | None = None  # what the user named, or None for "auto" and schedules
    largest_curvature: float | None = None  # L, in the coordinates of training: plain descent is stable below 2/L
    standardized: bool = True  # whether the columns were standardised inside
    link: str = "identity"  # of the loss: "identity", "log", "logit", "softmax"; "none" for a user's function
    unit: float = 1.0  # the natural size of a prediction's change: the spread of y for an identity link
    unknowns: int = 0
    penalised: bool = False
    in_order: bool = False  # mini-batches come in the order of the rows
    budget: int = 0  # passes over the data that were allowed
    tol: float = 1e-6  # relative gap that was asked for
    resolution: float = 0.0  # of J: what rounding of the predictions does to a loss that is zero
    intercept: bool = True
    loss: str = ""  # its name; empty for a user's function
    named: dict[str, str] = field(default_factory=dict)  # settings that were named, in words, for commands to be pasted
    source: str = ""  # the file's name, for commands that can be pasted; empty for arrays
    columns: tuple[str, ...] | None = None  # of the table, where the names of the columns of X do not tell them
    target: str = "y"
    # how it ended
    verdict: Verdict | None = None
    stop_reason: str = ""  # "certificate", "gradient", "budget", "time", "interrupt", "diverged", "stalled", ...
    gap: float | None = None  # proved bound on J - J*
    best_loss: float = math.nan
    weight: float = math.nan  # of the training rows, in sum: their number where none was given
    baseline_loss: float = math.nan  # of the best constant
    rollbacks: int = 0  # how many times the run was rolled back to its best parameters
    separated: str = (
        ""  # "strict": every row is on its right side; "quasi": none on the wrong one; "zeros": all counts are 0
    )
    separator: str = ""  # a column that separates the classes alone
    penalty_share: float = math.nan  # of J
    largest_weight: float = math.nan  # of standardised columns, in units of `unit`
    saturated: float = 0.0  # share of the rows whose prediction is so far out that their slope has vanished
    saddle: float = math.nan  # lowest curvature at the end as a share of the largest; negative: there is a way down
    pushed: int = 0  # how many times the run was pushed off a saddle
    why: str = ""  # of a user's function: the sentence of the verdict
    check: dict[str, float] | None = None
    overfit: Overfit | None = None
    arrived: Arrived | None = None  # rows to predict
    refused: tuple[str, str] = ("", "")  # code and sentence of what was refused before anything was run

    @property
    def done(self) -> bool:
        """Whether the run ended where it should."""
        return self.verdict in (Verdict.CONVERGED, Verdict.GOOD_ENOUGH)

    @property
    def curvature(self) -> float | None:
        """L where it is known from the data, else the largest curvature met along the way."""
        if self.largest_curvature:
            return self.largest_curvature
        met = self.history.curvature
        met = met[np.isfinite(met) & (met > 0.0)]
        return float(met.max()) if len(met) else None

    def conditions(self) -> dict[str, Any]:
        """All but the history and the summary, which a model file has already."""
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del own["history"], own["summary"]
        own["verdict"] = None if self.verdict is None else str(self.verdict)
        return own

    @classmethod
    def recalled(cls, history: History, summary: DataSummary | None, conditions: dict[str, Any]) -> Evidence:
        """The inverse of ``conditions``; raises TypeError or ValueError for what is not."""
        own = dict(conditions)
        own["verdict"] = None if own.get("verdict") is None else Verdict(own["verdict"])
        for name, kind in (("overfit", Overfit), ("arrived", Arrived)):
            own[name] = None if own.get(name) is None else kind(*own[name])
        return cls(history=history, summary=summary, **own)


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

    def __post_init__(self) -> None:
        """Names in the words for people may be anybody's; in ``evidence``, for programs, they stay as they are."""
        for part in ("title", "sentence", "remedy", "automatic"):
            object.__setattr__(self, part, visible(getattr(self, part)))

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``: the same object as in ``result.findings``."""
        return {
            "code": self.code, "title": self.title, "certainty": str(self.certainty), "sentence": self.sentence,
            "remedy": self.remedy, "evidence": dict(self.evidence), "step": self.step, "automatic": self.automatic,
        }  # fmt: skip

    def _repr_html_(self) -> str:
        from fallline.report.notebook import finding_html

        return finding_html(self)


class Symptom(abc.ABC):
    """One diagnosis per file. The class docstring is what ``fallline explain CODE`` prints."""

    name: ClassVar[str]  # the code: "D02"
    summary: ClassVar[str]  # the title: "diverging"
    rank: ClassVar[int]  # root causes have low ranks; consequences are folded under them
    healthy: ClassVar[bool] = False  # whether it is good news, told on request alone

    @abc.abstractmethod
    def find(self, evidence: Evidence) -> Finding | None:
        """The finding, or None for a healthy run."""

    def found(
        self,
        certainty: Certainty,
        sentence: str,
        remedy: str = "",
        *,
        step: int = 0,
        automatic: str = "",
        **evidence: float | int | str,
    ) -> Finding:
        """The Finding of this symptom."""
        return Finding(self.name, self.summary, certainty, sentence, remedy, evidence, step, automatic)
