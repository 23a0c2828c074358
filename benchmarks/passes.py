"""One pass: the loss and its gradient over all rows, against what it must cost at least, reading X once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import synthetic
from rows import Row
from timing import interleaved, medians

ROWS, COLUMNS = 1_000_000, 100
TEXT_ROWS = 200_000
TIMES = 3  # passes are short: this many times the repeats
AIMS = {"squared": 1.1, "logistic": 1.5, "poisson": 1.5, "huber": 1.5}
SINGLE = 0.6  # float32 against float64

Found = tuple[list[Row], dict[str, Any]]


def dense(loss: str) -> Callable[[float, int], Found]:
    """The measurement of one loss on a dense table, in float64, in float64 by columns and in float32."""

    def measure(scale: float, repeats: int) -> Found:
        m = max(1000, round(ROWS * scale))
        X = synthetic.independent(m, COLUMNS)
        theta = np.random.default_rng(1).standard_normal(COLUMNS + 1) / np.sqrt(COLUMNS)
        y = _targets(loss, X @ theta[:-1])
        columns, single = np.asfortranarray(X), X.astype(np.float32)
        cases = {
            "float64": _pass(loss, X, y, theta),
            "X.sum()": lambda: X.sum(),
            "float64 by columns": _pass(loss, columns, y, theta),
            "X.sum() by columns": lambda: columns.sum(),
            "float32": _pass(loss, single, y, theta),
            "X.sum() float32": lambda: single.sum(),
        }
        seconds = interleaved(cases, TIMES * repeats)
        t, name, aim = medians(seconds), f"pass-{loss}", AIMS[loss]
        rows = [
            Row(name, aim, t["float64"], "X.sum()", t["X.sum()"], faster=False),
            Row(f"{name} by columns", aim, t["float64 by columns"], "X.sum()", t["X.sum() by columns"], faster=False),
            Row(f"{name} float32", SINGLE, t["float32"], "our float64", t["float64"], faster=False),
        ]
        return rows, {"input": f"{m:,} x {COLUMNS}", "medians": t, "runs": seconds}

    return measure


def users_own(scale: float, repeats: int) -> Found:
    """Logistic loss as a user writes it, in two plain formulas, against the one that is built in."""
    import fallline
    from fallline.losses._base import Loss

    class Mine(Loss):
        name, summary, task, targets, link = "mine", "log(1 + e^z) - y z", "two classes", "0 or 1", "logit"

        def value(self, y: Any, z: Any) -> Any:
            return np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0.0) - y * z

        def slope(self, y: Any, z: Any) -> Any:
            return 1.0 / (1.0 + np.exp(-z)) - y

        curvature = fallline.Logistic.curvature
        curvature_floor = fallline.Logistic.curvature_floor
        curvature_bound = fallline.Logistic.curvature_bound
        mean, start = fallline.Logistic.mean, fallline.Logistic.start

    X = synthetic.independent(max(50_000, round(ROWS * scale)), COLUMNS)
    theta = np.random.default_rng(1).standard_normal(COLUMNS + 1) / np.sqrt(COLUMNS)
    y = _targets("logistic", X @ theta[:-1])
    mine = dataclasses.dataclass(frozen=True)(Mine)()
    cases = {"mine": _pass(mine, X, y, theta), "built in": _pass("logistic", X, y, theta)}
    seconds = interleaved(cases, TIMES * repeats)
    t = medians(seconds)
    row = Row("pass-users-loss", 2.0, t["mine"], "built-in logistic", t["built in"], faster=False)
    return [row], {"input": f"{X.shape[0]:,} x {COLUMNS}", "medians": t, "runs": seconds}


def sparse(scale: float, repeats: int) -> Found:
    """Logistic loss on a sparse matrix, against SciPy's two products with it."""
    X, y = synthetic.text(max(1000, round(TEXT_ROWS * scale)))
    theta = np.random.default_rng(1).standard_normal(X.shape[1] + 1)
    w, r = theta[:-1], np.random.default_rng(2).standard_normal(X.shape[0])

    def products() -> None:
        _ = X @ w
        _ = X.T @ r

    seconds = interleaved({"pass": _pass("logistic", X, y, theta), "products": products}, TIMES * repeats)
    t = medians(seconds)
    row = Row("pass-csr", 1.0, t["pass"], "scipy X @ w, X.T @ r", t["products"], faster=False)
    return [row], {"input": f"{X.shape[0]:,} x {X.shape[1]:,}, {X.nnz:,} stored", "medians": t, "runs": seconds}


def _pass(loss: Any, X: Any, y: Any, theta: Any) -> Callable[[], Any]:
    from fallline.losses import as_loss
    from fallline.objective import ModelObjective
    from fallline.penalties import as_penalty
    from fallline.rows.arrays import ArrayRows
    from fallline.scaling import Scaling

    objective = ModelObjective(as_loss(loss), as_penalty(None, l2=1e-4), Scaling.none(X.shape[1], intercept=True))
    rows = ArrayRows(X, y)
    return lambda: objective.value_and_grad(theta, rows)


def _targets(loss: str, z: Any) -> Any:
    if loss == "logistic":
        return synthetic.labels(z)
    if loss == "poisson":
        return synthetic.counts(z)
    return synthetic.heavy_tails(z) / 3.0
