"""D05: the steps are much shorter than they could be."""

from __future__ import annotations

from typing import ClassVar

from fallline.report.numbers import number
from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.verdict import Certainty, Verdict

SHORT = 0.2  # of the curvature's inverse: below this the rate, not the valley, is what is slow (VERDICTS, D05)
FEWEST_STEPS = 5


class TooSlow(Symptom):
    """The learning rate is far below what the data allows, so the run crawls.

    Rule: plain full-batch descent that did not finish, with lr * L < 0.2, L the largest curvature of the loss. Then a
    step 1 / (lr L) times longer is safe. Measured.

    What you see: a loss curve that falls smoothly and hardly at all. If the rate is near 1/L and the run still crawls,
    the valley is long and narrow (D08): then momentum or ``optimizer="auto"`` helps, not a larger rate.

    What to do: leave the learning rate to fallline, or raise it to the value printed.
    """

    name: ClassVar[str] = "D05"
    summary: ClassVar[str] = "too slow"
    rank: ClassVar[int] = 70

    def find(self, evidence: Evidence) -> Finding | None:
        lr, L = evidence.learning_rate, evidence.curvature
        slow = evidence.verdict in (Verdict.UNFINISHED, None) and len(evidence.history) > FEWEST_STEPS
        if not slow or not evidence.plain_descent or lr is None or not L or lr * L >= SHORT:
            return None
        times = 1.0 / (lr * L)
        told = number(times, 3) if times >= 1e6 else f"{times:,.0f}"
        return self.found(
            Certainty.MEASURED,
            f"Your step {lr:g} is short: one {told} times longer ({1.0 / L:.2g}) is safe on this data.",
            remedy(evidence, learning_rate=f"{1.0 / L:.2g}"), learning_rate=lr, safe=1.0 / L, times=times,
        )  # fmt: skip
