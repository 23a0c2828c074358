"""What a run gives back: the trained model, how it went, and how sure that is."""

from __future__ import annotations

import numbers
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fallline.errors import DataError, SchemaError, SettingError
from fallline.exports.linear import Exports, Linear, linear_of_result
from fallline.history import History
from fallline.losses._base import Loss
from fallline.numbering import rows_told
from fallline.optimizers._base import Optimizer
from fallline.penalties._base import Penalty
from fallline.rows.intake import as_features, check_finite, in_order, side
from fallline.summary import DataSummary
from fallline.symptoms._base import Evidence, Finding
from fallline.verdict import Certainty, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fallline.bowl import Bowl
    from fallline.inference import Inference
    from fallline.lens import RateReport
    from fallline.reliability import Reliability
    from fallline.rows.encoder import Encoder

Array = NDArray[np.floating]

quietly = np.errstate(all="ignore")  # see entry.py


@dataclass(frozen=True)
class Result(Exports):
    """A finished run: verdict, history, certificate and, from :func:`fallline.fit`, a model that predicts.

    ``coef`` (n,) or (n, K) and ``intercept`` (a number or (K,)) are in the units of the data, whatever happened inside.
    ``theta`` is both in one array, the intercept last; for :func:`fallline.minimize` it is the point x, of x0's shape.
    ``reliability`` says whether probabilities came true on the check rows. ``inference`` has standard errors where
    ``fit(inference=True)`` asked for them; else ``no_inference`` says why not.
    ``gap`` is a proved bound on J(theta) - J*, or None. ``history`` has one row per recorded step.

    >>> import fallline
    >>> result = fallline.fit([[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0])
    >>> result.coef.round(6), round(result.intercept, 6)
    (array([2.]), 1.0)
    >>> result.predict([[10.0]]).round(6)
    array([21.])
    """

    theta: Array
    coef: Array
    intercept: Any
    history: History
    verdict: Verdict
    certainty: Certainty
    sentence: str
    findings: list[Finding]
    gap: float | None
    best_loss: float
    loss: Loss | None = None
    penalty: Penalty | None = None
    optimizer: Optimizer[Any] | None = None
    rate_reason: str = ""
    method: str = ""
    feature_names: tuple[str, ...] = ()
    target_name: str = "y"
    classes: tuple[Any, ...] | None = None
    summary: DataSummary | None = None
    baseline_loss: float = float("nan")
    check: dict[str, float] | None = None
    reliability: Reliability | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    encoder: Encoder | None = None
    stop_reason: str = ""
    seconds: float = 0.0
    passes: float = 0.0
    steps: int = 0
    inference: Inference | None = None
    no_inference: str = ""  # why there are no standard errors
    bowl: Bowl | None = None  # the shape of the loss around the run, where unknowns are few
    path: Array | None = None  # (k, 1 + p): the step, and theta in the coordinates of training; where unknowns are few
    evidence: Evidence | None = None  # what symptoms were shown; None in model files of before

    @quietly
    def decision(self, X: Any, offset: Any = None) -> Array:
        """z = X @ coef + intercept (+ offset), (m,) or (m, K): predictions on the scale of the link.

        A data frame's columns are found by their names, an array's by their places. Raises SchemaError when X does not
        have the columns of the training data, DataError when it is not finite.
        """
        if self.loss is None:
            raise SettingError("This Result comes from minimize(): it is a point (theta), not a model that predicts.")
        table = self._encoded(X)
        features = in_order(table, as_features(table), self.feature_names)
        self._check_width(features)
        check_finite(features, self.feature_names)
        z = np.asarray(features @ self.coef + self.intercept, dtype=np.float64)
        if offset is not None:
            m = features.shape[0]
            alone = isinstance(offset, (numbers.Number, np.generic)) or getattr(offset, "ndim", 1) == 0
            shift = side(np.full(m, offset) if alone else offset, "offset", m)
            assert shift is not None
            z = z + (shift if z.ndim == 1 else shift[:, None])
        if not np.isfinite(z).all():
            told = rows_told(np.asarray(~np.isfinite(z.reshape(len(z), -1)).all(axis=1)))
            raise DataError(
                f"The prediction is not finite in {told}: these rows are far beyond those trained on, or the coefficients are."
            )
        return z

    @quietly
    def predict(self, X: Any, offset: Any = None) -> NDArray[Any]:
        """What the model says for each row of X: the mean (a number, a count, an amount), or a label for classes."""
        z = self.decision(X, offset)
        assert self.loss is not None
        if self.classes is None:
            return self.loss.mean(z)
        labels = np.asarray(self.classes)
        chosen: NDArray[Any] = labels[z.argmax(axis=1) if z.ndim == 2 else (z > 0.0).astype(int)]
        return chosen

    @quietly
    def predict_probability(self, X: Any, offset: Any = None) -> Array:
        """The probability of each class, (m, K) in the order of ``classes``; rows sum to one.

        Raises SettingError for losses that have no probabilities (all but logistic and softmax).
        """
        if self.loss is None or self.loss.link not in ("logit", "softmax"):
            name = self.loss.name if self.loss is not None else "a function"
            raise SettingError(
                f"predict_probability: the loss {name!r} has no probabilities; use loss='logistic' or 'softmax'."
            )
        mu = self.loss.mean(self.decision(X, offset))
        return mu if mu.ndim == 2 else np.column_stack([1.0 - mu, mu])

    @quietly
    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the loss curve (matplotlib, log scale where it spans more than a decade) and return its axes."""
        from fallline.report.figure import loss_curve

        return loss_curve(self, ax)

    @quietly
    def plot_gap(self, ax: Axes | None = None) -> Axes:
        """Draw how far the loss was above the lowest possible one, J - J*, on a log scale; return its axes."""
        from fallline.report.figures import gap_figure

        return gap_figure(self, ax)

    @quietly
    def plot_path(self, ax: Axes | None = None, axes: tuple[str, str] | None = None) -> Axes:
        """Draw the way of the weights over the loss surface, in the plane of two of them; return its axes.

        `axes` names the two; by default they are those that moved furthest. Raises SettingError where the way was not
        kept: beyond 61 unknowns, and for several classes.
        """
        from fallline.report.figures import path_figure

        return path_figure(self, ax, axes)

    @quietly
    def plot_rates(self, ax: Axes | None = None) -> Axes:
        """Draw the range test of :meth:`rate_report`; return its axes."""
        return self.rate_report().plot(ax)

    @quietly
    def rate_report(self, optimizer: str | None = None) -> RateReport:
        """Which rates are stable and which are good, and where the one in use stands; for another rule by its name.

        >>> import fallline
        >>> result = fallline.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 6.0], optimizer="descent", learning_rate=0.5)
        >>> round(result.rate_report().limit, 6)
        2.0
        """
        from fallline.lens import rate_report
        from fallline.optimizers import as_optimizer

        return rate_report(self, None if optimizer is None else as_optimizer(optimizer))

    @quietly
    def plot_reliability(self, ax: Axes | None = None) -> Axes:
        """Draw how often predictions of each probability came true on the check rows; on the diagonal all did."""
        from fallline.report.figure import reliability_diagram

        return reliability_diagram(self, ax)

    @quietly
    def diagnose(self, *, healthy: bool = False) -> list[Finding]:
        """Look for symptoms in the record again: ``findings``; with `healthy` also what is well and worth a word.

        >>> import fallline
        >>> result = fallline.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
        >>> [finding.code for finding in result.diagnose(healthy=True)]
        ['D06']
        """
        from fallline.symptoms import diagnose

        if self.evidence is None:
            return list(self.findings)
        evidence = replace(self.evidence, history=self.history, summary=self.summary)
        return diagnose(evidence, include_healthy=healthy)

    @quietly
    def look_at(self, X: Any) -> list[Finding]:
        """Whether rows to predict are like those of training: D22 where they have drifted, or were scaled by somebody.

        X as for ``predict``; nothing is said of fewer than 20 rows.

        >>> import numpy as np, fallline
        >>> x = np.arange(100.0)[:, None]
        >>> model = fallline.fit(x, 3.0 * x[:, 0] + np.sin(x[:, 0]))
        >>> [finding.code for finding in model.look_at(x + 1000.0)]
        ['D22']
        """
        from fallline.arrivals import Arrivals

        if self.summary is None:
            raise SettingError("look_at: this Result knows no training rows to compare with.")
        table = self._encoded(X)
        features = in_order(table, as_features(table), self.feature_names)
        self._check_width(features)
        arrivals = Arrivals(self.summary)
        arrivals.add(features)
        return arrivals.findings()

    @quietly
    def report(self, path: str | Path, *others: Result) -> Path:
        """Write a page about this run to `path`: one HTML file that needs no network; `others` are compared with it.

        Raises OutputError when it cannot be written.
        """
        from fallline.report.page import write_page

        runs = {"this run": self} | {f"run {k}": other for k, other in enumerate(others, 2)}
        return write_page(runs, path)

    def save(self, path: str | Path) -> Path:
        """Write the model, its history and the data summary (no rows) to `path`: safetensors with JSON, no pickle.

        An existing file is replaced only when the new one is complete, and keeps its permissions. To a device or a pipe the
        bytes are written. Raises OutputError when it cannot be written.
        """
        from fallline.modelfile import save_model

        save_model(self, path)
        return Path(path)

    def _linear_model(self) -> Linear:
        return linear_of_result(self)

    def _check_width(self, features: Any) -> None:
        if features.shape[1] != len(self.feature_names):
            raise SchemaError(
                f"X has {features.shape[1]} columns; the model was trained on {len(self.feature_names)}: "
                f"{', '.join(self.feature_names[:8])}{', ...' if len(self.feature_names) > 8 else ''}."
            )

    def _encoded(self, X: Any) -> Any:
        """A table goes through the encoder that the model was trained with; arrays pass."""
        if type(X).__name__ != "LazyFrame" and (self.encoder is None or not hasattr(X, "columns")):
            return X
        return self.encoder.transform(X)[0] if self.encoder is not None else X.collect()

    def __repr__(self) -> str:
        from fallline.report.text import describe

        return describe(self)

    @quietly
    def _repr_html_(self) -> str:
        from fallline.report.notebook import repr_html

        return repr_html(self)


def load(path: str | Path) -> Result:
    """Read a model that :meth:`Result.save` wrote; safe for files from strangers: nothing in them is run.

    Raises ModelFileError for a file that is missing, damaged, not a model, or of a newer version.
    """
    from fallline.modelfile import load_model

    return Result(**load_model(path))
