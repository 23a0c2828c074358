"""Rows that are seen once: the share predicted wrong (or R2) before they were learnt, and the time it took.

python benchmarks/online.py [--rows 20000] [--piece 100] [--repeats 3] [--out docs/online-table.md]

GDClassifier.partial_fit beside SGDClassifier.partial_fit (log loss, columns standardised as it asks for) and river's
StandardScaler | LogisticRegression, all with their defaults, in the same process, in turn, on the same rows in the same order.
Means over as many seeds as repeats. Times are in units of SGDClassifier's on the same rows.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

from fallline import GDClassifier

Data = tuple[np.ndarray, np.ndarray]


def stationary(rows: int, rng: np.random.Generator) -> Data:
    """Twenty correlated columns on scales of 0.1 to 10, two classes."""
    X = rng.normal(size=(rows, 20)) @ (np.eye(20) + 0.5 * rng.normal(size=(20, 20)) / np.sqrt(20))
    z = X @ rng.normal(size=20) * 0.7
    return X * np.logspace(-1, 1, 20), (rng.random(rows) < 1 / (1 + np.exp(-z))).astype(int)


def by_class(rows: int, rng: np.random.Generator) -> Data:
    """The same rows in blocks of one class: 500 of the one, 500 of the other, and so on."""
    X, y = stationary(rows, rng)
    zeros, ones = (np.flatnonzero(y == k) for k in (0, 1))
    count = min(len(zeros), len(ones)) // 500 * 500
    order = np.stack([zeros[:count].reshape(-1, 500), ones[:count].reshape(-1, 500)], axis=1).ravel()
    return X[order], y[order]


def drifting(rows: int, rng: np.random.Generator) -> Data:
    """The best weights turn slowly, by half a circle."""
    X = rng.normal(size=(rows, 20))
    a, b = rng.normal(size=(2, 20))
    angle = np.linspace(0.0, np.pi, rows)[:, None]
    z = (X * (a * np.cos(angle) + b * np.sin(angle))).sum(axis=1)
    return X, (rng.random(rows) < 1 / (1 + np.exp(-z))).astype(int)


def changing(rows: int, rng: np.random.Generator) -> Data:
    """The best weights are others from the middle on."""
    X = rng.normal(size=(rows, 20))
    weights = rng.normal(size=(2, 20))
    z = np.einsum("ij,ij->i", X, weights[(np.arange(rows) >= rows // 2).astype(int)])
    return X, (rng.random(rows) < 1 / (1 + np.exp(-z))).astype(int)


def digits(rows: int, rng: np.random.Generator) -> Data:
    """Handwritten digits, ten classes, 64 columns, 1,797 rows shuffled."""
    X, y = load_digits(return_X_y=True)
    order = rng.permutation(len(y))
    return X[order], y[order]


CASES: dict[str, Callable[[int, np.random.Generator], Data]] = {
    "shuffled": stationary, "in blocks of a class": by_class, "drifting": drifting, "changing once": changing,
    "digits, ten classes": digits,
}  # fmt: skip


def ours(X: np.ndarray, y: np.ndarray, piece: int, seed: int, **settings: Any) -> float:
    """Predict a piece, then learn it."""
    return pieces(GDClassifier(random_state=seed, **settings), X, y, piece)


def sgd(X: np.ndarray, y: np.ndarray, piece: int, seed: int) -> float:
    """The same, on columns standardised by what came so far, as its documentation asks for."""
    from sklearn.preprocessing import StandardScaler

    return pieces(SGDClassifier("log_loss", random_state=seed), X, y, piece, StandardScaler())


def pieces(model: Any, X: np.ndarray, y: np.ndarray, piece: int, scaler: Any = None) -> float:
    """The share wrong."""
    wrong, classes = 0, np.unique(y)
    for begin in range(0, len(y), piece):
        some, labels = X[begin : begin + piece], y[begin : begin + piece]
        if begin:
            wrong += int((model.predict(scaler.transform(some) if scaler else some) != labels).sum())
        scaled = scaler.partial_fit(some).transform(some) if scaler else some
        model.partial_fit(scaled, labels, classes=classes)
    return wrong / (len(y) - piece)


def river(X: np.ndarray, y: np.ndarray, piece: int, seed: int) -> float:
    """Row by row, which is how river learns; the first piece is not counted there either."""
    from river import linear_model, multiclass, preprocessing

    inner: Any = linear_model.LogisticRegression()
    if len(np.unique(y)) > 2:
        inner = multiclass.OneVsRestClassifier(inner)
    model = preprocessing.StandardScaler() | inner
    wrong, names = 0, [str(j) for j in range(X.shape[1])]
    for k, (row, label) in enumerate(zip(X.tolist(), y.tolist(), strict=True)):
        x = dict(zip(names, row, strict=True))
        if k >= piece:
            wrong += model.predict_one(x) != label
        model.learn_one(x, bool(label) if isinstance(inner, linear_model.LogisticRegression) else label)
    return wrong / (len(y) - piece)


METHODS: dict[str, Callable[..., float]] = {
    "GDClassifier()": ours,
    'half_life="auto"': lambda *given: ours(*given, half_life="auto"),
    "SGDClassifier": sgd,
    "river": river,
}


def main() -> None:
    """Run all cases and print the table."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--rows", type=int, default=20_000)
    ask.add_argument("--piece", type=int, default=100)
    ask.add_argument("--repeats", type=int, default=3)
    ask.add_argument("--out", type=Path)
    given = ask.parse_args()
    lines = ["| rows | " + " | ".join(METHODS) + " | time, in the same order |", "|---" * (len(METHODS) + 2) + "|"]
    for case, make in CASES.items():
        wrong: dict[str, list[float]] = {name: [] for name in METHODS}
        took: dict[str, list[float]] = {name: [] for name in METHODS}
        for seed in range(given.repeats):
            X, y = make(given.rows, np.random.default_rng(seed))
            for name, method in METHODS.items():
                began = time.perf_counter()
                wrong[name].append(method(X, y, given.piece, seed))
                took[name].append(time.perf_counter() - began)
        base = statistics.median(took["SGDClassifier"])
        ratios = ", ".join(f"{statistics.median(took[name]) / base:.1f}" for name in METHODS)
        shares = " | ".join(f"{100 * statistics.mean(wrong[name]):.1f} %" for name in METHODS)
        lines.append(f"| {case} | {shares} | {ratios} |")
        print(lines[-1], flush=True)
    if given.out is not None:
        given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
