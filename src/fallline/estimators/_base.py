"""What the two estimators share: their settings, fitting through :func:`fallline.fit`, what they tell afterwards."""

from __future__ import annotations

import abc
import math
import numbers
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from fallline.errors import DataError, SettingError, SettingTypeError
from fallline.estimators._callbacks import CallbackSupportMixin, FitContext, bridge
from fallline.estimators._sides import FORMATS, Given, finite, in_our_words, of_output, plainly, refuse_text, shift_of
from fallline.estimators._told import Told
from fallline.exports.linear import Exports, Linear
from fallline.family import suggest
from fallline.fitting import fit
from fallline.loggers._base import Logger
from fallline.losses import as_loss
from fallline.losses._base import Loss
from fallline.numbering import rows_told
from fallline.online.adaptive import AdaptiveStream
from fallline.online.sampled import SampledStream
from fallline.optimizers import AnyOptimizer
from fallline.penalties import as_penalty
from fallline.penalties._base import Penalty
from fallline.rates._base import Rate
from fallline.recorder import Event
from fallline.result import Result
from fallline.rows.plain_arrays import as_numbers
from fallline.rows.weights import USUAL_SUM, unusual
from fallline.stopping import abruptly

Array = NDArray[np.floating]

SEEDS = 2**31 - 1
# The settings that partial_fit depends on: changed between two calls, what came before would be of another model.
STREAMED = (
    "loss", "multi_class", "penalty", "l1", "l2", "bounds", "positive", "fit_intercept", "standardize", "half_life",
)  # fmt: skip


class GDEstimator(Exports, CallbackSupportMixin, Told):
    """Settings, and what is the same for numbers and for classes. Use :class:`GDRegressor` or :class:`GDClassifier`."""

    _outputs: int = 1  # targets, each with coefficients of its own
    _began_with: dict[str, str]
    coef_: Array
    intercept_: Any

    def __init__(
        self, loss: str | Loss, *, penalty: Penalty | None, l1: float, l2: float, optimizer: str | AnyOptimizer,
        learning_rate: float | str | Rate, batch_size: int | None, fit_intercept: bool, standardize: bool, tol: float,
        max_passes: float | None, max_seconds: float, warm_start: bool, early_stopping: bool, validation_fraction: float,
        n_iter_no_change: int, inference: bool, bounds: tuple[Any, Any] | None, positive: bool, half_life: float | str | None,
        random_state: Any, n_threads: int | None, verbose: int, callbacks: Sequence[Any] | None,
    ) -> None:  # fmt: skip
        self.loss = loss
        self.penalty = penalty
        self.l1 = l1
        self.l2 = l2
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.tol = tol
        self.max_passes = max_passes
        self.max_seconds = max_seconds
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.inference = inference
        self.bounds = bounds
        self.positive = positive
        self.half_life = half_life
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose
        self.callbacks = callbacks

    def _linear_model(self) -> Linear:
        check_is_fitted(self, "coef_")
        form, link, classes = self._exported()
        coef, names = np.atleast_2d(self.coef_).T, getattr(self, "feature_names_in_", None)
        told = tuple(f"x{j}" for j in range(len(coef))) if names is None else tuple(str(name) for name in names)
        intercept = np.broadcast_to(np.asarray(self.intercept_, dtype=np.float64), (coef.shape[1],))
        return Linear(told, np.asarray(coef, dtype=np.float64), intercept, link, form.name, "y", classes)

    @abc.abstractmethod
    def _exported(self) -> tuple[Loss, str, tuple[Any, ...] | None]:
        """The loss, the link (see fallline.exports.linear) and the classes."""

    def _take_rows(
        self, X: Any, y: Any, sample_weight: Any, offset: Any, validation: tuple[Any, Any, Any, Any], **how: Any
    ) -> tuple[Given, Any]:
        """Everything checked, by scikit-learn's rules and then by ours."""
        self._check_settings()
        refuse_text(X)
        X, y = plainly(X, "X"), plainly(y, "y")
        with in_our_words():
            X, y = validate_data(self, X, y, accept_sparse=FORMATS, dtype=[np.float64, np.float32], **how)
        weight = self._weights(sample_weight, X)
        outputs = np.shape(y)[1] if np.ndim(y) == 2 else 1
        shift = None if offset is None else shift_of(offset, X, outputs)
        X_val, y_val, weight_val, offset_val = validation
        if (X_val is None) != (y_val is None):
            raise SettingError("X_val and y_val: give both, or neither.")
        check: Any = None
        if X_val is not None:
            X_val, y_val = plainly(X_val, "X_val"), plainly(y_val, "y_val")
            with in_our_words():
                X_val = validate_data(self, X_val, reset=False, accept_sparse=FORMATS, dtype=[np.float64, np.float32])
            shift_val = None if offset_val is None else shift_of(offset_val, X_val, outputs)
            check = (X_val, None, weight_val, shift_val)
        elif self.early_stopping:
            check = self._fraction()
        return Given(X, weight, shift, check, y_val), y

    def _fraction(self) -> float:
        share = self.validation_fraction
        if isinstance(share, bool) or not isinstance(share, numbers.Real) or not 0.0 < float(share) < 1.0:
            raise SettingError(f"validation_fraction: got {share!r}; it must be between 0 and 1, such as 0.1.")
        return float(share)

    @staticmethod
    def _weights(sample_weight: Any, X: Any) -> Array | None:
        if sample_weight is None:
            return None
        if isinstance(sample_weight, str):
            raise SettingTypeError(
                f"sample_weight: got {sample_weight!r}; give one number a row. (class_weight takes names.)"
            )
        if not isinstance(sample_weight, numbers.Real):
            sample_weight = as_numbers(sample_weight, "sample_weight")
        with in_our_words():
            weight: Array = _check_sample_weight(sample_weight, X, dtype=np.float64)
        bad = weight < 0.0
        if bad.any():
            raise DataError(f"sample_weight: must be zero or more; it is less in {rows_told(bad)}.")
        return weight

    def _settings(self) -> dict[str, Any]:
        """The settings of :func:`fallline.fit`."""
        names = self.feature_names_in_.tolist() if hasattr(self, "feature_names_in_") else None
        return {
            "penalty": self.penalty, "l1": self.l1, "l2": self.l2, "bounds": self._bounds(),
            "optimizer": self.optimizer, "learning_rate": self.learning_rate, "batch_size": self.batch_size,
            "fit_intercept": self.fit_intercept, "standardize": self.standardize, "tol": self.tol,
            "max_passes": self.max_passes, "max_seconds": self.max_seconds, "n_threads": self.n_threads,
            "seed": self._seed(), "feature_names": names,
            "inference": self.inference, "early_stopping": self._patience() if self.early_stopping else False,
        }  # fmt: skip

    def _check_settings(self) -> None:
        """What :func:`fallline.fit` does not see, or would take for something else."""
        for name in ("fit_intercept", "standardize", "warm_start", "early_stopping", "positive", "inference"):
            value = getattr(self, name)
            if not isinstance(value, (bool, np.bool_)):
                raise SettingTypeError(f"{name}: got {value!r}; give True or False.")
        if not isinstance(self.verbose, (bool, numbers.Integral)):
            raise SettingTypeError(f"verbose: got {self.verbose!r}; give 0, 1 or 2.")
        if not (self.callbacks is None or isinstance(self.callbacks, (list, tuple))):
            raise SettingTypeError(f"callbacks: got {self.callbacks!r}; give a list of functions of an Event, or None.")
        life = self.half_life
        if isinstance(life, str) and life != "auto" or isinstance(life, bool):
            raise SettingError(
                f"half_life: got {life!r}; give a number of rows, 'auto' or None.{suggest(str(life), ['auto'])}"
            )
        if not (life is None or isinstance(life, str)) and not (isinstance(life, numbers.Real) and float(life) > 0.0):
            raise SettingError(f"half_life: got {life!r}; give a number of rows above 0, 'auto', or None.")

    def _patience(self) -> int:
        patience = self.n_iter_no_change
        if isinstance(patience, bool) or not isinstance(patience, numbers.Integral) or int(patience) < 1:
            raise SettingError(f"n_iter_no_change: got {patience!r}; it must be a whole number, 1 or more.")
        return int(patience)

    def _penalty(self) -> Penalty:
        return as_penalty(self.penalty, self.l1, self.l2, self._bounds())

    def _bounds(self) -> tuple[Any, Any] | None:
        if self.positive and self.bounds is not None:
            raise SettingError(
                "positive=True and bounds contradict each other: give bounds=(0, ...) alone, or positive=True alone."
            )
        return (0.0, None) if self.positive else self.bounds

    def _seed(self) -> int:
        if isinstance(self.random_state, numbers.Integral):
            if int(self.random_state) < 0:
                raise SettingError(f"random_state: got {self.random_state!r}; it must be a whole number, 0 or more.")
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(SEEDS))

    def _fit_each(
        self, given: Given, targets: list[Any], checks: list[Any], loss: Loss, target_names: list[str | None],
        weights: list[Array | None], start: list[Any], context: FitContext,
    ) -> list[Result]:  # fmt: skip
        """One run for each target."""
        settings = self._settings()
        results: list[Result] = []
        for k, y in enumerate(targets):
            check = given.check
            if isinstance(check, tuple):
                check = (check[0], checks[k], check[2], of_output(check[3], k))
            shift = of_output(given.offset, k)
            result = self._run(
                given.X, y, loss=loss, sample_weight=weights[k], offset=shift, check=check, start=start[k],
                target_name=target_names[k], callback=self._observer(context, results, len(targets)), **settings,
            )  # fmt: skip
            if self.verbose:
                print(f"{type(self).__name__}: {result.verdict} ({result.certainty}): {result.sentence}")
            results.append(result)
        return results

    def _run(self, X: Any, y: Any, **settings: Any) -> Result:
        loggers = [callback for callback in self.callbacks or () if isinstance(callback, Logger)]
        result: Result | None = None
        try:
            with abruptly():  # a search of many fits must end at Ctrl-C, not go on to the next one
                result = fit(X, y, **settings)
        finally:
            for logger in loggers:
                if logger.run:
                    logger.finish(result)
        return result

    def _observer(self, context: FitContext, done: list[Result], count: int) -> Callable[[Event], Any] | None:
        """All who watch the run after those that are `done`, of `count`."""
        observers = list(self.callbacks or ())
        for callback in observers:
            if not callable(callback) or isinstance(callback, type):
                raise SettingTypeError(
                    f"callbacks: got {callback!r}; each is a function of an Event. Objects with scikit-learn's hooks go "
                    "to set_callbacks()."
                )
        if self.verbose > 1:
            observers.append(_tell)

        def attributes(event: Event) -> dict[str, Any]:  # of the estimator as if the fit had stopped here
            weights = [(result.coef, result.intercept) for result in done] + [event.weights()]
            rest = [(0.0 * weights[-1][0], 0.0 * weights[-1][1])] * (count - len(weights))
            return self._attributes(weights + rest)

        through = bridge(context, attributes)
        if through is not None:
            observers.append(through)
        return (lambda event: any([observer(event) for observer in observers])) if observers else None

    @abc.abstractmethod
    def _attributes(self, weights: list[tuple[Array, Any]]) -> dict[str, Any]:
        """coef_ and intercept_ from the weights of each run."""

    def _take_piece(self, X: Any, y: Any, sample_weight: Any, offset: Any, **how: Any) -> tuple[Given, Any, bool]:
        """Rows of a stream, checked; and whether they are the first."""
        first = not hasattr(self, "_streams")
        self._keep_to(first)
        if first and hasattr(self, "coef_"):
            warnings.warn(
                "partial_fit after fit begins anew: the rows of fit() are not kept. Give the first rows to partial_fit "
                "too; it learns from all rows that it is given, and from none twice.",
                UserWarning,
                stacklevel=3,
            )
        self._check_settings()
        refuse_text(X)
        X, y = plainly(X, "X"), plainly(y, "y")
        with in_our_words():
            X, y = validate_data(self, X, y, reset=first, accept_sparse="csr", dtype=[np.float64, np.float32], **how)
        absent = not first and sample_weight is not None and not np.any(sample_weight)  # rows of weight 0 are none
        weight = np.zeros(X.shape[0]) if absent else self._weights(sample_weight, X)
        if weight is not None and weight.any() and not USUAL_SUM[0] <= float(weight.sum()) <= USUAL_SUM[1]:
            raise DataError(unusual(float(weight.sum())))
        shift = None if offset is None else shift_of(offset, X, np.shape(y)[1] if np.ndim(y) == 2 else 1)
        return Given(X, weight, shift, None, None), y, first

    def _stream(self, n: int, form: Loss, classes: int) -> SampledStream | AdaptiveStream:
        """What learns from rows that are seen once."""

        def make(half_life: float | None) -> SampledStream:
            return SampledStream(
                n, form, classes, self._penalty(), self.fit_intercept, self.standardize, half_life, self._seed()
            )

        return AdaptiveStream(make) if isinstance(self.half_life, str) else make(self.half_life)

    def _keep_to(self, first: bool) -> None:
        """A stream is learnt with the settings that it began with."""
        params = {name: repr(getattr(self, name)) for name in STREAMED if name in self.get_params(deep=False)}
        if not first and params != self._began_with:
            changed = next(name for name in params if params[name] != self._began_with[name])
            raise SettingError(
                f"{changed}: was {self._began_with[changed]} when partial_fit began and is {params[changed]} now; what was "
                "learnt so far cannot be changed. Begin with a clone of this estimator."
            )
        self._began_with = params

    def _told(self) -> dict[str, Any]:
        names = getattr(self, "feature_names_in_", None)
        count = self.n_features_in_
        return {"feature_names": tuple(f"x{j}" for j in range(count)) if names is None else tuple(names.tolist())}

    def _linear(self, X: Any, offset: Any = None) -> Array:
        """z = X @ coef + intercept (+ offset), (m,) or (m, K); refused where it is not finite."""
        check_is_fitted(self, "coef_")
        X = plainly(X, "X")
        with in_our_words():
            X = validate_data(self, X, reset=False, accept_sparse=FORMATS, dtype=[np.float64, np.float32])
        with np.errstate(all="ignore"):
            z = np.asarray(X @ np.asarray(self.coef_).T + self.intercept_, dtype=np.float64)
            if offset is not None:
                shift = shift_of(offset, X, self._outputs)
                z = z + (shift[:, None] if z.ndim == 2 and shift.ndim == 1 else shift)
        return finite(z, type(self).__name__)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coef_")


def resolve(loss: Any, allowed: dict[str, str], where: str) -> Loss:
    """The loss; SettingError where it is of the other estimator. `allowed`: its tasks, and who is for the others."""
    form: Loss = as_loss(loss)
    if form.task not in allowed:
        raise SettingError(f"{where}(loss={form.name!r}): that loss is for {form.task}; use {allowed['else']}.")
    return form


def _tell(event: Event) -> None:
    if math.isfinite(event.full_loss):
        check = f", check loss {event.check_loss:.6g}" if math.isfinite(event.check_loss) else ""
        print(f"step {event.step:,}, {event.passes:.3g} passes: loss {event.full_loss:.6g}{check}")
