"""How columns go together: against NumPy, SciPy and scikit-learn on whole data, and on rows of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

import fallline
from fallline.arrivals import Arrivals
from fallline.history import MOST_ROWS, RECENT, History
from fallline.losses import as_loss
from fallline.relations import relate
from fallline.rows.arrays import ArrayRows
from fallline.saddle import bend, pushed


def made(X, y, loss="squared", held=None, in_order=False, weight=None):
    names = tuple(f"x{j}" for j in range(X.shape[1]))
    return relate(
        ArrayRows(X, np.asarray(y, float), weight), held, names, as_loss(loss), seed=0, in_order=in_order, raw=True
    )


def test_against_numpy_and_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 4)) @ (np.eye(4) + 0.7)
    y = X[:, 2] + 0.5 * rng.standard_normal(400)
    found = made(X, y)
    C = np.corrcoef(X, rowvar=False)
    values = np.linalg.eigvalsh(C)
    assert (found.smallest, found.largest) == pytest.approx((values[0], values[-1]), rel=1e-9)
    off = np.abs(C - np.eye(4))
    i, j = np.unravel_index(off.argmax(), off.shape)
    assert found.pair == (f"x{min(i, j)}", f"x{max(i, j)}", pytest.approx(C[i, j]))
    r2 = np.array([np.corrcoef(X[:, j], y)[0, 1] ** 2 for j in range(4)])
    assert found.alone == (f"x{r2.argmax()}", pytest.approx(r2.max())) and found.alone_by == "r2"
    label = (y > 1.0).astype(float)
    two = made(X, label, "logistic")
    aucs = [roc_auc_score(label, X[:, j]) for j in range(4)]
    assert two.alone_by == "auc" and two.alone == (f"x{int(np.argmax(aucs))}", pytest.approx(max(aucs)))
    assert two.shares == pytest.approx((1 - label.mean(), label.mean()))
    sparse = made(csr_matrix(X), y)
    assert sparse.smallest == pytest.approx(found.smallest) and sparse.pair == found.pair


@pytest.mark.parametrize("kind", ["dense", "sparse", "float32"])
def test_a_column_that_others_make_up(kind: str) -> None:
    rng = np.random.default_rng(1)
    X = rng.integers(-9, 10, (5000, 5)).astype(float)
    X[:, 3] = 2.0 * X[:, 0] - X[:, 1] + 7.0
    given = csr_matrix(X) if kind == "sparse" else X.astype(np.float32) if kind == "float32" else X
    found = made(given, rng.standard_normal(5000))
    names = {found.dependent, *dict(found.combination)}
    assert names == {"x0", "x1", "x3"}
    columns = {f"x{j}": X[:, j] for j in range(5)}
    rest = columns[found.dependent] - sum(c * columns[name] for name, c in found.combination)
    assert np.ptp(rest) < 1e-9
    X[4321, 3] += 1.0  # one row in which it does not hold, and which the sample need not have
    assert made(X, rng.standard_normal(5000)).dependent == ""


def test_order_and_twins() -> None:
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((200, 3)), rng.standard_normal(200)
    assert np.isnan(made(X, y).runs)
    random, ordered = made(X, y, in_order=True), made(X, np.sort(y), in_order=True)
    assert abs(random.runs) < 3.0 and ordered.runs < -10.0 and ordered.neighbours > 0.9
    held = ArrayRows(np.vstack([X[:7], X[:5] + 1.0]), np.concatenate([y[:7], y[:5]]))
    assert made(X, y, held=held).twins == 7
    many = rng.standard_normal((300, 20))
    assert made(many, np.zeros(300), held=ArrayRows(many[:3].copy(), np.zeros(3))).twins == 3
    assert made(csr_matrix(many), np.zeros(300), held=ArrayRows(csr_matrix(many[:4]), np.zeros(4))).twins == 4


def test_huge_empty_and_constant_columns_do_no_harm() -> None:
    for X in (np.full((5, 2), 1e200), np.zeros((4, 0)), np.ones((50, 3)), np.array([[1.0], [2.0]]), np.eye(3) * 1e308):
        made(X, np.arange(len(X)))


def test_rows_to_predict_are_looked_at() -> None:
    rng = np.random.default_rng(3)
    X = 100.0 + 15.0 * rng.standard_normal((500, 3))
    model = fallline.fit(X, X @ [1.0, 2.0, 3.0] + rng.standard_normal(500))
    assert model.look_at(X[:100]) == [] and model.look_at(X[:5] + 1e6) == []
    scaled = model.look_at((X - X.mean(axis=0)) / X.std(axis=0))
    assert "already standardised (3 of 3 columns)" in scaled[0].sentence
    moved = X.copy()
    moved[:, 1] += 90.0
    drifted = model.look_at(moved)[0]
    assert (
        drifted.code == "D22"
        and "'x1'" in drifted.sentence
        and drifted.evidence["moved"] == pytest.approx(6.0, rel=0.1)
    )
    assert model.summary is not None
    pieces = Arrivals(model.summary)
    for part in np.array_split(moved, 7):
        pieces.add(part)
    again = pieces.findings()[0]
    assert again.evidence["moved"] == pytest.approx(drifted.evidence["moved"], rel=1e-9)


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_curvature_at_a_point_against_eigenvalues(n: int) -> None:
    rng = np.random.default_rng(n)
    A = rng.standard_normal((n, n))
    H = A + A.T
    values = np.linalg.eigvalsh(H)
    found = bend(lambda x: H @ x, rng.standard_normal(n))
    assert found is not None
    assert found.lowest >= values[0] - 1e-6 and found.largest <= values[-1] + 1e-6
    if n <= 15:
        assert (found.lowest, found.largest) == pytest.approx((values[0], values[-1]), rel=1e-6)
    assert float(found.direction @ H @ found.direction) == pytest.approx(found.lowest, abs=1e-5)
    off = pushed(lambda x: float(0.5 * x @ H @ x), np.zeros(n), 0.0, found)
    assert (off is not None) == (found.lowest < 0.0)


def test_a_long_record_is_thinned_without_losing_its_extremes() -> None:
    history, losses = History(), np.random.default_rng(4).standard_normal(130_000)
    losses[[7, 70_001, 110_003]] = [50.0, -60.0, 70.0]
    for step, loss in enumerate(losses):
        epoch = {"full_loss": loss} if step % 1000 == 0 else {}
        history.append(step=step, loss=loss, **epoch)
    assert len(history) <= MOST_ROWS
    steps = history.step
    assert {0.0, 7.0, 70_001.0, 110_003.0, 129_999.0} <= set(steps) and (np.diff(steps) > 0).all()
    assert (steps[-RECENT:] == np.arange(130_000 - RECENT, 130_000)).all()
    np.testing.assert_array_equal(history.loss, losses[steps.astype(int)])
    assert np.isfinite(history.full_loss).sum() > 50  # most epochs are still there


def test_the_largest_curvature_is_not_another_one() -> None:
    """Where the search begins near the intercept's eigenvector, whose value is 1, power iteration stayed there."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 2)) @ [[1.0, 0.8], [0.0, 0.5]]
    run = fallline.fit(X, X @ [1.0, 2.0] + rng.standard_normal(500), optimizer="descent", learning_rate=0.1)
    L = float(np.linalg.eigvalsh(np.corrcoef(X, rowvar=False))[-1])
    assert L > 1.8 and run.evidence is not None
    assert run.evidence.largest_curvature == pytest.approx(L, rel=0.02)
