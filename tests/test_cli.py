"""The command line as people and programs meet it: exit codes, streams, bad input, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

import fallline
from fallline.cli import main


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def houses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small table with a hole, a text column and a constant one; the working folder is its own."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    m = 400
    rooms, town = rng.integers(1, 9, m), rng.choice(["north", "south", "coast"], m, p=[0.5, 0.3, 0.2])
    age = rng.uniform(0, 80, m).round(1)
    price = 50_000 * rooms + 30_000 * (town == "coast") - 400 * age + rng.normal(0, 9_000, m)
    frame = pl.DataFrame({"rooms": rooms, "age": age, "town": town, "price": price.round(2), "country": "X"})
    frame = frame.with_columns(age=pl.when(pl.int_range(m) % 50 == 7).then(None).otherwise(pl.col("age")))
    path = tmp_path / "houses.csv"
    frame.write_csv(path)
    return path


def test_fit_says_everything_on_stderr_and_saves(houses: Path) -> None:
    done = call("fit", houses, "--target", "price")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    for words in ("400 rows", "squared loss", "320 train / 80 check", "8 empty cells", "standardised inside", "VERDICT",
                  "converged (proved)", "R2 0.9", "houses.fall"):  # fmt: skip
        assert words in done.stderr, words
    assert "\x1b" not in done.stderr and "\r" not in done.stderr
    model = fallline.load("houses.fall")
    assert model.coef[list(model.feature_names).index("rooms")] == pytest.approx(50_000, rel=0.03)


def test_json_is_one_object_and_agrees_with_python(houses: Path) -> None:
    done = call("fit", houses, "--target", "price", "--json")
    told = json.loads(done.stdout)
    model = fallline.load(told["saved"])
    assert told["schema"] == 1 and told["verdict"] == "converged" and told["rows"] == 320
    assert told["coef"]["rooms"] == model.coef[list(model.feature_names).index("rooms")]
    assert told["findings"] == [finding.to_dict() for finding in model.findings]
    assert done.stderr.startswith("VERDICT")  # words for people never mix with the object


def test_jsonl_has_a_line_a_step(houses: Path) -> None:
    done = call("fit", houses, "--target", "price", "--jsonl", "--optimizer", "descent", "--max-passes", "20")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["step"] for line in lines[:-1]] == list(range(len(lines) - 1)) and lines[-1]["verdict"]


def test_quiet_is_one_verdict(houses: Path) -> None:
    done = call("fit", houses, "--target", "price", "--quiet")
    assert (
        done.stderr.startswith("VERDICT")
        and done.stderr.count("VERDICT") == 1
        and "rows" not in done.stderr.split("\n")[0]
    )


def test_plain_has_words_in_place_of_the_curve(houses: Path) -> None:
    done = call("fit", houses, "--target", "price", "--plain", "--optimizer", "descent")
    assert "The loss went from" in done.stderr and "│" not in done.stderr and "⠀" not in done.stderr


def test_same_seed_same_output(houses: Path) -> None:
    a, b = (call("fit", houses, "--target", "price", "--json", "--batch-size", "16", "--seed", "3") for _ in range(2))
    first, second = json.loads(a.stdout), json.loads(b.stdout)
    first.pop("seconds"), second.pop("seconds")
    assert first == second and a.exit_code == b.exit_code


@pytest.mark.parametrize("suffix", [".tsv", ".parquet", ".arrow", ".jsonl"])
def test_every_kind_of_file(houses: Path, suffix: str) -> None:
    frame = pl.read_csv(houses)
    other = houses.with_suffix(suffix)
    if suffix == ".tsv":
        frame.write_csv(other, separator="\t")
    elif suffix == ".parquet":
        frame.write_parquet(other)
    elif suffix == ".arrow":
        frame.write_ipc(other)
    else:
        frame.write_ndjson(other)
    one, two = (json.loads(call("fit", path, "--target", "price", "--json").stdout) for path in (houses, other))
    assert one["coef"] == pytest.approx(two["coef"], rel=1e-9)


def test_predict_round_trip_with_columns_in_any_order(houses: Path) -> None:
    call("fit", houses, "--target", "price")
    frame = pl.read_csv(houses)
    mixed = houses.with_name("new.csv")
    frame.select("town", "age", "rooms").with_columns(more=pl.lit(1)).write_csv(mixed)
    straight = call("predict", "houses.fall", houses)
    assert straight.exit_code == 0, straight.stderr
    done = call("predict", "houses.fall", mixed, "--out", "out.parquet")
    assert done.exit_code == 0, done.stderr
    answer = pl.read_parquet("out.parquet")
    assert answer.columns == ["predicted price"] and answer.height == 400
    np.testing.assert_allclose(pl.read_csv(straight.stdout.encode())["predicted price"], answer["predicted price"])
    np.testing.assert_allclose(fallline.load("houses.fall").predict(frame), answer["predicted price"])


def test_predict_refuses_missing_columns_and_counts_unseen_levels(houses: Path) -> None:
    call("fit", houses, "--target", "price")
    frame = pl.read_csv(houses)
    frame.drop("rooms").write_csv("less.csv")
    done = call("predict", "houses.fall", "less.csv")
    assert done.exit_code == 4 and "'rooms'" in done.stderr and done.stdout == ""
    frame.with_columns(town=pl.lit("moon")).write_csv("moon.csv")
    done = call("predict", "houses.fall", "moon.csv")
    assert done.exit_code == 0 and "town" in done.stderr and "400" in done.stderr


def test_classes_get_probabilities(houses: Path) -> None:
    done = call("fit", houses, "--target", "town", "--drop", "country", "--json", "--l2", "0.01")
    assert json.loads(done.stdout)["classes"] == ["coast", "north", "south"]
    table = pl.read_csv(call("predict", "houses.fall", houses).stdout.encode())
    assert table.columns == ["predicted town", "probability coast", "probability north", "probability south"]
    np.testing.assert_allclose(table.select(pl.sum_horizontal(table.columns[1:])).to_series(), 1.0)


def test_exposure_is_kept_for_predicting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x, years = rng.normal(size=500), rng.uniform(0.2, 2.0, 500)
    years[:5] = 0.0
    pl.DataFrame({"x": x, "years": years, "claims": rng.poisson(years * np.exp(0.5 * x))}).write_csv("c.csv")
    done = call("fit", "c.csv", "--target", "claims", "--loss", "poisson", "--exposure", "years", "--check", "0")
    assert done.exit_code == 0, done.stderr
    assert "5 rows left out: years is 0" in done.stderr
    frame = pl.read_csv("c.csv").filter(pl.col("years") > 0)
    frame.write_csv("d.csv")
    frame.with_columns(years=pl.col("years") * 2).write_csv("e.csv")
    once, twice = (
        pl.read_csv(call("predict", "c.fall", f).stdout.encode())["predicted claims"] for f in ("d.csv", "e.csv")
    )
    np.testing.assert_allclose(twice, 2 * once)
    frame.drop("years").write_csv("f.csv")
    assert call("predict", "c.fall", "f.csv").exit_code == 4


BAD = [
    (["fit", "huses.csv", "--target", "price"], 4, "Did you mean"),
    (["fit", "houses.csv", "--target", "prise"], 4, "Did you mean 'price'"),
    (["fit", "houses.csv"], 2, "--target"),
    (["fitt", "houses.csv"], 2, "Did you mean 'fit'"),
    (["fit", "houses.csv", "--target", "country"], 4, "one class|constant|one value"),
    (["fit", "houses.csv", "--target", "price", "--na", "refuse"], 4, "age.*in 8 rows"),
    (["fit", "houses.csv", "--target", "price", "--lr", "0"], 2, "learning_rate"),
    (["fit", "houses.csv", "--target", "price", "--lr", "-1"], 2, "learning_rate"),
    (["fit", "houses.csv", "--target", "price", "--lr", "nan"], 2, "learning_rate"),
    (["fit", "houses.csv", "--target", "price", "--optimizer", "adamm"], 2, "Did you mean 'adam'"),
    (["fit", "houses.csv", "--target", "price", "--loss", "squard"], 2, "Did you mean 'squared'"),
    (["fit", "houses.csv", "--target", "town", "--loss", "squared"], 4, "number"),
    (["fit", "houses.csv", "--target", "price", "--out", "nowhere/x.fall"], 2, "no folder"),
    (["fit", "houses.csv", "--target", "price", "--out", "houses.csv"], 2, "is being read"),
    (["fit", "empty.csv", "--target", "price"], 4, "empty"),
    (["fit", "header.csv", "--target", "a"], 4, "row"),
    (["fit", "twice.csv", "--target", "a"], 4, "'a'"),
    (["fit", "slip.csv", "--target", "a"], 4, "line 32|row 30"),
    (["fit", "negative.csv", "--target", "n", "--loss", "poisson"], 4, "zero or more"),
    (["fit", "infinite.csv", "--target", "a"], 4, "inf"),
    (["fit", "infinite.csv", "--target", "b"], 4, "inf|finite"),
    (["fit", "broken.parquet", "--target", "a"], 4, "broken.parquet"),
    (["predict", "houses.csv", "houses.csv"], 4, "houses.csv"),
    (["predict", "nothing.fall", "houses.csv"], 4, "nothing.fall"),
    (["explain", "D99"], 2, "D"),
    (["compare", "houses.csv", "--target", "price", "--optimizers", "adam,sdg"], 2, "sdg"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), BAD, ids=[" ".join(a[0][:4]) for a in BAD])
def test_bad_input_ends_in_one_sentence(houses: Path, arguments: list[str], code: int, words: str) -> None:
    import re

    Path("empty.csv").touch()
    Path("header.csv").write_text("a,b\n")
    Path("twice.csv").write_text("a,a,b\n1,2,3\n4,5,6\n")
    Path("slip.csv").write_text("a,b\n" + "".join(f"{i},{'abc' if i == 30 else i * 2}\n" for i in range(60)))
    Path("negative.csv").write_text("n,x\n" + "".join(f"{i - 3},{i}\n" for i in range(30)))
    Path("infinite.csv").write_text("a,b\n" + "".join(f"{i},{'inf' if i == 3 else i}\n" for i in range(30)))
    Path("broken.parquet").write_bytes(b"PAR1 and then nothing of use")
    before = sorted(os.listdir())
    done = call(*arguments)
    assert done.exit_code == code, done.stderr
    assert re.search(words, done.stderr), done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""
    assert sorted(os.listdir()) == before


def test_diverged_saves_nothing_and_exits_with_3(houses: Path) -> None:
    done = call("fit", houses, "--target", "price", "--no-scale", "--lr", "0.01")
    assert done.exit_code == 3 and "diverged (proved)" in done.stderr and "D12" in done.stderr
    assert not Path("houses.fall").exists()


def test_strict_turns_findings_into_6(houses: Path) -> None:
    assert call("fit", houses, "--target", "price", "--strict").exit_code == 6


def test_compare_explain_demo_and_version(houses: Path) -> None:
    done = call("compare", houses, "--target", "price", "--optimizers", "auto,adam, descent", "--plot", "c.png")
    assert done.exit_code == 0 and all(f"\n{name} " in done.stderr for name in ("auto", "adam", "descent"))
    assert Path("c.png").read_bytes()[:4] == b"\x89PNG"
    listed = call("explain")
    assert (
        "D02" in listed.stdout
        and "Rule:" in call("explain", "d02").stdout
        and "Proved" in call("explain", "converged").stdout
    )
    demo = call("demo", "--plot", "d.png", "--out", "d.fall")
    assert demo.exit_code == 0 and "VERDICT" in demo.stderr and Path("d.png").exists()
    assert fallline.load("d.fall").verdict == "converged"
    assert fallline.__version__ in call("--version").stdout


def test_ctrl_c_once_keeps_the_best_and_saves(houses: Path) -> None:
    """A real process, interrupted in the middle of a run that would take minutes."""
    program = [sys.executable, "-c", "from fallline.cli import main; main()"]
    options = ["--optimizer", "descent", "--lr", "1e-7", "--max-passes", "100000000", "--tol", "0", "--jsonl"]
    process = subprocess.Popen(
        [*program, "fit", str(houses), "--target", "price", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for _ in range(5):  # it has begun to step
        process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 5, err
    assert json.loads(out.splitlines()[-1])["verdict"] == "unfinished"
    assert fallline.load("houses.fall").stop_reason == "interrupt"


def test_a_full_disk_leaves_the_old_model_alone(houses: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call("fit", houses, "--target", "price")
    before = Path("houses.fall").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(os, "replace", full)
    done = call("fit", houses, "--target", "price", "--l2", "1")
    assert done.exit_code != 0 and "Traceback" not in done.stderr and "disk is full" in done.stderr
    monkeypatch.undo()
    assert Path("houses.fall").resolve().parent and (houses.parent / "houses.fall").read_bytes() == before
    assert not [p for p in houses.parent.iterdir() if "part" in p.name or "tmp" in p.name]


def test_settings_that_contradict_are_refused_before_the_file_is_read(houses: Path) -> None:
    for options, words in (
        (["--inference", "--l2", "0.1"], "biased on purpose"),
        (["--inference", "--loss", "huber"], "no likelihood"),
        (["--early-stopping", "--check", "0"], "needs check rows"),
    ):
        done = call("fit", houses, "--target", "price", *options)
        assert done.exit_code == 2 and words in done.stderr and "rows" not in done.stderr.split("error:")[0]


def test_inference_early_stopping_and_export(houses: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.fall"
    done = call("fit", houses, "--target", "price", "--inference", "--out", model)
    assert (
        done.exit_code == 0
        and "within 1e-13" in done.stderr
        and "std. error" in done.stderr
        and "(intercept)" in done.stderr
    )
    stopped = call("fit", houses, "--target", "price", "--early-stopping", "--optimizer", "adam", "--batch-size", "8")
    assert (
        stopped.exit_code in (0, 5)
        and "looks at the check rows" in " ".join(stopped.stderr.split())
        and "VERDICT" in stopped.stderr
    )
    sql = call("export", model, "--to", "sql")
    assert sql.exit_code == 0 and "CASE WHEN" in sql.stdout
    assert json.loads(call("export", model, "--to", "json").stdout)["loss"] == "squared"
    assert call("export", model, "--to", "onnx").exit_code == 2
    assert call("export", model, "--to", "json", "--out", tmp_path / "m.json").exit_code == 0
    assert json.loads((tmp_path / "m.json").read_text())["model"] == "linear"
    assert call("export", model, "--to", "json", "--out", model).exit_code == 2


def test_a_run_goes_on_where_it_ended(houses: Path) -> None:
    whole = call(
        "fit", houses, "--target", "price", "--optimizer", "descent", "--max-passes", "12", "--out", "whole.fall"
    )
    first = call(
        "fit", houses, "--target", "price", "--optimizer", "descent", "--max-passes", "5", "--out", "part.fall"
    )
    assert whole.exit_code == first.exit_code == 5 and f"fallline fit --resume part.fall {houses}" in first.stderr
    second = call("fit", "--resume", "part.fall", houses, "--max-passes", "7")
    assert second.exit_code == 5 and "from part.fall, after 5 passes" in second.stderr, second.stderr
    steps = [line.split()[0] for line in second.stderr.splitlines() if re.match(r" +\d+ +\d\S* ", line)]
    assert steps == ["5", "8", "12"], second.stderr  # the table counts on
    once, twice = fallline.load("whole.fall"), fallline.load("part.fall")
    assert twice.steps == once.steps == 12 and twice.best_loss == pytest.approx(once.best_loss, rel=1e-12)
    np.testing.assert_allclose(twice.coef, once.coef, rtol=1e-9)
    assert twice.history.step[-1] == 12 and np.all(np.diff(twice.history.loss) <= 1e-6)
    done = call("fit", houses, "--resume", "part.fall", "--optimizer", "auto", "--out", "done.fall")
    assert done.exit_code == 0 and "converged (proved)" in done.stderr


def test_what_cannot_be_resumed_is_refused(houses: Path) -> None:
    call("fit", houses, "--target", "price", "--max-passes", "1", "--optimizer", "descent")
    other = call("fit", "--resume", "houses.fall", "--target", "rooms")
    assert other.exit_code == 2 and "predicts 'price'" in other.stderr
    pl.read_csv(houses).drop("age").write_csv("less.csv")
    columns = call("fit", "less.csv", "--resume", "houses.fall")
    assert columns.exit_code == 4 and "other columns" in columns.stderr and "'age'" in columns.stderr
    houses.unlink()
    gone = call("fit", "--resume", "houses.fall", houses)
    assert gone.exit_code in (2, 4) and "houses.csv" in gone.stderr and "Traceback" not in gone.stderr
    fallline.fit([[1.0], [2.0], [4.0]], [1.0, 2.0, 3.0]).save("arrays.fall")
    arrays = call("fit", "--resume", "arrays.fall")
    assert arrays.exit_code == 2 and "was not trained by" in arrays.stderr
    assert call("fit", houses).exit_code == 2


def test_rows_that_were_scaled_already_are_refused_unless_forced(houses: Path) -> None:
    call("fit", houses, "--target", "price")
    frame = pl.read_csv(houses)
    scaled = frame.with_columns((pl.col(c) - pl.col(c).mean()) / pl.col(c).std() for c in ("rooms", "age"))
    scaled.write_csv("scaled.csv")
    refused = call("predict", "houses.fall", "scaled.csv", "--out", "p.csv")
    assert refused.exit_code == 4 and "D22" in refused.stderr and "already standardised" in refused.stderr
    assert not Path("p.csv").exists() and not list(Path().glob("*.part"))
    assert call("predict", "houses.fall", "scaled.csv", "--out", "p.csv", "--force").exit_code == 0
    assert pl.read_csv("p.csv").height == 400
    frame.with_columns(pl.col("age") + 500.0).write_csv("later.csv")
    drifted = call("predict", "houses.fall", "later.csv", "--out", "q.csv")
    assert drifted.exit_code == 0 and "D22" in drifted.stderr and "'age'" in drifted.stderr
    assert "D22" not in call("predict", "houses.fall", houses, "--out", "r.csv").stderr


def test_report_and_rates_write_what_they_say(houses: Path) -> None:
    call("fit", houses, "--target", "price", "--optimizer", "descent")
    call("fit", houses, "--target", "price", "--out", "other.fall")
    done = call("report", "houses.fall", "other.fall")
    assert done.exit_code == 0 and "houses.html" in done.stderr
    page = Path("houses.html").read_text(encoding="utf-8")
    assert page.count("<h2>") == 13 and "other" in page and f"fallline fit {houses}" in page
    assert call("report", "nothing.fall").exit_code == 4
    rates = call("rates", houses, "--target", "price", "--plot", "rates.png")
    assert rates.exit_code == 0 and "stable below 2/L" in rates.stderr and Path("rates.png").exists()
    adam = call("rates", houses, "--target", "price", "--optimizer", "adam")
    assert adam.exit_code == 0 and "range test of adam" in adam.stderr


def test_sorted_rows_without_shuffling_are_told_of(houses: Path) -> None:
    pl.read_csv(houses).sort("price").write_csv("sorted.csv")
    options = ("fit", "sorted.csv", "--target", "price", "--batch-size", "8", "--max-passes", "3", "--check", "0")
    assert "D21" in call(*options, "--no-shuffle").stderr and "D21" not in call(*options).stderr
