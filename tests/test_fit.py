"""fit(): what a person relies on, whatever the data and the optimizer."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets, linear_model

import fallline
from fallline.optimizers import optimizers


@pytest.fixture(scope="module")
def diabetes():
    return datasets.load_diabetes(return_X_y=True)


@pytest.fixture(scope="module")
def cancer():
    return datasets.load_breast_cancer(return_X_y=True)


def least_squares(X, y):
    return np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), y, rcond=None)[0]


def test_least_squares_is_exact_in_the_original_units(diabetes) -> None:
    X, y = diabetes
    scale = 10.0 ** np.arange(-5, 5)
    result = fallline.fit(X * scale + 7 * scale, y)
    expected = least_squares(X, y)
    np.testing.assert_allclose(result.coef, expected[:-1] / scale, rtol=1e-9)
    np.testing.assert_allclose(result.theta, [*result.coef, result.intercept])
    assert (result.verdict, result.certainty) == ("converged", "proved")
    np.testing.assert_allclose(result.predict(X * scale + 7 * scale), X @ expected[:-1] + expected[-1], rtol=1e-9)


@pytest.mark.parametrize("l2", [1e-4, 1e-2])
def test_ridge_logistic_equals_scikit_learn(cancer, l2: float) -> None:
    X, y = cancer
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    result = fallline.fit(X, y, loss="logistic", l2=l2, tol=1e-12)
    other = linear_model.LogisticRegression(C=1 / (l2 * len(y)), tol=1e-12, solver="newton-cholesky", max_iter=500).fit(
        X, y
    )
    np.testing.assert_allclose(result.coef, other.coef_[0], rtol=1e-5)
    np.testing.assert_allclose(result.predict_probability(X), other.predict_proba(X), atol=1e-7)
    assert result.classes == (0, 1)


def test_softmax_ridge_equals_scikit_learn() -> None:
    X, y = datasets.load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    result = fallline.fit(X, names, loss="softmax", l2=1e-2, tol=1e-12)
    other = linear_model.LogisticRegression(C=1 / (1e-2 * len(y)), tol=1e-12, max_iter=2000).fit(X, names)
    np.testing.assert_allclose(result.predict_probability(X), other.predict_proba(X), atol=1e-5)
    assert list(result.predict(X)) == list(other.predict(X))
    assert result.coef.shape == (4, 3) and result.intercept.shape == (3,) and result.theta.shape == (5, 3)


def test_lasso_equals_scikit_learn_with_exact_zeros(diabetes) -> None:
    X, y = diabetes
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    result = fallline.fit(X, y, l1=2.0, tol=1e-12)
    other = linear_model.Lasso(alpha=2.0, tol=1e-14, max_iter=100_000).fit(X, y)
    np.testing.assert_allclose(result.coef, other.coef_, atol=1e-4)
    np.testing.assert_array_equal(result.coef == 0.0, other.coef_ == 0.0)
    assert (result.coef == 0.0).sum() >= 2 and result.certainty == "proved"


def test_bounds_are_kept_in_the_units_of_the_data(diabetes) -> None:
    X, y = diabetes
    result = fallline.fit(X * 100, y, bounds=(0.0, 4.0), tol=1e-13, max_passes=20_000)
    assert np.all(result.coef >= 0.0) and np.all(result.coef <= 4.0)
    from scipy.optimize import lsq_linear

    A = np.column_stack([X * 100, np.ones(len(y))])
    other = lsq_linear(A, y, bounds=([0.0] * 10 + [-np.inf], [4.0] * 10 + [np.inf]), tol=1e-14)
    np.testing.assert_allclose(result.theta, other.x, atol=2e-2)
    assert result.best_loss <= other.cost / len(y) * (1 + 1e-5)


@pytest.mark.parametrize("name", sorted(optimizers()))
@pytest.mark.parametrize("batch_size", [None, 32])
def test_every_rule_trains_with_an_automatic_rate(diabetes, name: str, batch_size: int | None) -> None:
    """No rate named, full batch or mini-batch: within 2 % of the possible gain, and never diverged."""
    X, y = diabetes
    best = fallline.fit(X, y)
    if batch_size is not None and optimizers()[name].needs_exact:
        with pytest.raises(fallline.SettingError, match="which must then be exact"):
            fallline.fit(X, y, optimizer=name, batch_size=batch_size)
        return
    result = fallline.fit(X, y, optimizer=name, batch_size=batch_size, max_passes=200)
    # AdamW decays its weights, so it comes to rest where the gradient of J is not zero, and that is called stuck
    assert result.verdict in ("converged", "good enough", "unfinished") or (name, result.verdict) == ("adamw", "stuck")
    gained = (result.baseline_loss - result.best_loss) / (best.baseline_loss - best.best_loss)
    assert gained > (0.98 if name != "adamw" else 0.7)
    assert result.rate_reason


@pytest.mark.parametrize("name", sorted(optimizers()))
def test_every_rule_trains_poisson_counts(name: str) -> None:
    rng = np.random.default_rng(3)
    X = rng.standard_normal((600, 4)) * [1, 10, 100, 1000]
    y = rng.poisson(np.exp(0.3 + X @ [0.5, -0.03, 0.002, 0.0]))
    best = fallline.fit(X, y, loss="poisson")
    result = fallline.fit(X, y, loss="poisson", optimizer=name, max_passes=300)
    assert np.isfinite(result.best_loss) and result.best_loss <= result.baseline_loss
    assert (result.baseline_loss - result.best_loss) > 0.9 * (best.baseline_loss - best.best_loss)


def test_the_named_textbook_is_run_to_the_letter(diabetes) -> None:
    """optimizer="descent" with a rate, no scaling, no intercept is gradient_descent."""
    X, y = diabetes
    theta, cost = fallline.gradient_descent(X, y, learning_rate=0.5, iterations=200)
    result = fallline.fit(
        X, y, optimizer="descent", learning_rate=0.5, standardize=False, fit_intercept=False, max_passes=200, tol=0.0
    )
    np.testing.assert_allclose(result.coef, theta, rtol=1e-12)
    np.testing.assert_allclose(result.history.loss[:200], cost, rtol=1e-12)


def test_sample_weight_two_is_a_row_given_twice_and_zero_is_none(diabetes) -> None:
    X, y = diabetes
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    weighted = fallline.fit(X, y, sample_weight=weight)
    repeated = fallline.fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.theta, repeated.theta, rtol=1e-9)
    assert weighted.best_loss == pytest.approx(repeated.best_loss)


def test_an_offset_is_exposure() -> None:
    rng = np.random.default_rng(0)
    x, exposure = rng.standard_normal(4000), rng.uniform(0.1, 2.0, 4000)
    y = rng.poisson(exposure * np.exp(-1.0 + 0.7 * x))
    result = fallline.fit(x[:, None], y, loss="poisson", offset=np.log(exposure))
    assert result.theta == pytest.approx([0.7, -1.0], abs=0.06)
    np.testing.assert_allclose(result.predict([[0.0]], offset=[np.log(2.0)]), 2 * np.exp(result.intercept))


def test_dense_fortran_float32_and_sparse_agree(cancer) -> None:
    X, y = cancer
    base = fallline.fit(X, y, loss="logistic", l2=1e-3, tol=1e-10)
    for other in (np.asfortranarray(X), scipy.sparse.csr_matrix(X), scipy.sparse.csc_array(X)):
        np.testing.assert_allclose(
            fallline.fit(other, y, loss="logistic", l2=1e-3, tol=1e-10).theta, base.theta, rtol=1e-7
        )
    single = fallline.fit(X.astype(np.float32), y, loss="logistic", l2=1e-3)
    np.testing.assert_allclose(single.decision(X), base.decision(X), atol=2e-2)


def test_scaling_the_target_changes_nothing_but_the_units(diabetes) -> None:
    X, y = diabetes
    runs = [
        fallline.fit(X, y * 10.0**k, optimizer=rule, max_passes=400)
        for k in (-3, 0, 4)
        for rule in ("accelerated", "adam")
    ]
    assert len({run.steps for run in runs[::2]}) == 1
    assert len({run.steps for run in runs[1::2]}) <= 2
    np.testing.assert_allclose(runs[0].coef * 1e7, runs[4].coef, rtol=1e-6)


def test_same_seed_same_bits(diabetes) -> None:
    X, y = diabetes
    a, b = (fallline.fit(X, y, optimizer="adam", batch_size=16, max_passes=5, check=0.2, seed=7) for _ in range(2))
    np.testing.assert_array_equal(a.theta, b.theta)
    np.testing.assert_array_equal(a.history.loss, b.history.loss)
    c = fallline.fit(X, y, optimizer="adam", batch_size=16, max_passes=5, check=0.2, seed=8)
    assert not np.array_equal(a.theta, c.theta)


def test_stochastic_steps_and_their_history(diabetes) -> None:
    X, y = diabetes
    result = fallline.fit(X, y, batch_size=1, optimizer="descent", max_passes=30)
    history = result.history
    assert result.steps == 30 * len(y) and history.passes[-1] == pytest.approx(30.0)
    exact = history.full_loss[np.isfinite(history.full_loss)]
    assert len(exact) == 31 and exact[-1] < exact[0]
    assert np.all(np.diff(history.step) > 0)


def test_check_rows_are_held_out_and_scored(cancer) -> None:
    X, y = cancer
    result = fallline.fit(X, y, loss="logistic", l2=1e-2, check=0.25, seed=3)
    assert result.check is not None
    assert result.check["rows"] == round(0.25 * len(y)) and result.summary.rows == len(y) - result.check["rows"]
    assert result.check["accuracy"] > 0.93 > result.check["majority"]
    assert np.isfinite(result.history.check_loss).any()
    given = fallline.fit(X[:400], y[:400], loss="logistic", l2=1e-2, check=(X[400:], y[400:]))
    assert given.check["rows"] == len(y) - 400


def test_separable_classes_are_never_called_converged() -> None:
    X, y = datasets.load_iris(return_X_y=True)
    result = fallline.fit(X, y == 0, loss="logistic")
    assert (result.verdict, result.certainty) == ("no finite optimum", "proved")
    assert any(f.code == "D10" for f in result.findings)
    assert fallline.fit(X, y == 0, loss="logistic", l2=1e-3).verdict == "converged"


def test_unscaled_columns_with_the_books_rate_diverge_with_reason(diabetes) -> None:
    X, y = diabetes
    uneven = X * np.tile([1.0, 1e4], 5)
    result = fallline.fit(uneven, y, optimizer="descent", learning_rate=0.01, standardize=False)
    assert (result.verdict, result.certainty) == ("diverged", "proved")
    codes = [f.code for f in result.findings]
    assert "D12" in codes or "D02" in codes
    assert np.isfinite(result.theta).all() and result.best_loss <= result.history.loss[0]


def test_a_divergence_of_ours_is_rolled_back() -> None:
    """Momentum at 1/L of the start, on counts whose curvature grows: the run returns to its best and goes on."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 1))
    y = rng.poisson(np.exp(np.clip(3 * x[:, 0], -5, 6)))
    result = fallline.fit(x, y, loss="poisson", optimizer="momentum")
    assert result.verdict in ("converged", "good enough", "unfinished")
    assert np.isfinite(result.best_loss) and result.best_loss < result.baseline_loss


def test_interrupting_keeps_the_best(diabetes) -> None:
    X, y = diabetes
    result = fallline.fit(X, y, optimizer="descent", callback=lambda event: event.step >= 5)
    assert (result.verdict, result.stop_reason, result.steps) == ("unfinished", "interrupt", 5)
    assert result.best_loss == result.history.loss[5]


def test_warm_start_continues(diabetes) -> None:
    X, y = diabetes
    first = fallline.fit(X, y, optimizer="descent", max_passes=50)
    second = fallline.fit(X, y, optimizer="descent", max_passes=50, start=first)
    assert second.history.loss[0] == pytest.approx(first.best_loss, rel=1e-9)
    assert second.best_loss < first.best_loss


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"learning_rate": 0}, "learning_rate"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"optimizer": "adm"}, "Did you mean 'adam'"),
        ({"loss": "logstic"}, "Did you mean 'logistic'"),
        ({"batch_size": 0}, "batch_size"),
        ({"tol": -1.0}, "tol"),
        ({"l2": -1.0}, "l2|strength|L2"),
        ({"check": 1.5}, "check"),
        ({"seed": -1}, "seed"),
        ({"bounds": (2.0, 1.0)}, "lower"),
        ({"start": [1.0, 2.0]}, "start"),
        ({"optimizer": "adamw", "l1": 0.1}, "keeps its own copy of theta"),
        ({"learning_rate": "backtracking:1", "batch_size": 8}, "batch_size=None"),
        ({"feature_names": ["a"]}, "feature_names"),
    ],
)
def test_bad_settings_teach(diabetes, settings_: dict, message: str) -> None:
    with pytest.raises(fallline.SettingError, match=message):
        fallline.fit(*diabetes, **settings_)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, y[:-1]), "same length"),
        (lambda X, y: (X, np.where(np.arange(len(y)) == 3, np.nan, y)), "row 3"),
        (lambda X, y: (np.where(np.arange(len(X))[:, None] == 5, np.inf, X), y), "row 5"),
        (lambda X, y: (X[:0], y[:0]), "row|empty"),
        (lambda X, y: (X[:, 0], y), "reshape"),
    ],
)
def test_bad_data_is_refused(diabetes, change, message: str) -> None:
    with pytest.raises(fallline.DataError, match=message):
        fallline.fit(*change(*diabetes))


def test_targets_that_the_loss_cannot_take(diabetes) -> None:
    X, y = diabetes
    with pytest.raises(fallline.TargetError, match="zero or more"):
        fallline.fit(X, y - 200, loss="poisson")
    with pytest.raises(fallline.TargetError, match="softmax"):
        fallline.fit(X, np.arange(len(y)) % 3, loss="logistic")
    with pytest.raises(fallline.TargetError):
        fallline.fit(X, ["yes"] * len(y), loss="logistic")


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 25), st.integers(1, 30), st.sampled_from(["squared", "logistic", "poisson", "huber", "softmax"]),
    st.integers(0, 2**31), st.sampled_from([0.0, 0.1]),
)  # fmt: skip
def test_never_diverges_and_never_lies(m: int, n: int, loss: str, seed: int, l2: float) -> None:
    """Any small problem, wide or tall, constant or equal columns, wild scales: finite, and a true verdict."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, n)) * 10.0 ** rng.integers(-6, 6, n)
    X[:, rng.integers(n)] = 3.0
    X[:, rng.integers(n)] = X[:, rng.integers(n)]
    y = rng.integers(0, 3 if loss == "softmax" else 2, m)
    if len(np.unique(y)) < (3 if loss == "softmax" else 2):
        return
    result = fallline.fit(X, y, loss=loss, l2=l2, max_passes=100)
    assert np.isfinite(result.theta).all() and np.isfinite(result.best_loss)
    assert result.verdict != "diverged"
    assert result.best_loss <= result.baseline_loss * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_predict_by_the_names_of_their_columns(diabetes, library: str) -> None:
    """A frame whose columns come in another order is the same table, and one that lacks a column is refused."""
    import importlib

    module = importlib.import_module(library)
    X, y = diabetes
    names = list("abcdefghij")
    frame = module.DataFrame({name: X[:, j] for j, name in enumerate(names)})
    result = fallline.fit(frame, y, check=(frame[names[::-1]], y))
    assert result.feature_names == tuple(names)
    np.testing.assert_allclose(result.predict(frame[names[::-1]]), result.predict(frame), rtol=1e-12)
    np.testing.assert_allclose(result.predict(X), result.predict(frame), rtol=1e-12)
    assert result.check["loss"] == pytest.approx(result.best_loss)
    with pytest.raises(fallline.SchemaError, match="lacks the column 'c'"):
        result.predict(frame[["a", "b", *names[3:]]])
    with pytest.raises(fallline.SchemaError, match="trained on 10"):
        result.predict(X[:, :4])


@pytest.mark.parametrize("tau", [0.1, 0.5, 0.9])
def test_quantiles_equal_the_linear_program(diabetes, tau: float) -> None:
    from scipy.optimize import linprog

    X, y = diabetes
    m = len(y)
    A = np.column_stack([X, np.ones(m), -X, -np.ones(m), np.eye(m), -np.eye(m)])
    cost = np.concatenate([np.zeros(2 * X.shape[1] + 2), np.full(m, tau), np.full(m, 1 - tau)]) / m
    program = linprog(cost, A_eq=A, b_eq=y)
    result = fallline.fit(X, y, loss=fallline.Quantile(tau))
    assert (result.verdict, result.certainty) == ("converged", "proved")
    assert program.fun * (1 - 1e-9) <= result.best_loss <= program.fun + result.gap


@pytest.mark.parametrize("settings_", [{}, {"l2": 0.1}, {"l1": 0.1}, {"loss": "huber"}, {"loss": "huber", "l2": 0.01}])
def test_more_columns_than_rows(settings_: dict) -> None:
    """Also where the loss is flat at most rows, so that its curvature says nothing of most directions."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 200))
    result = fallline.fit(X, X[:, 0] * 3 + 0.1 * rng.standard_normal(50), **settings_)
    assert (result.verdict, result.certainty) == ("converged", "proved")


def test_no_columns_is_the_best_constant() -> None:
    assert fallline.fit(np.empty((10, 0)), np.arange(10.0)).intercept == pytest.approx(4.5)
