"""GDRegressor: numbers, counts and amounts by gradient descent, as a scikit-learn estimator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from fallline.errors import DataError
from fallline.estimators._base import GDEstimator, resolve
from fallline.estimators._callbacks import FitContext, with_callbacks
from fallline.estimators._sides import Given, finite, of_output, real_targets
from fallline.losses._base import Loss
from fallline.losses.squared import Squared
from fallline.online.exact import MOST_COLUMNS, ExactStream
from fallline.online.telling import exact_result, sampled_result
from fallline.optimizers import AnyOptimizer
from fallline.penalties._base import Penalty
from fallline.rates._base import Rate
from fallline.result import Result
from fallline.threads import one_blas_thread, use_threads

Array = NDArray[np.floating]


class GDRegressor(RegressorMixin, GDEstimator):
    """Linear model for numbers, trained by gradient descent::

        J(theta) = 1/W sum_i weight_i phi(y_i, x_i . coef + intercept + offset_i) + l1 |w|_1 + l2/2 |w|^2

    Every setting is that of :func:`fallline.fit`; left alone, no learning rate is guessed and the fit ends with a proof.

    Parameters
    ----------
    loss
        ``"squared"``, ``"huber"``, ``"quantile"``, ``"poisson"``, ``"gamma"``, or a Loss such as ``fallline.Huber(2.0)``.
    penalty, l1, l2, bounds, positive
        see :func:`fallline.fit`; l1 and l2 act on standardised columns (docs/scikit-learn.md converts scikit-learn's and
        glum's ``alpha``). ``positive=True`` is ``bounds=(0, None)``.
    optimizer, learning_rate, batch_size, fit_intercept, standardize, tol, max_passes, max_seconds, n_threads
        see :func:`fallline.fit`.
    warm_start
        start from the coefficients of the last fit.
    early_stopping, validation_fraction, n_iter_no_change
        hold out a share of the rows (or give ``X_val`` and ``y_val`` to ``fit``), end when `n_iter_no_change` looks at
        them have passed without a lower loss, and keep the best.
    inference
        True: ``summary()`` tells standard errors; unpenalised likelihoods only.
    half_life
        of ``partial_fit``: after so many rows of weight 1 a row counts half. None: rows count for ever. ``"auto"``, for
        rows that may drift: several such memories are kept, and the one that predicted best lately answers.
    random_state
        the seed of mini-batch order, check rows and samples; None draws one from NumPy's global state.
    verbose
        1 prints the verdict, 2 also the loss at every step or epoch.
    callbacks
        functions of a :class:`fallline.recorder.Event`, called at each recorded step; returning True stops. Objects with
        scikit-learn's callback hooks go to ``set_callbacks``.

    Attributes
    ----------
    coef_, intercept_
        (n,) and a number; (k, n) and (k,) where y has k columns. In the units of the data.
    verdict_, gap_, findings_, loss_curve_, n_iter_, result_, results_
        how the fit ended; the proved bound on J - J*; what was found; J at each step; steps; everything.
    n_features_in_, feature_names_in_
        as everywhere in scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> from fallline import GDRegressor
    >>> X = np.arange(20.0).reshape(-1, 1)
    >>> model = GDRegressor().fit(X, 3 * X[:, 0] + 1)
    >>> model.coef_.round(6), round(model.intercept_, 6), model.verdict_
    (array([3.]), 1.0, 'converged')
    """

    def __init__(
        self,
        loss: str | Loss = "squared",
        *,
        penalty: Penalty | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
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
    ) -> GDRegressor:
        """Train on X (m, n), dense, sparse or a data frame of numbers, and y (m,) or (m, k); return self.

        `offset` (m,) is added to the predictions on the link scale: log(exposure) for rates of counts. ``X_val``,
        ``y_val``: rows to check on.
        """
        form = self._form()
        self.__dict__.pop("_streams", None)
        validation = (X_val, y_val, sample_weight_val, offset_val)
        given, y = self._take_rows(X, y, sample_weight, offset, validation, multi_output=True, y_numeric=True)
        several = y.ndim == 2
        targets = list(y.T) if several else [y]
        y_val = None if given.y_check is None else real_targets(given.y_check, form, "y_val")
        if y_val is not None and y_val.shape[1:] != y.shape[1:]:
            raise DataError(f"y_val has the shape {y_val.shape} and y {y.shape}; give as many columns as in y.")
        checks = list(y_val.T) if several and y_val is not None else [y_val] * len(targets)
        start = self._start(len(targets), given.X.shape[1])
        context = FitContext(self, X, y, given.weight)
        names: list[str | None] = [f"y{k}" for k in range(len(targets))] if several else [None]
        weights = [given.weight] * len(targets)
        self._several, self._outputs, self._fitted = several, len(targets), form
        self.results_ = self._fit_each(given, targets, checks, form, names, weights, start, context)
        self.__dict__.update(self._attributes([(result.coef, result.intercept) for result in self.results_]))
        context.end()
        self._warn()
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, offset: Any = None) -> GDRegressor:
        """Learn from more rows, which are seen once; return self. No learning rate, no passes, nothing to tune.

        Squared loss is exact, for up to ``fallline.online.exact.MOST_COLUMNS`` columns: any split of the rows gives the
        model of all rows. Other losses keep a sample of the rows that stands for all, with what it lacks of their
        gradient. `optimizer`, `learning_rate`, `batch_size` and the budgets are settings of ``fit``.

        >>> import numpy as np
        >>> from fallline import GDRegressor
        >>> x = np.arange(100.0).reshape(-1, 1)
        >>> model = GDRegressor()
        >>> for piece in np.split(x, 10):
        ...     _ = model.partial_fit(piece, 3 * piece[:, 0] + 1)
        >>> model.coef_.round(6), round(model.intercept_, 6)
        (array([3.]), 1.0)
        """
        form = self._form()
        given, y, first = self._take_piece(X, y, sample_weight, offset, multi_output=True, y_numeric=True)
        targets = real_targets(y, form, "y")
        targets = targets if y.ndim == 2 else targets[:, None]
        n, outputs = given.X.shape[1], targets.shape[1]
        if first:
            life = self.half_life
            if isinstance(form, Squared) and n <= MOST_COLUMNS and not isinstance(life, str):
                streams: list[Any] = [ExactStream(n, outputs, life)]
            else:
                streams = [self._stream(n, form, 1) for _ in range(outputs)]
            self._streams, self._several, self._outputs, self._fitted = streams, y.ndim == 2, outputs, form
        elif outputs != self._outputs:
            raise DataError(f"y has {outputs} columns; the rows before had {self._outputs}.")
        with use_threads(self.n_threads), one_blas_thread(), np.errstate(all="ignore"):
            self.results_ = self._learn(given, np.asarray(targets, dtype=np.float64))
        self.__dict__.update(self._attributes([(result.coef, result.intercept) for result in self.results_]))
        return self

    def _learn(self, given: Given, targets: Array) -> list[Result]:
        told, results = self._told(), []
        for k in range(self._outputs):
            stream = self._streams[0 if len(self._streams) == 1 else k]
            if isinstance(stream, ExactStream):
                if k == 0:
                    stream.add(given.X, targets, given.weight, given.offset)
                coef, b, stage = stream.solve(k, self._penalty(), self.fit_intercept, self.standardize, self.tol)
                results.append(exact_result(stream, stage, coef, b, told))
            else:
                stream.add(given.X, targets[:, k], given.weight, of_output(given.offset, k))
                results.append(sampled_result(stream, told))
        return results

    def predict(self, X: Any, offset: Any = None) -> Array:
        """The expected value for each row of X, (m,) or (m, k): the mean behind the link, exp(z) for counts."""
        z = self._linear(X, offset)
        with np.errstate(all="ignore"):
            return finite(self._fitted.mean(z), type(self).__name__)

    def _exported(self) -> tuple[Loss, str, None]:
        return self._fitted, self._fitted.link, None

    def _form(self) -> Loss:
        return resolve(self.loss, {"number": "", "else": "GDClassifier"}, type(self).__name__)

    def _start(self, count: int, n: int) -> list[Any]:
        """Where each run starts."""
        old = np.atleast_2d(self.coef_) if self.warm_start and hasattr(self, "coef_") else None
        if old is None or old.shape != (count, n):
            return [None] * count
        if not self.fit_intercept:
            return list(old)
        return [np.append(w, b) for w, b in zip(old, np.atleast_1d(self.intercept_), strict=True)]

    def _attributes(self, weights: list[tuple[Array, Any]]) -> dict[str, Any]:
        coef, intercept = np.array([w for w, _ in weights]), np.array([b for _, b in weights])
        if self._several:
            return {"coef_": coef, "intercept_": intercept}
        return {"coef_": coef[0], "intercept_": float(intercept[0])}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = getattr(self.loss, "name", self.loss) in ("poisson", "gamma")
        return tags
