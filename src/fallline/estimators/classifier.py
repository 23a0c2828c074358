"""GDClassifier: classes by gradient descent, as a scikit-learn estimator."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from fallline.errors import SettingError, TargetError
from fallline.estimators._base import GDEstimator, resolve
from fallline.estimators._callbacks import FitContext, with_callbacks
from fallline.estimators._labels import known_labels, labels_in_a_line, refuse_strange, with_class_weights
from fallline.family import suggest
from fallline.losses import as_loss
from fallline.losses._base import Loss
from fallline.online.telling import sampled_result
from fallline.optimizers import AnyOptimizer
from fallline.penalties._base import Penalty
from fallline.rates._base import Rate
from fallline.threads import one_blas_thread, use_threads

Array = NDArray[np.floating]

MANY, ROWS_A_CLASS = 50, 10  # classes that are numbers, and rows for each: beyond, they are measurements
MULTI_CLASS = ("auto", "softmax", "one-vs-rest")


def _has_probabilities(estimator: Any) -> bool:
    if estimator.loss == "auto":
        return True
    form = as_loss(estimator.loss)
    if form.link in ("logit", "softmax"):
        return True
    raise AttributeError(f"loss={form.name!r} has no probabilities; use loss='logistic' or 'softmax'.")


class GDClassifier(ClassifierMixin, GDEstimator):
    """Linear model for classes, trained by gradient descent::

        J(theta) = 1/W sum_i weight_i phi(y_i, x_i . coef + intercept + offset_i) + l1 |w|_1 + l2/2 |w|^2

    Two classes are logistic regression, more are softmax (multinomial) regression, unless another loss is named.

    Parameters
    ----------
    loss
        ``"auto"``, ``"logistic"``, ``"softmax"``, ``"squared hinge"``, or a Loss. ``"auto"`` is logistic for two classes
        and softmax for more.
    multi_class
        for more than two classes: ``"softmax"``, ``"one-vs-rest"``, or ``"auto"``: softmax where the loss has
        probabilities, else one-vs-rest.
    l2
        by default 1e-4, so that a best model exists also where the classes are separated perfectly; 0.0 for maximum
        likelihood, whose standard errors ``summary()`` tells.
    class_weight
        None, ``"balanced"`` (a class's rows weigh W / (K W_k), so that all classes weigh the same), or a dict from class
        to weight. They multiply `sample_weight`.
    penalty, l1, bounds, positive, optimizer, learning_rate, batch_size, fit_intercept, standardize, tol, max_passes, \
max_seconds, warm_start, early_stopping, validation_fraction, n_iter_no_change, inference, half_life, random_state, n_threads, \
verbose, callbacks
        as in :class:`GDRegressor`.

    Attributes
    ----------
    classes_
        the labels, sorted.
    coef_, intercept_
        (1, n) and (1,) for two classes, (K, n) and (K,) for more. In the units of the data.
    verdict_, gap_, findings_, loss_curve_, n_iter_, result_, results_, n_features_in_, feature_names_in_
        as in :class:`GDRegressor`.

    Examples
    --------
    >>> import numpy as np
    >>> from fallline import GDClassifier
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]])
    >>> y = np.array(["no", "no", "yes", "no", "yes", "yes"])
    >>> model = GDClassifier().fit(X, y)
    >>> model.predict([[0.5], [4.5]]).tolist(), model.verdict_
    (['no', 'yes'], 'converged')
    """

    classes_: NDArray[Any]

    # Spelt out again, for scikit-learn reads the settings of a class from the signature of its own __init__.
    def __init__(
        self,
        loss: str | Loss = "auto",
        *,
        multi_class: str = "auto",
        class_weight: str | Mapping[Any, float] | None = None,
        penalty: Penalty | None = None,
        l1: float = 0.0,
        l2: float = 1e-4,
        optimizer: str | AnyOptimizer = "auto",
        learning_rate: float | str | Rate = "auto",
        batch_size: int | None = None,
        fit_intercept: bool = True,
        standardize: bool = True,
        tol: float = 1e-6,
        max_passes: float | None = None,
        max_seconds: float = math.inf,
        warm_start: bool = False,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        inference: bool = False,
        bounds: tuple[Any, Any] | None = None,
        positive: bool = False,
        half_life: float | str | None = None,
        random_state: Any = 0,
        n_threads: int | None = None,
        verbose: int = 0,
        callbacks: Sequence[Any] | None = None,
    ) -> None:
        super().__init__(
            loss, penalty=penalty, l1=l1, l2=l2, optimizer=optimizer, learning_rate=learning_rate, batch_size=batch_size,
            fit_intercept=fit_intercept, standardize=standardize, tol=tol, max_passes=max_passes, max_seconds=max_seconds,
            warm_start=warm_start, early_stopping=early_stopping, validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change, inference=inference, bounds=bounds, positive=positive, half_life=half_life,
            random_state=random_state, n_threads=n_threads, verbose=verbose, callbacks=callbacks,
        )  # fmt: skip
        self.multi_class = multi_class
        self.class_weight = class_weight

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        offset: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        offset_val: Any = None,
    ) -> GDClassifier:
        """Train on X (m, n), dense, sparse or a data frame of numbers, and labels y (m,); return self.

        `offset` (m,) is added to the predictions on the link scale. ``X_val``, ``y_val``: rows to check on.
        """
        self.__dict__.pop("_streams", None)
        given, y = self._take_rows(X, y, sample_weight, offset, (X_val, y_val, sample_weight_val, offset_val))
        y = labels_in_a_line(y)
        seen = np.unique(y if given.weight is None else y[given.weight > 0.0])
        weight = with_class_weights(self.class_weight, seen, y, given.weight)
        if weight is not None and not weight.all():  # a row of weight zero is a row that is not there
            kept = weight > 0.0
            shift = None if given.offset is None else given.offset[kept]
            given, y, weight = replace(given, X=given.X[kept], offset=shift), y[kept], weight[kept]
        classes = np.unique(y)
        if len(classes) < 2:
            only = repr(classes.tolist()[0]) if len(classes) else "none"
            raise TargetError(f"The target has one class only, {only}: nothing tells it from another class.")
        if len(classes) > max(MANY, len(y) // ROWS_A_CLASS) and np.issubdtype(classes.dtype, np.number):
            warnings.warn(
                f"The target has {len(classes):,} different numbers in {len(y):,} rows, each of which becomes a class. Did you "
                "mean GDRegressor?",
                UserWarning,
                stacklevel=3,
            )
        form, rest = self._form(len(classes))
        y_val = None if given.y_check is None else labels_in_a_line(given.y_check)
        if y_val is not None:
            refuse_strange(y_val, classes, "y_val: the label", "that the model is trained on")
        if rest:
            targets: list[Any] = [y == label for label in classes]
            checks: list[Any] = [None if y_val is None else y_val == label for label in classes]
        else:
            targets, checks = [y], [y_val]
        start = self._start(classes, rest, given.X.shape[1])
        context = FitContext(self, X, y, given.weight)
        names: list[str | None] = [str(label) for label in classes] if rest else [None]
        self.classes_, self._fitted = classes, (form, rest)
        self.results_ = self._fit_each(given, targets, checks, form, names, [weight] * len(targets), start, context)
        self.__dict__.update(self._attributes([(result.coef, result.intercept) for result in self.results_]))
        context.end()
        self._warn()
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None, offset: Any = None
    ) -> GDClassifier:
        """Learn from more rows, which are seen once; return self. No learning rate, no passes, nothing to tune.

        `classes`: all labels that may ever come; needed at the first call, unless its rows have them all. Rows may come
        in any order, one class after another too. A sample of the rows is kept that stands for all, with what it lacks of
        their gradient. ``class_weight="balanced"`` needs all rows and is refused.

        >>> import numpy as np
        >>> from fallline import GDClassifier
        >>> x = np.arange(100.0).reshape(-1, 1)
        >>> model = GDClassifier(l2=1e-3)
        >>> for piece in np.split(x, 10):
        ...     _ = model.partial_fit(piece, piece[:, 0] > 44, classes=[False, True])
        >>> model.predict([[10.0], [80.0]]).tolist()
        [False, True]
        """
        if self.class_weight == "balanced":
            raise SettingError(
                "class_weight='balanced' with partial_fit: the shares of the classes are known at the end only. Give a "
                "dict from class to weight."
            )
        given, y, first = self._take_piece(X, y, sample_weight, offset)
        y = labels_in_a_line(y)
        self._know(classes, y, first)
        if first:
            self._fitted = self._form(len(self.classes_))
        n, (form, rest) = given.X.shape[1], self._fitted
        if first:
            count = 1 if rest or form.task != "classes" else len(self.classes_)
            self._streams = [self._stream(n, form, count) for _ in range(len(self.classes_) if rest else 1)]
        weight = with_class_weights(self.class_weight, self.classes_, y, given.weight)
        if first and weight is not None and not weight.any():
            raise TargetError("partial_fit: all of the first rows have weight zero, so there is nothing to begin with.")
        codes = np.searchsorted(self.classes_, y).astype(np.float64)
        with use_threads(self.n_threads), one_blas_thread(), np.errstate(all="ignore"):
            for k, stream in enumerate(self._streams):
                stream.add(given.X, (codes == k).astype(np.float64) if rest else codes, weight, given.offset)
        told = self._told() | {"classes": (False, True) if rest else tuple(self.classes_.tolist())}
        self.results_ = [sampled_result(stream, told) for stream in self._streams]
        self.__dict__.update(self._attributes([(result.coef, result.intercept) for result in self.results_]))
        return self

    def _know(self, classes: Any, y: NDArray[Any], first: bool) -> None:
        """The classes, from the first call on; refused where others come."""
        if first:
            known = np.unique(y) if classes is None else known_labels(classes)
            if len(known) < 2:
                which = f"the first rows have {known.tolist()!r}" if classes is None else f"classes={known.tolist()!r}"
                raise TargetError(
                    f"partial_fit: {which}, fewer than two classes; give all labels that may come, as in "
                    "partial_fit(X, y, classes=[...])."
                )
            self.classes_ = known
        elif classes is not None and not np.array_equal(known_labels(classes), self.classes_):
            raise SettingError(
                f"partial_fit: classes={known_labels(classes).tolist()!r} is not what the first call was given, "
                f"{self.classes_.tolist()!r}."
            )
        refuse_strange(y, self.classes_, "The label", "that the first call of partial_fit was given")

    def decision_function(self, X: Any, offset: Any = None) -> Array:
        """z = X @ coef + intercept (+ offset): (m,) for two classes (positive: the second), (m, K) for more."""
        z = self._linear(X, offset)
        return z[:, 0] if z.shape[1] == 1 else z

    def predict(self, X: Any, offset: Any = None) -> NDArray[Any]:
        """The likeliest label for each row of X, (m,)."""
        z = self.decision_function(X, offset)
        chosen: NDArray[Any] = self.classes_[(z > 0.0).astype(int) if z.ndim == 1 else z.argmax(axis=1)]
        return chosen

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any, offset: Any = None) -> Array:
        """The probability of each class, (m, K) in the order of ``classes_``; rows sum to one.

        One-vs-rest: each run's probability, divided by their sum.
        """
        z = self.decision_function(X, offset)
        form, rest = self._fitted
        with np.errstate(all="ignore"):
            mu = form.mean(z)
            if z.ndim == 1:
                return np.column_stack([1.0 - mu, mu])
            return mu / mu.sum(axis=1, keepdims=True) if rest else mu

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Any, offset: Any = None) -> Array:
        """The logarithm of ``predict_proba``."""
        with np.errstate(all="ignore"):
            return np.asarray(np.log(self.predict_proba(X, offset)))

    def _exported(self) -> tuple[Loss, str, tuple[Any, ...]]:
        form, rest = self._fitted
        link = form.link if form.link in ("logit", "softmax") else "margin"
        return form, "one-vs-rest" if rest and link == "logit" else link, tuple(self.classes_.tolist())

    def _form(self, count: int) -> tuple[Loss, bool]:
        """The loss for so many classes, and whether it is one run for each class against the rest."""
        if self.multi_class not in MULTI_CLASS:
            hint = suggest(str(self.multi_class), list(MULTI_CLASS))
            raise SettingError(f"multi_class: got {self.multi_class!r}; give one of {', '.join(MULTI_CLASS)}.{hint}")
        if self.loss == "auto":
            name = "logistic" if count == 2 or self.multi_class == "one-vs-rest" else "softmax"
            return as_loss(name), count > 2 and name == "logistic"
        allowed = {"two classes": "", "classes": "", "else": "GDRegressor"}
        form = resolve(self.loss, allowed, type(self).__name__)
        if form.task == "classes":
            if self.multi_class == "one-vs-rest":
                raise SettingError(
                    f"loss={form.name!r} and multi_class='one-vs-rest' contradict each other: that loss takes all classes "
                    "at once. Use loss='logistic' for one-vs-rest."
                )
            return form, False
        if count == 2 or self.multi_class == "one-vs-rest":
            return form, count > 2
        if form.link == "logit":
            return as_loss("softmax"), False
        if self.multi_class == "softmax":
            raise SettingError(
                f"loss={form.name!r} and multi_class='softmax' contradict each other: use loss='softmax', or "
                "multi_class='one-vs-rest'."
            )
        return form, True

    def _start(self, classes: NDArray[Any], rest: bool, n: int) -> list[Any]:
        """Where each run starts: zeros, or the last fit's coefficients."""
        count = len(classes) if rest else 1
        if not (self.warm_start and hasattr(self, "coef_")):
            return [None] * count
        rows = len(classes) if rest or len(classes) > 2 or self.loss == "softmax" else 1
        if self.coef_.shape != (rows, n) or not np.array_equal(self.classes_, classes):
            return [None] * count
        theta = np.column_stack([self.coef_, self.intercept_]) if self.fit_intercept else self.coef_
        return list(theta) if rows == count else [theta.T]

    def _attributes(self, weights: list[tuple[Array, Any]]) -> dict[str, Any]:
        if weights[0][0].ndim == 2:  # softmax: (n, K)
            coef, b = weights[0]
            return {"coef_": np.ascontiguousarray(coef.T), "intercept_": np.broadcast_to(b, (coef.shape[1],)).copy()}
        return {"coef_": np.array([w for w, _ in weights]), "intercept_": np.array([float(b) for _, b in weights])}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = True
        return tags
