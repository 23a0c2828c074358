"""Whole runs on real files, from the command line to the model file, as a user would start them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

import fallline
from conftest import shared_file
from fallline.cli import main


def fit(tmp_path: Path, *arguments: str, expect: int = 0) -> dict:
    """`fallline fit ... --json`, its exit code checked."""
    answer = CliRunner().invoke(main, ["fit", *arguments, "--json", "--out", str(tmp_path / "model.fall")])
    assert answer.exit_code == expect, answer.output
    return json.loads(answer.stdout)


def test_housing(tmp_path: Path) -> None:
    """20,640 rows, 207 holes, one text column: proved, and at least as good as a linear model can be expected to be."""
    told = fit(tmp_path, str(shared_file("housing.csv")), "--target", "median_house_value")
    assert (told["verdict"], told["certainty"]) == ("converged", "proved")
    assert told["check"]["r2"] >= 0.60
    assert "ocean_proximity=INLAND" in told["coef"] and "total_bedrooms is missing" in told["coef"]


def test_housing_agrees_with_scikit_learn(tmp_path: Path) -> None:
    """The same rows and columns through scikit-learn: the same coefficients."""
    from sklearn.linear_model import LinearRegression

    path = shared_file("housing.csv")
    fit(tmp_path, str(path), "--target", "median_house_value", "--check", "0")
    model = fallline.load(tmp_path / "model.fall")
    frame = pl.read_csv(path)
    X, _ = model.encoder.transform(frame)
    other = LinearRegression().fit(X, frame["median_house_value"].to_numpy())
    np.testing.assert_allclose(model.predict(frame), other.predict(X), rtol=1e-5)


@pytest.mark.parametrize("optimizer", ["descent", "nesterov", "adam"])
def test_housing_with_named_rules(tmp_path: Path, optimizer: str) -> None:
    told = fit(
        tmp_path, str(shared_file("housing.csv")), "--target", "median_house_value", "--optimizer", optimizer,
        "--batch-size", "256", "--max-passes", "20", expect=5,
    )  # fmt: skip
    assert told["verdict"] == "unfinished" and told["check"]["r2"] >= 0.58


def test_motorcycle_claims_with_exposure(tmp_path: Path) -> None:
    """Counts per year of exposure; rows with no exposure tell nothing and are left out, and it is said."""
    path = shared_file("motorcycle_claims.csv")
    told = fit(
        tmp_path, str(path), "--target", "antskad", "--loss", "poisson", "--exposure", "duration", "--drop", "skadkost"
    )
    assert (told["verdict"], told["certainty"]) == ("converged", "proved")
    assert told["check"]["loss"] < told["check"]["baseline_loss"]


def test_motorcycle_claims_agree_with_statsmodels(tmp_path: Path) -> None:
    import statsmodels.api as sm

    path = shared_file("motorcycle_claims.csv")
    fit(
        tmp_path, str(path), "--target", "antskad", "--loss", "poisson", "--exposure", "duration", "--drop", "skadkost",
        "--check", "0", "--tol", "1e-10",
    )  # fmt: skip
    model = fallline.load(tmp_path / "model.fall")
    frame = pl.read_csv(path).filter(pl.col("duration") > 0)
    X, _ = model.encoder.transform(frame)
    glm = sm.GLM(
        frame["antskad"].to_numpy(),
        sm.add_constant(X),
        family=sm.families.Poisson(),
        exposure=frame["duration"].to_numpy(),
    ).fit(tol=1e-12)
    np.testing.assert_allclose([model.intercept, *model.coef], glm.params, rtol=1e-4, atol=1e-7)


@pytest.mark.slow
def test_flights_with_thousands_of_levels(tmp_path: Path) -> None:
    told = fit(tmp_path, str(shared_file("flights.parquet")), "--target", "arr_delay", "--na", "drop")
    assert told["verdict"] in ("converged", "good enough")
    assert told["columns"] > 1000 and told["check"]["r2"] > 0.9


@pytest.mark.parametrize(("name", "loss"), [("breast_cancer", "logistic"), ("digits", "softmax"), ("iris", "softmax")])
def test_bundled_classes(tmp_path: Path, name: str, loss: str) -> None:
    from sklearn import datasets

    data = getattr(datasets, f"load_{name}")()
    frame = pl.DataFrame(data.data, schema=[str(c) for c in data.feature_names]).with_columns(
        species=pl.Series(data.target)
    )
    frame.write_csv(tmp_path / f"{name}.csv")
    told = fit(tmp_path, str(tmp_path / f"{name}.csv"), "--target", "species", "--l2", "0.01")
    assert told["loss"] == loss or told.get("loss_name") == loss
    assert told["verdict"] == "converged"
    assert told["check"]["accuracy"] >= 0.9
