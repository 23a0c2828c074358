"""Symptoms: one diagnosis per file. They look at the finished record and never touch it."""

from __future__ import annotations

import inspect

from fallline.family import look_up, members
from fallline.history import History
from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.verdict import Verdict

# A consequence is not told beside its cause: where a code on the left is found, those on the right are folded under it.
FOLDED_UNDER = {
    "D24": ("D01", "D02", "D07", "D23"),
    "D25": ("D01", "D02", "D07", "D23"),
    "D12": ("D01", "D02", "D03", "D05", "D08", "D23", "D27"),
    "D13": ("D01", "D02", "D05", "D23", "D27"),
    "D21": ("D09", "D23"),
    "D08": ("D23",),
    "D02": ("D01", "D03", "D23"),
    "D01": ("D23",),
    "D03": ("D23",),
    "D10": ("D05", "D08", "D11", "D23", "D26"),
    "D05": ("D23", "D08"),
    "D07": ("D23",),
    "D09": ("D23",),
    "D27": ("D23",),
    "D26": ("D16",),
    "D15": ("D16",),
}
MEANINGS = {
    Verdict.CONVERGED: "Proved: a bound on J(theta) - J* is within the tolerance. No weights can do better than it says.",
    Verdict.GOOD_ENOUGH: "Measured: no bound exists, and the gradient is small; of a function, promises less than rounding.",
    Verdict.UNFINISHED: "A budget (passes, time, Ctrl-C) ended the run; the best so far is kept, and it says how far it got.",
    Verdict.NOISE_LIMITED: "Suspected: mini-batch noise holds the loss up; a smaller rate or full batches would go further.",
    Verdict.DIVERGED: "The loss rose out of bounds: the learning rate is too large. The best parameters before are kept.",
    Verdict.NO_FINITE_OPTIMUM: "Proved: larger weights always fit better. The classes are separated perfectly (add l2), or all "
    "counts are zero.",
    Verdict.STUCK: "The loss no longer moves, yet the gradient is not small: a saddle, saturation, or too short a step.",
    Verdict.REFUSED: "The data or the settings cannot be trained on; nothing was run.",
}


def symptoms() -> dict[str, type[Symptom]]:
    """Return every symptom by its code."""
    found: dict[str, type[Symptom]] = members(__name__, Symptom)
    return found


def diagnose(evidence: Evidence, *, include_healthy: bool = False) -> list[Finding]:
    """All findings, root causes first; consequences are folded under their causes, and health is not news."""
    ranked = sorted(symptoms().values(), key=lambda kind: kind.rank)
    asked = [kind for kind in ranked if include_healthy or not kind.healthy]
    found = [finding for kind in asked if (finding := kind().find(evidence)) is not None]
    folded = {code for finding in found for code in FOLDED_UNDER.get(finding.code, ())}
    return [f for f in found if f.code not in folded]


def refused(code: str, sentence: str) -> Finding | None:
    """The finding for which something was refused before it was run."""
    kind = symptoms().get(code)
    return None if kind is None else kind().find(Evidence(History(), None, refused=(code, sentence)))


def explain(code: str) -> str:
    """What a symptom's code, or a verdict, means: the rule, how sure it is, and what to do.

    >>> print(explain("D14").splitlines()[0])
    D14  constant column
    """
    word = code.strip()
    for verdict, meaning in MEANINGS.items():
        if word.lower() == verdict:
            return f"{verdict}\n\n{meaning}"
    known = symptoms()
    by_code = {name.lower(): kind for name, kind in known.items()} | {k.summary: k for k in known.values()}
    symptom = type(look_up(word, by_code, "explain"))
    return f"{symptom.name}  {symptom.summary}\n\n{inspect.getdoc(symptom)}"
