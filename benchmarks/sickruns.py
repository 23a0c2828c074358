"""Sick runs by how they are trained: D02, D03, D05, D08, D09, D12, D13, D15, D23, D26, D27, and healthy D03m and D06."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sickdata import either, mixed, some, spectrum, standard

import fallline
from fallline.symptoms._base import Finding

Findings = list[Finding]


def descend(X: np.ndarray, y: np.ndarray, times: float, passes: int, **settings: Any) -> Findings:
    """Plain descent on least squares at so many times 1/L."""
    L = max(float(spectrum(X, y)[0][-1]), 1.0)
    settings = {"optimizer": "descent", "learning_rate": times / L, "max_passes": passes} | settings
    return fallline.fit(X, y, **settings).findings


def d02(rng: np.random.Generator, real: bool) -> Findings:
    return descend(*either(rng, real), float(rng.uniform(2.2, 1000.0)), 100)


def d03(rng: np.random.Generator, real: bool) -> Findings:
    """A rate just below 2/L, where the steepest direction has so much of the loss that half of the rate is faster."""
    X, y = either(rng, real)
    times, steps = float(rng.uniform(1.9, 1.98)), int(rng.integers(22, 30))
    values, gains = spectrum(X, y)

    def left(rate: float) -> float:
        return float(np.sum(gains * (1.0 - rate * values / max(values[-1], 1.0)) ** (2 * steps)))

    return descend(X, y, times, steps, tol=0.0) if left(times / 2.0) < left(times) else d03(rng, real)


def d03m(rng: np.random.Generator, real: bool) -> Findings:
    X, y = either(rng, real)
    rule = fallline.Momentum(float(rng.choice([0.9, 0.95])))
    lr = 1.0 / max(float(spectrum(X, y)[0][-1]), 1.0)
    return fallline.fit(X, y, optimizer=rule, learning_rate=lr, max_passes=200, tol=0.0).diagnose(healthy=True)


def d05(rng: np.random.Generator, real: bool) -> Findings:
    return descend(*either(rng, real), float(10.0 ** rng.uniform(-5.0, -0.8)), 40)


def d06(rng: np.random.Generator, real: bool) -> Findings:
    return fallline.fit(*either(rng, real)).diagnose(healthy=True)


def d08(rng: np.random.Generator, real: bool) -> Findings:
    """Columns that nearly repeat one another, and a target that depends on the difference."""
    if real and rng.random() < 0.4:
        X, y = some(rng, "cancer", rows=int(rng.integers(200, 569)))  # radius, perimeter, area of the same nuclei
    elif real:
        X, y = some(rng)
        X = np.column_stack(
            [X, X[:, 0] + 10.0 ** rng.uniform(-3.0, -1.7) * X[:, 0].std() * rng.standard_normal(len(X))]
        )
        y = y / y.std() + 100.0 * (X[:, -1] - X[:, 0]) / X[:, 0].std()
    else:
        m, n = int(rng.integers(200, 500)), int(rng.integers(3, 8))
        X = rng.standard_normal((m, n))
        X[:, 1:] = X[:, :1] + 10.0 ** rng.uniform(-3.0, -1.7) * X[:, 1:]
        y = X @ rng.standard_normal(n) + 0.1 * rng.standard_normal(m)
    values = spectrum(X, y)[0]
    assert values[-1] / values[0] > 1e3
    rule = str(rng.choice(["descent", "nesterov", "adam"]))
    return fallline.fit(X, y, optimizer=rule, max_passes=30).findings


def d09(rng: np.random.Generator, real: bool) -> Findings:
    """A constant rate and few rows a step, for so long that the start is forgotten in every direction."""
    batch, passes = int(rng.choice([1, 2, 4])), 30
    if not real:
        X, y = mixed(rng, m=int(rng.integers(200, 600)))
        lr = float(rng.uniform(0.1, 0.5) / (1.0 + X.shape[1]))
    else:
        X, y = some(rng)
        X = X[:, rng.permutation(X.shape[1])[: int(rng.integers(2, 5))]]
        lr = float(rng.uniform(0.1, 0.5) / (1.0 + (standard(X) ** 2).sum(axis=1).max()))  # stable on any row
        forgotten = lr * spectrum(X, y)[0][0] * len(y) / batch * (passes - 12)
        if forgotten < 5.0:
            return d09(rng, real)
    # tol=0: an epoch that ends at the bottom by luck, and proves it, is no reason to stop
    run = fallline.fit(X, y, batch_size=batch, optimizer="descent", learning_rate=lr, max_passes=passes, tol=0.0)
    return run.findings


def d12(rng: np.random.Generator, real: bool) -> Findings:
    if real:
        X, y = some(rng, "diabetes", "cancer", "wine", "housing", "flights", "forest")  # as they are
        y = y / y.std()
    else:
        X, y = mixed(rng, n=int(rng.integers(2, 8)))
        X[:, 0] *= 10.0 ** rng.uniform(2.5, 6.0)
    return fallline.fit(X, y, optimizer="descent", learning_rate=0.01, standardize=False, max_passes=100).findings


def d13(rng: np.random.Generator, real: bool) -> Findings:
    """Prices of houses, costs of accidents: in hundred thousands, and steps of a hundredth."""
    X, y = some(rng, "housing", "costs") if real else mixed(rng)
    rule = str(rng.choice(["adam", "rmsprop", "amsgrad", "nadam"]))
    y = y if real else y * 10.0 ** rng.uniform(3.0, 7.0)
    return fallline.fit(X, y, optimizer=rule, learning_rate=0.01, max_passes=60).findings


def overfits(X: np.ndarray, y: np.ndarray, check: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether 500 steps of plain descent end a quarter above the lowest loss on the check rows, and two standard errors."""
    vary, middle = X.std(axis=0) > 0.0, X.mean(axis=0)
    Z, held = standard(X), ((check[0] - middle) / np.where(vary, X.std(axis=0), 1.0))[:, vary]
    rate, w, losses = 1.0 / spectrum(X, y)[0][-1], np.zeros(Z.shape[1]), []
    for _ in range(500):
        losses.append((held @ w + y.mean() - check[1]) ** 2)
        w -= rate * Z.T @ (Z @ w + y.mean() - y) / len(y)
    lowest = min(losses, key=np.mean)
    worse = losses[-1] - lowest
    return bool(worse.mean() > max(0.25 * lowest.mean(), 2.0 * worse.std() / math.sqrt(len(worse))))


def d15(rng: np.random.Generator, real: bool) -> Findings:
    """More columns than the rows can bear, with products of columns where these are few."""
    if real:
        X, y = some(rng, "diabetes", "cancer", "digits", "housing", "flights", rows=442)
        if X.shape[1] < 30:
            Z, (i, j) = standard(X), np.triu_indices(X.shape[1])
            X = np.column_stack([Z, Z[:, i] * Z[:, j]])
        m = X.shape[1] + int(rng.integers(5, 20))
    else:
        n = int(rng.integers(40, 90))
        m = n + int(rng.integers(5, 20))
        X = rng.standard_normal((m + 300, n))
        y = X[:, 0] + rng.standard_normal(len(X)) * rng.uniform(1.0, 2.0)
    if not overfits(X[:m], y[:m], (X[m:], y[m:])):
        return d15(rng, real)
    rule = str(rng.choice(["descent", "nesterov"]))
    return fallline.fit(X[:m], y[:m], check=(X[m:], y[m:]), optimizer=rule, max_passes=500).findings


def d23(rng: np.random.Generator, real: bool) -> Findings:
    X, y = either(rng, real)
    rule = str(rng.choice(["descent", "momentum", "adam", "nesterov"]))
    return fallline.fit(X, y, optimizer=rule, max_passes=3).findings


def d26(rng: np.random.Generator, real: bool) -> Findings:
    X, y = either(rng, real)
    if rng.random() < 0.5:
        return fallline.fit(X, y, l2=float(10.0 ** rng.uniform(4.0, 8.0))).findings
    return fallline.fit(X, y, l1=float(rng.uniform(2.0, 100.0)) * 3.0 * y.std()).findings


def d27(rng: np.random.Generator, real: bool) -> Findings:
    X, y = either(rng, real)
    y = y / y.std() if real else y
    rule, lr = str(rng.choice(["adam", "rmsprop", "nadam", "amsgrad"])), float(rng.uniform(0.05, 0.3))
    run = fallline.fit(X, y, optimizer=rule, learning_rate=lr, max_passes=400, tol=1e-10)
    steps = run.history.step_norm[-50:]
    # of those that settled after all, none is said
    circles = run.verdict == "unfinished" and np.nanmean(steps) > 0.2 * lr * math.sqrt(X.shape[1] + 1)
    return run.findings if circles else d27(rng, real)
