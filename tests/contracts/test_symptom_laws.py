"""Laws of the symptoms: each fires on its own sickness, and all are silent on healthy runs of every optimizer.

How often they are wrong on hundreds of runs is measured by benchmarks/verdicts.py; here a few of each, and what must never
happen.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import inspect
import shlex
import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import fallline
from fallline.optimizers import optimizers
from fallline.symptoms import diagnose, explain, symptoms
from fallline.symptoms._base import Evidence
from fallline.symptoms._pasted import remedy

ALARMS = {"D01", "D02", "D03", "D05", "D07", "D09", "D10", "D12", "D13", "D14", "D20", "D21", "D25", "D26", "D27"}
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def data(seed: int, spread: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((120, 4)) @ rng.standard_normal((4, 4)) * 10.0 ** rng.uniform(-spread, spread, 4)
    return X, X @ rng.standard_normal(4) + rng.standard_normal(120)


def codes(result: fallline.Result) -> set[str]:
    return {finding.code for finding in result.findings}


@pytest.mark.parametrize(("code", "kind"), sorted(symptoms().items()))
def test_it_declares_and_explains_itself(code: str, kind: type) -> None:
    assert code[0] == "D" and kind.summary and isinstance(kind.rank, int)
    page = explain(code)
    assert page.startswith(f"{code}  {kind.summary}") and "Rule:" in page and "What to do" in page
    assert inspect.getdoc(kind) in page


@pytest.mark.parametrize("name", sorted(optimizers()))
@pytest.mark.parametrize("batch_size", [None, 10])
def test_no_alarm_on_healthy_runs(name: str, batch_size: int | None) -> None:
    """Eight data sets per rule and batch size, the rate computed or found: not one alarm."""
    if batch_size is not None and optimizers()[name].needs_exact:
        return  # refused: tests/test_fit.py
    for seed in range(8):
        X, y = data(seed, spread=2.0)
        result = fallline.fit(X, y, optimizer=name, batch_size=batch_size, max_passes=30, seed=seed)
        assert not codes(result) & ALARMS, (seed, result.findings)


@pytest.mark.parametrize("beta", [0.5, 0.9, 0.95])
def test_healthy_momentum_with_a_named_rate_is_not_called_diverging(beta: float) -> None:
    rises = 0
    for seed in range(10):
        X, y = data(seed)
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        lr = float(1.0 / np.linalg.eigvalsh(X.T @ X / len(X))[-1])
        result = fallline.fit(X, y, optimizer=fallline.Momentum(beta), learning_rate=lr, max_passes=300, tol=0.0)
        rises += int(np.sum(np.diff(result.history.loss) > 1e-9))
        assert not codes(result) & {"D01", "D02", "D05"}
    assert beta < 0.9 or rises > 50  # momentum does rise, and that is no alarm


def test_y_equals_2x_says_132_times() -> None:
    """x = 0..199, J = 1/(2m) sum r^2: L = mean(x^2) = 13233.5, so 2/L = 1.511e-4 and 1/L = 7.556e-5.

    0.01 is 66 times the largest stable rate and 132 times a good one. (For the mean of r^2 without the half, 132 is the
    first of the two.)
    """
    x = np.arange(200.0)[:, None]
    result = fallline.fit(
        x, 2 * x[:, 0], optimizer="descent", learning_rate=0.01, standardize=False, fit_intercept=False
    )
    assert (result.verdict, result.certainty) == ("diverged", "proved")
    assert [f.code for f in result.findings] == ["D02"] and result.findings[0].certainty == "proved"
    assert "66 times the largest stable one on this data (2/L = 0.000151)" in result.findings[0].sentence
    assert "132 times a good one (1/L = 7.56e-05)" in result.findings[0].sentence
    assert "learning_rate=7.6e-05" in result.findings[0].remedy


def module(folder: str, name: str) -> ModuleType:
    """A file that is no part of the package: the examples of the documentation, the sick runs of the benchmark."""
    path = Path(__file__).resolve().parents[2] / folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{folder}_{name}", path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    with mock.patch.object(sys, "path", [*sys.path, str(path.parent)]):  # its neighbours
        spec.loader.exec_module(made)
    return made


EXAMPLES, SICK = module("examples", "symptoms").EXAMPLES, module("benchmarks", "sick").SICK


@pytest.mark.parametrize("code", sorted(symptoms()))
@pytest.mark.filterwarnings("ignore")
def test_each_is_found_in_its_example_and_says_what_it_must(code: str) -> None:
    findings, _ = EXAMPLES[code]()
    found = {f.code: f for f in findings}
    assert code in found, found
    finding = found[code]
    assert finding.sentence.endswith((".", "!", "?")) and finding.certainty in ("proved", "measured", "suspected")
    assert finding.to_dict()["code"] == code and code in finding._repr_html_()
    assert "nan" not in finding.sentence and "None" not in finding.sentence
    for value in finding.evidence.values():
        assert isinstance(value, (int, float, str)) and not isinstance(value, np.generic)


@pytest.mark.parametrize("code", sorted(set(symptoms()) - {"D04", "D09"}))
@pytest.mark.parametrize("real", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_each_fires_on_sick_runs(code: str, real: bool) -> None:
    runs = [SICK[code](np.random.default_rng([seed, 7]), real) for seed in range(2)]
    assert all(code in {finding.code for finding in findings} for findings in runs)


def evidence(result: fallline.Result, **changes) -> Evidence:
    base = dict(
        history=result.history, summary=dataclasses.replace(result.summary, relations=None),
        optimizer="descent", plain_descent=True, full_batch=True,
        learning_rate=0.1, largest_curvature=1.0, standardized=True, link="identity", verdict=result.verdict,
        stop_reason=result.stop_reason, budget=10, tol=1e-6, gap=result.gap, best_loss=result.best_loss,
    )  # fmt: skip
    return Evidence(**(base | changes))


def test_they_look_and_never_touch() -> None:
    result = fallline.fit(*data(1), optimizer="descent", learning_rate=50.0)
    seen = evidence(result)
    before = copy.deepcopy(result.history.to_dict())
    first, second = diagnose(seen), diagnose(seen)
    assert first == second
    for name, column in result.history.to_dict().items():
        np.testing.assert_array_equal(column, before[name])


def test_root_causes_come_first_and_consequences_are_folded() -> None:
    found = [f.code for f in EXAMPLES["D12"]()[0]]
    assert found[0] == "D12" and "D02" not in found and "D01" not in found


def test_not_finite_is_found_and_health_is_only_told_on_request() -> None:
    history = fallline.History()
    history.append(step=0, loss=1.0, gradient_norm=1.0, full_loss=1.0, full_gradient_norm=1.0)
    history.append(step=1, loss=np.inf, gradient_norm=np.nan)
    result = fallline.fit(*data(0))
    sick = evidence(result, history=history, plain_descent=False)
    assert [f.code for f in diagnose(sick)] == ["D01"]
    healthy = evidence(result)
    assert diagnose(healthy) == [] and [f.code for f in diagnose(healthy, include_healthy=True)] == ["D06"]


def test_holes_are_told_with_their_columns() -> None:
    result = fallline.fit(*data(0))
    holed = dataclasses.replace(result.summary, missing={"age": 7, "rooms": 1200})
    finding = next(
        f for f in diagnose(evidence(result, summary=holed, source="a.csv", target="price")) if f.code == "D20"
    )
    assert "'rooms' in 1,200" in finding.sentence and finding.automatic and not finding.remedy


def test_unknown_codes_suggest() -> None:
    with pytest.raises(fallline.SettingError, match="D0"):
        explain("D0x")


# "Proved" is never wrong


@quick
@given(st.integers(0, 10**6), st.floats(0.1, 4.0), st.sampled_from(["squared", "logistic", "huber"]))
def test_a_step_that_is_proved_too_large_is_too_large(seed: int, times: float, loss: str) -> None:
    """D02 proved: the rate is above 2/L, L the largest curvature that J has anywhere (by eigenvalues, exactly)."""
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(3, 40)), int(rng.integers(1, 5))
    X = rng.standard_normal((m, n)) * 10.0 ** rng.uniform(-2.0, 2.0, n)
    y = (rng.random(m) < 0.5).astype(int) if loss == "logistic" else rng.standard_normal(m)
    assume(loss != "logistic" or 0 < y.sum() < m)
    A = np.column_stack([X, np.ones(m)])
    L = float(np.linalg.eigvalsh(A.T @ A / m)[-1]) * (0.25 if loss == "logistic" else 1.0)
    lr = times / L
    run = fallline.fit(
        X,
        y,
        loss=loss,
        optimizer="descent",
        learning_rate=lr,
        standardize=False,
        max_passes=60,
        tol=0.0,
        auto_fix=False,
    )
    proved = [f for f in run.findings if f.code == "D02" and f.certainty == "proved"]
    assert not proved or lr > 2.0 / L * (1.0 - 1e-9)
    assert run.verdict != "diverged" or lr > 2.0 / L * (1.0 - 1e-9)


@quick
@given(st.integers(0, 10**6))
def test_classes_that_are_proved_separated_are(seed: int) -> None:
    """D10 proved: exact arithmetic finds every row on its right side of the plane that the run ended with."""
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(4, 30)), int(rng.integers(1, 4))
    X = rng.integers(-4, 5, (m, n)).astype(float)
    y = (X @ rng.integers(-2, 3, n) + rng.choice([0.0, 0.0, 3.0]) * rng.standard_normal(m) > 0).astype(int)
    assume(0 < y.sum() < m)
    run = fallline.fit(X, y, loss="logistic", max_passes=200)
    proved = [f for f in run.findings if f.code == "D10" and f.certainty == "proved"]
    if proved or run.verdict == "no finite optimum" and run.certainty == "proved":
        w = [Fraction(float(v)) for v in run.coef]
        for row, label in zip(X, y, strict=True):
            z = sum((a * Fraction(float(b)) for a, b in zip(w, row, strict=True)), Fraction(float(run.intercept)))
            assert (z > 0) == bool(label) and z != 0


@quick
@given(st.integers(0, 10**6), st.booleans())
def test_columns_that_are_proved_dependent_are(seed: int, dependent: bool) -> None:
    """D11 proved: of whole numbers, the rank by exact elimination is lower than the number of columns with a constant."""
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(8, 40)), int(rng.integers(2, 6))
    X = rng.integers(-5, 6, (m, n)).astype(float)
    if dependent:
        X[:, -1] = X[:, 0] * int(rng.integers(1, 4)) - X[:, 1 % (n - 1)] + 2.0
    run = fallline.fit(X, rng.standard_normal(m))
    proved = any(f.code == "D11" and f.certainty == "proved" for f in run.findings)
    full = rank(np.column_stack([X, np.ones(m)])) == n + 1
    assert not (proved and full)
    constant = bool((np.ptp(X, axis=0) == 0).any())
    assert proved or not dependent or constant or rank(np.column_stack([X[:, :-1], np.ones(m)])) < n


def rank(A: np.ndarray) -> int:
    """By elimination in fractions."""
    rows = [[Fraction(int(v)) for v in row] for row in A]
    found = 0
    for j in range(A.shape[1]):
        pivot = next((i for i in range(found, len(rows)) if rows[i][j] != 0), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        for i in range(found + 1, len(rows)):
            ratio = rows[i][j] / rows[found][j]
            if ratio:
                rows[i] = [a - ratio * b for a, b in zip(rows[i], rows[found], strict=True)]
        found += 1
    return found


def test_a_gap_that_is_proved_holds_where_classes_are_nearly_separated() -> None:
    """Quasi-separated rows: the infimum is not reached, and no bound may claim to be near an optimum that is below."""
    x = np.array([-2.0, -1.0, 0.0, 0.0, 1.0, 2.0])
    run = fallline.fit(x[:, None], [0, 0, 0, 1, 1, 1], loss="logistic")
    assert run.verdict == "no finite optimum" and run.findings[0].code == "D10" and "'x0'" in run.findings[0].sentence
    assert run.gap is None or run.best_loss - run.gap <= 2.0 * np.log(2.0) / 6.0 + 1e-12


# The same live, afterwards, and of a file


def test_they_say_the_same_of_a_saved_run(tmp_path: Path) -> None:
    for k, run in enumerate((
        fallline.fit(*data(0), optimizer="descent", learning_rate=50.0), fallline.fit(*data(1), batch_size=5, check=0.2),
        fallline.fit(*data(2), optimizer="descent", max_passes=3), fallline.fit(*data(3)),
        fallline.fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1], loss="logistic"),
    )):  # fmt: skip
        again = fallline.load(run.save(tmp_path / f"{k}.fall"))
        assert run.findings == run.diagnose() == again.findings == again.diagnose()
        assert run.diagnose(healthy=True) == again.diagnose(healthy=True)


def test_they_speak_while_a_run_goes_on() -> None:
    heard: dict[str, int] = {}

    def listen(event: fallline.Event) -> bool:
        for finding in event.findings():
            heard.setdefault(finding.code, event.step)
        return "D02" in heard

    run = fallline.fit(*data(0), optimizer="descent", learning_rate=0.9, standardize=False, callback=listen)
    assert heard["D02"] <= 3 and run.stop_reason == "interrupt"
    assert [f.code for f in run.findings if f.code == "D02"] == ["D02"]


@pytest.mark.parametrize("optimizer", ["descent", "momentum", "adam"])
@pytest.mark.parametrize("batch_size", [None, 7])
def test_they_never_stumble_over_the_beginning_of_a_record(optimizer: str, batch_size: int | None) -> None:
    for lr in (1e-6, 0.1, 1e3):
        run = fallline.fit(
            *data(0), optimizer=optimizer, batch_size=batch_size, learning_rate=lr, max_passes=8, check=0.2
        )
        assert run.evidence is not None
        columns = run.history.to_dict()
        for rows in range(1, len(run.history) + 1):
            some = fallline.History.from_dict({name: column[:rows] for name, column in columns.items()})
            for verdict in (None, *fallline.Verdict):
                diagnose(dataclasses.replace(run.evidence, history=some, verdict=verdict), include_healthy=True)


def test_what_was_refused_has_a_finding() -> None:
    with pytest.raises(fallline.DataError, match="D20: X is not finite") as error:
        fallline.fit([[1.0], [np.nan]], [1.0, 2.0])
    assert error.value.finding is not None and error.value.finding.code == "D20"
    assert not error.value.finding.sentence.startswith("D20")
    with pytest.raises(fallline.FalllineError) as plain:
        fallline.fit([[1.0]], [1.0, 2.0])
    assert plain.value.finding is None


def test_auto_fix_can_be_turned_off() -> None:
    """A rate found on small steps that the loss does not bear later: taken back, or with auto_fix=False not."""

    def f(x: np.ndarray) -> float:
        return float(x[0] ** 2 - x[1] ** 2 + x[1] ** 4)

    def slope(x: np.ndarray) -> np.ndarray:
        return np.array([2.0 * x[0], -2.0 * x[1] + 4.0 * x[1] ** 3])

    pushed = fallline.minimize(f, [1.0, 0.0], grad=slope)
    stayed = fallline.minimize(f, [1.0, 0.0], grad=slope, auto_fix=False)
    assert pushed.best_loss == pytest.approx(-0.25) and abs(pushed.theta[1]) == pytest.approx(np.sqrt(0.5), abs=1e-5)
    assert stayed.best_loss == pytest.approx(0.0, abs=1e-9)
    assert pushed.findings[0].automatic and "saddle" in stayed.findings[0].sentence and not stayed.findings[0].automatic


def test_what_mends_it_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remedies repeat what was named, run as they are, and mend what they say they mend."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    y = np.array(list("abc"))[np.digitize(X[:, 0] + rng.standard_normal(200), [-0.5, 0.5])]
    slow = fallline.fit(X, y, loss="softmax", optimizer="descent", learning_rate=0.001, max_passes=30)
    names = {"fallline": fallline, "X": X, "y": y}
    mended = eval(slow.findings[0].remedy, names)
    assert slow.findings[0].code == "D05" and mended.loss.name == "softmax" and mended.optimizer.name == "descent"
    assert mended.best_loss < slow.best_loss and "D05" not in codes(mended)
    counts = rng.poisson(np.exp(0.3 * X[:, 0])).astype(float)
    short = fallline.fit(X, counts, loss="poisson", optimizer="momentum", learning_rate=0.01, max_passes=20, check=0.2)
    longer = eval(short.findings[0].remedy, names | {"y": counts})
    assert longer.loss.name == "poisson" and longer.check and longer.passes > short.passes

    import polars as pl
    from click.testing import CliRunner

    from fallline.cli import main

    monkeypatch.chdir(tmp_path)
    pl.DataFrame(
        {"a b": X[:, 0], "c": X[:, 1], "it's": X[:, 2], "y": X @ [1.0, 2.0, 3.0] + rng.standard_normal(200)}
    ).write_csv("my file.csv")
    line = [
        "fit",
        "my file.csv",
        "--target",
        "y",
        "--optimizer",
        "descent",
        "--lr",
        "0.001",
        "--drop",
        "it's",
        "--l2",
        "0.01",
    ]
    assert CliRunner().invoke(main, [*line, "--max-passes", "20"]).exit_code == 5
    remedy = next(
        f.remedy
        for f in fallline.load("my.fall" if Path("my.fall").exists() else "my file.fall").findings
        if f.code == "D05"
    )
    words = shlex.split(remedy)
    assert (
        words[:2] == ["fallline", "fit"]
        and ["--drop", "it's"] == words[words.index("--drop") :][:2]
        and "--l2" in words
    )
    assert CliRunner().invoke(main, words[1:]).exit_code in (0, 5)


def test_what_a_first_review_found_called_proved_is_not() -> None:
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((200, 3)), rng.standard_normal(200)
    far = 1e9 + 3.6e-5 * rng.integers(0, 4, 500)  # varies by less than its digits show
    run = fallline.fit(far[:, None], rng.standard_normal(500))
    assert (run.verdict, run.certainty) == ("good enough", "measured") and run.gap is None
    assert all(f.certainty != "proved" for f in run.findings)
    rounded = (
        fallline.fit(X, 1e8 + y, optimizer="descent", tol=0, learning_rate=0.1),
        fallline.fit(X, y, offset=np.full(200, 1e8), optimizer="descent", tol=0, learning_rate=0.5, max_passes=200),
        fallline.fit(X, rng.poisson(1e6, 200), loss="poisson", optimizer="descent", tol=0, learning_rate=5e-7),
    )
    assert all("D02" not in codes(run) for run in rounded)
    t = 1.7e9 + rng.uniform(0.0, 1e5, 500)
    near = fallline.fit(np.column_stack([t, t + rng.uniform(0.0, 1e-2, 500)]), rng.standard_normal(500))
    assert [str(f.certainty) for f in near.findings if f.code == "D11"] == ["measured"]
    assert "D14" not in codes(fallline.fit(np.ones((60, 1)), np.arange(60.0), fit_intercept=False))
    with pytest.raises(fallline.SettingError, match="start: the loss there is not finite"):
        fallline.fit(
            X, rng.poisson(2.0, 200), loss="poisson", start=np.full(4, 300.0), optimizer="descent", learning_rate=0.1
        )
    falls = fallline.minimize(lambda x: -float(x[0] ** 2), [1.0], grad=lambda x: -2.0 * x)
    assert falls.verdict == "no finite optimum" and not falls.findings
    weighted = fallline.fit(
        [[0.0], [1.0], [0.0], [1.0]], [0, 0, 1, 1], loss="logistic", sample_weight=[6e3, 4e3, 4e3, 6e3]
    )
    assert "D16" not in codes(weighted)


def test_noise_is_not_told_of_more_unknowns_than_rows() -> None:
    """What 500 columns gain on 60 rows says nothing: noise can gain all there is. Check rows still tell."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((60, 500))
    found = fallline.fit(X, (X[:, :20].sum(axis=1) > 0) * 1.0, loss="logistic", l2=0.1)
    assert "D16" not in codes(found)
    noise = fallline.fit(X, rng.integers(0, 2, 60) * 1.0, loss="logistic", l2=0.1, check=0.5)
    assert codes(noise) & {"D15", "D16"}  # the first, where training made it worse


def test_several_runs_side_by_side(tmp_path: Path) -> None:
    runs = [fallline.fit(*data(0), optimizer=name, max_passes=30) for name in ("descent", "adam", "descent")]
    told = fallline.compare(runs)
    assert list(told.results) == ["descent", "adam", "descent (3)"] and len(str(told).splitlines()) == 4
    assert len(told.plot().get_lines()) == 3 and told.plot().get_ylabel()
    assert "<h2>12" in told.report(tmp_path / "c.html").read_text(encoding="utf-8")
    for nothing in ([], {}):
        with pytest.raises(fallline.SettingError, match="no results"):
            fallline.compare(nothing)
    with pytest.raises(fallline.SettingTypeError, match="'a' is int"):
        fallline.compare({"a": 1})


def test_a_remedy_drops_what_the_table_has_and_all_that_was_dropped_before() -> None:
    rng = np.random.default_rng(0)
    table = pl.DataFrame({"a": rng.standard_normal(200), "town": ["x", "y"] * 100, "z": rng.standard_normal(200)})
    run = fallline.fit(table.with_columns(y=pl.col("a") * 2.0), "y")
    named = dataclasses.replace(run.evidence, source="t.csv", target="y", named={"drop": "id\nday"})
    assert remedy(named, drop="town=x") == "fallline fit t.csv --target y --drop id --drop day --drop town"
    assert remedy(named, drop="day is missing") == "fallline fit t.csv --target y --drop id --drop day"
