"""Compiled mini-batch steps are the loop's own, for every rule, loss, rate and penalty that compiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fallline
from fallline import kernels, leap
from fallline.optimizers import optimizers
from fallline.rates import rates
from fallline.rows.arrays import BLOCK_ROWS, BLOCKS, IN_CACHE, shuffled

ROWS = 4999
RULES = sorted(name for name, kind in optimizers().items() if not kind.needs_exact)


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS, 6)) * [1, 10, 0.1, 1, 1, 5] + 3
    z = X @ rng.standard_normal(6) * 0.1
    return {
        "X": X, "number": z + rng.standard_normal(ROWS), "class": (z > z.mean()) * 1.0,
        "count": rng.poisson(np.exp(z * 0.3)), "weight": rng.random(ROWS), "offset": rng.standard_normal(ROWS),
    }  # fmt: skip


def both(data: dict[str, Any], monkeypatch: pytest.MonkeyPatch, target: str = "number", **settings: Any) -> None:
    """Fit with and without the compiled steps: the same theta to round-off, the same record."""
    made: list[bool] = []
    original = leap.leaping
    monkeypatch.setattr("fallline.train.leaping", lambda *a: (found := original(*a), made.append(bool(found)))[0])
    fits = []
    for threshold in (10**12, 0):
        monkeypatch.setattr(kernels, "FROM_STEPS", threshold)
        fits.append(fallline.fit(data["X"], data[target], max_passes=2, seed=1, check=0.1, **settings))
    assert made[0] is False and made[-1] is True
    plain, compiled = fits
    np.testing.assert_allclose(compiled.theta, plain.theta, rtol=0, atol=1e-9 * np.abs(plain.theta).max())
    assert (compiled.steps, compiled.passes, compiled.verdict) == (plain.steps, plain.passes, plain.verdict)
    np.testing.assert_allclose(compiled.history.step, plain.history.step)
    np.testing.assert_allclose(compiled.history.full_loss, plain.history.full_loss, rtol=1e-9)
    np.testing.assert_allclose(compiled.history.loss, plain.history.loss, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", RULES)
def test_every_rule(name: str, data: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    both(data, monkeypatch, optimizer=name, learning_rate=1e-3, batch_size=7)


@pytest.mark.parametrize(
    ("loss", "target"),
    [
        ("logistic", "class"),
        ("poisson", "count"),
        ("huber", "number"),
        ("squared hinge", "class"),
        ("quantile", "number"),
    ],
)
def test_losses(loss: str, target: str, data: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    both(data, monkeypatch, target, loss=loss, optimizer="descent", learning_rate=1e-3, batch_size=8)


@pytest.mark.parametrize("name", sorted(set(rates()) - {"backtracking"}))
def test_rates(name: str, data: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    both(data, monkeypatch, optimizer="descent", learning_rate=f"{name}:0.01", batch_size=8)


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 1},
        {"batch_size": 1, "standardize": False, "fit_intercept": False, "learning_rate": 1e-4},
        {"batch_size": 8, "l1": 0.05, "l2": 0.1},
        {"batch_size": 8, "bounds": (0, 0.3)},
        {"batch_size": 8, "l1": 0.02, "bounds": (None, [0.1, 0.2, 0.3, 0.1, 0.1, 0.1])},
        {"batch_size": 1, "sample_weight": "weight", "offset": "offset", "l2": 0.1},
        {"batch_size": 8, "sample_weight": "weight", "offset": "offset"},
    ],
    ids=str,
)
def test_settings(settings: dict[str, Any], data: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    given = {k: data[v] if isinstance(v, str) else v for k, v in settings.items()}
    both(data, monkeypatch, **{"optimizer": "descent", "learning_rate": 1e-3, **given})


def test_a_callback_stops_compiled_steps(data: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "FROM_STEPS", 0)
    seen: list[int] = []
    result = fallline.fit(
        data["X"], data["number"], optimizer="adam", learning_rate=0.01, batch_size=1, max_passes=5,
        callback=lambda event: seen.append(event.step) or event.passes >= 1.5,
    )  # fmt: skip
    assert result.stop_reason == "interrupt" and 1.5 <= result.passes < 1.6 and seen == sorted(set(seen))


def test_divergence_in_compiled_steps_is_seen(data: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "FROM_STEPS", 0)
    result = fallline.fit(data["X"], data["number"], optimizer="descent", learning_rate=10.0, batch_size=1)
    assert result.verdict == "diverged" and np.isfinite(result.theta).all()


def test_the_shuffle_is_a_permutation_that_mixes() -> None:
    rng = np.random.default_rng(0)
    m = 100_003
    order = shuffled(m, IN_CACHE + 1, rng)
    assert sorted(order) == list(range(m))
    windows = order[: m // 32 * 32].reshape(-1, 32)  # of a mini-batch, the mean place in the data: near the middle
    spread = windows.mean(axis=1).std() / (m / np.sqrt(12 * 32))  # 1 for independent draws
    assert spread < 1.25, spread
    neighbours = np.mean(np.abs(np.diff(order)) < BLOCK_ROWS)
    assert neighbours < 2.0 / BLOCKS
    for few in (1, 5, BLOCK_ROWS, BLOCK_ROWS * BLOCKS + 3):
        assert sorted(shuffled(few, IN_CACHE + 1, rng)) == list(range(few))


def test_a_sorted_file_trains_as_well_as_a_shuffled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of rows must not be read as if they were random rows: sorted by target, each block is of one kind."""
    monkeypatch.setattr("fallline.rows.arrays.IN_CACHE", 0)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30_000, 5))
    y = X @ [1.0, -2.0, 0.5, 0.0, 3.0] + rng.standard_normal(30_000)
    by_target = np.argsort(y)
    best = fallline.fit(X, y).best_loss
    ends = {}
    for name, order in (("sorted", by_target), ("shuffled", rng.permutation(30_000))):
        found = [
            fallline.fit(
                X[order], y[order], optimizer="descent", learning_rate=0.01, batch_size=32, max_passes=3, seed=seed
            ).best_loss
            - best
            for seed in range(15)
        ]
        ends[name] = np.median(found)
    assert 0.0 < ends["sorted"] < 1.5 * ends["shuffled"] < 0.01
