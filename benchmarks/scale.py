"""Tables and files, end to end: fallline beside what else reads, encodes and trains on the same file.

python benchmarks/scale.py [NAMES] [--rows 5000000] [--repeats 3] [--shared DIR]

Each line prints both medians and their ratio; peers run in the same process, one after the other in turn.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
import numpy as np
from heldout import compared
from timing import in_turn

COLUMNS = 20
CHUNK = 100_000  # rows of a batch that Polars streams

Line = tuple[str, str, float, str, float]


def main() -> None:
    """Run what was named, or all."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("names", nargs="*", help=", ".join(CASES))
    ask.add_argument("--rows", type=int, default=5_000_000)
    ask.add_argument("--repeats", type=int, default=3)
    ask.add_argument("--shared", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    given = ask.parse_args()
    print(machine.describe() if hasattr(machine, "describe") else "")
    print(f"{'case':<44}{'fallline':>11}  {'peer':<34}{'':>9}  ratio")
    with tempfile.TemporaryDirectory() as folder:
        for name in given.names or CASES:
            for case, aim, ours, peer, theirs in CASES[name](Path(folder), given):
                print(f"{case:<44}{ours:>9.3f} s  {peer:<34}{theirs:>7.3f} s  {ours / theirs:.2f}  {aim}", flush=True)


def made(folder: Path, rows: int, kind: str) -> Path:
    """A file of 20 numbers, a number and a class."""
    import polars as pl

    file = folder / f"table{rows}.{kind}"
    if not file.exists():
        rng = np.random.default_rng(0)
        X = rng.standard_normal((rows, COLUMNS))
        z = X @ rng.standard_normal(COLUMNS)
        frame = pl.DataFrame(X, schema=[f"x{j}" for j in range(COLUMNS)]).with_columns(
            number=z + rng.standard_normal(rows), yes=(rng.random(rows) < 1 / (1 + np.exp(-z / 3))).astype(np.int64)
        )
        frame.write_parquet(file) if kind == "parquet" else frame.write_csv(file)
    return file


def parquet(folder: Path, given: Any) -> list[Line]:
    """Least squares and logistic regression from Parquet, beside Polars reading the same file."""
    import polars as pl

    import fallline

    file = made(folder, given.rows, "parquet")

    def stream() -> int:
        frames = pl.scan_parquet(file).collect_batches(chunk_size=CHUNK, engine="streaming")
        return sum(frame.height for frame in frames)

    def fit(target: str, drop: str, **how: Any) -> Callable[[], Any]:
        return lambda: fallline.fit(file, target, drop=[drop], **how)

    squared, logistic, read = in_turn(
        given.repeats, fit("number", "yes"), fit("yes", "number", loss="logistic"), stream
    )
    size = f"{given.rows:,} x {COLUMNS}"
    return [
        (f"least squares, Parquet {size}", "aim <= 2", squared, "Polars streaming the file", read),
        (f"logistic, Parquet {size}", "aim <= 3 and the first pass", logistic, "Polars streaming the file", read),
    ]


def text(folder: Path, given: Any) -> list[Line]:
    """Least squares from CSV, beside Polars parsing the same file."""
    import polars as pl

    import fallline

    rows = given.rows // 5
    file = made(folder, rows, "csv")
    ours, theirs = in_turn(given.repeats, lambda: fallline.fit(file, "number", drop=["yes"]), lambda: pl.read_csv(file))
    return [(f"least squares, CSV {rows:,} x {COLUMNS}", "aim <= 1.5", ours, "Polars parsing the file", theirs)]


def heldout(folder: Path, given: Any) -> list[Line]:
    """Logistic regression from CSV to the same held-out loss, beside pandas chunks and Vowpal Wabbit: made and real rows."""
    import polars as pl

    rows = given.rows // 5
    table = pl.read_parquet(made(folder, rows, "parquet")).drop("number")
    lines = compared(folder, f"{rows:,} x {COLUMNS} normal", table, "yes", given.repeats)
    forest = pl.read_parquet(given.shared / "covtype.parquet").sample(fraction=1.0, shuffle=True, seed=0)
    two = forest.with_columns(yes=(pl.col("Cover_Type") == 2).cast(pl.Int64)).drop("Cover_Type")
    return [*lines, *compared(folder, f"covertype, {two.height:,} x {two.width - 1}", two, "yes", given.repeats)]


def grow(folder: Path, given: Any) -> list[Line]:
    """Streamed with a budget of 500 MB: seconds for a million rows, of tables of one to fifty million."""
    import polars as pl

    import fallline

    taken: dict[int, float] = {}
    for millions in (1, 5, 25, 50):
        folders = [folder / f"part{k:02}" for k in range(millions)]
        for each in folders:
            each.mkdir(exist_ok=True)
        file = folder / f"grow{millions}.parquet"
        pl.scan_parquet([made(each, 1_000_000, "parquet") for each in folders]).sink_parquet(file)
        how: dict[str, Any] = {"drop": ["number"], "loss": "logistic", "memory": "500MB"}
        began = time.perf_counter()
        fallline.fit(file, "yes", **how)
        taken[millions] = time.perf_counter() - began
        file.unlink()
    peer = "a million rows, times as many"
    return [
        (f"logistic, {k},000,000 rows in 500 MB", "linear: 1", seconds, peer, taken[1] * k)
        for k, seconds in taken.items()
    ]


def codes(folder: Path, given: Any) -> list[Line]:
    """A pass over flights with four text columns: codes beside one-hot CSR, in time and in room."""
    import polars as pl

    from fallline.losses import as_loss
    from fallline.rows.arrays import ArrayRows
    from fallline.rows.encoder import Encoder

    frame = pl.read_parquet(given.shared / "flights.parquet")
    frame = frame.select("carrier", "origin", "dest", "tailnum", "arr_delay").drop_nulls()
    encoder = Encoder.learn(frame, "arr_delay")
    X, _ = encoder.transform(frame, "coded")
    csr, y = X.tocsr(), frame["arr_delay"].cast(float).to_numpy()
    coef = np.random.default_rng(0).standard_normal(X.shape[1])
    rows = [ArrayRows(A, y) for A in (X, csr)]
    for some in rows:
        some.whole = 10**9  # compiled, both

    def passes(some: Any) -> Callable[[], Any]:
        return lambda: [some.fused(as_loss("squared"), coef, 0.0) for _ in range(20)]

    ours, theirs = in_turn(max(given.repeats, 7), *map(passes, rows))
    room = X.nbytes, csr.data.nbytes + csr.indices.nbytes + csr.indptr.nbytes
    print(f"  room of {X.shape[0]:,} x {X.shape[1]:,}: codes {room[0] / 1e6:.1f} MB, CSR {room[1] / 1e6:.1f} MB")
    return [
        ("a pass over flights, four text columns", "aim <= 0.5", ours / 20, "one-hot CSR, compiled too", theirs / 20)
    ]


def claims(folder: Path, given: Any) -> list[Line]:
    """freMTPL2 claim counts from the Parquet file, beside Polars and glum with its categorical matrices."""
    import polars as pl
    import tabmat
    from glum import GeneralizedLinearRegressor

    import fallline

    file = given.shared / "freMTPL2freq.parquet"
    names = [
        name for name in pl.scan_parquet(file).collect_schema().names() if name not in ("IDpol", "ClaimNb", "Exposure")
    ]
    ridge = 1e-6

    def ours() -> Any:
        return fallline.fit(file, "ClaimNb", loss="poisson", exposure="Exposure", drop=["IDpol"], l2=ridge)

    def glum() -> Any:
        frame = pl.read_parquet(file).to_pandas()
        text = [name for name in names if frame[name].dtype.kind not in "iuf"]
        X = tabmat.from_df(frame[names].astype(dict.fromkeys(text, "category")), drop_first=True)
        model = GeneralizedLinearRegressor(
            family="poisson", alpha=ridge, l1_ratio=0, scale_predictors=True, gradient_tol=1e-6
        )
        exposure = frame["Exposure"].to_numpy()
        return model.fit(X, frame["ClaimNb"].to_numpy() / exposure, sample_weight=exposure)

    mine, theirs = in_turn(given.repeats, ours, glum)
    return [("freMTPL2 counts, from the file", "aim <= 1", mine, "Polars and glum", theirs)]


def sparse(folder: Path, given: Any) -> list[Line]:
    """A libsvm file becomes a sparse matrix, beside scikit-learn's reader."""
    from scipy.sparse import random_array
    from sklearn.datasets import dump_svmlight_file, load_svmlight_file

    from fallline.rows.sources import as_source
    from fallline.tables import Asked, prepare

    rows, columns = given.rows // 100, 47_000
    rng, file = np.random.default_rng(0), folder / "made.svm"
    X = random_array((rows, columns), density=75 / columns, format="csr", rng=rng)
    dump_svmlight_file(X, rng.integers(0, 2, rows), str(file), zero_based=False)
    ours, theirs = in_turn(
        given.repeats,
        lambda: prepare(as_source(file), Asked("target", check=0.0)),
        lambda: load_svmlight_file(str(file), zero_based=False),
    )
    size = f"{rows:,} x {columns:,}, {file.stat().st_size / 1e6:.0f} MB"
    return [(f"libsvm to CSR, {size}", "", ours, "scikit-learn's load_svmlight_file", theirs)]


CASES: dict[str, Callable[[Path, Any], list[Line]]] = {
    "parquet": parquet, "text": text, "heldout": heldout, "grow": grow, "codes": codes, "claims": claims,
    "sparse": sparse,
}  # fmt: skip

if __name__ == "__main__":
    main()
