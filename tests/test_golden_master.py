"""glum's golden master on French motor claims, and optima that others computed: met, and where they stopped early, passed.

The objective and the optimality of the stored coefficients are computed here, by NumPy alone, and must first agree with
what the file says of them: so the two problems are the same.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest

import fallline
from conftest import shared_file

pytestmark = pytest.mark.reference

LOSSES = {"gaussian": "squared", "poisson": "poisson", "gamma": "gamma", "binomial": "logistic"}
NAMES = [
    f"{setup}-{kind}-{dist}" for kind in ("l2", "net", "lasso") for setup in ("no-weights", "offset") for dist in LOSSES
]
VALUE = {
    "gaussian": lambda y, z: (z - y) ** 2 / 2, "poisson": lambda y, z: np.exp(z) - y * z,
    "gamma": lambda y, z: y * np.exp(-z) + z, "binomial": lambda y, z: np.logaddexp(0, z) - y * z,
}  # fmt: skip
SLOPES = {
    "gaussian": lambda y, z: (z - y, np.ones_like(z)), "poisson": lambda y, z: (np.exp(z) - y, np.exp(z)),
    "gamma": lambda y, z: (1 - y * np.exp(-z), y * np.exp(-z)),
    "binomial": lambda y, z: (1 / (1 + np.exp(-z)) - y, 1 / (np.exp(-z) + 2 + np.exp(z))),
}  # fmt: skip


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    problems = json.loads(shared_file("reference/narrow_problems.json").read_text())["problems"]
    return {problem["problem"].removeprefix("narrow-insurance-"): problem for problem in problems}


def rows_of(p: dict[str, Any]) -> tuple[Any, Any, Any]:
    """X, y and the offset of a problem. With an offset, the rate is turned into a count again."""
    table = pl.read_parquet(shared_file(f"reference/narrow_{p['rows']}.parquet"))
    X = table.select(pl.exclude("^_.*$")).to_numpy()
    if p["rows"] == "pos":
        exposure = table["_ClaimNb_pos"].to_numpy()
        y = table["_ClaimAmountCut"].to_numpy() / exposure
    else:
        exposure, count = table["_Exposure"].to_numpy(), table["_ClaimNb"].to_numpy()
        y = (count > 0).astype(float) if p["dist"] == "binomial" else count / exposure
    return (X, y * exposure, np.log(exposure)) if p["setup"] == "offset" else (X, y, None)


def look(p: dict[str, Any], X: Any, y: Any, offset: Any, theta: Any) -> tuple[float, Any, float]:
    """(objective, Newton's step among the coefficients that are not zero, the largest subgradient) at theta."""
    l1, l2, w = p["alpha"] * p["l1_ratio"], p["alpha"] * (1 - p["l1_ratio"]), theta[:-1]
    z = X @ w + theta[-1] + (0.0 if offset is None else offset)
    r, c = SLOPES[p["dist"]](y, z)
    g = np.append(X.T @ r / len(y) + l2 * w, r.mean())
    zero = np.append((w == 0) & (l1 > 0), False)
    s = np.where(zero, np.sign(g) * np.maximum(abs(g) - l1, 0), g + np.append(l1 * np.sign(w), 0.0))
    live = np.flatnonzero(~zero)
    Z = np.column_stack([X, np.ones(len(y))])[:, live]
    H = Z.T @ (c[:, None] * Z) / len(y) + np.diag(np.where(live < len(w), l2, 0.0))
    step = np.zeros_like(theta)
    step[live] = -np.linalg.solve(H, s[live])
    J = float(VALUE[p["dist"]](y, z).mean() + l1 * abs(w).sum() + l2 / 2 * w @ w)
    return J, step, float(abs(s).max())


@pytest.mark.parametrize("name", NAMES)
def test_golden_master_of_glum(golden: dict[str, Any], name: str) -> None:
    p = golden[name]
    X, y, offset = rows_of(p)
    stored = np.append(p["coef"], p["intercept"])
    objective, step, residual = look(p, X, y, offset, stored)
    assert objective == pytest.approx(p["objective"], rel=1e-13) and residual == pytest.approx(p["kkt_max"], rel=0.1)
    result = fallline.fit(
        X, y, loss=LOSSES[p["dist"]], l1=p["alpha"] * p["l1_ratio"], l2=p["alpha"] * (1 - p["l1_ratio"]),
        standardize=False, offset=offset, tol=1e-12,
    )  # fmt: skip
    assert (str(result.verdict), str(result.certainty)) == ("converged", "proved")
    ours, own_step, _ = look(p, X, y, offset, result.theta)
    assert ours <= objective * (1 + 1e-12)
    np.testing.assert_array_equal(result.coef != 0, stored[:-1] != 0)
    # One Newton step from glum's digits, and one from ours, lead to the same place: what is left is where glum stopped.
    slack = 1e-8 * abs(stored).max() + 0.02 * abs(step).max()
    assert abs(result.theta + own_step - stored - step).max() <= slack


@pytest.mark.parametrize("name", ["a9a.libsvm.train", "agaricus.libsvm.train"])
def test_computed_optima_of_ridge_logistic_regression(name: str) -> None:
    from sklearn.datasets import load_svmlight_file

    cases = json.loads(shared_file("reference/reference.json").read_text())
    case = next(c for c in cases["computed_optima_logistic_l2_no_intercept"]["cases"] if c["data"] == name)
    X, y = load_svmlight_file(str(shared_file(name)), n_features=123 if name.startswith("a9a") else 127)
    result = fallline.fit(
        X, (y > 0).astype(float), loss="logistic", l2=1 / len(y), fit_intercept=False, standardize=False, tol=1e-9
    )
    assert (str(result.verdict), str(result.certainty)) == ("converged", "proved")
    assert result.best_loss == pytest.approx(case["objective"], rel=1e-9)
