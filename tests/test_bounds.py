"""No bound is below the truth: random fits of every kind against an independent solver, and least squares against fractions.

`FALLLINE_LONG_TESTS=1` makes ten thousand of them; a seed that fails is the fit to look at.
"""

from __future__ import annotations

import math
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline
from fallline.tables import asked
from independent_solver import PRECISE
from random_fits import drawn

LONG = bool(os.environ.get("FALLLINE_LONG_TESTS"))
CHUNK = 20
CHUNKS = 500 if LONG else 8


@pytest.fixture(autouse=True)
def anything_goes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Budgets may be tiny, and the cache is the test's own."""
    monkeypatch.setattr(asked, "LEAST_MEMORY", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PRECISE, reason="long double is double here, so the truth is not known better"),
]


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_bound_is_below_what_an_independent_solver_finds(chunk: int, tmp_path: Path) -> None:
    wrong = [told for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK) if (told := false_of(seed, tmp_path))]
    assert not wrong, "\n".join(wrong)


def false_of(seed: int, folder: Path) -> str:
    """What of the fit of this seed is not so; "" where all is."""
    fit = drawn(seed)
    try:
        result = fit.run(folder)
    except fallline.FalllineError:
        return ""
    problem = fit.problem()
    J = problem.J(result.coef, result.intercept)
    lowest = problem.lowest(result.coef, result.intercept)
    can_fall, told = float(J - lowest), []
    if result.gap is not None and can_fall > result.gap * (1.0 + 1e-6):
        told.append(f"bound {result.gap!r}, yet J can fall by {can_fall!r}")
    if str(result.verdict) == "converged" and result.gap is None:
        told.append("converged without a bound")
    rounding = 1e-13 * abs(result.baseline_loss) + float(spoilt_by_rounding(problem, result))
    within = fit.running.get("tol", 1e-6) * 1.01 * abs(float(lowest)) + 1e-12 * result.baseline_loss
    if str(result.verdict) == "converged" and can_fall > max(within, rounding):
        told.append(f"converged at {float(J)!r}, {can_fall!r} above {float(lowest)!r}")
    if abs(float(J) - result.best_loss) > 1e-9 * abs(result.best_loss) + rounding:
        told.append(f"best_loss {result.best_loss!r} of weights whose J is {float(J)!r}")
    gaps, losses = result.history.gap, result.history.full_loss
    known = np.isfinite(gaps) & np.isfinite(losses)
    if np.any(losses[known] - gaps[known] > float(lowest) * (1 + 1e-9) + rounding + 1e-6 * gaps[known]):
        told.append("a bound of the history is above the lowest loss")
    kind = f"{fit.loss}, {fit.columns}, {fit.form}, {fit.running}, {[*fit.options]}, {fit.X.shape}"
    return f"seed {seed} ({kind}): {result.verdict} ({result.certainty}), {'; '.join(told)}" if told else ""


def spoilt_by_rounding(problem: Any, result: fallline.Result) -> Any:
    """What a rounding of each prediction may do to J."""
    w, b = np.abs(np.asarray(result.coef, float)), np.abs(np.asarray(result.intercept, float))
    size = np.abs(problem.X) @ w + b
    off = 2.0**-52 * (4 + len(w)) * (size if size.ndim == 1 else size.max(axis=1))
    z = problem.predictions(np.asarray(result.coef), np.asarray(result.intercept))
    steep = np.abs(z) if z.ndim == 1 else np.abs(z).max(axis=1)
    return problem.share @ (off * (steep + np.abs(problem.y) + 1) + off * off)


def exactly(rows: list[list[Fraction]], y: list[Fraction], l2: Fraction, penalised: int) -> Fraction:
    """The least of 1/(2m) sum (x w - y)^2 + l2/2 |w|^2, in rational arithmetic; of dependent columns some are left out."""
    m, n = len(y), len(rows[0])
    A = [[sum(x[i] * x[j] for x in rows) / m + (l2 if i == j < penalised else 0) for j in range(n)] for i in range(n)]
    b = [sum(x[i] * t for x, t in zip(rows, y, strict=True)) / m for i in range(n)]
    least, M = sum(t * t for t in y) / (2 * m), [[*row, c] for row, c in zip(A, b, strict=True)]
    for k in range(n):  # LDL^T: each pivot takes its share of the sum of squares
        if M[k][k] == 0:
            continue
        least -= M[k][n] ** 2 / (2 * M[k][k])
        for i in range(k + 1, n):
            factor = M[i][k] / M[k][k]
            M[i] = [a - factor * c for a, c in zip(M[i], M[k], strict=True)]
    return least


@pytest.mark.parametrize("seed", range(2000 if LONG else 120))
def test_least_squares_bounds_hold_in_rational_arithmetic(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(1, 14)), int(rng.integers(1, 5))
    X, y = rng.standard_normal((m, n)), rng.standard_normal(m) * 10.0 ** rng.integers(-8, 9)
    kind = ["plain", "near", "sum", "far", "integers", "scaled"][seed % 6]
    if kind == "near" and n > 1:
        X[:, -1] = X[:, 0] + 10.0 ** -(seed // 6 % 18) * rng.standard_normal(m)
    if kind == "sum" and n > 1:
        X[:, -1] = X[:, :-1].sum(axis=1) * rng.choice([1.0, 2.54])
    if kind == "far":
        X += 10.0 ** rng.integers(0, 9, n)
    if kind == "integers":
        X = rng.integers(-2, 3, (m, n)).astype(float)
    if kind == "scaled":
        X *= 10.0 ** rng.integers(-9, 10, n)
    intercept, standardize = bool(rng.random() < 0.7), bool(rng.random() < 0.5)
    l2 = 0.0 if standardize or rng.random() < 0.5 else 10.0 ** rng.integers(-12, 1)
    result = fallline.fit(X, y, l2=l2, fit_intercept=intercept, standardize=standardize)
    if result.gap is None:
        return
    rows = [[*map(Fraction, map(float, row))] + [Fraction(1)] * intercept for row in X]
    targets = [*map(Fraction, map(float, y))]
    theta = [*map(Fraction, map(float, result.coef))] + [Fraction(float(result.intercept))] * intercept
    rest = [sum(a * w for a, w in zip(row, theta, strict=True)) - t for row, t in zip(rows, targets, strict=True)]
    J = sum(r * r for r in rest) / (2 * m) + Fraction(l2) / 2 * sum(w * w for w in theta[:n])
    can_fall = J - exactly(rows, targets, Fraction(l2), n)
    assert can_fall <= Fraction(result.gap), (kind, result.verdict, float(can_fall), result.gap)
    assert can_fall >= 0 and math.isfinite(result.gap)
