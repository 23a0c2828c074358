"""Rows that are seen once: exact where that can be, near the answer of all rows elsewhere, whatever the order."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

from fallline import GDClassifier, GDRegressor
from fallline.errors import DataError, SettingError, TargetError
from fallline.objective import ModelObjective
from fallline.online import sampled
from fallline.online.exact import ExactStream
from fallline.online.remembered import Remembered
from fallline.online.sampled import SampledStream, thinned
from fallline.penalties.l2 import L2
from fallline.rows.arrays import ArrayRows
from fallline.scaling import Scaling

rng = np.random.default_rng(2)


def pieces(model, X, y, edges, **sides):
    for begin, end in zip(edges[:-1], edges[1:], strict=True):
        some = {name: v[begin:end] for name, v in sides.items()}
        model.partial_fit(X[begin:end], y[begin:end], **some)
    return model


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    cuts=st.lists(st.integers(1, 199), max_size=8, unique=True),
    settings_=st.sampled_from([{}, {"l2": 0.3}, {"l1": 0.1}, {"bounds": (-0.2, 0.4)}, {"fit_intercept": False},
                               {"standardize": False, "l2": 0.1}]),
    as_sparse=st.booleans(),
)  # fmt: skip
def test_squared_loss_is_exact_for_any_split(seed, cuts, settings_, as_sparse):
    r = np.random.default_rng(seed)
    X = r.normal(size=(200, 4)) * r.uniform(0.5, 3.0, 4) + r.uniform(-2.0, 2.0, 4)
    y, weight = X @ r.normal(size=4) + r.normal(size=200), r.integers(0, 3, 200).astype(float)
    weight[0] = 1.0
    whole = GDRegressor(tol=1e-10, **settings_).fit(X, y, sample_weight=weight)
    given_ = sparse.csr_array(X) if as_sparse else X
    model = pieces(GDRegressor(tol=1e-10, **settings_), given_, y, [0, *sorted(cuts), 200], sample_weight=weight)
    assert_allclose(model.coef_, whole.coef_, rtol=1e-10, atol=1e-10)
    assert_allclose(model.intercept_, whole.intercept_, rtol=1e-10, atol=1e-9)
    assert model.verdict_ == "converged"


def test_exact_with_few_rows_constant_columns_offsets_and_outputs():
    X = rng.normal(size=(50, 3))
    X[:, 2] = 4.0
    y = X[:, :2] @ [1.0, -2.0] + 3.0
    model = GDRegressor()
    for k in range(50):  # from the first row on
        model.partial_fit(X[k : k + 1], y[k : k + 1], offset=np.ones(1))
    assert_allclose(model.coef_, [1.0, -2.0, 0.0], atol=1e-10)
    assert_allclose(model.intercept_, 2.0, atol=1e-10)
    both = (
        GDRegressor()
        .partial_fit(X[:30], np.column_stack([y, -y])[:30])
        .partial_fit(X[30:], np.column_stack([y, -y])[30:])
    )
    assert_allclose(both.coef_, [[1.0, -2.0, 0.0], [-1.0, 2.0, 0.0]], atol=1e-10)
    with pytest.raises(DataError, match="y has 1 columns; the rows before had 2"):
        both.partial_fit(X, y)


def test_a_half_life_forgets_exactly():
    X, y = rng.normal(size=(100, 2)), rng.normal(size=100)
    model = pieces(GDRegressor(half_life=10.0), X, y, range(101))
    weight = 0.5 ** ((99 - np.arange(100)) / 10.0)
    assert_allclose(model.coef_, GDRegressor().fit(X, y, sample_weight=weight).coef_, rtol=1e-9)
    long = ExactStream(1, 1, half_life=1.0)
    for k in range(2000):  # 2^-2000 is no number
        long.add(np.array([[float(k % 7)]]), np.array([[float(k % 7)]]), None, None)
    coef, _, _ = long.solve(0, L2(1e-9), True, True, 1e-9)
    assert_allclose(coef, 1.0, rtol=1e-6)


@pytest.mark.parametrize("loss", ["huber", "poisson", "gamma"])
def test_while_few_rows_came_it_is_the_model_of_all(loss):
    X = rng.normal(size=(1500, 3))
    mu = np.exp(X @ [0.3, -0.2, 0.1])
    y = {
        "huber": np.log(mu) + rng.standard_t(2, size=1500),
        "poisson": rng.poisson(mu),
        "gamma": mu * rng.gamma(2, 0.5, 1500),
    }
    weight = rng.integers(0, 3, 1500).astype(float)
    whole = GDRegressor(loss, tol=1e-10).fit(X, y[loss], sample_weight=weight)
    for edges in ([0, 1500], [0, 100, 101, 900, 1500], [0, 700, 1500]):
        model = pieces(GDRegressor(loss), X, y[loss], edges, sample_weight=weight)
        assert_allclose(model.coef_, whole.coef_, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("loss", ["logistic", "huber", "poisson"])
def test_row_by_row_it_is_the_model_of_all_while_all_are_kept(loss):
    r = np.random.default_rng(5)
    X = r.normal(size=(90, 4)) * [1.0, 5.0, 0.1, 1.0] + [0.0, 3.0, 0.0, 0.0]
    z = (X - X.mean(axis=0)) / X.std(axis=0) @ [0.5, -0.5, 0.3, 0.0]
    y = {
        "logistic": (z + r.logistic(size=90) > 0).astype(int),
        "huber": z + r.standard_t(2, size=90),
        "poisson": r.poisson(np.exp(z)).astype(float),
    }[loss]
    model = GDClassifier(l2=0.01, tol=1e-13) if loss == "logistic" else GDRegressor(loss, l2=0.01, tol=1e-13)
    whole, stream = clone(model).fit(X, y), model
    told = {"classes": [0, 1]} if loss == "logistic" else {}
    for i in range(90):
        stream.partial_fit(X[i : i + 1], y[i : i + 1], **told)
    assert_allclose(np.ravel(stream.coef_), np.ravel(whole.coef_), rtol=1e-5, atol=1e-5)
    assert stream.result_.best_loss == pytest.approx(whole.result_.best_loss, rel=1e-9)


def test_rows_that_took_a_step_alone_are_told_apart(monkeypatch):
    monkeypatch.setattr(sampled, "KEPT_ROWS", 200)
    X, y = logistic(1000, 3, np.random.default_rng(0))
    model = GDClassifier(l2=0.01)
    model.partial_fit(X[:990], y[:990], classes=[0, 1])
    assert "rows stand for the 990 seen" in model.result_.sentence and "by a step" not in model.result_.sentence
    for i in range(990, 1000):
        model.partial_fit(X[i : i + 1], y[i : i + 1])
    assert "but for the last 10, which moved the weights by a step" in model.result_.sentence


def logistic(m, n, r):
    X = r.normal(size=(m, n))
    z = X @ r.normal(size=n) * 0.7 + 0.5
    return X, (r.random(m) < 1.0 / (1.0 + np.exp(-z))).astype(int)


@pytest.mark.parametrize("order", ["as drawn", "by class", "by a column"])
def test_long_streams_are_near_the_model_of_all(order):
    """Nearer than what chance makes of the rows, and a class that comes last is learnt."""
    X, y = logistic(30_000, 6, np.random.default_rng(0))
    by = {"as drawn": np.arange(30_000), "by class": np.argsort(y, kind="stable"), "by a column": np.argsort(X[:, 0])}[
        order
    ]
    whole = GDClassifier(tol=1e-10).fit(X, y)
    model = pieces(GDClassifier(), X[by], y[by], range(0, 30_001, 500), classes=np.tile([0, 1], 15_000))
    chance = np.sqrt(6 * 5 / 30_000)  # the size of the error that the model of all rows has itself
    allowed = {"as drawn": 0.5, "by a column": 0.5, "by class": 4.0}[order]
    assert np.linalg.norm(model.coef_ - whole.coef_) < allowed * chance
    stream = model._streams[0]
    assert stream.thinned > 0 and stream.kept <= 2 * sampled.KEPT_ROWS + 500 and stream.seen == 30_000
    assert "rows stand for the 30,000 seen so far" in model.result_.sentence
    assert model.verdict_ == "good enough" and model.gap_ is None  # nothing is proved of rows that are gone
    assert_allclose(stream.total, 30_000)
    assert_allclose(sum(piece.weight.sum() for piece in stream.pieces), 30_000)


def test_better_than_sgd_with_nothing_tuned():
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order], y[order]
    wrong = {"ours": 0, "theirs": 0}
    ours, theirs = GDClassifier(), SGDClassifier("log_loss", random_state=0)
    for begin in range(0, 1700, 100):
        some = slice(begin, begin + 100)
        if begin:
            wrong["ours"] += (ours.predict(X[some]) != y[some]).sum()
            wrong["theirs"] += (theirs.predict(X[some] / 16) != y[some]).sum()
        ours.partial_fit(X[some], y[some], classes=np.arange(10))
        theirs.partial_fit(X[some] / 16, y[some], classes=np.arange(10))
    assert wrong["ours"] < 0.6 * wrong["theirs"]


def test_drift():
    """The world turns round in the middle: a memory that fades follows, and `auto` finds that out."""
    X, y = logistic(8_000, 4, np.random.default_rng(1))
    y = np.where(np.arange(8_000) < 4_000, y, 1 - y)
    score = {}
    for half_life in (None, 500.0, "auto"):
        model = pieces(GDClassifier(half_life=half_life), X, y, range(0, 8_001, 200), classes=np.tile([0, 1], 4_000))
        score[half_life] = (model.predict(X[7_000:]) == y[7_000:]).mean()
    assert score[500.0] > 0.7 and score["auto"] > 0.7 > score[None]
    steady, y = logistic(8_000, 4, np.random.default_rng(3))
    model = pieces(GDClassifier(half_life="auto"), steady, y, range(0, 8_001, 200), classes=np.tile([0, 1], 4_000))
    assert model.score(steady, y) > GDClassifier().fit(steady, y).score(steady, y) - 0.01
    numbers = pieces(GDRegressor(half_life="auto"), steady, steady[:, 0] * 2.0, range(0, 2_001, 200))
    assert_allclose(numbers.coef_, [2.0, 0.0, 0.0, 0.0], atol=1e-3)


def test_rare_columns_and_rare_classes_are_not_forgotten():
    r = np.random.default_rng(4)
    X = sparse.random(20_000, 50, density=0.02, random_state=r, format="csr")
    X = sparse.hstack([X, sparse.csr_array((np.arange(20_000)[:, None] % 2_000 == 7).astype(float))], format="csr")
    z = X @ np.append(r.normal(size=50), 3.0)
    y = (r.random(20_000) < 1.0 / (1.0 + np.exp(2.0 - z))).astype(int)
    y[::1000] = 2  # a class of 20 rows
    whole = GDClassifier(l2=1e-3, tol=1e-10).fit(X, y)
    model = pieces(GDClassifier(l2=1e-3), X, y, range(0, 20_001, 1_000), classes=np.tile([0, 1, 2, 2], 5_000))
    assert_allclose(model.predict_proba(X), whole.predict_proba(X), atol=0.15)
    assert abs(model.predict_proba(X).mean(axis=0)[2] - 0.001) < 5e-4
    assert 0 < model._streams[0].kept < 20_000


def test_the_memory_is_the_gradient_of_what_is_gone():
    """After thinning out, J has the gradient that it had before, and stays convex."""
    X, y = logistic(3_000, 4, np.random.default_rng(5))
    stream = SampledStream(4, GDClassifier()._form(2)[0], 1, L2(1e-3), True, False, None, 0)
    stream.add(X, y.astype(float), None, None)
    before = stream._objective(stream.form).value_and_grad(stream.theta, stream._rows())[1]
    stream._thin_out()
    objective = stream._objective(stream.form)
    assert_allclose(objective.value_and_grad(stream.theta, stream._rows())[1], before, atol=1e-12)
    at = stream.theta + 0.3
    J, g = objective.value_and_grad(at, stream._rows())
    for j in range(5):
        step = np.eye(5)[j] * 1e-5
        slope = (objective.value(at + step, stream._rows()) - objective.value(at - step, stream._rows())) / 2e-5
        assert_allclose(g[j], slope, rtol=1e-6, atol=1e-9)
    assert_allclose(J, objective.value(at, stream._rows()), rtol=1e-14)
    assert (np.linalg.eigvalsh(objective.hessian(at, stream._rows())) >= 0.0).all()


def test_the_parts_of_the_memory_agree():
    X, y = logistic(300, 3, np.random.default_rng(6))
    rows, theta = ArrayRows(X, y.astype(float)), np.array([0.1, 0.2, -0.3, 0.4])
    plain = ModelObjective(GDClassifier()._form(2)[0], L2(0.1), Scaling.none(3, True))
    own = Remembered(
        plain.loss,
        plain.penalty,
        plain.scaling,
        anchor=np.zeros(4),
        pull=np.ones(4),
        stiffness=np.array([0.0, 1.0, 2.0, 0.0]),
    )
    assert_allclose(own.hessian(theta, rows) - plain.hessian(theta, rows), np.diag([0.0, 1.0, 2.0, 0.0]), atol=1e-14)
    HV, square = own.along(theta, rows, np.eye(4))
    assert_allclose(HV, own.hessian(theta, rows), atol=1e-12)
    assert_allclose(square, own.hessian(theta, rows), atol=1e-12)
    assert_allclose(own.hessian_diagonal(theta, rows), np.diag(own.hessian(theta, rows)), rtol=1e-12)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**31), classes=st.integers(1, 4), most=st.integers(20, 200))
def test_thinning_keeps_the_weight_of_each_class(seed, classes, most):
    r = np.random.default_rng(seed)
    y = r.choice(classes, 400, p=r.dirichlet(np.ones(classes))).astype(float)
    rows = ArrayRows(np.arange(400.0)[:, None], y, r.uniform(0.1, 5.0, 400))
    chosen, heavy = thinned(rows, most, True, r)
    assert len(np.unique(chosen)) == len(chosen) <= most * 1.5 + classes
    for code in np.unique(y):
        assert_allclose(heavy[y[chosen] == code].sum(), rows.weight[y == code].sum())
    unbiased = np.mean([(t[1] @ rows.X[t[0], 0]) for t in (thinned(rows, most, True, r) for _ in range(60))])
    assert_allclose(unbiased, rows.weight @ rows.X[:, 0], rtol=0.1)


def test_classes_in_any_order_and_pickled_in_between():
    r = np.random.default_rng(8)
    y = r.integers(0, 3, 600)
    X = np.eye(3)[y] + r.normal(size=(600, 3))
    names = np.array(["a", "b", "c"])[y]
    whole = GDClassifier(tol=1e-10).fit(X, names)
    by = np.argsort(names, kind="stable")
    model = GDClassifier()
    for begin in range(0, 600, 50):
        some = by[begin : begin + 50]
        model.partial_fit(X[some], names[some], classes=["c", "a", "b"])
        model = pickle.loads(pickle.dumps(model))
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert_allclose(model.predict_proba(X), whole.predict_proba(X), atol=1e-3)
    rest = GDClassifier("squared hinge").partial_fit(X, names)
    assert_allclose(rest.coef_, GDClassifier("squared hinge", tol=1e-10).fit(X, names).coef_, atol=1e-3)
    one_vs_rest = (
        GDClassifier(multi_class="one-vs-rest").partial_fit(X[:300], names[:300]).partial_fit(X[300:], names[300:])
    )
    expected = GDClassifier(multi_class="one-vs-rest", tol=1e-10).fit(X, names)
    assert_allclose(one_vs_rest.coef_, expected.coef_, atol=1e-3)


def test_same_seed_same_model():
    X, y = logistic(9_000, 3, np.random.default_rng(9))
    one, two = (pieces(GDClassifier(), X, y, range(0, 9_001, 300), classes=np.tile([0, 1], 4_500)) for _ in range(2))
    assert_allclose(one.coef_, two.coef_, rtol=0)


def test_what_is_wrong_is_said():
    X, y = logistic(60, 3, rng)
    model = GDClassifier().partial_fit(X, y, classes=[0, 1])
    with pytest.raises(TargetError, match=r"The label 7 \(row 2\) is not one of the classes .*: 0, 1"):
        model.partial_fit(X[:3], [0, 1, 7])
    with pytest.raises(ValueError, match="X has 2 features, but GDClassifier is expecting 3"):
        model.partial_fit(X[:, :2], y)
    with pytest.raises(SettingError, match="is not what the first call was given"):
        model.partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(TargetError, match="give all labels that may come"):
        GDClassifier().partial_fit(X, np.zeros(60, dtype=int))
    with pytest.raises(SettingError, match="balanced"):
        GDClassifier(class_weight="balanced").partial_fit(X, y)
    with pytest.raises(SettingError, match="half_life: got 0"):
        GDRegressor(half_life=0).partial_fit(X, y)
    with pytest.raises(TargetError, match="zero or more"):
        GDRegressor("poisson").partial_fit(X, y - 1.0)
    with pytest.warns(UserWarning, match="begins anew"):
        GDRegressor().fit(X, y).partial_fit(X, y)
    with pytest.raises(DataError, match="zero or more; it is less in 1 row .first: row 1."):
        GDRegressor().partial_fit(X[:2], y[:2], sample_weight=[1.0, -1.0])
    again = GDRegressor().partial_fit(X, y)
    before = again.coef_.copy()
    again.partial_fit(X[:5] * 100, y[:5], sample_weight=np.zeros(5))  # rows of weight 0 are no rows
    assert_allclose(again.coef_, before, rtol=1e-9)


def test_what_is_kept_is_a_copy():
    X, y = logistic(500, 1, np.random.default_rng(10))
    model, row, label = GDClassifier(), np.empty((1, 1)), np.empty(1, dtype=int)
    for k in range(500):
        row[:], label[:] = X[k], y[k]
        model.partial_fit(row, label, classes=[0, 1])
    assert_allclose(model.coef_, GDClassifier(tol=1e-10).fit(X, y).coef_, atol=0.05)


def test_dense_and_sparse_pieces_mix():
    X, y = logistic(400, 3, np.random.default_rng(11))
    whole = GDClassifier(tol=1e-10).fit(X, y)
    for kinds in ((np.asarray, sparse.csr_array), (sparse.csr_array, np.asarray)):
        model = GDClassifier()
        for k, begin in enumerate(range(0, 400, 100)):
            model.partial_fit(kinds[k % 2](X[begin : begin + 100]), y[begin : begin + 100], classes=[0, 1])
        assert_allclose(model.coef_, whole.coef_, atol=1e-3)


@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_half_lives_count_rows_whatever_the_pieces(loss):
    X, y = rng.normal(size=(600, 2)), rng.normal(size=600) + np.where(np.arange(600) < 300, 0.0, 10.0)
    for half_life in (0.1, 3.0, 50.0):
        one = pieces(GDRegressor(loss, l2=0.1, half_life=half_life), X, y, [0, 600])
        many = pieces(GDRegressor(loss, l2=0.1, half_life=half_life), X, y, range(0, 601, 100))
        assert np.isfinite(one.coef_).all()
        assert_allclose(many.intercept_, one.intercept_, atol=0.05 if half_life > 1.0 else 1.0)
    long = pieces(GDClassifier(half_life=3.0), X, (y > 5).astype(int), range(0, 601, 20), classes=np.tile([0, 1], 300))
    assert np.isfinite(long.coef_).all()


def test_settings_cannot_change_in_the_middle():
    X, y = logistic(100, 2, rng)
    model = GDRegressor().partial_fit(X, y)
    with pytest.raises(SettingError, match="loss: was 'squared' when partial_fit began and is 'poisson' now"):
        model.set_params(loss="poisson").partial_fit(X, y)
    with pytest.raises(SettingError, match="multi_class: was"):
        GDClassifier().partial_fit(X, y).set_params(multi_class="softmax").partial_fit(X, y)


def test_results_of_streams_have_labels_and_say_what_is_not_known():
    X, y = logistic(300, 2, rng)
    names = np.where(y == 1, "b", "a")
    model = GDClassifier().partial_fit(X, names)
    assert (model.result_.predict(X) == model.predict(X)).all()
    assert (model.result_.to_sklearn().predict(X) == model.predict(X)).all()
    with pytest.raises(SettingError, match="rows of a stream are gone"):
        model.summary()
    apart = GDClassifier(l2=0.0).partial_fit(X, X[:, 0] > 0.0)
    assert apart.verdict_ == "no finite optimum"
    for classes in ([], [0], [0, 1, np.nan], 7):
        with pytest.raises((SettingError, TargetError), match="classes"):
            GDClassifier().partial_fit(X, y, classes=classes)
    assert GDClassifier().partial_fit(X, y, classes={0, 1}).classes_.tolist() == [0, 1]
