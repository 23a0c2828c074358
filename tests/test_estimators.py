"""The scikit-learn face: its own checks, the same model from everything, and what is ours."""

from __future__ import annotations

import io
import json
import pickle
import warnings
from unittest import SkipTest

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fallline
from fallline import GDClassifier, GDRegressor
from fallline.errors import DataError, SettingError, SettingTypeError, TargetError

rng = np.random.default_rng(11)
X = rng.normal(size=(120, 4)) * [1.0, 5.0, 0.2, 1.0] + [0.0, 3.0, 1.0, -2.0]
Z = X @ [0.5, 0.1, -1.0, 0.3] + 0.4
Y = Z + rng.normal(size=120)
COUNTS = rng.poisson(np.exp(0.5 * Z))
TWO = np.where(Z + rng.logistic(size=120) > 0, "yes", "no")
IRIS, SPECIES = load_iris(return_X_y=True)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::UserWarning")
@parametrize_with_checks(
    [
        GDRegressor(),
        GDClassifier(),
        GDRegressor("huber"),
        GDRegressor(l1=0.1),
        GDRegressor(fit_intercept=False),
        GDRegressor(optimizer="nesterov"),
        GDClassifier(multi_class="one-vs-rest"),
        GDClassifier("squared hinge"),
    ]
)
def test_scikit_learns_own_checks(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # else one check is skipped
    try:
        check(estimator)
    except SkipTest as skipped:
        pytest.fail(f"skipped: {skipped}")


def test_like_scikit_learn_where_it_has_the_same_model():
    assert_allclose(GDRegressor().fit(X, Y).coef_, LinearRegression().fit(X, Y).coef_, rtol=1e-9)
    scaled = StandardScaler().fit_transform(X)
    theirs = PoissonRegressor(alpha=0.1, tol=1e-12, max_iter=10_000, solver="newton-cholesky").fit(scaled, COUNTS)
    assert_allclose(GDRegressor("poisson", l2=0.1, tol=1e-12).fit(scaled, COUNTS).coef_, theirs.coef_, rtol=1e-6)
    for y in (TWO, SPECIES):
        data = StandardScaler().fit_transform(X if y is TWO else IRIS)
        other = LogisticRegression(C=1.0 / (0.05 * len(y)), tol=1e-10, max_iter=100_000).fit(data, y)
        ours = GDClassifier(l2=0.05, tol=1e-12).fit(data, y)
        assert_allclose(ours.coef_, other.coef_, rtol=1e-4, atol=1e-6)
        assert_allclose(ours.predict_proba(data), other.predict_proba(data), atol=1e-5)
        assert (ours.classes_ == other.classes_).all() and ours.coef_.shape == other.coef_.shape


def forms():
    return {
        "fortran": np.asfortranarray,
        "csr": sparse.csr_array,
        "csc": sparse.csc_array,
        "coo": sparse.coo_array,
        "matrix": sparse.csr_matrix,
        "float32": lambda X: X.astype(np.float32),
        "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        "pandas": lambda X: pd.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])]),
        "polars": lambda X: pl.DataFrame(X, schema=[f"c{j}" for j in range(X.shape[1])]),
        "list": lambda X: X.tolist(),
    }


@settings(max_examples=40, deadline=None)
@given(
    m=st.integers(8, 60),
    n=st.integers(1, 6),
    seed=st.integers(0, 2**31),
    name=st.sampled_from(sorted(forms())),
    loss=st.sampled_from(["squared", "poisson", "logistic", "softmax"]),
)
def test_the_same_model_from_everything(m, n, seed, name, loss):
    r = np.random.default_rng(seed)
    data = np.round(r.normal(size=(m, n)) * (r.random((m, n)) < 0.7), 3).astype(np.float32).astype(np.float64)
    z = data.sum(axis=1)
    y = {
        "squared": z + r.normal(size=m),
        "poisson": r.poisson(np.exp(np.clip(z, -2, 2))),
        "logistic": np.arange(m) % 2,
        "softmax": np.arange(m) % 3,
    }[loss]
    if np.ptp(y) == 0:
        return
    make = GDClassifier(l2=0.1) if loss in ("logistic", "softmax") else GDRegressor(loss, l2=0.1)
    plain, other = clone(make).fit(data, y), clone(make).fit(forms()[name](data), y)
    assert_allclose(other.coef_, plain.coef_, rtol=1e-6, atol=1e-7)
    assert_allclose(other.intercept_, plain.intercept_, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("model", "y"),
    [(GDRegressor(l2=0.1), Y), (GDRegressor("poisson"), COUNTS), (GDClassifier(), TWO),
     (GDClassifier(class_weight="balanced"), TWO), (GDRegressor("quantile", l2=0.1), Y)],
)  # fmt: skip
def test_weights(model, y):
    weight = rng.integers(0, 4, 120)
    kept = weight > 0
    weighed = clone(model).fit(X, y, sample_weight=weight)
    repeated = clone(model).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    absent = clone(model).fit(X[kept], y[kept], sample_weight=weight[kept])
    scaled = clone(model).fit(X, y, sample_weight=weight * 1e3)
    rtol = 1e-3 if "quantile" in str(model) else 1e-8
    for other in (repeated, absent, scaled):
        assert_allclose(other.coef_, weighed.coef_, rtol=rtol, atol=rtol)


def test_class_weights():
    y = np.where(rng.random(120) < 0.1, "rare", "often")
    by_hand = np.where(y == "rare", 5.0, 0.5)
    one = GDClassifier(class_weight={"rare": 5.0, "often": 0.5}).fit(X, y)
    assert_allclose(one.coef_, GDClassifier().fit(X, y, sample_weight=by_hand).coef_, rtol=1e-9)
    balanced = GDClassifier(class_weight="balanced").fit(X, y)
    theirs = sklearn.utils.class_weight.compute_sample_weight("balanced", y)
    assert_allclose(balanced.coef_, GDClassifier().fit(X, y, sample_weight=theirs).coef_, rtol=1e-9)
    with pytest.raises(SettingError, match="'seldom' is not a class"):
        GDClassifier(class_weight={"seldom": 2}).fit(X, y)
    with pytest.raises(SettingError, match="Did you mean 'balanced'"):
        GDClassifier(class_weight="balance").fit(X, y)


def test_bounds_and_positive():
    limited = GDRegressor(bounds=([0.0, -1.0, -0.5, 0.0], None)).fit(X, Y)
    assert (limited.coef_ >= [0.0, -1.0, -0.5, 0.0]).all() and limited.coef_[2] == -0.5
    assert (GDRegressor(positive=True).fit(X, Y).coef_ >= 0.0).all()
    theirs = LinearRegression(positive=True).fit(X, Y)
    assert_allclose(GDRegressor(positive=True).fit(X, Y).coef_, theirs.coef_, rtol=1e-6, atol=1e-9)
    with pytest.raises(SettingError, match="positive=True and bounds contradict"):
        GDRegressor(positive=True, bounds=(None, 1)).fit(X, Y)


def test_several_outputs_and_one_vs_rest():
    both = np.column_stack([Y, -2 * Y + 1, rng.normal(size=120)])
    model = GDRegressor(l2=0.01).fit(X, both)
    for k in range(3):
        one = GDRegressor(l2=0.01).fit(X, both[:, k])
        assert_allclose(model.coef_[k], one.coef_, rtol=1e-12)
        assert_allclose(model.predict(X)[:, k], one.predict(X), rtol=1e-12)
    assert len(model.results_) == 3 and len(model.loss_curve_) == 3 and model.verdict_ == "converged"
    with pytest.raises(AttributeError, match="3 runs"):
        _ = model.result_
    names = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
    ours = GDClassifier(multi_class="one-vs-rest", l2=0.1).fit(IRIS, names)
    theirs = OneVsRestClassifier(GDClassifier(l2=0.1)).fit(IRIS, names)
    assert (ours.predict(IRIS) == theirs.predict(IRIS)).all()
    assert_allclose(ours.predict_proba(IRIS), theirs.predict_proba(IRIS), rtol=1e-9)


def test_offset():
    exposure = rng.uniform(0.1, 3.0, 120)
    y = rng.poisson(exposure * np.exp(0.5 * Z))
    model = GDRegressor("poisson").fit(X, y, offset=np.log(exposure))
    assert_allclose(model.coef_, fallline.fit(X, y, loss="poisson", offset=np.log(exposure)).coef, rtol=1e-12)
    assert_allclose(model.predict(X, offset=np.log(2.0) * np.ones(120)), 2.0 * model.predict(X), rtol=1e-12)
    with pytest.raises(DataError, match="give one value a row"):
        model.predict(X, offset=np.zeros(3))


def test_in_a_pipeline_with_a_column_transformer_and_a_grid(tmp_path):
    frame = pd.DataFrame(X[:, :2], columns=["a", "b"]).assign(town=np.where(rng.random(120) > 0.5, "x", "y"))
    columns = ColumnTransformer(
        [("n", StandardScaler(), ["a", "b"]), ("c", OneHotEncoder(sparse_output=False), ["town"])]
    )
    pipe = make_pipeline(columns, GDClassifier()).set_output(transform="pandas")
    grid = GridSearchCV(pipe, {"gdclassifier__l2": [1e-4, 1e-2, 1.0]}, cv=3, n_jobs=2).fit(frame, TWO)
    assert grid.best_params_["gdclassifier__l2"] in (1e-4, 1e-2, 1.0)
    best = grid.best_estimator_[-1]
    assert best.feature_names_in_.tolist() == ["n__a", "n__b", "c__town_x", "c__town_y"]
    for again in (pickle.loads(pickle.dumps(best)), joblib.load(joblib.dump(best, tmp_path / "m.joblib")[0])):
        assert_allclose(again.coef_, best.coef_, rtol=0)
        assert again.verdict_ == best.verdict_ and len(again.loss_curve_) == len(best.loss_curve_)


def test_skops(tmp_path):
    skops_io = pytest.importorskip("skops.io")
    for model in (GDClassifier().fit(X, TWO), GDRegressor("huber").fit(X, Y)):
        skops_io.dump(model, tmp_path / "m.skops")
        unknown = skops_io.get_untrusted_types(file=tmp_path / "m.skops")
        assert all(name.startswith(("fallline.", "numpy.")) for name in unknown), unknown
        again = skops_io.load(tmp_path / "m.skops", trusted=unknown)
        assert_allclose(again.coef_, model.coef_, rtol=0)
        assert (again.predict(X) == model.predict(X)).all() and again.verdict_ == model.verdict_


def test_metadata_routing():
    weight = rng.uniform(0.5, 2.0, 120)
    with sklearn.config_context(enable_metadata_routing=True):
        model = GDRegressor().set_fit_request(sample_weight=True, offset=True).set_score_request(sample_weight=True)
        found = cross_validate(
            model, X, Y, params={"sample_weight": weight, "offset": np.zeros(120)}, cv=2, return_estimator=True
        )
    direct = GDRegressor().fit(X[60:], Y[60:], sample_weight=weight[60:])
    assert_allclose(found["estimator"][0].coef_, direct.coef_, rtol=1e-9)


def test_early_stopping_keeps_the_best_on_the_check_rows():
    wide, y = rng.normal(size=(60, 50)), rng.normal(size=60)
    model = GDRegressor(optimizer="descent", early_stopping=True, validation_fraction=0.3, n_iter_no_change=3)
    model.fit(wide, y)
    losses = model.result_.history.check_loss
    assert model.verdict_ == "good enough" and "check rows was lowest" in model.result_.sentence
    assert_allclose(model.result_.check["loss"], np.nanmin(losses), rtol=1e-12)
    assert len(losses) - 1 - int(np.nanargmin(losses)) == 3
    given = GDRegressor(optimizer="adam", batch_size=8, early_stopping=True)
    given.fit(wide[:40], y[:40], X_val=wide[40:], y_val=y[40:])
    assert given.result_.check["rows"] == 20
    assert_allclose(given.result_.check["loss"], np.nanmin(given.result_.history.check_loss), rtol=1e-12)
    with pytest.raises(SettingError, match="give both"):
        GDRegressor().fit(X, Y, X_val=X)
    with pytest.raises(SettingError, match="between 0 and 1"):
        GDRegressor(early_stopping=True, validation_fraction=2).fit(X, Y)
    with pytest.raises(SettingError, match="needs check rows"):
        fallline.fit(X, Y, early_stopping=True)
    with pytest.raises(SettingError, match="how many looks"):
        fallline.fit(X, Y, early_stopping=-1, check=0.2)
    words = GDClassifier(early_stopping=True).fit(X, TWO, X_val=X, y_val=TWO)
    assert words.result_.check["rows"] == 120


def test_early_stopping_leaves_a_run_that_converges_its_proof():
    model = GDRegressor().fit(X, Y, X_val=X, y_val=Y)
    assert model.verdict_ == "converged"
    same = GDRegressor(early_stopping=True).fit(X, Y, X_val=X, y_val=Y)
    assert same.verdict_ == "converged" and same.gap_ is not None


def test_warm_start():
    for make, y in ((GDRegressor, Y), (GDClassifier, TWO), (GDClassifier, SPECIES[:120])):
        data = X if y is not SPECIES[:120] else IRIS[:120]
        model = make(warm_start=True, optimizer="descent", tol=1e-9, l2=0.1).fit(data, y)
        first = model.n_iter_
        again = model.fit(data, y).n_iter_
        assert first > 3 and again <= 2
    model.fit(X[:, :2], TWO)  # other columns: from the start
    assert model.coef_.shape == (1, 2)


def test_verbose_and_callbacks(capsys):
    seen = []
    model = GDRegressor(optimizer="descent", callbacks=[seen.append], verbose=2).fit(X, Y)
    assert len(seen) == len(model.result_.history)
    coef, intercept = seen[-1].weights()
    assert_allclose(coef, model.coef_, rtol=1e-3)
    assert abs(intercept - model.intercept_) < 0.1
    out = capsys.readouterr().out
    assert "step 1, 1 passes: loss" in out and "GDRegressor: converged (proved)" in out
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stopped = GDRegressor(optimizer="descent", callbacks=[lambda event: event.step == 2]).fit(X, Y)
    assert stopped.verdict_ == "unfinished" and stopped.n_iter_ == 2
    with pytest.raises(SettingTypeError, match="set_callbacks"):
        GDRegressor(callbacks=[Recording()]).fit(X, Y)


class Recording:
    """scikit-learn's callback protocol."""

    def __init__(self, stop_at: int = 10**9) -> None:
        self.told, self.stop_at = [], stop_at

    def setup(self, estimator, context):
        self.told.append(("setup", type(estimator).__name__))

    def teardown(self, estimator, context):
        self.told.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context, *, X=None):
        self.told.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        parent = context.parent.task_name if context.parent else None
        score = fitted_estimator.score(X, y)
        self.told.append(("end", context.task_name, parent, score))
        return context.task_id >= self.stop_at and context.task_name == "step"


@pytest.mark.parametrize(
    ("model", "data", "y"),
    [(GDRegressor(optimizer="descent"), X, Y), (GDClassifier(), X, TWO), (GDClassifier(), IRIS, SPECIES),
     (GDClassifier(multi_class="one-vs-rest"), IRIS, SPECIES), (GDRegressor(), X, np.column_stack([Y, Z]))],
)  # fmt: skip
def test_scikit_learns_callback_protocol(model, data, y):
    watch = Recording()
    model = clone(model).set_callbacks(watch)
    model.fit(data, y)
    names = [told[:2] for told in watch.told]
    assert (
        names[0] == ("setup", type(model).__name__)
        and names[1] == ("begin", "fit")
        and names[-1] == ("teardown", "fit")
    )
    steps = [told for told in watch.told if told[:2] == ("end", "step")]
    assert len(steps) == sum(len(result.history) for result in model.results_) and steps[0][2] == "fit"
    assert steps[-1][3] >= steps[0][3] and watch.told[-2][0:2] == ("end", "fit")
    assert_allclose(watch.told[-2][3], model.score(data, y))


def test_callbacks_stop_and_are_torn_down_after_errors():
    watch = Recording(stop_at=2)
    model = GDRegressor(optimizer="descent").set_callbacks(watch).fit(X, Y)
    assert model.n_iter_ == 2 and model.verdict_ == "unfinished"
    broken = Recording()
    with pytest.raises(SettingError):
        GDRegressor(optimizer="desent").set_callbacks(broken).fit(X, Y)
    assert broken.told[0][0] == "setup" and broken.told[-1][0] == "teardown"
    with pytest.raises(TypeError, match="FitCallback"):
        GDRegressor().set_callbacks(print)


@pytest.mark.skipif(sklearn.__version__ < "1.9", reason="the protocol came with 1.9")
def test_scikit_learns_own_callbacks():
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="r2")
    GDRegressor(optimizer="descent").set_callbacks(monitor).fit(X, Y)
    assert len(monitor._log) > 3


def test_the_page_shows_verdict_and_curve():
    model = GDClassifier(optimizer="nesterov", l2=0.1)
    assert "<svg role=" not in model._repr_html_()
    page = model.fit(X, TWO)._repr_html_()
    assert "converged</b>" in page and "Loss curve" in page and "Loss curve" in model._repr_mimebundle_()["text/html"]
    assert "predicted" in GDClassifier(early_stopping=True).fit(X, TWO, X_val=X, y_val=TWO)._repr_html_()


def test_what_is_wrong_is_said():
    for wrong, words in (
        ({"loss": "squarred"}, "Did you mean 'squared'"),
        ({"optimizer": "adm"}, "Did you mean 'adam'"),
        ({"learning_rate": "cosin:0.1"}, "Did you mean 'cosine'"),
        ({"batch_size": 0}, "1 or more"),
        ({"n_threads": 0}, "1 or more"),
        ({"l2": -1.0}, "0"),
    ):
        with pytest.raises(ValueError, match=words):
            GDRegressor(**wrong).fit(X, Y)
    with pytest.raises(SettingError, match="is for two classes; use GDClassifier"):
        GDRegressor("logistic").fit(X, Y)
    with pytest.raises(SettingError, match="is for number; use GDRegressor"):
        GDClassifier("poisson").fit(X, TWO)
    with pytest.raises(SettingError, match="Did you mean 'softmax'"):
        GDClassifier(multi_class="sofmax").fit(X, TWO)
    with pytest.raises(SettingError, match="contradict each other"):
        GDClassifier("softmax", multi_class="one-vs-rest").fit(IRIS, SPECIES)
    with pytest.raises(SettingError, match="contradict each other"):
        GDClassifier("squared hinge", multi_class="softmax").fit(IRIS, SPECIES)
    with pytest.raises(NotFittedError):
        GDRegressor().predict(X)
    with pytest.raises(NotFittedError):
        _ = GDRegressor().verdict_
    with pytest.raises(TargetError, match="one class only"):
        GDClassifier().fit(X, np.zeros(120, dtype=int))
    assert not hasattr(GDClassifier("squared hinge"), "predict_proba")


def test_no_number_rather_than_a_wrong_one():
    model = GDRegressor("poisson").fit(X, COUNTS)
    with pytest.raises(DataError, match="not finite in 1 row .first: row 1"):
        model.predict(np.array([[0.0, 0.0, 0.0, 0.0], [1e5, 1e5, -1e5, 1e5]]))


def test_what_did_not_converge_warns():
    with pytest.warns(ConvergenceWarning, match="unfinished: the budget of 2 passes is spent"):
        GDRegressor(optimizer="descent", max_passes=2).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        GDRegressor(optimizer="descent", learning_rate=100.0).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="no finite optimum"):
        GDClassifier(l2=0.0).fit(X, X[:, 0] > 0.0)


def test_random_state():
    def coef(state):
        return GDRegressor(optimizer="adam", batch_size=8, max_passes=3, random_state=state).fit(X, Y).coef_

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert_allclose(coef(3), coef(3), rtol=0)
        assert_allclose(coef(np.random.RandomState(1)), coef(np.random.RandomState(1)), rtol=0)
        assert not np.array_equal(coef(3), coef(4))
        np.random.seed(0)
        assert not np.array_equal(coef(None), coef(None))


class TestLoggers:
    def run(self, logger, **kw):
        return GDRegressor(optimizer="descent", callbacks=[logger], **kw).fit(X, Y)

    def test_csv(self, tmp_path):
        from fallline.loggers.csv import CsvLogger

        logger = CsvLogger(tmp_path / "curve.csv")
        model = self.run(logger)
        self.run(clone(logger, safe=False))
        table = pl.read_csv(tmp_path / "curve.csv")
        assert table["run"].n_unique() == 2 and table.height == 2 * len(model.result_.history)
        mine = table.filter(pl.col("run") == table["run"][0])
        assert_allclose(mine["loss"].to_numpy(), model.result_.history.loss, rtol=0)
        assert table["check_loss"].is_null().all()

    def test_json_lines(self, tmp_path):
        from fallline.loggers.jsonl import JsonLinesLogger

        path = tmp_path / "curve.jsonl"
        result = fallline.fit(X, Y, optimizer="descent", check=0.2, callback=JsonLinesLogger(path))
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert len(lines) == len(result.history) + 1 and lines[-1]["verdict"] == "converged"
        assert lines[3]["check_loss"] == result.history.check_loss[3] and lines[3]["step"] == 3

    def test_broken_off(self, tmp_path):
        from fallline.loggers.jsonl import JsonLinesLogger

        def fail(event):
            raise KeyboardInterrupt

        path = tmp_path / "curve.jsonl"
        with pytest.raises(KeyboardInterrupt):
            GDRegressor(callbacks=[JsonLinesLogger(path), fail]).fit(X, Y)
        assert "broken off" in path.read_text().splitlines()[-1]

    @pytest.mark.filterwarnings("ignore")
    def test_mlflow(self, tmp_path, monkeypatch):
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow 3 asks for that
        mlflow = pytest.importorskip("mlflow")
        from fallline.loggers.mlflow import MlflowLogger

        uri = (tmp_path / "runs").as_uri()
        model = self.run(MlflowLogger(uri, "homes"))
        client = mlflow.MlflowClient(tracking_uri=uri)
        (run,) = client.search_runs([client.get_experiment_by_name("homes").experiment_id])
        assert run.info.status == "FINISHED" and run.data.tags["verdict"] == "converged"
        assert run.data.params["optimizer"] == "descent"
        curve = client.get_metric_history(run.info.run_id, "loss")
        assert_allclose([point.value for point in curve], model.result_.history.loss, rtol=1e-12)

    @pytest.mark.filterwarnings("ignore")
    def test_tensorboard(self, tmp_path):
        pytest.importorskip("tensorboard")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        from fallline.loggers.tensorboard import TensorBoardLogger

        model = self.run(TensorBoardLogger(tmp_path))
        (folder,) = tmp_path.iterdir()
        read = EventAccumulator(str(folder))
        read.Reload()
        assert_allclose([p.value for p in read.Scalars("loss")], model.result_.history.loss, rtol=1e-6)
        assert [p.step for p in read.Scalars("learning_rate")] == model.result_.history.step.astype(int).tolist()


def test_reliability():
    r = np.random.default_rng(0)
    data = r.normal(size=(20_000, 3))
    z = data @ [1.0, -1.0, 0.5]
    y = r.random(20_000) < 1.0 / (1.0 + np.exp(-z))
    result = fallline.fit(data, y, loss="logistic", check=0.5)
    assert result.reliability.error < 0.02 and "off by" in str(result)
    wrong = fallline.fit(data, y, loss="logistic", check=(data, r.permutation(y)))
    assert wrong.reliability.error > 0.1
    p = result.predict_probability(data)[:, 1]
    exact = fallline.fit(data, y, loss="logistic", check=(data, y))
    p = exact.predict_probability(data)[:, 1]
    from sklearn.calibration import calibration_curve

    observed, predicted = calibration_curve(y, p, n_bins=10)
    assert_allclose(exact.reliability.observed, observed, rtol=1e-9)
    assert_allclose(exact.reliability.predicted, predicted, rtol=1e-9)
    again = io.BytesIO(pickle.dumps(exact))
    assert str(pickle.load(again).reliability) == str(exact.reliability)
    axes = exact.plot_reliability()
    assert axes.get_xlabel() == "predicted probability"
    with pytest.raises(SettingError, match="no predicted probabilities"):
        fallline.fit(X, Y, check=0.2).plot_reliability()


def test_rows_of_weight_zero_and_classes_of_weight_zero_are_not_there():
    y = rng.integers(0, 4, 400)
    data = np.eye(4)[y] + rng.normal(size=(400, 4))
    for model, weight in (
        (GDClassifier(class_weight={0: 0.0}), None),
        (GDClassifier(), (y != 0).astype(float)),
        (GDClassifier(multi_class="one-vs-rest"), (y != 0).astype(float)),
    ):
        model.fit(data, y, sample_weight=weight)
        expected = clone(model).set_params(class_weight=None).fit(data[y != 0], y[y != 0])
        assert model.classes_.tolist() == [1, 2, 3]
        assert_allclose(model.coef_, expected.coef_, rtol=1e-9)
    two = GDClassifier(class_weight="balanced").fit(data, y, sample_weight=(y < 2).astype(float))
    assert_allclose(two.coef_, GDClassifier(class_weight="balanced").fit(data[y < 2], y[y < 2]).coef_, rtol=1e-9)
    with pytest.raises(DataError, match="zero or more; it is less in 400 rows .first: row 0"):
        GDClassifier().fit(data, y, sample_weight=-np.ones(400))


def test_a_class_that_is_held_out_whole():
    y = rng.integers(0, 2, 200)
    y[5] = 2
    data = rng.normal(size=(200, 3))
    for state in range(12):
        model = GDClassifier(early_stopping=True, random_state=state).fit(data, y)
        assert model.classes_.tolist() == [0, 1, 2] and model.predict_proba(data).shape == (200, 3)


def test_validation_targets_are_checked():
    with pytest.raises(TargetError, match=r"y_val: the label 7 \(row 1\) is not one of the classes"):
        GDClassifier(multi_class="one-vs-rest").fit(IRIS, SPECIES, X_val=IRIS[:2], y_val=[0, 7])
    with pytest.raises(TargetError, match="y_val: the label '0'"):
        GDClassifier(multi_class="one-vs-rest").fit(IRIS, SPECIES, X_val=IRIS[:2], y_val=["0", "1"])
    with pytest.raises(DataError, match="as many columns as in y"):
        GDRegressor().fit(X, np.column_stack([Y, Z]), X_val=X, y_val=Y)
    with pytest.raises(SettingError, match="n_iter_no_change: got 0"):
        GDRegressor(early_stopping=True, n_iter_no_change=0).fit(X, Y)
    with pytest.raises(SettingError, match="random_state: got -1"):
        GDRegressor(random_state=-1).fit(X, Y)


def test_offsets_of_every_shape():
    both, m = np.column_stack([Y, Z]), len(X)
    each = GDRegressor().fit(X, both, offset=np.column_stack([np.ones(m), np.zeros(m)]), X_val=X, y_val=both,
                             offset_val=np.ones((m, 2)))  # fmt: skip
    assert_allclose(each.intercept_[0], GDRegressor().fit(X, Y).intercept_ - 1.0, rtol=1e-9)
    assert_allclose(each.predict(X, offset=np.ones((m, 2))), each.predict(X) + 1.0)
    one = GDRegressor().fit(X, Y, offset=np.ones((m, 1)))
    assert one.predict(X, offset=np.ones((m, 1))).shape == (m,)
    for call in (
        lambda: GDRegressor().fit(X, Y, offset=np.ones((m, 2))),
        lambda: GDRegressor().fit(X, both, offset=np.ones((m, 3))),
        lambda: GDClassifier().fit(IRIS, SPECIES, offset=np.ones((150, 3))),
        lambda: GDClassifier().fit(X, TWO).decision_function(X, offset=np.ones((m, 2))),
        lambda: GDClassifier().partial_fit(X, TWO, offset=np.ones((m, 2))),
    ):
        with pytest.raises(DataError, match="give one value a row"):
            call()
    for model in (GDRegressor(), GDRegressor("poisson")):
        with pytest.raises(DataError, match="offset: must be finite; row 3"):
            model.partial_fit(X, COUNTS, offset=np.where(np.arange(m) == 3, np.nan, 0.0))


def test_what_was_fitted_is_what_predicts():
    model = GDClassifier().fit(IRIS, SPECIES)
    before = model.predict_proba(IRIS)
    assert_allclose(model.set_params(multi_class="one-vs-rest").predict_proba(IRIS), before, rtol=0)
    counts = GDRegressor("poisson").fit(X, COUNTS)
    before = counts.predict(X)
    assert_allclose(counts.set_params(loss="squared").predict(X), before, rtol=0)


def test_one_run_of_a_logger_for_losses_with_corners(tmp_path):
    from fallline.loggers.jsonl import JsonLinesLogger

    path = tmp_path / "curve.jsonl"
    fallline.fit(X, Y, loss="quantile", callback=JsonLinesLogger(path))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    steps = [line["step"] for line in lines[:-1]]
    assert len({line["run"] for line in lines}) == 1 and sum("verdict" in line for line in lines) == 1
    assert steps == sorted(steps) and steps[-1] == lines[-1]["steps"]


def test_huber_on_targets_far_wider_than_delta():
    """Then it is nearly median regression, whose last digits it may not reach, but its weights it must."""
    median = fallline.fit(X, Y, loss="quantile")
    for size in (1e-4, 1.0, 30.0):
        assert str(fallline.fit(X, Y * size, loss="huber").verdict) == "converged"
    wide = fallline.fit(X, Y * 1e6, loss="huber", max_passes=200)
    assert_allclose(wide.coef / 1e6, median.coef, rtol=0.05, atol=0.05)


def test_slips_are_named():
    frame = pd.DataFrame(X, columns=list("abcd"))
    for wrong, words in (
        ({"loss": 3}, "loss: got 3; give a name"),
        ({"loss": "absolute_error"}, "Here that is 'quantile'"),
        ({"optimizer": "sgd"}, "Here that is optimizer='descent' with batch_size=1"),
        ({"verbose": "a"}, "verbose: got 'a'"),
        ({"callbacks": print}, "give a list of functions"),
        ({"callbacks": [Recording]}, "each is a function"),
        ({"early_stopping": "no"}, "give True or False"),
        ({"fit_intercept": "yes"}, "give True or False"),
        ({"half_life": "aut"}, "Did you mean 'auto'"),
    ):
        with pytest.raises((SettingError, SettingTypeError), match=words):
            GDRegressor(**wrong).fit(X, Y)
    with pytest.raises(SettingError, match="got 'a' for 'no'"):
        GDClassifier(class_weight={"no": "a"}).fit(X, TWO)
    with pytest.raises(SettingError, match="Here that is 'one-vs-rest'"):
        GDClassifier(multi_class="ovr").fit(IRIS, SPECIES)
    with pytest.raises(SettingTypeError, match="class_weight takes names"):
        GDClassifier().fit(X, TWO, sample_weight="balanced")
    with pytest.raises(DataError, match="column 'town' holds no numbers"):
        GDRegressor().fit(frame.assign(town="x"), Y)
    with pytest.raises(DataError, match="column 'day' holds no numbers"):
        GDRegressor().fit(pl.DataFrame(frame).with_columns(day=pl.date(2020, 1, 1)), Y)
    assert_allclose(GDRegressor().fit(frame.astype(object), Y).coef_, GDRegressor().fit(X, Y).coef_, rtol=1e-9)
    with pytest.warns(UserWarning, match="Did you mean GDRegressor"):
        GDClassifier(max_seconds=0.2, l2=1.0).fit(X, np.arange(120) // 2)
    assert GDRegressor().fit(frame, Y).to_sklearn().feature_names_in_.tolist() == list("abcd")
    assert not hasattr(GDRegressor().fit(X, Y).to_sklearn(), "feature_names_in_")
