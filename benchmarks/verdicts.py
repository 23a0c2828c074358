"""How often the verdicts and symptoms are wrong: healthy runs of every optimizer, and sick ones of every symptom.

    python benchmarks/verdicts.py healthy sick --table docs/trust-table.md       both, and the table of the documentation
    python benchmarks/verdicts.py healthy [--runs 200] [--only adam,descent]     false alarms by symptom and optimizer
    python benchmarks/verdicts.py sick [--runs 50] [--only D02,D11]              misses by symptom
    python benchmarks/verdicts.py cost                                           what recording and symptoms cost

A healthy run: data without any of the troubles by an independent computation (correlations below 0.85, balanced classes,
columns that tell something, rows in no order), generated and real (parts of three tables of scikit-learn), of three losses,
scaled by up to 10^3, any batch size, the rate left to fallline. Whatever is then found, but for "the budget ended" (D23),
is a false alarm. A sick run has its trouble by construction (benchmarks/sick.py); two of five are on real data, of which
the files of ../shared/data are left out, and named, where they are not.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from typing import Any

import numpy as np
import sick
import sickdata
from sklearn import datasets

import fallline
from fallline.optimizers import optimizers
from fallline.symptoms import symptoms

TRUE_BY_NATURE = {"D23"}  # a budget that ended is a fact
MOST_ALARMS, MOST_MISSES = 0.01, 0.05
KINDS = {False: "generated", True: "real"}
BATCHES = (None, None, 8, 32, 100)


def healthy_data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, str]:
    """X, y and the loss; drawn again until nothing is wrong with them."""
    while True:
        if rng.random() < 0.25:
            X, y = getattr(datasets, ("load_diabetes", "load_wine", "load_breast_cancer")[int(rng.integers(3))])(
                return_X_y=True
            )
            columns = rng.permutation(X.shape[1])[: int(rng.integers(2, 6))]
            rows = rng.permutation(len(y))[: int(rng.integers(120, len(y) + 1))]
            X, y = X[np.ix_(rows, columns)], y[rows].astype(float)
            y = (y - y.mean()) / y.std() + 0.5 * rng.standard_normal(len(y))  # or some classes are separated
        else:
            X, y = sickdata.mixed(rng, m=int(rng.integers(150, 500)))
        if not sound(X, y):
            continue
        X = X * 10.0 ** rng.uniform(-3.0, 3.0, X.shape[1]) + rng.choice([0.0, 1.0, 100.0]) * X.std(axis=0)
        kind = rng.random()
        if kind < 0.5:
            return X, y * 10.0 ** rng.uniform(-2.0, 2.0), "squared"
        z = 1.2 * (y - y.mean()) / y.std()
        if kind < 0.8:
            label = (rng.random(len(z)) < 1.0 / (1.0 + np.exp(-z))).astype(int)
            if sound(X, label.astype(float)) and 0.3 < label.mean() < 0.7:
                return X, label, "logistic"
        else:
            counts = rng.poisson(np.exp(0.7 * z + 1.0)).astype(float)
            if sound(X, counts):
                return X, counts, "poisson"


def sound(X: np.ndarray, y: np.ndarray) -> bool:
    """No two columns together, a round valley, some signal and no column that tells all."""
    if not (X.std(axis=0) > 0).all():
        return False
    C = np.corrcoef(np.column_stack([X, y]), rowvar=False)
    inner, own = C[:-1, :-1], C[-1, :-1]
    values = np.linalg.eigvalsh(inner)
    r2 = float(own @ np.linalg.solve(inner, own)) if values[0] > 1e-6 else 1.0
    apart = np.abs(inner - np.eye(len(inner))).max(initial=0.0) < 0.85
    return bool(apart and values[-1] / values[0] < 200.0 and 0.1 < r2 < 0.95 and np.abs(own).max() < 0.9)


def healthy(runs: int, only: list[str]) -> tuple[Counter[str], int]:
    total: Counter[str] = Counter()
    number = 0
    print(f"{'optimizer':<14} {'runs':>5}  false alarms")
    for name in only or ["auto", *optimizers()]:
        alarms: Counter[str] = Counter()
        seen = Counter()
        for seed in range(runs):
            rng = np.random.default_rng([seed, 11])
            X, y, loss = healthy_data(rng)
            batch = (
                None if name == "auto" or optimizers()[name].needs_exact else BATCHES[int(rng.integers(len(BATCHES)))]
            )
            passes = float(rng.choice([40, 100, 300])) if batch is None else float(rng.choice([5, 15]))
            held = None if rng.random() < 0.5 else 0.25
            run = fallline.fit(
                X, y, loss=loss, optimizer=name, batch_size=batch, max_passes=passes, seed=seed, check=held
            )
            alarms.update({finding.code for finding in run.findings} - TRUE_BY_NATURE)
            seen[str(run.verdict)] += 1
        number += runs
        total.update(alarms)
        told = ", ".join(f"{code} {100 * n / runs:.1f} %" for code, n in sorted(alarms.items())) or "none"
        print(f"{name:<14} {runs:>5}  {told}   ({', '.join(f'{v} {n}' for v, n in seen.most_common())})", flush=True)
    print("\nover all optimizers:")
    kinds = symptoms()
    for code in kinds:
        share = total[code] / number
        verdict = "" if share <= MOST_ALARMS else "   ABOVE 1 %"
        if total[code]:
            print(f"  {code}  {100 * share:.2f} %{verdict}")
    print("  the others none")
    return total, number


def missed(runs: int, only: list[str]) -> dict[str, tuple[dict[str, str], str]]:
    table = {}
    print(f"{'code':<6} {'sick runs':>9} {'missed':>7}   {'generated':<10} {'real':<10} surest word       instead")
    for code, make in sick.SICK.items():
        if only and code not in only:
            continue
        made, lost, instead, words = Counter(), Counter(), Counter(), Counter()
        for seed in range(runs):
            real = seed % 5 in (1, 3)
            made[real] += 1
            found: dict[str, Any] = {finding.code: finding for finding in make(np.random.default_rng([seed, 7]), real)}
            if code in found:
                words[str(found[code].certainty)] += 1
            else:
                lost[real] += 1
                instead.update(list(found))
        misses, kinds = sum(lost.values()), {KINDS[real]: f"{lost[real]} of {made[real]}" for real in KINDS}
        told = ", ".join(f"{word} {n}" for word, n in words.most_common())
        more = " ".join(f"{c} {n}" for c, n in instead.most_common(3))
        late = "   ABOVE 5 %" if misses > MOST_MISSES * runs and "suspected" not in words else ""
        shares = " ".join(f"{share:<10}" for share in kinds.values())
        print(f"{code:<6} {runs:>9} {100 * misses / runs:>5.1f} %   {shares} {told:<24} {more}{late}", flush=True)
        table[code] = (kinds, ", ".join(words))
    return table


def write_table(path: str, alarms: tuple[Counter[str], int], misses: dict[str, tuple[dict[str, str], str]]) -> None:
    """The table of the documentation."""
    total, number = alarms
    kinds = symptoms()
    lines = ["| symptom | sure as | false alarms | missed, generated | missed, real |", "|---|---|---|---|---|"]
    for code, (missing, words) in misses.items():
        share = "a fact, not an alarm" if code in TRUE_BY_NATURE else f"{100 * total[code] / number:.2f} %"
        share = "healthy by nature" if kinds[code].healthy else share
        missing_cells = " | ".join(missing.values())
        lines.append(f"| {code} {kinds[code].summary} | {words or '-'} | {share} | {missing_cells} |")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + f"\n\nOf {number:,} healthy runs.\n")


def cost() -> None:
    """Recording, relations, evidence and symptoms as shares of a fit, and by the step of a tiny one."""
    from unittest import mock

    import fallline.conclude
    import fallline.fitting
    from fallline.recorder import Recorder
    from fallline.train import Exact

    spent: list[float] = []

    def clocked(f: Any) -> Any:
        def run(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return f(*given, **named)
            finally:
                spent.append(time.perf_counter() - began)

        return run

    rng = np.random.default_rng(0)
    X = rng.standard_normal((1_000_000, 100))
    z = X @ rng.standard_normal(100)
    for loss, y in {"squared": z + rng.standard_normal(len(X)), "logistic": z + rng.logistic(size=len(X)) > 0}.items():
        fallline.fit(X, y, loss=loss)  # kernels are compiled
        shares = []
        for _ in range(5):
            spent.clear()
            with (
                mock.patch("fallline.fitting.relate", clocked(fallline.fitting.relate)),
                mock.patch("fallline.conclude.diagnose", clocked(fallline.conclude.diagnose)),
                mock.patch("fallline.conclude.evidence_after", clocked(fallline.conclude.evidence_after)),
                mock.patch.object(Recorder, "__call__", clocked(Recorder.__call__)),
            ):
                began = time.perf_counter()
                fallline.fit(X, y, loss=loss)
                shares.append(sum(spent) / (time.perf_counter() - began))
        print(
            f"{loss:<9} 1,000,000 x 100: recording and symptoms take {100 * statistics.median(shares):.1f} % of a fit"
        )
    small = rng.standard_normal((50, 3))
    y = small @ [1.0, 2.0, 3.0] + rng.standard_normal(50)
    recorder, steps = Recorder(None, []), 1_000_000
    g, theta = rng.standard_normal(4), rng.standard_normal(4)
    began = time.perf_counter()
    for step in range(steps):
        recorder(step, float(step), theta, 1.0 / (step + 1.0), g, Exact(theta, 1.0 / (step + 1.0), g, 1.0), 0.1, True)
    each = (time.perf_counter() - began) / steps
    print(
        f"recording: {1e6 * each:.1f} microseconds a step; {steps:,} steps are kept in {len(recorder.history):,} rows"
    )
    run = fallline.fit(small, y, optimizer="descent", learning_rate=1e-3, max_passes=20_000, tol=0.0)
    laps = []
    for _ in range(20):
        began = time.perf_counter()
        run.diagnose()
        laps.append(time.perf_counter() - began)
    print(f"symptoms: {1e3 * statistics.median(laps):.2f} ms at the end of a run of {run.steps:,} steps")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["healthy", "sick", "cost"], nargs="+")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--only", default="")
    parser.add_argument("--table", help="write the table of the documentation here; needs healthy and sick")
    given = parser.parse_args()
    chosen = [name for name in given.only.split(",") if name]
    done: dict[str, Any] = {}
    for what in given.what:
        if what == "healthy":
            done[what] = healthy(given.runs or 200, chosen)
        elif what == "sick":
            done[what] = missed(given.runs or 50, chosen)
        else:
            cost()
    if given.table:
        write_table(given.table, done["healthy"], done["sick"])
