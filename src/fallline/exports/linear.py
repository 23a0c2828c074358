"""What a model comes to once it is trained: coefficients and a link. All exports are made of this."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fallline.rows.encoder import Encoder

LINKS = {
    "identity": "z",
    "log": "exp(z)",
    "logit": "1 / (1 + exp(-z))",
    "softmax": "exp(z_k) / sum_j exp(z_j)",
    "one-vs-rest": "p_k / sum_j p_j, p_k = 1 / (1 + exp(-z_k))",
    "margin": "z",
}


@dataclass(frozen=True)
class Linear:
    """z = X @ coef + intercept, coef (n, K), intercept (K,); then the inverse link.

    K is 1 for numbers and two classes, else the number of classes or of outputs. `link`: see ``LINKS``; "margin" is a
    loss of classes without probabilities.
    """

    names: tuple[str, ...]
    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    link: str
    loss: str
    target: str
    classes: tuple[Any, ...] | None = None
    encoder: Encoder | None = None


class Exports(abc.ABC):
    """The exports, as methods of everything that is such a model."""

    @abc.abstractmethod
    def _linear_model(self) -> Linear:
        """What the exports are made of."""

    def to_json(self, path: str | Path | None = None) -> str:
        """The model as plain JSON: names, coefficients, link, and the formula in words. Written to `path` if given.

        >>> import fallline
        >>> result = fallline.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
        >>> print(result.to_json()[:76])
        {
          "model": "linear",
          "loss": "squared",
          "link": "identity",
          "predict
        """
        from fallline.exports.to_json import to_json

        return to_json(self._linear_model(), path)

    def to_onnx(self, path: str | Path | None = None, dtype: str = "float32") -> Any:
        """The model as an ONNX graph, an ``onnx.ModelProto``. Needs the extra ``fallline[onnx]``. Written to `path` if given.

        Input ``X`` (m, n) of `dtype` (``"float32"`` or ``"float64"``), the columns in the order of ``feature_names``: of
        a model of a table these are the encoded columns; the property ``columns`` has their names as a JSON list. Outputs:
        ``prediction`` (m,), or for classes ``label`` (m,) and ``probabilities`` (m, K).
        """
        from fallline.exports.to_onnx import to_onnx

        return to_onnx(self._linear_model(), path, dtype)

    def to_sklearn(self) -> Any:
        """The same model as scikit-learn's own class, fitted: its predictions are these.

        LinearRegression, PoissonRegressor, GammaRegressor, LogisticRegression, OneVsRestClassifier or LinearSVC. Of a
        model of a table it takes the encoded columns.

        >>> import fallline
        >>> result = fallline.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
        >>> result.to_sklearn().predict([[10.0]]).round(6)
        array([21.])
        """
        from fallline.exports.to_sklearn import to_sklearn

        return to_sklearn(self._linear_model())

    def to_sql(self, dialect: str = "ansi") -> str:
        """The prediction as one SQL expression over the table's columns: holes, levels and dates are handled in it.

        A number, a mean, the probability of the second of two classes; of several classes the label. `dialect`:
        ``"ansi"`` for DuckDB, PostgreSQL and most others, ``"sqlite"``. NaN is no hole to a database, and time stamps with a
        zone must be given in UTC without it.

        >>> import fallline
        >>> model = fallline.fit([[-1.0], [1.0]], [-2.0, 2.0], fit_intercept=False, feature_names=["area"])
        >>> print(model.to_sql())
        0.0e0 + 2.0e0 * "area"
        """
        from fallline.exports.to_sql import to_sql

        return to_sql(self._linear_model(), dialect)


def linear_of_result(result: Any) -> Linear:
    """Of a :class:`fallline.Result`."""
    from fallline.errors import SettingError

    if result.loss is None:
        raise SettingError("This Result comes from minimize(): it is a point (theta), not a model to export.")
    coef = result.coef if result.coef.ndim == 2 else result.coef[:, None]
    link, intercept = result.loss.link, np.atleast_1d(np.asarray(result.intercept, dtype=np.float64))
    if result.classes is not None and link not in ("logit", "softmax"):
        link = "margin"
    return Linear(
        tuple(result.feature_names), np.asarray(coef, dtype=np.float64), intercept, link, result.loss.name,
        result.target_name, result.classes, result.encoder,
    )  # fmt: skip
