"""An independent solver in 80-bit floating point, which shares no line with fallline: what the bounds are held against.

It knows the losses by their formulas, minimises by Newton's method (coordinate descent on the quadratic model behind |w| or
bounds) and starts from wherever it is told, so it finds a lower loss where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

L = np.longdouble
PRECISE = np.finfo(L).eps < 1e-18  # on some machines long double is double
SHIFTS = (0, 1e-19, 1e-17, 1e-15, 1e-12, 1e-9, 1e-6, 1e-3, 1.0, 1e3)  # of the diagonal, as a share of it
LENGTHS = (1.0, 0.3, 0.05)
SWEEPS, LEAST_MOVE = 300, 1e-17


def value_slope_curvature(loss: str, y: Any, z: Any, parameter: float) -> tuple[Any, Any, Any]:
    """phi, dphi/dz and d2phi/dz2 of each row; of softmax the probabilities stand for the last."""
    if loss == "squared":
        return (z - y) ** 2 / 2, z - y, np.ones_like(z)
    if loss == "huber":
        delta, r = L(parameter), z - y
        near = np.minimum(np.abs(r), delta)
        return near * (np.abs(r) - near / 2), np.clip(r, -delta, delta), (np.abs(r) <= delta).astype(L)
    if loss == "logistic":
        e = np.exp(-np.abs(z))
        mu = np.where(z >= 0, 1, e) / (1 + e)
        return np.log1p(e) + (np.maximum(z, 0) - y * z), mu - y, e / (1 + e) ** 2
    if loss == "squared hinge":
        side = 2 * y - 1
        short = np.maximum(0, 1 - side * z)
        return short**2 / 2, -side * short, (side * z < 1).astype(L)
    if loss == "poisson":
        mu = np.exp(z)
        return mu - y * z + (y * np.log(np.where(y > 0, y, 1)) - y), mu - y, mu
    if loss == "gamma":
        ratio = y * np.exp(-z)
        return ratio - 1 - np.log(y) + z, 1 - ratio, ratio
    assert loss == "softmax"
    rows, own = np.arange(len(y)), y.astype(int)
    beside = np.exp(z - z[rows, own][:, None])
    beside[rows, own] = 0
    top = z.max(axis=1, keepdims=True)
    e = np.exp(z - top)
    mu = e / e.sum(axis=1, keepdims=True)
    r = mu.copy()
    r[rows, own] = -(mu.sum(axis=1) - mu[rows, own])
    with np.errstate(over="ignore"):
        sure = np.log1p(beside.sum(axis=1))
    far = np.log(e.sum(axis=1)) + top[:, 0] - z[rows, own]
    return np.where(np.isfinite(sure), sure, far), r, mu


@dataclass
class Problem:
    """A fit in the units of the data: what J is, and where it could be lower."""

    X: Any
    y: Any
    loss: str
    parameter: float = 1.0
    weight: Any = None
    offset: Any = None
    l1: float = 0.0
    l2: float = 0.0
    bounds: tuple[Any, Any] | None = None
    intercept: bool = True
    standardize: bool = True
    live: Any = field(init=False)

    def __post_init__(self) -> None:
        self.X = np.asarray(self.X.toarray() if hasattr(self.X, "toarray") else self.X).astype(L)
        self.y, m = np.asarray(self.y).astype(L), len(self.X)
        self.weight = np.ones(m, L) if self.weight is None else np.asarray(self.weight).astype(L)
        self.share = self.weight / self.weight.sum()
        self.offset = np.zeros(m, L) if self.offset is None else np.asarray(self.offset).astype(L)
        self.mean = self.share @ self.X if self.intercept else np.zeros(self.X.shape[1], L)
        spread = np.sqrt(self.share @ (self.X - self.mean) ** 2)
        self.scale = spread if self.standardize else np.ones(self.X.shape[1], L)
        self.live = ~(self.scale <= 1e-18 * np.abs(self.X).max(axis=0, initial=0)) | (not self.standardize)

    def predictions(self, w: Any, b: Any) -> Any:
        z = self.X @ w + b
        return z + (self.offset if z.ndim == 1 else self.offset[:, None])

    def J(self, w: Any, b: Any) -> Any:
        """The penalised mean loss at weights in the units of the data."""
        w, b = np.asarray(w).astype(L), np.asarray(b).astype(L)
        value, _, _ = value_slope_curvature(self.loss, self.y, self.predictions(w, b), self.parameter)
        inner = (w.T * self.scale).T
        return self.share @ value + self.l1 * np.abs(inner).sum() + self.l2 / 2 * (inner**2).sum()

    def lowest_from(self, w: Any, b: Any) -> Any:
        """The lowest J that can be found from there."""
        return _Search(self, w, b).run()

    def lowest(self, w: Any, b: Any) -> Any:
        """The lowest J found from there and from zero, or there."""
        zero = self.lowest_from(np.zeros_like(np.asarray(w, float)), np.zeros_like(np.asarray(b, float)))
        return min(self.J(w, b), self.lowest_from(w, b), zero)


class _Search:
    def __init__(self, problem: Problem, w: Any, b: Any) -> None:
        self.of, live = problem, np.flatnonzero(problem.live)
        self.scale, mean = problem.scale[live], problem.mean[live]
        Z = (problem.X[:, live] - mean) / self.scale
        self.Z = np.column_stack([Z, np.ones(len(Z), L)]) if problem.intercept else Z
        inner = (np.array(w).astype(L)[live].T * self.scale).T
        if problem.intercept:
            shifted = np.asarray(b).astype(L) + mean @ np.array(w).astype(L)[live]
            inner = np.concatenate([inner, np.asarray(shifted)[None]])
        self.shape, n = inner.shape, len(live)
        free = np.zeros(len(inner) - n, L)
        spread = inner.size // max(len(inner), 1)
        self.l1 = np.repeat(np.append(np.full(n, problem.l1, L), free), spread)
        self.l2 = np.repeat(np.append(np.full(n, problem.l2, L), free), spread)
        low, high = problem.bounds if problem.bounds is not None else (None, None)
        self.low = np.repeat(np.append(self._end(low, live, -np.inf), free - np.inf), spread)
        self.high = np.repeat(np.append(self._end(high, live, np.inf), free + np.inf), spread)
        self.corners = problem.l1 > 0 or problem.bounds is not None
        self.x = np.clip(inner.ravel(), self.low, self.high)

    def _end(self, end: Any, live: Any, missing: float) -> Any:
        values = np.broadcast_to(missing if end is None else np.asarray(end, float), (self.of.X.shape[1],))
        return values[live].astype(L) * self.scale

    def value(self, x: Any) -> Any:
        z = self.Z @ x.reshape(self.shape)
        z = z + (self.of.offset if z.ndim == 1 else self.of.offset[:, None])
        with np.errstate(all="ignore"):
            value, _, _ = value_slope_curvature(self.of.loss, self.of.y, z, self.of.parameter)
        return self.of.share @ value + self.l1 @ np.abs(x) + (self.l2 * x) @ x / 2

    def model(self, x: Any) -> tuple[Any, Any]:
        """Gradient and second derivatives of the smooth part."""
        z = self.Z @ x.reshape(self.shape)
        z = z + (self.of.offset if z.ndim == 1 else self.of.offset[:, None])
        _, g, c = value_slope_curvature(self.of.loss, self.of.y, z, self.of.parameter)
        if len(self.shape) == 1:
            H = (self.Z.T * (self.of.share * c)) @ self.Z
            return self.Z.T @ (self.of.share * g) + self.l2 * x, H + np.diag(self.l2)
        p, K = self.shape
        H = np.zeros((p, K, p, K), L)
        for k in range(K):
            for q in range(K):
                H[:, k, :, q] = (self.Z.T * (self.of.share * c[:, k] * ((k == q) - c[:, q]))) @ self.Z
        return (self.Z.T @ (g * self.of.share[:, None])).ravel() + self.l2 * x, H.reshape(p * K, p * K) + np.diag(
            self.l2
        )

    def run(self, steps: int = 60) -> Any:
        x, found = self.x, self.value(self.x)
        for _ in range(steps):
            g, H = self.model(x)
            tried = self._coordinates(x, g, H) if self.corners else self._newton(x, g, H, found)
            best = min(((self.value(y), y) for y in tried), key=lambda pair: pair[0], default=(found, x))
            if not best[0] < found:
                break
            gain, (found, x) = found - best[0], best
            if gain <= 1e-19 * abs(found):
                break
        return found

    def _newton(self, x: Any, g: Any, H: Any, found: Any) -> list[Any]:
        trace, tried = max(np.trace(H) / len(H), L(0)) or L(1), []
        for shift in SHIFTS:
            d = solved(H + np.diag(np.diag(H)) * L(shift) + np.eye(len(H), dtype=L) * trace * L(shift), -g)
            if d is not None and np.all(np.isfinite(d)):
                tried += [x + L(length) * d for length in LENGTHS]
                if shift >= 1e-12 and any(self.value(y) < found for y in tried):
                    break
        return tried

    def _coordinates(self, x: Any, g: Any, H: Any) -> list[Any]:
        """The minimum of the quadratic model with its corners, and points on the way there."""
        y, r, diagonal = x.copy(), g.copy(), np.diag(H)
        tiny = max(np.trace(H) / max(len(H), 1), L(0)) * L(1e-18)
        for _ in range(SWEEPS):
            moved = L(0)
            for j in np.flatnonzero(diagonal + tiny > 0):
                h = diagonal[j] + tiny
                u = y[j] - r[j] / h
                u = min(max(np.sign(u) * max(abs(u) - self.l1[j] / h, L(0)), self.low[j]), self.high[j])
                if u != y[j]:
                    r = r + H[:, j] * (u - y[j])
                    moved, y[j] = max(moved, abs(u - y[j]) * np.sqrt(h)), u
            if moved < LEAST_MOVE:
                break
        return [np.clip(x + L(0.25) ** k * (y - x), self.low, self.high) for k in range(12)]


def solved(H: Any, g: Any) -> Any:
    """H^-1 g by Cholesky's factor in long double; None where H is not positive definite."""
    n, size = len(H), np.sqrt(np.maximum(np.diag(H), L(0)))
    size = np.where(size > 0, size, 1)
    A, u = H / np.outer(size, size), g / size
    C = np.zeros((n, n), L)
    for j in range(n):
        pivot = A[j, j] - C[j, :j] @ C[j, :j]
        if not pivot > 0:
            return None
        C[j, j] = np.sqrt(pivot)
        C[j + 1 :, j] = (A[j + 1 :, j] - C[j + 1 :, :j] @ C[j, :j]) / C[j, j]
    for j in range(n):
        u[j] = (u[j] - C[j, :j] @ u[:j]) / C[j, j]
    for j in range(n - 1, -1, -1):
        u[j] = (u[j] - C[j + 1 :, j] @ u[j + 1 :]) / C[j, j]
    return u / size
