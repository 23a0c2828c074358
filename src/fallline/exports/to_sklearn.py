"""A model as one of scikit-learn's own classes, with the coefficients put in."""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.errors import SettingError
from fallline.exports.linear import Linear


def to_sklearn(model: Linear) -> Any:
    """A fitted estimator of scikit-learn that predicts the same."""
    from sklearn import linear_model
    from sklearn.svm import LinearSVC

    if model.classes is None:
        if model.link == "identity":
            made = linear_model.LinearRegression()
            several = model.coef.shape[1] > 1
            _fill(
                made,
                model,
                model.coef.T if several else model.coef[:, 0],
                model.intercept if several else model.intercept[0],
            )
            return made
        if model.coef.shape[1] > 1 or model.link != "log":
            what = "of several outputs" if model.coef.shape[1] > 1 else "of shares"
            raise SettingError(f"to_sklearn: scikit-learn has no {model.loss} regression {what}.")
        made = linear_model.GammaRegressor() if model.loss == "gamma" else linear_model.PoissonRegressor()
        _fill(made, model, model.coef[:, 0], model.intercept[0])
        made._base_loss = made._get_loss()
        return made
    if model.link == "one-vs-rest":
        return _one_vs_rest(model)
    made = LinearSVC() if model.link == "margin" else linear_model.LogisticRegression()
    coef, b = model.coef.T, model.intercept
    if model.link == "softmax" and len(model.classes) == 2:  # as a difference: scikit-learn has one row for two classes
        coef, b = coef[1:] - coef[:1], b[1:] - b[:1]
    _fill(made, model, coef, b)
    made.classes_ = np.asarray(model.classes)
    made.n_iter_ = np.array([1])
    return made


def _one_vs_rest(model: Linear) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.preprocessing import LabelBinarizer

    assert model.classes is not None
    made = OneVsRestClassifier(LogisticRegression())
    made.label_binarizer_ = LabelBinarizer(sparse_output=True).fit(np.asarray(model.classes))
    made.estimators_ = []
    for k in range(len(model.classes)):
        one = LogisticRegression()
        _fill(one, model, model.coef[:, k][None], model.intercept[k : k + 1])
        one.classes_ = np.array([0, 1])
        made.estimators_.append(one)
    made.classes_, made.n_features_in_ = np.asarray(model.classes), len(model.names)
    return made


def _fill(made: Any, model: Linear, coef: Any, intercept: Any) -> None:
    if model.names != tuple(f"x{j}" for j in range(len(model.names))):  # an array's columns have no names
        made.feature_names_in_ = np.array(model.names, dtype=object)
    made.coef_ = np.ascontiguousarray(coef)
    made.intercept_ = np.asarray(intercept, dtype=np.float64) if np.ndim(intercept) else float(intercept)
    made.n_features_in_ = len(model.names)
