"""Sick runs of functions: D01, D04, D07 and D24, on formulas with generated numbers and on losses over real rows."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from sickdata import halves, some, standard

import fallline
from fallline.symptoms._base import Finding

Findings = list[Finding]
Function = Callable[[np.ndarray], float]
Slope = Callable[[np.ndarray], np.ndarray]
POSITIVE = ("diabetes", "cancer", "wine", "iris", "claims")  # no negative cell


def d01(rng: np.random.Generator, real: bool) -> Findings:
    """A step to where the function is not finite."""
    f, g, x0, lr = (_overflow if real and rng.random() < 0.5 else _below_zero if real else _logarithm)(rng)
    with np.errstate(all="ignore"):
        assert not math.isfinite(f(x0 - lr * g(x0)))
    return fallline.minimize(f, x0, grad=g, optimizer="descent", learning_rate=lr).findings


def _logarithm(rng: np.random.Generator) -> tuple[Function, Slope, np.ndarray, float]:
    """x - log x, from the right side of 0 to the wrong one."""
    x0 = rng.uniform(2.0, 5.0, int(rng.integers(1, 4)))
    lr = float(rng.uniform(1.1, 10.0) * np.max(x0 / (1.0 - 1.0 / x0)))

    def f(x: np.ndarray) -> float:
        with np.errstate(all="ignore"):
            return float(np.sum(x - np.log(x)))

    return f, lambda x: 1.0 - 1.0 / x, x0, lr


def _overflow(rng: np.random.Generator) -> tuple[Function, Slope, np.ndarray, float]:
    """Poisson loss of real rows, with a step after which exp(z) is infinite."""
    X, y = some(rng, "diabetes", "iris", "digits", "housing", "claims")
    f, g = by_hand("poisson", standard(X), y / y.mean())
    x0 = np.zeros(standard(X).shape[1] + 1)
    z = -(standard(X) @ g(x0)[:-1] + g(x0)[-1])  # after a step of length 1
    return f, g, x0, float(rng.uniform(1.1, 10.0) * 720.0 / z.max())


def _below_zero(rng: np.random.Generator) -> tuple[Function, Slope, np.ndarray, float]:
    """Poisson loss of real rows with identity link, mu - y log mu, with a step to a negative mu."""
    X, y = some(rng, *POSITIVE)
    Z = np.column_stack([X / X.mean(axis=0), np.ones(len(y))])[:, np.append(X.std(axis=0) > 0.0, True)]
    y, x0 = y / y.mean(), np.full(Z.shape[1], 2.0 / Z.shape[1])

    def f(x: np.ndarray) -> float:
        with np.errstate(all="ignore"):
            mu = Z @ x
            return float(np.mean(mu - y * np.log(mu)))

    def g(x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return Z.T @ (1.0 - y / (Z @ x)) / len(y)

    falls, mu = Z @ g(x0), Z @ x0
    at = (falls > 0.0) & (y > 0.0)  # without a claim mu may be negative
    return f, g, x0, float(rng.uniform(1.1, 10.0) * np.min(mu[at] / falls[at]))


def network(x: np.ndarray, y: np.ndarray, units: int) -> tuple[Function, Slope]:
    """c tanh(A x + b) + d with squared loss; theta is A by columns, b, c and d."""
    m, n = x.shape

    def both(t: np.ndarray) -> tuple[float, np.ndarray]:
        A, (b, c), d = t[: n * units].reshape(n, units), t[n * units : -1].reshape(2, units), t[-1]
        u = np.tanh(x @ A + b)
        r = u @ c + d - y
        s = (1.0 - u**2) * c * r[:, None]
        return 0.5 * float(r @ r) / m, np.concatenate([(x.T @ s).ravel(), s.sum(axis=0), u.T @ r, [r.sum()]]) / m

    return lambda t: both(t)[0], lambda t: both(t)[1]


def d04(rng: np.random.Generator, real: bool) -> Findings:
    """A small network with a tanh layer: its curvature grows until 2/lr (Cohen et al. 2021)."""
    if real:
        X, y = some(rng, "diabetes", "cancer", "wine", rows=int(rng.integers(30, 80)))
        x, y, units = standard(X)[:, :10], (y - y.mean()) / y.std(), 6
    else:
        x, units = np.linspace(-1.0, 1.0, 20)[:, None], 12
        y = np.sin(rng.uniform(2.0, 4.0) * x[:, 0]) * rng.uniform(0.8, 1.2)
    f, g = network(x, y, units)
    theta = rng.uniform(0.8, 1.2) * rng.standard_normal((x.shape[1] + 2) * units + 1) / math.sqrt(x.shape[1])
    H = np.array([(g(theta + 1e-5 * e) - g(theta - 1e-5 * e)) / 2e-5 for e in np.eye(len(theta))])
    lr = float(rng.uniform(1.0, 1.6) * 2.0 / np.linalg.eigvalsh(0.5 * (H + H.T))[-1])
    run = fallline.minimize(f, theta, grad=g, optimizer="descent", learning_rate=lr, max_steps=3000)
    felt = lr * run.history.curvature  # by construction or not: a run that went over the edge, or stayed below, is none
    share = np.convolve((felt > 1.85) & (felt < 2.15), np.ones(40) / 40, mode="valid")
    if not len(share) or share.max() < 0.9 or run.verdict == "diverged":
        return d04(rng, real)
    return run.findings


def d07(rng: np.random.Generator, real: bool) -> Findings:
    """A saddle, from its own ridge; without the push it stays there."""
    f, g, start = (_zero_network if real else _bowl_and_ridge)(rng)
    return fallline.minimize(f, start, grad=g, auto_fix=bool(rng.random() < 0.5), tol=1e-6, max_steps=1000).findings


def _bowl_and_ridge(rng: np.random.Generator) -> tuple[Function, Slope, np.ndarray]:
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

    return f, g, start


def _zero_network(rng: np.random.Generator) -> tuple[Function, Slope, np.ndarray]:
    """A network on real rows whose weights begin at zero: only its constant learns, the classical mistake.

    There the second derivative by a weight of a column and the weight of its unit is minus their covariance with y.
    """
    X, y = some(rng)
    x, y, units = standard(X), y / y.std(), int(rng.integers(1, 8))
    start = np.zeros((x.shape[1] + 2) * units + 1)
    start[-1] = y.mean() + rng.uniform(1.0, 5.0)
    assert np.abs(x.T @ (y - y.mean())).max() > 0.05 * len(y)
    return *network(x, y, units), start


def by_hand(loss: str, Z: np.ndarray, y: np.ndarray) -> tuple[Function, Slope]:
    """A loss with an intercept, the last of theta, as somebody would write it."""
    Z = np.column_stack([Z, np.ones(len(y))])

    def f(w: np.ndarray) -> float:
        with np.errstate(all="ignore"):
            z = Z @ w
            if loss == "squared":
                return 0.5 * float(np.mean((z - y) ** 2))
            return float(np.mean(np.exp(z) - y * z if loss == "poisson" else np.logaddexp(0.0, z) - y * z))

    def g(w: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            z = Z @ w
            mu = z if loss == "squared" else np.exp(z) if loss == "poisson" else 1.0 / (1.0 + np.exp(-z))
            return Z.T @ (mu - y) / len(y)

    return f, g


def d24(rng: np.random.Generator, real: bool) -> Findings:
    """A sign, a factor, a forgotten term, a forgotten component."""
    f, g, without_target, n = (_loss if real else _quadratic)(rng)
    wrong = [lambda x: -g(x), lambda x: 2.0 * g(x), without_target, lambda x: g(x) * (np.arange(n) != n - 1)]
    try:
        fallline.minimize(f, rng.standard_normal(n), grad=wrong[int(rng.integers(4))])
    except fallline.GradientError as error:
        return [error.finding] if error.finding else []
    return []


def _quadratic(rng: np.random.Generator) -> tuple[Function, Slope, Slope, int]:
    n = int(rng.integers(1, 30))
    A = rng.standard_normal((n, n))
    H, b = A @ A.T + np.eye(n), rng.standard_normal(n)
    return lambda x: float(0.5 * x @ H @ x - b @ x), lambda x: H @ x - b, lambda x: H @ x, n


def _loss(rng: np.random.Generator) -> tuple[Function, Slope, Slope, int]:
    X, y = some(rng)
    Z, loss = standard(X), str(rng.choice(["squared", "logistic", "poisson"]))
    y = halves(y) if loss == "logistic" else np.abs(y) / np.abs(y).mean()
    return *by_hand(loss, Z, y), by_hand(loss, Z, np.zeros(len(y)))[1], Z.shape[1] + 1
