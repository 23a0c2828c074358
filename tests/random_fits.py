"""Random fits of every kind: what is asked of fallline, and the same problem for the independent solver."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix

import fallline
from independent_solver import Problem

LOSSES = ("squared", "logistic", "softmax", "huber", "poisson", "gamma", "squared hinge")
COLUMNS = (
    "plain", "scaled", "dependent", "nearly dependent", "constant", "counts", "far", "one-hot", "heavy", "sparse", "pure levels",
    "wide",
)  # fmt: skip
MEMORY = 5000  # bytes for rows, which then lie on disk
RULES = ("lbfgs", "descent", "accelerated", "nesterov", "momentum", "adam", "rmsprop", "adamw", "averaged sgd")


@dataclass
class RandomFit:
    """One fit: data, options, and how it is run."""

    seed: int
    loss: str
    X: Any
    y: Any
    parameter: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)  # that decide what J is
    running: dict[str, Any] = field(default_factory=dict)  # that decide how it is trained, and when it ends
    form: str = "dense"
    columns: str = "plain"
    stopped_at: int | None = None

    def run(self, folder: Path) -> fallline.Result:
        loss: Any = fallline.Huber(self.parameter) if self.loss == "huber" else self.loss
        options, running = dict(self.options), dict(self.running)
        if self.stopped_at is not None:
            running["callback"] = lambda event: event.step >= self.stopped_at
        if self.form == "resumed":
            first = fallline.fit(self.X, self.y, loss=loss, **options, max_passes=2)
            return fallline.fit(self.X, self.y, loss=loss, **options, **running, start=first)
        if self.form != "streamed":
            X = csr_matrix(self.X) if self.form == "sparse" else self.X
            return fallline.fit(X, self.y, loss=loss, **options, **running)
        table = pl.DataFrame(self.X, schema=[f"x{j}" for j in range(self.X.shape[1])]).with_columns(y=pl.Series(self.y))
        for name in ("sample_weight", "offset"):
            if name in options:
                table = table.with_columns(pl.Series(name, options[name]))
                options[name] = name
        path = folder / f"{self.seed}.parquet"
        table.write_parquet(path)
        return fallline.fit(path, "y", loss=loss, **options, **running, memory=MEMORY)

    def problem(self) -> Problem:
        of = self.options
        return Problem(
            self.X, self.y, self.loss, self.parameter, of.get("sample_weight"), of.get("offset"), of.get("l1", 0.0),
            of.get("l2", 0.0), of.get("bounds"), of.get("fit_intercept", True), of.get("standardize", True),
        )  # fmt: skip


def drawn(seed: int) -> RandomFit:
    """The fit of this seed."""
    rng = np.random.default_rng(seed)
    loss = str(rng.choice(LOSSES))
    n = int(rng.choice([1, 2, 3, 5, 8, 12]))
    m = int(rng.choice([1, 2, 3, 5, 10, 20, 50, 150, 400], p=[0.02, 0.03, 0.05, 0.1, 0.1, 0.2, 0.2, 0.2, 0.1]))
    if loss == "softmax":
        n, m = min(n, 5), max(m, 4)
    columns = str(rng.choice(COLUMNS))
    X = _columns(rng, columns, m, n)
    n = X.shape[1]
    sd = X.std(axis=0)
    z = (X - X.mean(axis=0)) / np.where(sd > 0, sd, 1) @ rng.standard_normal(n) * rng.choice([0.1, 1, 3]) + rng.normal()
    unit = float(rng.choice([1, 1, 1, 1e-12, 1e12, 1e-5, 1e6])) if loss in ("squared", "huber") else 1.0
    y = _targets(rng, loss, X, z, unit)
    if len(np.unique(y)) < 2 and loss in ("logistic", "softmax", "squared hinge"):
        loss, y = "squared", np.asarray(y, float)
    fit = RandomFit(seed, loss, X, y, columns=columns)
    if loss == "huber":  # down to a hundred-thousandth of the spread, where a sequence of losses leads to it
        fit.parameter = float(rng.choice([1.0, 0.1, 1.345, 10, 1e-3, 1e-5]) * unit)
    _options(rng, fit, sd, unit)
    _running(rng, fit)
    return fit


def _columns(rng: np.random.Generator, kind: str, m: int, n: int) -> Any:
    X = rng.standard_normal((m, n))
    if kind == "scaled":
        X = X * 10.0 ** rng.uniform(-12, 12, n)
    if kind == "dependent" and n > 1:
        X[:, -1] = X[:, 0] * 2 if rng.random() < 0.5 else X[:, :-1].sum(axis=1)
    if kind == "nearly dependent" and n > 1:
        X[:, -1] = X[:, 0] + 10.0 ** rng.integers(-17, 0) * rng.standard_normal(m)
    if kind == "constant":
        X[:, rng.integers(n)] = rng.choice([0.0, 1.0, 1e6, -3.3, 1e-9])
    if kind == "counts":
        X = rng.poisson(1.0, (m, n)).astype(float)
    if kind == "far":
        X = X + 10.0 ** rng.uniform(0, 8, n)
    if kind in ("one-hot", "pure levels") and m > 1:
        X = (rng.integers(0, n + 1, m)[:, None] == np.arange(n)).astype(float)
        if kind == "pure levels":
            X = np.column_stack([X, rng.standard_normal(m)])
    if kind == "heavy":
        X = rng.standard_t(1.2, (m, n))
    if kind == "sparse":
        X = X * (rng.random((m, n)) < 0.2)
    if kind == "wide":
        X = rng.standard_normal((min(m, 10), 12 + n))
    return X


def _targets(rng: np.random.Generator, loss: str, X: Any, z: Any, unit: float) -> Any:
    m = len(z)
    if loss in ("squared", "huber"):
        y = (z + rng.choice([0, 1e-6, 0.1, 1, 10]) * rng.standard_normal(m)) * unit
        return y + 1e6 * unit if rng.random() < 0.15 else y
    if loss in ("logistic", "squared hinge"):
        if rng.random() < 0.15:
            return (z > np.median(z)).astype(float)
        y = (rng.random(m) < 1 / (1 + np.exp(-z * rng.choice([0.3, 1, 3])))).astype(float)
        if X.shape[1] > 1 and set(np.unique(X[:, 0])) == {0.0, 1.0} and rng.random() < 0.5:
            y[X[:, 0] == 1.0] = 1.0  # a level whose rows all have one outcome
        return y
    if loss == "softmax":
        u = X @ (
            rng.standard_normal((X.shape[1], int(rng.choice([2, 3, 4]))))
            / np.maximum(np.abs(X).max(axis=0), 1e-300)[:, None]
        )
        y = (u * rng.choice([0.3, 1, 3]) + rng.gumbel(size=u.shape) * rng.choice([1e-3, 1, 1])).argmax(axis=1)
        return np.unique(y, return_inverse=True)[1]
    if loss == "poisson":
        y = rng.poisson(np.exp(np.clip(z * rng.choice([0.3, 1]), -20, 8))).astype(float)
        y = y * 10.0 ** rng.uniform(-8, 8) if rng.random() < 0.15 else y
        return y if y.any() else y + 1.0
    noise = rng.gamma(rng.choice([0.5, 2, 50]), size=m)
    return np.exp(np.clip(z * rng.choice([0.3, 1]), -30, 30)) * noise * 10.0 ** rng.choice([0, 0, 0, -8, 8]) + 1e-300


def _options(rng: np.random.Generator, fit: RandomFit, sd: Any, unit: float) -> None:
    m, n = fit.X.shape
    kind, of = (
        rng.choice(["none", "l2", "l1", "both", "bounds", "positive"], p=[0.4, 0.2, 0.15, 0.1, 0.1, 0.05]),
        fit.options,
    )
    if kind in ("l2", "both"):
        of["l2"] = 10.0 ** rng.uniform(-6, 1)
    if kind in ("l1", "both"):
        of["l1"] = 10.0 ** rng.uniform(-4, 0) * unit
    if kind == "bounds":
        ends = np.sort(rng.standard_normal((2, n)), axis=0) * unit / np.where(sd > 0, sd, 1)
        of["bounds"] = (ends[0], ends[1])
    if kind == "positive":
        of["bounds"] = (0.0, None)
    if rng.random() < 0.25:
        of["fit_intercept"] = False
    if rng.random() < 0.25:
        of["standardize"] = False
    if rng.random() < 0.3:
        weights = (rng.integers(0, 4, m).astype(float), rng.exponential(size=m), 10.0 ** rng.uniform(-6, 6, m))
        weight = weights[rng.integers(3)]
        seen, y = np.unique(np.asarray(fit.y)[weight > 0]), np.unique(fit.y)
        enough = len(seen) == len(y) if fit.loss == "softmax" else len(seen) > 1  # rows of no weight are absent
        of["sample_weight"] = weight if enough else weight + 1
    if rng.random() < 0.2 and fit.loss != "softmax":
        of["offset"] = rng.standard_normal(m) * unit


def _running(rng: np.random.Generator, fit: RandomFit) -> None:
    how, run = rng.random(), fit.running
    if how < 0.2:
        run["max_passes"] = int(rng.choice([0, 1, 2, 3, 4, 6, 10]))
    elif how < 0.3:
        fit.stopped_at = int(rng.integers(0, 5))
    elif how < 0.45:
        run["optimizer"], run["max_passes"] = str(rng.choice(RULES)), int(rng.choice([20, 100]))
        if rng.random() < 0.4 and run["optimizer"] != "lbfgs":
            run["batch_size"] = int(rng.choice([1, 4, 32]))
    elif how < 0.5:
        run["max_seconds"] = 1e-4
    elif how < 0.55 and len(fit.y) >= 20 and fit.loss in ("squared", "huber", "poisson", "gamma"):
        run["early_stopping"], run["check"] = True, (fit.X[::3], fit.y[::3])
    if rng.random() < 0.15:
        run["tol"] = float(rng.choice([0.0, 1e-2, 1e-9, 1e-12, 0.3]))
    form = rng.random()
    if form < 0.2:
        fit.form = "sparse"
    elif form < 0.3:
        fit.form, fit.X = "float32", fit.X.astype(np.float32)
    elif form < 0.35:
        fit.form, fit.X = "fortran", np.asfortranarray(fit.X)
    elif form < 0.38 and "optimizer" not in run:
        fit.form = "resumed"
    elif form < 0.41 and fit.columns in ("plain", "far", "heavy") and len(fit.y) >= 20 and "check" not in run:
        fit.form = "streamed"
