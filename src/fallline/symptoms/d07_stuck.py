"""D07: the loss no longer moves, and the run is not at a minimum."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.verdict import Certainty, Verdict

SATURATED = 0.5  # of the rows
NO_STEP = 1e-15  # of theta: a shorter step is lost in rounding


class Stuck(Symptom):
    """The curve is flat, but not because the run is done: a saddle, saturation, or steps lost in rounding.

    Rule: one of these. A function of your own whose gradient has vanished while the curvature along some direction is below
    -1e-4 of the largest (by a few products with second derivatives): a saddle. A function that no step lowers although
    second derivatives promise it, as at a kink, or that is flat all around. Or the verdict *stuck*: more than half of the
    rows predicted so far out (beyond 30 on the link's scale) that their slopes have vanished; or steps shorter than 1e-15
    of theta. Measured.

    What you see: a plateau with a gradient that is not small, or a small gradient at a point that is no minimum.

    What fallline does: from a saddle it goes on, pushed along the direction that leads down, up to three times (not with
    ``auto_fix=False``).

    What to do: start elsewhere; standardise; take a larger rate where steps are lost in rounding.
    """

    name: ClassVar[str] = "D07"
    summary: ClassVar[str] = "stuck"
    rank: ClassVar[int] = 71

    def find(self, evidence: Evidence) -> Finding | None:
        if evidence.saddle < 0.0 and evidence.verdict == Verdict.STUCK:
            return self.found(
                Certainty.MEASURED,
                "The slope is zero but this is a saddle: the loss bends down along one direction "
                f"({-evidence.saddle:.2g} of the largest curvature).",
                "fallline.minimize(f, result.theta + 0.01 * numpy.random.default_rng(0).standard_normal(result.theta.shape))",
                lowest_curvature=evidence.saddle,
            )
        if evidence.pushed:
            return self.found(
                Certainty.MEASURED, "The run came to a saddle, where the slope is zero and the loss bends down to one side.",
                automatic="was pushed along the direction that leads down, and went on", pushes=evidence.pushed,
            )  # fmt: skip
        if evidence.verdict != Verdict.STUCK:
            return None
        if evidence.saturated > SATURATED:
            return self.found(
                Certainty.MEASURED,
                f"{evidence.saturated:.0%} of the rows are predicted so far out that their slopes have vanished; the start "
                "was too far off.",
                remedy(evidence, standardize="True"), saturated=evidence.saturated,
            )  # fmt: skip
        history = evidence.history
        step, size = history.step_norm, np.maximum(history.theta_norm, 1e-300)
        known = np.isfinite(step)
        if known.any() and (step[known] / size[known])[-1] < NO_STEP:
            return self.found(
                Certainty.MEASURED,
                f"The steps are {step[known][-1]:.1e} long, which rounding swallows beside weights of {size[-1]:.2g}.",
                remedy(evidence, learning_rate="auto"), step_norm=float(step[known][-1]), theta_norm=float(size[-1]),
            )  # fmt: skip
        if evidence.why:
            sentence = f"{evidence.why[:1].upper()}{evidence.why[1:]}"
            own = evidence.optimizer == "quasi-Newton"  # the automatic rule already
            return self.found(Certainty.MEASURED, sentence, "" if own else remedy(evidence, optimizer="auto"))
        return self.found(
            Certainty.MEASURED, "The loss no longer changes in double precision, yet its slope is not small.",
            remedy(evidence, optimizer="auto"),
        )  # fmt: skip
