"""Sick runs: for every symptom a generator of runs that have it, by construction, on generated and on real data."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import datasets

import fallline
from fallline.symptoms._base import Finding

Findings = list[Finding]
REAL = ("load_diabetes", "load_breast_cancer", "load_wine", "load_iris")


def mixed(rng: np.random.Generator, m: int = 0, n: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Columns that lean on one another a little, and a target with noise."""
    m, n = m or int(rng.integers(80, 400)), n or int(rng.integers(2, 9))
    X = rng.standard_normal((m, n)) + 0.5 * rng.standard_normal((m, 1))
    w = rng.standard_normal(n)
    w /= np.linalg.norm(w)
    return X, X @ w + rng.uniform(0.3, 1.0) * rng.standard_normal(m)


def real(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A real table, its target as numbers; a random part of its rows."""
    X, y = getattr(datasets, REAL[int(rng.integers(len(REAL)))])(return_X_y=True)
    rows = rng.permutation(len(y))[: int(rng.integers(100, len(y) + 1))]
    return X[rows], y[rows].astype(float)


def either(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return real(rng) if rng.random() < 0.4 else mixed(rng)


def sharpness(X: np.ndarray) -> float:
    """L of least squares on standardised columns."""
    Z = X[:, X.std(axis=0) > 0]
    return float(np.linalg.eigvalsh(np.corrcoef(Z, rowvar=False))[-1]) if Z.shape[1] > 1 else 1.0


def descend(X: np.ndarray, y: np.ndarray, times: float, passes: int, **settings: Any) -> Findings:
    """Plain descent on least squares at so many times 1/L."""
    L = max(sharpness(X), 1.0)
    settings = {"optimizer": "descent", "learning_rate": times / L, "max_passes": passes} | settings
    return fallline.fit(X, y, **settings).findings


def d01(rng: np.random.Generator) -> Findings:
    """A step out of where the function is defined: x - log x, from the right side of 0 to the wrong one."""
    x0 = rng.uniform(2.0, 5.0, int(rng.integers(1, 4)))
    lr = float(rng.uniform(1.1, 10.0) * np.max(x0 / (1.0 - 1.0 / x0)))

    def f(x: np.ndarray) -> float:
        with np.errstate(all="ignore"):
            return float(np.sum(x - np.log(x)))

    return fallline.minimize(f, x0, grad=lambda x: 1.0 - 1.0 / x, optimizer="descent", learning_rate=lr).findings


def d02(rng: np.random.Generator) -> Findings:
    return descend(*either(rng), float(rng.uniform(2.2, 1000.0)), 100)


def d03(rng: np.random.Generator) -> Findings:
    X, y = either(rng)
    return descend(X, y, float(rng.uniform(1.9, 1.98)), int(rng.integers(22, 30)), tol=0.0)


def d03m(rng: np.random.Generator) -> Findings:
    X, y = mixed(rng)
    lr = 1.0 / sharpness(X)
    rule = fallline.Momentum(float(rng.choice([0.9, 0.95])))
    run = fallline.fit(X, y, optimizer=rule, learning_rate=lr, max_passes=200, tol=0.0)
    return run.diagnose(healthy=True)


def d04(rng: np.random.Generator) -> Findings:
    """A small network with a tanh layer: its curvature grows until 2/lr (Cohen et al. 2021)."""
    x = np.linspace(-1.0, 1.0, 20)
    y = np.sin(rng.uniform(2.0, 4.0) * x) * rng.uniform(0.8, 1.2)
    h, scale = 12, float(rng.uniform(0.8, 1.2))
    theta = scale * rng.standard_normal(3 * h)

    def both(t: np.ndarray) -> tuple[float, np.ndarray]:
        a, b, c = t[:h], t[h : 2 * h], t[2 * h :]
        u = np.tanh(np.outer(x, a) + b)
        r = u @ c - y
        d = (1.0 - u**2) * c * r[:, None]
        return 0.5 * float(r @ r) / len(x), np.concatenate([x @ d, d.sum(axis=0), u.T @ r]) / len(x)

    def f(t: np.ndarray) -> float:
        return both(t)[0]

    def g(t: np.ndarray) -> np.ndarray:
        return both(t)[1]

    H = np.array([(g(theta + 1e-5 * e) - g(theta - 1e-5 * e)) / 2e-5 for e in np.eye(3 * h)])
    lr = float(rng.uniform(1.0, 1.6) * 2.0 / np.linalg.eigvalsh(0.5 * (H + H.T))[-1])
    run = fallline.minimize(f, theta, grad=g, optimizer="descent", learning_rate=lr, max_steps=3000)
    felt = lr * run.history.curvature  # by construction or not: a run that went over the edge, or stayed below, is none
    share = np.convolve((felt > 1.85) & (felt < 2.15), np.ones(40) / 40, mode="valid")
    if not len(share) or share.max() < 0.9 or run.verdict == "diverged":
        return d04(rng)
    return run.findings


def d05(rng: np.random.Generator) -> Findings:
    return descend(*either(rng), float(10.0 ** rng.uniform(-5.0, -0.8)), 40)


def d06(rng: np.random.Generator) -> Findings:
    return fallline.fit(*mixed(rng)).diagnose(healthy=True)


def d07(rng: np.random.Generator) -> Findings:
    """A saddle, from its own ridge; without the push it stays there."""
    n = int(rng.integers(2, 30))
    Q = np.eye(n)[rng.permutation(n)]  # exact zeros: with others rounding would push the run off the ridge
    d = rng.uniform(0.5, 3.0, n)
    d[: int(rng.integers(1, n))] *= -1.0
    if not (d > 0).any():
        d[-1] = 1.0
    H = Q @ np.diag(d) @ Q.T
    start = Q[:, d > 0] @ rng.standard_normal(int((d > 0).sum()))

    def f(x: np.ndarray) -> float:
        return float(0.5 * x @ H @ x + 0.25 * np.sum((Q.T @ x) ** 4))

    def g(x: np.ndarray) -> np.ndarray:
        return H @ x + Q @ (Q.T @ x) ** 3

    return fallline.minimize(f, start, grad=g, auto_fix=bool(rng.random() < 0.5), tol=1e-6).findings


def d08(rng: np.random.Generator) -> Findings:
    m, n = int(rng.integers(200, 500)), int(rng.integers(3, 8))
    X = rng.standard_normal((m, n))
    X[:, 1:] = X[:, :1] + 10.0 ** rng.uniform(-3.0, -1.7) * X[:, 1:]
    y = X @ rng.standard_normal(n) + 0.1 * rng.standard_normal(m)
    rule = str(rng.choice(["descent", "nesterov", "adam"]))
    return fallline.fit(X, y, optimizer=rule, max_passes=30).findings


def d09(rng: np.random.Generator) -> Findings:
    X, y = mixed(rng, m=int(rng.integers(200, 600)))
    lr = float(rng.uniform(0.1, 0.5) / (1.0 + X.shape[1]))
    return fallline.fit(
        X, y, batch_size=int(rng.choice([1, 2, 4])), optimizer="descent", learning_rate=lr, max_passes=30
    ).findings


def d10(rng: np.random.Generator) -> Findings:
    kind = rng.random()
    if kind < 0.3:
        X, y = datasets.load_iris(return_X_y=True)
        rows = rng.permutation(150)[: int(rng.integers(80, 150))]
        return fallline.fit(X[rows], (y[rows] == 0).astype(int), loss="logistic").findings
    m, n = int(rng.integers(30, 200)), int(rng.integers(1, 6))
    X = rng.standard_normal((m, n))
    z = X @ rng.standard_normal(n)
    if kind < 0.6:  # a gap between the classes
        z -= np.median(z)
        X = X[np.abs(z) > 0.2]
        return fallline.fit(X, z[np.abs(z) > 0.2] > 0, loss="logistic").findings
    if kind < 0.8:  # several classes, far apart
        y = rng.integers(0, 3, m)
        y[:3] = [0, 1, 2]
        return fallline.fit(rng.standard_normal((m, 3)) * 0.3 + 4.0 * np.eye(3)[y], y, loss="softmax").findings
    y = (z + rng.standard_normal(m) > 0).astype(int)  # a level that only one class has
    y[0] = 1
    rare = np.zeros(m)
    rare[np.flatnonzero(y)[: max(1, m // 10)]] = 1.0
    return fallline.fit(np.column_stack([X, rare]), y, loss="logistic").findings


def d11(rng: np.random.Generator) -> Findings:
    X, y = mixed(rng, n=int(rng.integers(3, 8)))
    kind = rng.random()
    if kind < 0.4:
        more = X[:, 0] * rng.integers(1, 4) - X[:, 1] + rng.integers(0, 5)
    elif kind < 0.7:
        more = X[:, 0] * rng.uniform(0.1, 100.0)
    else:
        more = X[:, 0] + 0.3 * X[:, 0].std() * rng.standard_normal(len(X))
    return fallline.fit(np.column_stack([X, more]), y).findings


def d12(rng: np.random.Generator) -> Findings:
    X, y = mixed(rng, n=int(rng.integers(2, 8)))
    X[:, 0] *= 10.0 ** rng.uniform(2.5, 6.0)
    return fallline.fit(X, y, optimizer="descent", learning_rate=0.01, standardize=False, max_passes=100).findings


def d13(rng: np.random.Generator) -> Findings:
    X, y = mixed(rng)
    rule = str(rng.choice(["adam", "rmsprop", "amsgrad", "nadam"]))
    return fallline.fit(
        X, y * 10.0 ** rng.uniform(3.0, 7.0), optimizer=rule, learning_rate=0.01, max_passes=60
    ).findings


def d14(rng: np.random.Generator) -> Findings:
    X, y = either(rng)
    more = np.full(len(X), rng.uniform(-100, 100))
    if rng.random() < 0.4 and len(X) >= 150:  # one row of so many differs
        more[int(rng.integers(2, len(X)))] += 1.0
    return fallline.fit(np.column_stack([X, more]), y).findings


def d15(rng: np.random.Generator) -> Findings:
    """More columns than the rows can bear."""
    n = int(rng.integers(40, 90))
    m = n + int(rng.integers(5, 20))
    X = rng.standard_normal((m + 300, n))
    y = X[:, 0] + rng.standard_normal(len(X)) * rng.uniform(1.0, 2.0)
    return fallline.fit(
        X[:m], y[:m], check=(X[m:], y[m:]), optimizer=str(rng.choice(["descent", "nesterov"])), max_passes=500
    ).findings


def d16(rng: np.random.Generator) -> Findings:
    m, n = int(rng.integers(100, 600)), int(rng.integers(1, 6))
    X, check = rng.standard_normal((m, n)), float(rng.choice([0.0, 0.3]))
    y = rng.standard_normal(m)
    # by construction X says nothing of y; that chance says otherwise (by Wilks' test, once in 40) is no miss
    gained = m * math.log(
        1.0 / max(1.0 - np.var(np.linalg.lstsq(np.c_[X, np.ones(m)], y, rcond=None)[0][:-1] @ X.T) / np.var(y), 1e-9)
    )
    if gained > n + 1.0 * math.sqrt(2.0 * n):
        return d16(rng)
    if rng.random() < 0.5:
        return fallline.fit(X, y, check=check or None).findings
    return fallline.fit(X, y > 0, loss="logistic", check=check or None).findings


def d17(rng: np.random.Generator) -> Findings:
    X, y = mixed(rng, n=int(rng.integers(2, 6)))
    if rng.random() < 0.5:
        leak = y * 3.0 + 0.02 * y.std() * rng.standard_normal(len(y))
        return fallline.fit(np.column_stack([X, leak]), y).findings
    label = y > np.median(y)
    leak = label + 0.15 * rng.standard_normal(len(y))
    return fallline.fit(np.column_stack([X, leak]), label, loss="logistic", l2=0.01).findings


def d18(rng: np.random.Generator) -> Findings:
    X, y = either(rng)
    held = int(rng.integers(20, 60))
    twins = rng.choice(len(X), max(1, held // 5), replace=False)
    other = rng.standard_normal((held, X.shape[1]))
    check = (np.vstack([X[twins], other]), np.concatenate([y[twins], y[:held]]))
    return fallline.fit(X, y, check=check).findings


def d19(rng: np.random.Generator) -> Findings:
    m = int(rng.integers(300, 900))
    X = rng.standard_normal((m, 3))
    z = X[:, 0] + rng.logistic(size=m)
    return fallline.fit(X, z > np.quantile(z, rng.uniform(0.83, 0.95)), loss="logistic").findings


def d20(rng: np.random.Generator) -> Findings:
    import polars as pl

    X, y = mixed(rng)
    table = pl.DataFrame({f"x{j}": X[:, j] for j in range(X.shape[1])} | {"y": y})
    holes = rng.random(len(y)) < rng.uniform(0.02, 0.3)
    holes[0] = True
    table = table.with_columns(pl.when(pl.Series(holes)).then(None).otherwise(pl.col("x0")).alias("x0"))
    if rng.random() < 0.5:
        return fallline.fit(table, "y").findings
    try:
        fallline.fit(np.where(holes[:, None], np.nan, X), y)
    except fallline.DataError as error:
        return [error.finding] if error.finding else []
    return []


def d21(rng: np.random.Generator) -> Findings:
    X, y = either(rng)
    order = np.argsort(y + 0.3 * y.std() * rng.standard_normal(len(y)), kind="stable")
    return fallline.fit(
        X[order], y[order], batch_size=int(rng.choice([1, 8, 32])), shuffle=False, max_passes=10
    ).findings


def d22(rng: np.random.Generator) -> Findings:
    X, y = mixed(rng, n=int(rng.integers(2, 6)))
    X = X * 10.0 ** rng.uniform(1.0, 4.0, X.shape[1]) + rng.uniform(50.0, 5000.0, X.shape[1])
    model = fallline.fit(X, y)
    new = X[rng.permutation(len(X))[:60]]
    if rng.random() < 0.5:
        return model.look_at((new - X.mean(axis=0)) / X.std(axis=0))
    new = new.copy()
    new[:, 0] = new[:, 0] * 7.0 if rng.random() < 0.5 else new[:, 0] + 5.0 * X[:, 0].std()
    return model.look_at(new)


def d23(rng: np.random.Generator) -> Findings:
    X, y = mixed(rng)
    return fallline.fit(
        X, y, optimizer=str(rng.choice(["descent", "momentum", "adam", "nesterov"])), max_passes=3
    ).findings


def d24(rng: np.random.Generator) -> Findings:
    n = int(rng.integers(1, 30))
    A = rng.standard_normal((n, n))
    H, b = A @ A.T + np.eye(n), rng.standard_normal(n)
    wrong = [
        lambda x: -(H @ x - b), lambda x: 2.0 * (H @ x - b), lambda x: H @ x, lambda x: (H @ x - b) * (np.arange(n) != n - 1)
    ][int(rng.integers(4))]  # fmt: skip
    try:
        fallline.minimize(lambda x: float(0.5 * x @ H @ x - b @ x), rng.standard_normal(n), grad=wrong)
    except fallline.GradientError as error:
        return [error.finding] if error.finding else []
    return []


def d25(rng: np.random.Generator) -> Findings:
    X, _ = mixed(rng)
    y = rng.poisson(3.0, len(X)).astype(float)
    y[int(rng.integers(len(y)))] = -1.0
    try:
        fallline.fit(X, y, loss=str(rng.choice(["poisson", "gamma"])))
    except fallline.DataError as error:
        return [error.finding] if error.finding else []
    return []


def d26(rng: np.random.Generator) -> Findings:
    X, y = mixed(rng)
    if rng.random() < 0.5:
        return fallline.fit(X, y, l2=float(10.0 ** rng.uniform(4.0, 8.0))).findings
    return fallline.fit(X, y, l1=float(rng.uniform(2.0, 100.0)) * 3.0 * y.std()).findings


def d27(rng: np.random.Generator) -> Findings:
    X, y = mixed(rng)
    rule = str(rng.choice(["adam", "rmsprop", "nadam", "amsgrad"]))
    lr = float(rng.uniform(0.05, 0.3))
    run = fallline.fit(X, y, optimizer=rule, learning_rate=lr, max_passes=400, tol=1e-10)
    steps = run.history.step_norm[-50:]
    circles = run.verdict == "unfinished" and np.nanmean(steps) > 0.2 * lr * math.sqrt(
        X.shape[1] + 1
    )  # of those that settled after all, none is said
    return run.findings if circles else d27(rng)


SICK: dict[str, Callable[[np.random.Generator], Findings]] = {
    name.upper().replace("M", "m"): make for name, make in sorted(globals().items()) if name[0] == "d" and name[1:3].isdigit()
}  # fmt: skip
