"""D24: a gradient that is not that of the function."""

from __future__ import annotations

from typing import ClassVar

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.verdict import Certainty


class WrongGradient(Symptom):
    """The gradient that was given is not the gradient of the function.

    Rule: before the first step, central differences of f in a few random directions and in up to ten single components
    differ from what grad says by more than 1e-4 of the slope, at every step length that rounding leaves usable. Measured,
    and refused: descent on a wrong gradient goes anywhere.

    What you see: an error that names the worst component and both its slopes, and guesses at a sign or a factor.

    What to do: mend grad; or leave it out and write f with ``jax.numpy`` or ``torch``.
    """

    name: ClassVar[str] = "D24"
    summary: ClassVar[str] = "wrong gradient"
    rank: ClassVar[int] = 20

    def find(self, evidence: Evidence) -> Finding | None:
        code, sentence = evidence.refused
        return self.found(Certainty.MEASURED, sentence, "fallline.minimize(f, x0)") if code == self.name else None
