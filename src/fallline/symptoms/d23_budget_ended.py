"""D23: the run was stopped by its budget."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from fallline.forecast import passes_left
from fallline.report.numbers import above_best, count
from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.verdict import Certainty, Verdict

MOST = 1e9  # passes: more is no number that helps


class BudgetEnded(Symptom):
    """The passes, the time or your patience ended before the run did.

    Rule: the verdict is *unfinished*. Measured. Where the gradient has been shrinking at a steady pace the number of
    passes still needed is estimated from it; the estimate is a lower bound in practice (it is 2 to 7 times too
    optimistic for logistic loss), so it says "at least".

    What to do: give it more passes, or leave out the optimizer and let fallline choose.
    """

    name: ClassVar[str] = "D23"
    summary: ClassVar[str] = "budget ended"
    rank: ClassVar[int] = 80

    def find(self, evidence: Evidence) -> Finding | None:
        if evidence.verdict != Verdict.UNFINISHED:
            return None
        gap, best = evidence.gap, evidence.best_loss
        far = f" The loss is within {above_best(gap, best)} of the best possible." if gap and best > gap else ""
        more = self._more(evidence)
        needed = f" About {more:,} more {'steps' if evidence.link == 'none' else 'passes'} at least." if more else ""
        told: dict[str, Any] = {"budget": evidence.budget} | ({"more_passes": more} if more else {})
        return self.found(
            Certainty.MEASURED, f"Stopped by the {self._what(evidence)}, not finished.{far}{needed}",
            self._longer(evidence, more), step=int(evidence.history.step[-1]) if len(evidence.history) else 0, **told,
        )  # fmt: skip

    @staticmethod
    def _longer(evidence: Evidence, more: int | None) -> str:
        """A budget that is enough, or twice as much; of a run that somebody stopped, the run again."""
        if evidence.stop_reason == "interrupt":
            return remedy(evidence)
        if evidence.stop_reason == "time":
            seconds = evidence.history.seconds
            return remedy(evidence, max_seconds=f"{max(2.0 * float(seconds[-1]), 1.0):.3g}" if len(seconds) else "60")
        name = "max_passes" if evidence.link != "none" else "max_steps"
        return remedy(evidence, **{name: str(evidence.budget + (more or max(evidence.budget, 100)))})

    @staticmethod
    def _what(evidence: Evidence) -> str:
        unit = ("step", "steps") if evidence.link == "none" else ("pass", "passes")
        limit = f"limit of {count(evidence.budget, *unit)}"
        return {"time": "time limit", "interrupt": "user"}.get(evidence.stop_reason, limit)

    @staticmethod
    def _more(evidence: Evidence) -> int | None:
        history = evidence.history
        norms, passes = history.full_gradient_norm, history.passes
        good = np.isfinite(norms) & (norms > 0.0) & (history.accepted == 1.0)
        more = passes_left(passes[good], norms[good])
        return math.ceil(more) if more is not None and more < MOST else None
