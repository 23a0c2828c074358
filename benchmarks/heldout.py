"""From a CSV file to a held-out loss: fallline, chunks of pandas with SGDClassifier, and Vowpal Wabbit on the same files.

The last fifth of the rows is held out. A peer gets as many epochs as it needs to come within `CLOSE` of fallline's loss there,
found out beforehand; where `MOST` are not enough, what these take is what counts, and the line says so. SGDClassifier gets
columns standardised by the first chunk, without which it is lost on raw columns.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from timing import in_turn

SHARE = 0.8  # trained on
CLOSE = 1e-3  # relative
MOST = (1, 2, 5, 10)  # epochs
CHUNK = 100_000  # rows that pandas reads at a time
JUDGED = 20_000  # rows that Vowpal Wabbit is judged on, one by one


def compared(
    folder: Path, what: str, table: Any, target: str, repeats: int
) -> list[tuple[str, str, float, str, float]]:
    """A line for each peer: (case, aim, our seconds, peer, its seconds)."""
    import polars as pl

    import fallline

    table = table.select([pl.col(target).alias("_label"), pl.exclude(target)])
    cut = int(SHARE * table.height)
    zero_one, signs = folder / "train01.csv", folder / "train.csv"
    table[:cut].write_csv(zero_one)
    table[:cut].with_columns(pl.col("_label") * 2 - 1).write_csv(signs)
    held = table[cut:]
    X, y, names = held.drop("_label").to_numpy().astype(float), held["_label"].to_numpy(), held.columns[1:]
    kept: dict[str, Any] = {}

    def ours() -> None:
        kept["ours"] = fallline.fit(zero_one, "_label", loss="logistic")

    def chunks(epochs: int) -> Callable[[], None]:
        def run() -> None:
            kept["chunks"] = _by_chunks(zero_one, epochs)

        return run

    def vowpal(epochs: int) -> Callable[[], None]:
        from vowpalwabbit import Workspace

        how = "--csv --quiet --loss_function logistic --holdout_off -k -c"

        def run() -> None:
            kept["vowpal"] = Workspace(f"{how} --passes {epochs} --cache_file {folder}/vw.cache -d {signs}")

        return run

    def by_chunks() -> float:
        model, middle, spread = kept["chunks"]
        return _missed(y, model.decision_function((X - middle) / spread))

    def by_vowpal() -> float:
        told = ("| " + " ".join(f"{n}:{v}" for n, v in zip(names, row, strict=True)) for row in X[:JUDGED])
        return _missed(y[:JUDGED], np.array([kept["vowpal"].predict(line) for line in told]))

    ours()
    z = kept["ours"].decision(X)
    lines = []
    for name, epochs_of, loss, aim in (
        ("pandas chunks, SGDClassifier", chunks, by_chunks, _missed(y, z)),
        ("Vowpal Wabbit", vowpal, by_vowpal, _missed(y[:JUDGED], z[:JUDGED])),
    ):
        reached, epochs, best, run = np.inf, MOST[-1], np.inf, chunks(1)
        for epochs in MOST:
            run = epochs_of(epochs)
            run()
            reached = loss()
            best = min(best, reached)
            if reached <= aim * (1.0 + CLOSE):
                break
        mine, its, alone = in_turn(repeats, ours, run, lambda: pl.read_csv(zero_one))
        there = f"{reached:.5f}" if reached <= aim * (1.0 + CLOSE) else f"not there, {best:.5f} at best"
        lines.append(
            (f"logistic, CSV, {what}", "aim <= 0.2", mine, f"{name}, {epochs} epochs ({there}; ours {aim:.5f})", its)
        )
        lines.append(("Polars parsing that file, no more", "", alone, name, its))
    return lines


def _by_chunks(file: Path, epochs: int) -> tuple[Any, Any, Any]:
    import pandas as pd
    from sklearn.linear_model import SGDClassifier

    model = SGDClassifier(loss="log_loss", alpha=1e-7, learning_rate="invscaling", eta0=0.05, power_t=0.25)
    middle = spread = None
    for _ in range(epochs):
        for chunk in pd.read_csv(file, chunksize=CHUNK):
            X, y = chunk.iloc[:, 1:].to_numpy(dtype=float), chunk["_label"].to_numpy()
            if middle is None:
                middle, spread = X.mean(axis=0), np.where(X.std(axis=0) > 0.0, X.std(axis=0), 1.0)
            model.partial_fit((X - middle) / spread, y, classes=[0, 1])
    return model, middle, spread


def _missed(y: Any, z: Any) -> float:
    return float(np.logaddexp(0.0, np.where(y > 0, -z, z)).mean())
