"""Tables larger than their budget: the same answer as in memory, whatever they hold, and nothing lost on the way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline
from fallline.errors import DataError, TargetError
from fallline.rows.journal import Journal
from fallline.rows.sources import as_source
from fallline.rows.stored import StoredRows
from fallline.tables import Asked, asked, prepare
from fallline.tables.median import median
from fallline.tables.spill import row_hashes

ROWS = 6_000
SMALL = 300_000  # bytes: a twentieth of the table or less


@pytest.fixture(autouse=True)
def anything_goes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Budgets may be tiny, and the cache is the test's own."""
    monkeypatch.setattr(asked, "LEAST_MEMORY", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def table(rows: int = ROWS) -> pl.DataFrame:
    """Numbers with and without holes, text with and without, dates, and a target for each kind of loss."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=rows), rng.normal(size=rows) * 10 + 5
    town = rng.choice(["north", "south", "east", "west", "far away"], rows, p=[0.4, 0.3, 0.2, 0.09, 0.01])
    z = 0.5 * a + 0.05 * b + (town == "north")
    day = np.datetime64("2023-01-01") + rng.integers(0, 700, rows)
    return pl.DataFrame(
        {
            "a": a, "b": pl.Series(b).set(pl.Series(rng.random(rows) < 0.1), None), "town": town, "day": day,
            "kind": pl.Series(rng.choice(["x", "y"], rows)).set(pl.Series(rng.random(rows) < 0.05), None),
            "number": z + rng.normal(size=rows), "yes": np.where(rng.random(rows) < 1 / (1 + np.exp(-z)), "yes", "no"),
            "time": rng.random(rows) + 0.1, "count": rng.poisson(np.exp(0.2 * z)), "heavy": rng.random(rows),
            "sort": rng.integers(0, 3, rows),
        }
    )  # fmt: skip


TARGETS: dict[str, dict[str, Any]] = {
    "number": {}, "yes": {"loss": "logistic"}, "count": {"loss": "poisson", "exposure": "time"}, "sort": {"loss": "softmax"},
}  # fmt: skip


@pytest.mark.parametrize("na", ["auto", "median", "mean", "drop"])
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_same_answer_as_in_memory(target: str, na: str, tmp_path: Path) -> None:
    frame = table().drop([name for name in (*TARGETS, "time") if name not in (target, TARGETS[target].get("exposure"))])
    frame.write_parquet(tmp_path / "t.parquet")
    how = TARGETS[target] | {"na": na, "sample_weight": "heavy", "l2": 1e-3, "tol": 1e-10}
    whole = fallline.fit(frame, target, **how)
    part = fallline.fit(tmp_path / "t.parquet", target, memory=SMALL, **how)
    assert part.feature_names == whole.feature_names
    assert str(part.certainty) == str(whole.certainty) == "proved"
    np.testing.assert_allclose(part.coef, whole.coef, rtol=0, atol=2e-4 * np.abs(whole.coef).max())
    assert part.best_loss == pytest.approx(whole.best_loss, rel=1e-9)
    assert part.baseline_loss == pytest.approx(whole.baseline_loss, rel=1e-9)
    np.testing.assert_allclose(part.summary.mean, whole.summary.mean, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(part.predict(frame[:50]), whole.predict(frame[:50])) if target != "yes" else None
    assert not list((tmp_path / "cache" / "fallline" / "rows").glob("rows-*"))  # cleaned up after itself


def test_it_did_stream_and_holds_rows_out() -> None:
    frame = table()
    prepared = prepare(as_source(frame), Asked("number", memory=SMALL, check=0.25))
    assert isinstance(prepared.rows, StoredRows) and len(prepared.rows.reader.shape.blocks) > 3
    assert prepared.held is not None and prepared.rows.m + prepared.held.m == ROWS
    assert prepared.held.m == pytest.approx(0.25 * ROWS, rel=0.1)
    prepared.close(True)
    assert not Path(prepared.where).exists()
    result = fallline.fit(frame, "number", memory=SMALL, check=0.25)
    assert result.check is not None and result.check["r2"] > 0.3


@pytest.mark.parametrize("order", ["shuffled", "sorted"])
def test_mini_batches_mind_no_order(order: str, tmp_path: Path) -> None:
    """A file sorted by its target trains as well as a shuffled one: rows are shuffled once, as they are written."""
    frame = table().select("a", "b", "yes").fill_null(5.0)
    frame = frame.sort("yes") if order == "sorted" else frame.sample(fraction=1.0, shuffle=True, seed=1)
    how: dict[str, Any] = {"loss": "logistic", "optimizer": "descent", "learning_rate": 0.05, "batch_size": 32}
    best = fallline.fit(frame, "yes", loss="logistic").best_loss
    result = fallline.fit(frame, "yes", memory=60_000, max_passes=2, **how)
    assert result.best_loss - best < 2e-3
    every = [result.steps, -(-ROWS // 32) * 2]
    assert abs(every[0] - every[1]) <= 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60), st.integers(1, 5))
def test_the_median_is_the_median(numbers: list[float], pieces: int) -> None:
    array = np.array(numbers)
    with np.errstate(over="ignore"):
        assert median(lambda: np.array_split(array, pieces)) == pytest.approx(float(np.median(array)), nan_ok=True)


def test_hashes_depend_on_the_row_alone() -> None:
    whole = row_hashes(0, 1000, seed=3)
    np.testing.assert_array_equal(whole[400:700], row_hashes(400, 300, seed=3))
    assert len(np.unique(whole)) == 1000 and not np.array_equal(whole, row_hashes(0, 1000, seed=4))
    assert np.bincount((whole % 10).astype(int)).min() > 60


def test_what_is_wrong_is_said_with_its_row(tmp_path: Path) -> None:
    frame = table()
    frame.with_columns(a=pl.Series(np.where(np.arange(ROWS) == 4321, np.inf, frame["a"].to_numpy()))).write_parquet(
        tmp_path / "t.parquet"
    )
    with pytest.raises(DataError, match=r"'a'.*row 4,321"):
        fallline.fit(tmp_path / "t.parquet", "number", memory=SMALL)
    with pytest.raises(DataError, match=r"D20.*'b'"):
        fallline.fit(frame, "number", na="refuse", memory=SMALL)
    with pytest.raises(TargetError, match="one class"):
        fallline.fit(frame.with_columns(yes=pl.lit("yes")), "yes", loss="logistic", memory=SMALL)
    assert not list((tmp_path / "cache" / "fallline" / "rows").glob("rows-*"))


def test_damaged_blocks_are_noticed(tmp_path: Path) -> None:
    table().write_parquet(tmp_path / "t.parquet")
    prepared = prepare(as_source(tmp_path / "t.parquet"), Asked("number", memory=SMALL))
    file = Path(prepared.where) / "train" / "rows.bin"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(DataError, match="damaged"):
        list(prepared.rows.blocks())


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fallline.tables.stream.Writer.add", full)
    with pytest.raises(DataError, match=r"cannot be written: the disk is full.*--cache"):
        fallline.fit(table(), "number", memory=SMALL)


def test_a_cache_that_is_named_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, cache = tmp_path / "t.parquet", tmp_path / "mine"
    table().write_parquet(file)
    first = fallline.fit(file, "number", memory=SMALL, cache=cache)
    assert list(cache.glob("rows-*/train/index.json"))
    read: list[int] = []
    monkeypatch.setattr("fallline.tables.stream.Streaming.add", lambda *_: read.append(1))
    again = fallline.fit(file, "number", memory=SMALL, cache=cache)
    assert not read and again.coef.tobytes() == first.coef.tobytes()
    monkeypatch.undo()
    monkeypatch.setattr(asked, "LEAST_MEMORY", 1)
    table().with_columns(pl.col("number") * 2).write_parquet(file)  # another file of the same name
    changed = fallline.fit(file, "number", memory=SMALL, cache=cache)
    np.testing.assert_allclose(changed.coef, 2 * first.coef, rtol=1e-6, atol=1e-8)


def test_a_journal_answers_what_it_knows(tmp_path: Path) -> None:
    path, asked_for = tmp_path / "journal", []

    def run(settings: str, passes: int) -> list[Any]:
        journal = Journal(path)
        journal.begin(settings)

        def make(k: int) -> Any:
            asked_for.append(k)
            return 0.1 * k, np.arange(3.0) * k, None, k

        return [journal.remembered(f"pass {k}", lambda k=k: make(k), lambda found: found) for k in range(passes)]

    first = run("a", 3)
    asked_for.clear()
    again = run("a", 5)
    assert asked_for == [3, 4]
    assert again[2][0] == first[2][0] and again[2][2] is None and again[2][3] == 2
    np.testing.assert_array_equal(again[2][1], first[2][1])
    path.write_bytes(path.read_bytes()[:-5])  # killed while it wrote the last one
    asked_for.clear()
    run("a", 5)
    assert asked_for == [4]
    asked_for.clear()
    run("b", 2)
    assert asked_for == [0, 1]


SMALLEST = "from fallline.tables import asked; asked.LEAST_MEMORY = 1"


# Twenty kills, and files of twenty times the budget: FALLLINE_LONG_TESTS=1. They take minutes more.
LONG = bool(os.environ.get("FALLLINE_LONG_TESTS"))


def command(*rest: str) -> list[str]:
    return [sys.executable, "-c", f"{SMALLEST}; from fallline.cli import main; main()", "fit", *rest]


@pytest.mark.slow
@pytest.mark.parametrize(
    "how", [("--tol", "1e-13"), ("--optimizer", "adam", "--batch-size", "64", "--max-passes", "3")]
)
def test_killed_at_any_moment_it_goes_on(how: tuple[str, ...], tmp_path: Path) -> None:
    """Twelve kills in all, or twenty: the result is that of a run that was left alone, to the last bit."""
    big = pl.concat([table()] * 15).with_columns(a=pl.Series(np.random.default_rng(1).normal(size=15 * ROWS)))
    file = tmp_path / "t.parquet"
    big.drop("number", "time", "sort", "heavy", "day").write_parquet(file)
    args = (str(file), "--target", "count", "--loss", "poisson", "--memory", "5MB", "--quiet", *how)
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "kept"), "FALLLINE_NUM_THREADS": "2"}

    def run(out: str, seconds: float | None) -> bool:
        process = subprocess.Popen(
            command(*args, "--out", str(tmp_path / out)), env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert process.wait(seconds) in (0, 5)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return False
        return True

    assert run("whole.fall", 120)
    began = time.monotonic()
    assert run("killed.fall", 120)
    lasted = time.monotonic() - began  # with its kernels compiled: kills find it at work, however slow the machine is
    whole, chance = fallline.load(tmp_path / "whole.fall"), random.Random(0)
    kills = 0
    while kills < (10 if LONG else 6):
        kills += not run("killed.fall", lasted * chance.uniform(0.2, 1.0))
    assert run("killed.fall", 120)
    killed = fallline.load(tmp_path / "killed.fall")
    assert killed.theta.tobytes() == whole.theta.tobytes()
    assert (killed.steps, killed.passes, killed.best_loss) == (whole.steps, whole.passes, whole.best_loss)


PEAK = """
import pathlib, sys, threading, time
from fallline.cli import main
from fallline.tables import asked
asked.LEAST_MEMORY = 1

def own():  # memory that cannot be given back: pages of libraries and of mapped files can
    return int(pathlib.Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) / 1024

peak = [own()]

def watch():
    while True:
        peak[0] = max(peak[0], own())
        time.sleep(0.002)

threading.Thread(target=watch, daemon=True).start()
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert end.code in (0, None), end.code
print(max(peak[0], own()))
"""


FEW, MORE = (20, 20) if LONG else (5, 10)  # times the budget
KINDS = [("number", "squared", False, FEW), ("yes", "logistic", True, MORE), ("count", "poisson", True, FEW)]
# The interpreter with what its libraries keep, and what a block takes on its way, in MB. (Measured: up to 151 and 110; a file
# of 100 MB in memory, and what is made of it, would be 200 more.)
BESIDE = {"fit": 220, "predict": 170}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
@pytest.mark.parametrize(("target", "loss", "text", "times"), KINDS)
def test_memory_stays_within_the_budget(target: str, loss: str, text: bool, times: int, tmp_path: Path) -> None:
    """A file of five and of ten times the budget, or of twenty: the peak is no more than the budget and what is there anyway."""
    rng, rows, budget = np.random.default_rng(0), 100_000, 20
    model, file, parts = tmp_path / "m.fall", tmp_path / "t.parquet", []
    beside = table(rows).select("town", "kind", target) if text else table(rows).select(target)
    for k in range(times):  # 100,000 rows each of 24 or more numbers and words: 20 MB in memory
        frame = pl.DataFrame({f"x{j}": rng.normal(size=rows) for j in range(25 - text)})
        parts.append(tmp_path / f"part{k:02}.parquet")
        pl.concat([frame, beside], how="horizontal").write_parquet(parts[-1])
    pl.scan_parquet(parts).sink_parquet(file)
    assert pl.read_parquet(parts[0]).estimated_size() > 0.95 * budget * 1e6
    for part in parts:
        part.unlink()
    fit = [
        "fit", str(file), "--target", target, "--loss", loss, "--memory", f"{budget}MB", "--out", str(model), "--quiet",
    ]  # fmt: skip
    out = tmp_path / "p.parquet"
    predict = ["predict", str(model), str(file), "--memory", f"{budget}MB", "--out", str(out), "--quiet"]
    for what in (fit, predict):
        done = subprocess.run([sys.executable, "-c", PEAK, *what], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert float(done.stdout.split()[-1]) < budget + BESIDE[what[0]], what
    assert pl.scan_parquet(out).select(pl.len()).collect().item() == times * rows


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_memory_stays_within_the_budget_where_rows_are_sparse(tmp_path: Path) -> None:
    """Text of five or twenty times the budget in memory, of which a dense block alone would be as much."""
    from scipy.sparse import random_array
    from sklearn.datasets import dump_svmlight_file

    rng, budget, times = np.random.default_rng(0), 20, FEW
    model, file, part, out = (tmp_path / name for name in ("m.fall", "t.svm", "part.svm", "p.csv"))
    X = random_array((20_000, 50_000), density=80 / 50_000, format="csr", rng=rng)  # 1.6 million entries of 12 bytes
    dump_svmlight_file(X, rng.integers(0, 2, 20_000), str(part), zero_based=False)
    with file.open("wb") as whole:
        for _ in range(times):
            whole.write(part.read_bytes())
    part.unlink()
    fit = [
        "fit",
        str(file),
        "--target",
        "target",
        "--l2",
        "0.01",
        "--memory",
        f"{budget}MB",
        "--out",
        str(model),
        "--quiet",
    ]
    predict = ["predict", str(model), str(file), "--memory", f"{budget}MB", "--out", str(out), "--quiet"]
    for what in (fit, predict):
        done = subprocess.run([sys.executable, "-c", PEAK, *what], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert float(done.stdout.split()[-1]) < budget + BESIDE[what[0]], what
    assert pl.scan_csv(out).select(pl.len()).collect().item() == times * 20_000


def test_a_query_of_ones_own_is_run_once() -> None:
    """Its order may be another each time: a slice of it, asked for anew, would lose rows and repeat others."""
    frame = table(3000).with_columns(id=pl.Series(np.repeat(np.arange(1500), 2)))
    query = frame.lazy().group_by("id").agg(pl.col("a").mean(), pl.col("number").mean())
    seen = pl.concat(list(as_source(query).frames(2000)))
    assert sorted(seen["id"].to_list()) == list(range(1500))


def test_no_column_name_is_taken() -> None:
    frame = table().select(
        "number",
        pl.col("a").alias("missing values"),
        pl.col("b").fill_null(0.0).alias(""),
        pl.col("town").alias("hash"),
    )
    whole, part = (fallline.fit(frame, "number", memory=memory, tol=1e-10) for memory in (None, SMALL // 2))
    assert part.feature_names == whole.feature_names and "missing values" in part.feature_names
    np.testing.assert_allclose(part.coef, whole.coef, rtol=1e-4, atol=1e-5)


def test_rows_without_weight_teach_nothing() -> None:
    rng = np.random.default_rng(5)
    weight = np.where(rng.random(ROWS) < 0.5, 0.0, 1.0)
    frame = table().select("a", "number").with_columns(
        w=weight, t=pl.Series(np.where(weight == 0, "never", np.where(rng.random(ROWS) < 0.4, "x", "y"))),
        h=pl.Series(rng.normal(size=ROWS) + 9 * (weight == 0)).set(pl.Series(rng.random(ROWS) < 0.3), None),
    )  # fmt: skip
    how: dict[str, Any] = {"sample_weight": "w", "l2": 1e-3, "tol": 1e-12}
    whole, part = (fallline.fit(frame, "number", memory=memory, **how) for memory in (None, SMALL // 2))
    plain = fallline.fit(frame.filter(weight > 0).drop("w"), "number", l2=1e-3, tol=1e-12)
    for result in (whole, part):
        assert result.feature_names == plain.feature_names
        np.testing.assert_allclose(result.coef, plain.coef, rtol=1e-5, atol=1e-6)


def test_a_class_is_checked_on_only_when_it_was_trained_on() -> None:
    held = (row_hashes(0, ROWS, 0) >> np.uint64(11)).astype(float) * 2.0**-53 < 0.2
    label = np.where(table()["a"].to_numpy() > 0, "b", "a")
    label[np.flatnonzero(held)[3]] = "c"
    frame = table().select("a", "b").with_columns(label=pl.Series(label))
    result = fallline.fit(frame, "label", loss="softmax", l2=1e-3, check=0.2, memory=SMALL // 2)
    assert result.classes == ("a", "b", "c") and result.coef.shape[1] == 3


@pytest.mark.parametrize("target", ["yes", "number", "count"])
def test_check_rows_are_from_everywhere(target: str) -> None:
    """Also from the first rows, and of rare targets, where these are numbers and no classes."""
    frame = table().with_columns(count=pl.Series((np.random.default_rng(0).pareto(1.0, ROWS) * 9).astype(int)))
    frame = frame.with_columns(a=pl.int_range(ROWS).cast(pl.Float64)).select("a", target)
    prepared = prepare(as_source(frame), Asked(target, memory=60_000, check=0.2))
    assert isinstance(prepared.held, StoredRows)
    rows = np.concatenate([batch.X[:, 0] for batch in prepared.held.blocks()])
    expected = (row_hashes(0, ROWS, 0) >> np.uint64(11)).astype(float) * 2.0**-53 < 0.2
    np.testing.assert_array_equal(np.sort(rows), np.flatnonzero(expected))
    prepared.close(True)


def test_levels_are_written_cell_by_cell() -> None:
    """2.0 is the level "2" whatever stands beside it: else a model would depend on where frames are cut."""
    rng = np.random.default_rng(0)
    v = rng.integers(0, 4, ROWS).astype(float)
    v[-900:] += np.where(rng.random(900) < 0.3, 0.5, 0.0)
    frame = table().select("a", "number").with_columns(v=v)
    pytest.importorskip("formulaic")
    whole, part = (fallline.fit(frame, "number ~ a + C(v)", memory=memory) for memory in (None, SMALL // 3))
    assert whole.feature_names == part.feature_names
    np.testing.assert_allclose(whole.predict(frame)[:100], whole.predict(frame[:100]), rtol=1e-12)


def test_texts_met_once_first_are_counted_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallline.rows.facts.MOST_COUNTED", 1500)
    words = np.where(
        np.arange(ROWS) < 2000, [f"u{k}" for k in range(ROWS)], np.random.default_rng(0).choice(list("abcd"), ROWS)
    )
    frame = table().select("a", "number").with_columns(word=pl.Series(words))
    whole, part = (fallline.fit(frame, "number", memory=memory).feature_names for memory in (None, SMALL // 3))
    assert part == whole and "word=b" in part


def test_the_cache_is_left_as_it_was_found(tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "rows-2023"
    mine.mkdir(parents=True)
    os.utime(mine, (0, 0))
    for _ in range(2):
        fallline.fit(table(), "number", memory=SMALL, cache=tmp_path / "mine")  # a frame: nobody could find it again
    assert list((tmp_path / "mine").iterdir()) == [mine]
    table().write_parquet(tmp_path / "t.parquet")
    with pytest.raises(fallline.SettingError, match="start"):
        fallline.fit(tmp_path / "t.parquet", "number", memory=SMALL, start=np.zeros(3))
    assert not list((tmp_path / "cache" / "fallline" / "rows").iterdir())
