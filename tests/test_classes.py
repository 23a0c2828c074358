"""Many classes: a matrix for each where one for all would be too dear, and no proof whose matrices would take most of the run."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

import fallline
from fallline import prices
from fallline.curved import lift
from fallline.inverse import ClassInverse, regular_inverse
from fallline.losses import as_loss
from fallline.objective import ModelObjective
from fallline.penalties import as_penalty
from fallline.precondition import blurred
from fallline.rows.arrays import ArrayRows
from fallline.scaling import Scaling


def table(m: int, n: int = 4, classes: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, n)) @ (np.eye(n) + 0.5 * rng.standard_normal((n, n))) * 10.0 ** rng.uniform(-2, 2, n)
    W = rng.standard_normal((n, classes)) / X.std(axis=0)[:, None]
    y = np.argmax(X @ W + rng.gumbel(size=(m, classes)), axis=1)
    y[:classes] = np.arange(classes)
    return X, y


def reference(X: np.ndarray, y: np.ndarray, l2: float) -> float:
    """The least J by scikit-learn, on columns standardised beforehand."""
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    peer = LogisticRegression(C=1.0 / (l2 * len(y)), tol=1e-10, max_iter=10_000).fit(Z, y)
    return float(-peer.predict_log_proba(Z)[np.arange(len(y)), y].mean() + 0.5 * l2 * np.sum(peer.coef_**2))


@pytest.mark.parametrize("sparse", [False, True])
def test_the_blocks_are_those_of_the_whole_matrix(sparse: bool) -> None:
    X, y = table(300)
    X = np.where(np.random.default_rng(1).random(X.shape) < 0.02, X, 0.0) if sparse else X
    rows = ArrayRows(sp.csr_matrix(X) if sparse else X, y.astype(float), np.random.default_rng(2).random(300))
    objective = ModelObjective(as_loss("softmax"), as_penalty(None, l2=0.1), Scaling.none(4, True))
    theta = np.random.default_rng(3).standard_normal((5, 5)) * 0.1
    H, blocks = objective.hessian(theta, rows).reshape(5, 5, 5, 5), objective.class_hessians(theta, rows)
    np.testing.assert_allclose(blocks, np.stack([H[:, k, :, k] for k in range(5)]), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        objective.hessian_diagonal(theta, rows), np.stack([np.diag(b) for b in blocks]).T, rtol=1e-9
    )


def test_the_inverse_of_the_blocks() -> None:
    rng = np.random.default_rng(0)
    blocks = [a @ a.T + np.eye(4) for a in rng.standard_normal((3, 4, 4))]
    inverse, v = ClassInverse(np.stack([regular_inverse(b).root for b in blocks])), rng.standard_normal((4, 3))
    want = np.stack([np.linalg.solve(b, v[:, k]) for k, b in enumerate(blocks)]).T
    np.testing.assert_allclose(inverse.apply(v), want, rtol=1e-9)
    assert inverse.norm(v) == pytest.approx(np.sqrt(np.sum(v * want)))


@pytest.mark.parametrize("m", [1500, 9000])  # all rows asked at once; a sample of them first
def test_a_matrix_for_each_class_leads_to_the_same_optimum(m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices, "FACTOR_LIMIT", 10)
    monkeypatch.setattr("fallline.auto.SAMPLE_ROWS", 2000)
    X, y = table(m)
    run = fallline.fit(X, y, loss="softmax", l2=1e-2)
    assert "within each class" in run.method and ("first" in run.method) == (m == 9000)
    best = reference(X, y, 1e-2)
    assert run.verdict == "converged" and run.best_loss - run.gap <= best + 1e-12
    assert run.best_loss == pytest.approx(best, rel=1e-6)


def test_a_sample_of_many_classes_leads_to_the_same_optimum() -> None:
    X, y = table(60_000, n=30, classes=8)
    run = fallline.fit(X, y, loss="softmax", l2=1e-4)
    assert "rows first" in run.method and run.verdict == "converged"
    best = reference(X, y, 1e-4)
    assert run.best_loss - run.gap <= best + 1e-12 and run.best_loss == pytest.approx(best, rel=1e-6)


def test_no_proof_is_tried_that_would_take_most_of_the_run() -> None:
    few, many = np.zeros((5, 3)), np.zeros((101, 40))
    X, y = table(400)
    assert len(prices.proving(ArrayRows(X, y * 1.0), None, few)) == 1
    wide = ArrayRows(np.zeros((20_000, 100)), np.zeros(20_000))
    assert prices.proving(wide, None, many) == []
    assert prices.proving(wide, wide, np.zeros(101)) == [wide, wide]  # of one output: always


def test_what_a_sample_lacks_is_made_up_for() -> None:
    H = np.diag([1.0, 0.1, 0.0])
    lift(H, np.array([1.2, 1.0, 0.5]))
    np.testing.assert_array_equal(np.diag(H), [1.0, 1.0, 0.5])


def test_rows_that_a_sample_is_sure_of_keep_some_curvature() -> None:
    loss = as_loss("softmax")
    z = np.array([[40.0, 0.0, 0.0], [0.0, 0.1, -0.1]])
    batch = next(iter(ArrayRows(np.zeros((2, 1)), np.zeros(2)).blocks()))
    sure, blur = loss.curvature(batch.y, z)[0], blurred(loss, 0.1)(batch, z)[0]
    assert np.abs(sure).max() < 1e-15 and blur.diagonal().min() > 0.01
