"""Sick runs: for every symptom a generator of runs that have it, by construction, on generated or on real data.

Each takes a generator of random numbers and whether the data shall be real. That a run is sick follows from how it was
made, and where that leaves it open from a computation of its own, never from what fallline found.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sickfunctions
import sickrows
import sickruns

from fallline.symptoms._base import Finding

Sick = Callable[[np.random.Generator, bool], list[Finding]]
_MADE = vars(sickfunctions) | vars(sickruns) | vars(sickrows)
SICK: dict[str, Sick] = {
    name.upper().replace("M", "m"): make
    for name, make in sorted(_MADE.items())
    if name[0] == "d" and name[1:3].isdigit()
}
