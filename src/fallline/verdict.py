"""How a run ended.

One of a closed set of verdicts, each with how sure it is. The value is the word that people read.
"""

from __future__ import annotations

import enum


class Verdict(enum.StrEnum):
    """The closed set of endings."""

    CONVERGED = "converged"
    GOOD_ENOUGH = "good enough"
    UNFINISHED = "unfinished"
    NOISE_LIMITED = "noise-limited"
    DIVERGED = "diverged"
    NO_FINITE_OPTIMUM = "no finite optimum"
    STUCK = "stuck"
    REFUSED = "refused"

    @property
    def exit_code(self) -> int:
        """What the command line returns: 0 finished, 3 diverged or no finite optimum, 4 refused, 5 unfinished."""
        return _EXIT_CODES.get(self, 0)


class Certainty(enum.StrEnum):
    """How sure a verdict or a finding is."""

    PROVED = "proved"
    MEASURED = "measured"
    SUSPECTED = "suspected"


_EXIT_CODES = {
    Verdict.DIVERGED: 3,
    Verdict.NO_FINITE_OPTIMUM: 3,
    Verdict.REFUSED: 4,
    Verdict.UNFINISHED: 5,
    Verdict.NOISE_LIMITED: 5,
    Verdict.STUCK: 5,
}
