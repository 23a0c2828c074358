"""The textbook's loops: batch gradient descent, one row at a time, and Adam on mini-batches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import synthetic
from rows import Row
from timing import interleaved, medians, timed

ROWS, COLUMNS = 1_000_000, 100
LEAST_ROWS = 20_000  # fallline compiles its mini-batch loop for long runs only
ITERATIONS = 500
LOOP_ITERATIONS = 10  # of the NumPy loop are timed; the rest is scaled up
TORCH_BATCHES = 2_000  # of an epoch of PyTorch are timed; the rest is scaled up
SGD_RATE, ADAM_RATE, ADAM_BATCH, DESCENT_RATE = 1e-4, 1e-3, 32, 0.5

Found = tuple[list[Row], dict[str, Any]]


def descent(scale: float, repeats: int) -> Found:
    """fallline.gradient_descent against the plain loop in NumPy."""
    import fallline

    X, y = _table(scale)

    def loop(iterations: int = LOOP_ITERATIONS) -> Any:
        theta, cost = np.zeros(X.shape[1]), np.empty(iterations)
        for i in range(iterations):
            r = X @ theta - y
            cost[i] = r @ r / (2 * len(y))
            theta = theta - DESCENT_RATE * (X.T @ r) / len(y)
        return theta

    def ours(iterations: int = ITERATIONS) -> Any:
        return fallline.gradient_descent(X, y, learning_rate=DESCENT_RATE, iterations=iterations)[0]

    np.testing.assert_allclose(ours(LOOP_ITERATIONS), loop(), rtol=1e-9, atol=1e-12)
    seconds = interleaved({"fallline": ours, "loop": loop}, repeats)
    t = medians(seconds)
    t["loop"] *= ITERATIONS / LOOP_ITERATIONS
    note = f"({LOOP_ITERATIONS} iterations of the loop, times {ITERATIONS // LOOP_ITERATIONS})"
    row = Row("gradient-descent", 100.0, t["fallline"], "NumPy loop", t["loop"], note=note)
    return [row], {"input": _shape(X), "medians": t, "runs": seconds, "note": note}


def sgd(scale: float, repeats: int) -> Found:
    """An epoch of one row at a time, against scikit-learn's SGDRegressor."""
    from sklearn.linear_model import SGDRegressor

    X, y = _table(scale, LEAST_ROWS)
    model = SGDRegressor(max_iter=1, tol=None, learning_rate="constant", eta0=SGD_RATE, alpha=0.0)
    model.partial_fit(X[:1000], y[:1000])
    peer = {"sklearn": lambda: timed(lambda: model.partial_fit(X, y))[0]}
    return _measured("epoch-sgd", 4.0, "sklearn SGDRegressor", X, y, "descent", SGD_RATE, 1, peer, repeats, "")


def adam(scale: float, repeats: int) -> Found:
    """An epoch of Adam on batches of 32, against a plain loop in PyTorch."""
    import torch

    X, y = _table(scale, LEAST_ROWS)
    tX, ty = torch.from_numpy(X), torch.from_numpy(y)
    batches = -(-len(y) // ADAM_BATCH)
    counted = min(TORCH_BATCHES, batches)
    torch.set_num_threads(
        1
    )  # which is its fastest: batches are too small for two, and waiting for one another costs more

    def loop() -> float:
        layer = torch.nn.Linear(X.shape[1], 1, dtype=torch.float64)
        rule = torch.optim.Adam(layer.parameters(), lr=ADAM_RATE)
        start = time.perf_counter()
        order = torch.randperm(len(y))
        for k in range(counted):
            chosen = order[k * ADAM_BATCH : (k + 1) * ADAM_BATCH]
            rule.zero_grad()
            loss = ((layer(tX[chosen])[:, 0] - ty[chosen]) ** 2).mean() / 2
            loss.backward()
            rule.step()
        return (time.perf_counter() - start) * batches / counted

    loop()
    note = f"({counted:,} batches of PyTorch, times {batches / counted:.4g})"
    return _measured(
        "epoch-adam", 100.0, "PyTorch loop", X, y, "adam", ADAM_RATE, ADAM_BATCH, {"torch": loop}, repeats, note
    )


def _measured(
    name: str, aim: float, peer: str, X: Any, y: Any, rule: str, rate: float, batch_size: int,
    theirs: dict[str, Callable[[], float]], repeats: int, note: str,
) -> Found:  # fmt: skip
    """The steps of an epoch, shuffled and in order, and the same within a fit, with its record; beside the peer."""
    cases = {
        "steps": _steps(X, y, rule, rate, batch_size, shuffle=True),
        "in order": _steps(X, y, rule, rate, batch_size, shuffle=False),
        "fit": _epoch(X, y, optimizer=rule, learning_rate=rate, batch_size=batch_size),
        **theirs,
    }
    runs: dict[str, list[float]] = {case: [] for case in cases}
    for work in cases.values():
        work()
    for _ in range(repeats):
        for case, work in cases.items():
            runs[case].append(work())
    t = medians(runs)
    (their_name,) = theirs
    rows = [
        Row(name, aim, t["steps"], peer, t[their_name], note=note),
        Row(f"{name} with the exact loss recorded", None, t["fit"], peer, t[their_name], note=note),
        Row(f"{name} shuffled", 2.5, t["steps"], "ours in order", t["in order"], faster=False),
    ]
    return rows, {"input": _shape(X), "medians": t, "runs": runs, "note": note}


def _steps(X: Any, y: Any, rule: str, rate: float, batch_size: int, shuffle: bool) -> Callable[[], float]:
    """A function that measures the seconds of the steps of an epoch and of its shuffle, which is what the peers do."""
    from fallline.leap import leaping
    from fallline.losses import as_loss
    from fallline.objective import ModelObjective
    from fallline.optimizers import as_optimizer
    from fallline.penalties import as_penalty
    from fallline.rates.constant import Constant
    from fallline.rows.arrays import ArrayRows, Stretch, shuffled
    from fallline.scaling import Scaling

    rows, rng = ArrayRows(X, y), np.random.default_rng(0)
    objective = ModelObjective(as_loss("squared"), as_penalty(None), Scaling.none(rows.n, intercept=True))
    optimizer, theta = as_optimizer(rule), np.zeros(rows.n + 1)
    leap = leaping(objective, rows, optimizer, Constant(rate), theta, batch_size, np.inf)
    if leap is None:
        raise RuntimeError("these steps are not compiled")

    def epoch() -> float:
        start = time.perf_counter()
        order = shuffled(rows.m, rows.stored, rng) if shuffle else np.arange(rows.m)
        leap(theta, optimizer.init(theta), Stretch(rows, order), 0.0, 1.0)
        return time.perf_counter() - start

    return epoch


def _epoch(X: Any, y: Any, **settings: Any) -> Callable[[], float]:
    """A function that measures the seconds of an epoch: three epochs less one, so that checks and the end cancel.

    Steps are counted, because an evaluation over all rows is a pass too.
    """
    import fallline

    def run(passes: float) -> tuple[float, int]:
        seconds, result = timed(
            lambda: fallline.fit(X, y, loss="squared", standardize=False, tol=0.0, max_passes=passes, **settings)
        )
        return seconds, result.steps

    run(1)

    def epoch() -> float:
        (short, few), (long, many) = run(1), run(3)
        a_epoch = -(-len(y) // settings["batch_size"])
        if many <= few:
            raise RuntimeError(f"three passes took {many} steps and one pass {few}: there is no epoch to time")
        return (long - short) * a_epoch / (many - few)

    return epoch


def _table(scale: float, least: int = 1000) -> tuple[Any, Any]:
    X = synthetic.independent(max(least, round(ROWS * scale)), COLUMNS)
    rng = np.random.default_rng(1)
    return X, X @ rng.standard_normal(COLUMNS) + rng.standard_normal(X.shape[0])


def _shape(X: Any) -> str:
    return f"{X.shape[0]:,} x {X.shape[1]:,}"
