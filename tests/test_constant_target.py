"""A target of one value is fitted where the loss has an optimum, and said; shares are shares however few values they take."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import fallline
from fallline import GDClassifier, GDRegressor

X = np.random.default_rng(0).normal(size=(60, 3))
CONSTANTS = [
    ("squared", 5.0, 5.0), ("squared", 0.0, 0.0), ("squared", 0.1, 0.1), ("squared", 1e8 + 0.1, 1e8 + 0.1),
    ("squared", 1e-200, 1e-200), ("huber", -3.0, -3.0), ("quantile", 0.3, 0.3), ("poisson", 2.0, np.log(2.0)),
    ("gamma", 0.3, np.log(0.3)), ("logistic", 0.3, np.log(0.3 / 0.7)),
]  # fmt: skip


@pytest.mark.parametrize("settings", [{}, {"l2": 0.1}, {"l1": 0.1}, {"check": 0.2}, {"sample_weight": np.arange(60.0)}])
@pytest.mark.parametrize(("loss", "value", "intercept"), CONSTANTS)
def test_the_intercept_is_the_constant(loss: str, value: float, intercept: float, settings: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = fallline.fit(X, np.full(60, value), loss=loss, **settings)
        assert str(result) and result._repr_html_()
    assert (result.verdict, result.certainty) == ("converged", "proved")
    assert result.intercept == pytest.approx(intercept, rel=1e-12)
    np.testing.assert_allclose(result.coef, 0.0, atol=1e-12)
    assert result.gap is not None and result.gap <= 1e-14 * max(1.0, abs(value))
    (finding,) = result.findings
    assert (finding.code, finding.certainty) == ("D16", "proved") and "The target is" in finding.sentence


def test_a_constant_target_is_reported_saved_and_drawn() -> None:
    result = fallline.fit(X, np.full(60, 5.0), check=0.2, inference=True)
    assert "perfect" in result.no_inference
    with tempfile.TemporaryDirectory() as folder:
        result.report(Path(folder, "page.html"))
        np.testing.assert_array_equal(fallline.load(result.save(Path(folder, "model.fall"))).theta, result.theta)
    result.plot()


@pytest.mark.parametrize("settings", [{"optimizer": "adam"}, {"optimizer": "lbfgs"}, {"batch_size": 5}])
def test_other_rules_end_at_once(settings: dict[str, Any]) -> None:
    result = fallline.fit(X, np.full(60, 5.0), max_passes=5, **settings)
    assert result.verdict == "converged" and result.intercept == 5.0


def test_the_estimators_fit_a_constant_as_scikit_learn_does() -> None:
    constant = np.full(60, 5.0)
    for model in (
        GDRegressor().fit(X, constant),
        GDRegressor().partial_fit(X, constant),
        GDRegressor("huber").partial_fit(X, constant),
    ):
        np.testing.assert_allclose(model.predict(X), 5.0, rtol=1e-12)
    several = GDRegressor().fit(X, np.column_stack([X @ [1.0, 2.0, 3.0], constant]))
    np.testing.assert_allclose(several.coef_, [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]], atol=1e-6)
    with pytest.raises(fallline.TargetError, match="one class only"):
        GDClassifier().fit(X, np.ones(60))


def test_a_table_with_a_constant_target_is_fitted() -> None:
    result = fallline.fit(pl.DataFrame({"a": X[:, 0], "y": [3] * 60}), "y")
    assert result.verdict == "converged" and result.intercept == 3.0 and result.findings[0].code == "D16"


@pytest.mark.parametrize("settings", [{}, {"l1": 0.1}, {"optimizer": "adam", "max_passes": 5}])
def test_counts_of_zero_alone_have_no_finite_optimum(settings: dict[str, Any]) -> None:
    result = fallline.fit(X, np.zeros(60), loss="poisson", **settings)
    assert (result.verdict, result.certainty) == ("no finite optimum", "proved")
    assert "all targets are zero" in result.sentence and np.isfinite(result.theta).all()
    assert fallline.fit(X, np.zeros(60), loss="poisson", fit_intercept=False).verdict != "no finite optimum"


# Shares


def test_two_shares_are_a_grouped_test() -> None:
    result = fallline.fit([[0.0], [1.0]], [0.10, 0.12], loss="logistic", sample_weight=[1000.0, 1000.0])
    assert result.classes is None and result.verdict == "converged"
    assert result.coef[0] == pytest.approx(np.log(0.12 / 0.88) - np.log(0.1 / 0.9), rel=1e-4)
    assert result.intercept == pytest.approx(np.log(0.1 / 0.9), rel=1e-4)


@pytest.mark.parametrize("loss", ["logistic", fallline.Logistic()])
def test_the_mean_prediction_is_the_mean_share(loss: Any) -> None:
    y = np.random.default_rng(0).choice([0.0, 0.5], 60, p=[0.7, 0.3])
    arrays = fallline.fit(X, y, loss=loss)
    table = fallline.fit(pl.DataFrame({"a": X[:, 0], "y": y}), "y", loss=loss)
    for result, features in ((arrays, X), (table, pl.DataFrame({"a": X[:, 0]}))):
        assert result.classes is None
        assert result.predict(features).mean() == pytest.approx(y.mean(), rel=1e-4)


def test_check_rows_of_shares_are_shares() -> None:
    y = np.linspace(0.1, 0.9, 60)
    for held in (np.zeros(5), np.full(5, 0.4), np.array([0.0, 1.0, 1.0, 0.0, 0.0])):
        assert fallline.fit(X, y, loss="logistic", check=(X[:5], held)).check["rows"] == 5.0
    with pytest.raises(fallline.TargetError, match="check: .*between 0 and 1"):
        fallline.fit(X, y, loss="logistic", check=(X[:5], [1, 2, 1, 2, 1]))


def test_shares_are_no_classes_for_the_classifier() -> None:
    for fit in (GDClassifier().fit, GDClassifier().partial_fit):
        with pytest.raises(fallline.TargetError, match="Unknown label type.*loss='logistic'"):
            fit(X, np.tile([0.0, 0.5], 30))


def test_the_loss_of_a_column_of_two_shares_is_guessed_as_that_of_more() -> None:
    for shares in ([0.1, 0.12], [0.0, 0.5], [0.1, 0.12, 0.14]):
        frame = pl.DataFrame({"a": X[:, 0], "y": np.resize(shares, 60)})
        assert fallline.fit(frame, "y").loss.name == "squared"
    assert fallline.fit(pl.DataFrame({"a": X[:, 0], "y": np.resize([0.0, 1.0], 60)}), "y").loss.name == "logistic"
