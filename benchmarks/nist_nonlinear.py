"""NIST's nonlinear least squares problems: fallline.minimize beside SciPy's BFGS and L-BFGS-B, in one process.

    python benchmarks/nist_nonlinear.py [--all] [optimizer ...]

27 models from two starts each, with the parameters as they are and as multiples of their starts: 108 runs. *Solved*: the
residual sum of squares is within 1e-6 of the certified one (Lanczos1's, 1.4e-25, is out of reach of a sum of squares in
double precision). *Contented elsewhere*: called "good enough" or "converged" where a Gauss-Newton step, from exact
derivatives, still promises more than 1e-9 of the sum of squares. ``--all`` prints each run.
"""

from __future__ import annotations

import sys
import time
import warnings
from typing import NamedTuple

import numpy as np
import scipy.optimize as so
from nist_problems import Problem, problems

import fallline

STATIONARY = 1e-9  # relative decrease that a Gauss-Newton step promises


class Outcome(NamedTuple):
    """How one run ended, and what its point is worth."""

    solved: bool
    contented: bool
    gain: float
    values: int
    slopes: int
    word: str
    ratio: float


def by_fallline(problem: Problem, optimizer: str) -> Outcome:
    calls = [0, 0]

    def f(u: np.ndarray) -> float:
        calls[0] += 1
        return problem.value(u)

    def g(u: np.ndarray) -> np.ndarray:
        calls[1] += 1
        return problem.gradient(u)

    result = fallline.minimize(f, problem.x0, grad=g, optimizer=optimizer)
    contented = str(result.verdict) in ("good enough", "converged")
    word = f"{result.verdict} ({result.stop_reason}): {result.sentence}"
    return _outcome(problem, result.theta, contented, calls, word)


def by_scipy(problem: Problem, method: str) -> Outcome:
    found = so.minimize(problem.value, problem.x0, jac=problem.gradient, method=method)
    return _outcome(problem, found.x, bool(found.success), [found.nfev, found.njev], found.message)


def _outcome(problem: Problem, u: np.ndarray, contented: bool, calls: list[int], word: str) -> Outcome:
    value, gain = problem.value(u), problem.expected_gain(u)
    return Outcome(problem.solved(value), contented, gain, *calls, word, value / problem.rss)


def main(words: list[str]) -> None:
    every, names = "--all" in words, [w for w in words if not w.startswith("--")] or ["auto"]
    warnings.simplefilter("ignore")
    runs = [(f"fallline {name}", by_fallline, name) for name in names]
    runs += [(f"SciPy {name}", by_scipy, name) for name in ("BFGS", "L-BFGS-B")]
    for title, solve, name in runs:
        began, found = time.perf_counter(), []
        for problem in problems():
            with np.errstate(all="ignore"):
                outcome = solve(problem, name)
            found.append(outcome)
            if every and title.startswith("fallline"):
                where = f"{problem.name} {problem.start} {'scaled' if problem.scaled else 'raw'}"
                print(f"  {where:22s} {outcome.ratio:10.4g} {outcome.gain:8.1e} {outcome.values:6d} {outcome.word}")
        wrong = sum(o.contented and not o.gain <= STATIONARY for o in found)
        print(
            f"{title:18s} solved {sum(o.solved for o in found):3d} of {len(found)}; contented elsewhere {wrong:3d}; calls in "
            f"the median: f {np.median([o.values for o in found]):.0f}, gradient {np.median([o.slopes for o in found]):.0f}; "
            f"{time.perf_counter() - began:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
