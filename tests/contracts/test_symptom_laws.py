"""Laws of the symptoms: each fires on its own sickness, and all are silent on healthy runs of every optimizer."""

from __future__ import annotations

import copy
import inspect

import numpy as np
import pytest

import fallline
from fallline.optimizers import optimizers
from fallline.symptoms import diagnose, explain, symptoms
from fallline.symptoms._base import Evidence

ALARMS = {"D01", "D02", "D05", "D10", "D12", "D13", "D14", "D20"}


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
    """20 data sets per rule and batch size, the rate computed or found: not one alarm."""
    if batch_size is not None and optimizers()[name].needs_exact:
        return  # refused: tests/test_fit.py
    for seed in range(20):
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


SICK = {
    "D02": lambda: fallline.fit(*data(0), optimizer="descent", learning_rate=50.0),
    "D05": lambda: fallline.fit(*data(0), optimizer="descent", learning_rate=1e-4, max_passes=50),
    "D10": lambda: fallline.fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1], loss="logistic"),
    "D12": lambda: fallline.fit(
        data(0)[0] * [1, 1, 1, 1e5], data(0)[1], optimizer="descent", learning_rate=0.01, standardize=False
    ),
    "D13": lambda: fallline.fit(data(0)[0], data(0)[1] * 1e6, optimizer="adam", learning_rate=0.01, max_passes=50),
    "D14": lambda: fallline.fit(np.column_stack([data(0)[0], np.full(120, 7.0)]), data(0)[1]),
    "D23": lambda: fallline.fit(*data(0), optimizer="descent", max_passes=3),
}  # fmt: skip


@pytest.mark.parametrize("code", sorted(SICK))
def test_each_fires_on_its_own_sickness(code: str) -> None:
    result = SICK[code]()
    found = {f.code: f for f in result.findings}
    assert code in found, found
    finding = found[code]
    assert finding.sentence.endswith((".", "!")) and finding.certainty in ("proved", "measured", "suspected")
    assert finding.to_dict()["code"] == code


def evidence(result: fallline.Result, **changes) -> Evidence:
    base = dict(
        history=result.history, summary=result.summary, optimizer="descent", plain_descent=True, full_batch=True,
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
    result = SICK["D12"]()
    found = [f.code for f in result.findings]
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
    import dataclasses

    result = fallline.fit(*data(0))
    holed = dataclasses.replace(result.summary, missing={"age": 7, "rooms": 1200})
    finding = next(
        f for f in diagnose(evidence(result, summary=holed, source="a.csv", target="price")) if f.code == "D20"
    )
    assert "'rooms' in 1,200" in finding.sentence and finding.remedy.startswith("fallline fit a.csv --target price")


def test_unknown_codes_suggest() -> None:
    with pytest.raises(fallline.SettingError, match="D0"):
        explain("D0x")
