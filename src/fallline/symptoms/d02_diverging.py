"""D02: the loss rises because the steps are too long."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fallline.report.numbers import number
from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.symptoms._shapes import exact_curve
from fallline.verdict import Certainty, Verdict

SAFE = 1.8  # lr L: below 2 by more than L may be off
BOUNDED = ("identity", "logit", "softmax")  # links of losses whose curvature has a bound, which L is then
SETTLED = 5  # steps before anything that is not proved is said of a run that goes on


class Diverging(Symptom):
    """The learning rate is larger than the data allows, so each step overshoots further than the last.

    Rule: for plain full-batch gradient descent on a convex loss one rise beyond round-off (1e-12 of the loss) proves
    it, because below 2/L every step lowers the loss, L being the largest curvature. Momentum, Adam and mini-batches
    may rise in good health, so for them only the verdict *diverged* counts, or while a run goes on a loss above ten
    times its start, and it is a measurement.

    What you see: a loss curve that turns upwards and explodes. The usual reason is a column in large units (D12).

    What fallline does: where the rate was automatic the run goes back to its best parameters and on with a tenth of the
    rate, up to three times (not with ``auto_fix=False``).

    What to do: leave out the learning rate and fallline computes it; or use the limit that is printed, or half of it.
    """

    name: ClassVar[str] = "D02"
    summary: ClassVar[str] = "diverging"
    rank: ClassVar[int] = 51

    def find(self, evidence: Evidence) -> Finding | None:
        history, curve = evidence.history, exact_curve(evidence.history)
        if evidence.verdict == Verdict.NO_FINITE_OPTIMUM and not evidence.separated:  # it falls without end
            return None
        rose = np.zeros(len(curve.loss), dtype=bool)
        if evidence.plain_descent and not self._safe(evidence):
            rose = curve.rises(evidence.resolution) & (curve.loss > 0.0)
        if evidence.verdict is None and not rose.any():
            rose = (curve.loss > 10.0 * abs(curve.loss[0])) & (curve.step > SETTLED) if len(curve.loss) else rose
        if not rose.any() and (evidence.verdict != Verdict.DIVERGED or _without_warning(curve.loss)):
            return None
        step = int(curve.step[np.argmax(rose)]) if rose.any() else int(history.step[-1])
        L, lr = evidence.curvature, evidence.learning_rate
        limit = None if L is None else 2.0 / L
        if lr is not None and limit is not None and lr > limit:
            stable = "stable" if evidence.link == "identity" else "provably stable"
            sentence = (
                f"Your step {lr:g} is {_times(lr / limit)} the largest {stable} one on this data (2/L = {limit:.3g}) and "
                f"{_times(2.0 * lr / limit)} a good one (1/L = {limit / 2.0:.3g})."
            )
        else:
            sentence = f"The loss rose at step {step:,}: the steps are too long for this data."
        return self.found(
            Certainty.PROVED if evidence.plain_descent and bool(rose.any()) else Certainty.MEASURED, sentence,
            remedy(evidence, learning_rate=f"{limit / 2:.2g}" if limit is not None else "auto") if lr is not None else "",
            step=step,
            automatic="went back to the best parameters and on with a tenth of the rate" if evidence.rollbacks else "",
            learning_rate="auto" if lr is None else lr, limit="unknown" if limit is None else limit,
        )  # fmt: skip

    @staticmethod
    def _safe(evidence: Evidence) -> bool:
        """Whether the rate is known to be stable, so that a rise is rounding."""
        lr, L = evidence.learning_rate, evidence.largest_curvature
        return lr is not None and L is not None and lr * L < SAFE and evidence.link in BOUNDED


def _without_warning(loss: Any) -> bool:
    """Whether the loss was never seen to rise before it was no number any more: then that is all that is known (D01)."""
    finite = loss[np.isfinite(loss)]
    return len(finite) < len(loss) and bool(np.all(np.diff(finite) <= 0.0))


def _times(ratio: float) -> str:
    return (
        f"{number(ratio, 3) if ratio >= 1e6 else format(ratio, ',.0f')} times"
        if ratio >= 10.0
        else f"{ratio:.2g} times"
    )
