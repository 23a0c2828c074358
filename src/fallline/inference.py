"""Standard errors, confidence intervals and p-values of the weights of an unpenalised generalised linear model.

    covariance = dispersion * (sum_i weight_i E[phi''(y_i, z_i)] x_i x_i^T)^-1      at the optimum

with Fisher's information, E[phi''], as statsmodels' GLM has it. The dispersion is 1 for classes and counts; the residual
sum of squares over (W - p) for squared loss, whose tests are t tests; Pearson's statistic over (W - p) for gamma. A
weight of 2 is a row given twice, so W counts rows. It is all conditional on the model being right, and on its columns
having been chosen before the data were seen.
Source: McCullagh and Nelder 1989, "Generalized Linear Models", sections 2.2 and 4.4.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.curved import inverse_curvature
from fallline.errors import SettingError
from fallline.exact_rank import column_rank
from fallline.inverse import Inverse, pseudo_inverse
from fallline.losses._base import Loss
from fallline.objective import ROUNDED, ModelObjective
from fallline.penalties._base import Penalty
from fallline.report.numbers import number
from fallline.rows._base import Array, Batch, Rows
from fallline.scaling import NO_SPREAD, Scaling
from fallline.visible import visible

LIKELIHOODS = ("squared", "logistic", "softmax", "poisson", "gamma")
MOST_UNKNOWNS = 2000  # eigenvalues of their matrix take a few seconds
NEAR = 1e-2  # standard errors that the weights may be from the optimum
INTERCEPT = "(intercept)"


@dataclass(frozen=True)
class Inference:
    """What the data say about each weight, in the units of the data.

    ``estimate`` and ``standard_error`` are (p,) or (p, K), the intercept last; ``covariance`` is of ``estimate.ravel()``.
    ``freedom`` is of the t distribution, infinite for the normal one. Of softmax the weights add up to zero over the
    classes. Weights of constant columns are NaN: nothing is known of them.

    >>> import numpy as np, fallline
    >>> x = np.arange(10.0)
    >>> y = x + np.array([0.1, -0.1, 0.0, 0.2, -0.2, 0.1, 0.0, -0.1, 0.1, -0.1])
    >>> told = fallline.fit(x[:, None], y, inference=True).inference
    >>> told.standard_error.round(4).tolist()
    [0.0143, 0.0765]
    >>> print(told)
                 coefficient  std. error       t        p  95 % interval
    x0                0.9927     0.01434   69.25  < 1e-11  0.9597 to 1.026
    (intercept)      0.03273     0.07653  0.4276   0.6802  -0.1438 to 0.2092
    """

    names: tuple[str, ...]
    estimate: Array
    covariance: Array
    dispersion: float
    freedom: float
    classes: tuple[Any, ...] | None = None

    @property
    def standard_error(self) -> Array:
        """Square roots of the diagonal of ``covariance``, in the shape of ``estimate``."""
        return np.sqrt(np.diag(self.covariance)).reshape(self.estimate.shape)

    @property
    def statistic(self) -> Array:
        """estimate / standard error: t or z."""
        return np.asarray(self.estimate / self.standard_error)

    @property
    def p_value(self) -> Array:
        """Of the hypothesis that the weight is zero, two-sided."""
        return np.asarray(2.0 * self._distribution().sf(np.abs(self.statistic)))

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """(low, high) of the confidence interval of each weight."""
        if isinstance(level, bool) or not isinstance(level, (int, float)) or not 0.0 < level < 1.0:
            raise SettingError(f"level: got {level!r}; it must be between 0 and 1, such as 0.95.")
        reach = float(self._distribution().ppf(0.5 + level / 2.0)) * self.standard_error
        return np.asarray(self.estimate - reach), np.asarray(self.estimate + reach)

    def table(self, level: float = 0.95) -> str:
        """All of it as lines of text."""
        letter = "z" if math.isinf(self.freedom) else "t"
        low, high = self.interval(level)
        lines: list[tuple[str, ...]] = [("", "coefficient", "std. error", letter, "p", f"{100 * level:g} % interval")]
        for place in np.ndindex(self.estimate.shape):
            name = self.names[place[0]]
            if len(place) == 2 and self.classes is not None:
                name = f"{self.classes[place[1]]}: {name}"
            name = visible(name)
            values = [number(float(v[place])) for v in (self.estimate, self.standard_error, self.statistic)]
            ends = f"{number(float(low[place]))} to {number(float(high[place]))}"
            lines.append((name, *values, _p(float(self.p_value[place])), ends))
        wide = [max(len(line[k]) for line in lines) for k in range(6)]
        return "\n".join(
            f"{line[0]:<{wide[0]}}  " + "  ".join(f"{line[k]:>{wide[k]}}" for k in range(1, 5)) + f"  {line[5]}"
            for line in lines
        )

    def __str__(self) -> str:
        return self.table()

    def _distribution(self) -> Any:
        from scipy import stats

        return stats.norm() if math.isinf(self.freedom) else stats.t(self.freedom)


def check_inference(form: Loss, penalty: Penalty, batch_size: int | None) -> None:
    """Raise SettingError where no standard errors could come out, before anything is run."""
    if form.name not in LIKELIHOODS:
        raise SettingError(
            f"inference=True with loss={form.name!r}: that loss is no likelihood. Standard errors are known for "
            f"{', '.join(LIKELIHOODS)}."
        )
    if penalty.curvature or not penalty.smooth:
        raise SettingError(
            f"inference=True with {penalty!r}: penalised or bounded weights are biased on purpose, and standard errors "
            "that ignore it would mislead. Use l2=0 (GDClassifier has l2=1e-4 where nothing is said), and no l1, penalty or "
            "bounds."
        )
    if batch_size is not None:
        raise SettingError(
            f"inference=True with batch_size={batch_size}: mini-batches end near the optimum, not at it. Leave out "
            "batch_size."
        )


def infer(
    objective: ModelObjective, rows: Rows, theta: Array, g: Array, named: tuple[str, ...], classes: Any
) -> Inference | str:
    """The standard errors at theta, where the gradient is g; or why there are none, in words."""
    scaling, form, W = objective.scaling, objective.loss, rows.total_weight
    if theta.size > MOST_UNKNOWNS:
        return f"there are {theta.size:,} weights, and standard errors are computed for at most {MOST_UNKNOWNS:,}."
    known = np.append(scaling.scale < NO_SPREAD, np.ones(int(scaling.intercept), dtype=bool))
    used = np.repeat(known, theta.size // len(theta))
    curvature = functools.partial(_information, form)
    H = objective.hessian(theta, rows, curvature)
    used &= np.diag(H) > 0.0  # a column of zeros, where there is no intercept
    known &= used.reshape(len(theta), -1).any(axis=1)
    inverse = _inverse(objective, rows, theta, H, used)
    free = int(known.sum()) if theta.ndim == 2 else 0  # softmax: adding the same to all classes changes nothing
    if inverse is None or inverse.rank < int(used.sum()) - free:
        rank = 0 if inverse is None else inverse.rank
        exact = column_rank(rows, scaling.intercept)
        exactly = exact is not None and rank == exact * max(theta[0].size - 1, 1)
        how = "exactly" if exactly else "as far as double precision can tell"
        return (
            f"columns depend on one another {how} ({int(used.sum()) - free - rank} too many), so their weights are not "
            "determined."
        )
    parameters = inverse.rank
    if form.name in ("squared", "gamma") and W <= parameters:
        return f"{W:,.0f} rows leave nothing over for the noise when {parameters:,} weights are fitted."
    if form.name == "squared" and objective.data_loss(theta, rows) <= objective.resolution(theta, rows):
        return "the fit is perfect, so nothing is left over to judge it by."
    dispersion = _dispersion(objective, rows, theta, parameters)
    far = math.sqrt(W) * inverse.norm(g.ravel()[used]) / math.sqrt(dispersion)
    if not far <= NEAR:
        noise = _rounding(objective, rows, theta).ravel()[used]
        rounding = math.sqrt(W) * float(np.linalg.norm(np.abs(inverse.root).T @ noise)) / math.sqrt(dispersion)
        if far <= rounding:
            return f"the fit is so close that rounding alone moves the weights by {number(far, 2)} standard errors or more."
        about = f"they are still about {number(far, 2)} standard errors from the best"
        return f"the weights have not converged: {about}; more passes or a smaller tol may do."
    inner = np.full((theta.size, theta.size), np.nan)
    inner[np.ix_(used, used)] = inverse.root @ inverse.root.T * (dispersion / W)
    T = _outward(scaling, len(theta), known, theta.size // len(theta))
    inner[np.isnan(inner)] = 0.0
    covariance = T @ inner @ T.T
    lost_places = np.flatnonzero(~used)
    covariance[lost_places, :] = covariance[:, lost_places] = np.nan
    coef, intercept = scaling.outward(theta)
    estimate = np.concatenate([coef, np.asarray(intercept)[None]]) if scaling.intercept else coef
    if theta.ndim == 2:
        estimate = estimate - estimate.mean(axis=1, keepdims=True)
    names = (*named, INTERCEPT) if scaling.intercept else named
    freedom = W - parameters if form.name == "squared" else math.inf
    return Inference(names, estimate, covariance, dispersion, freedom, classes if theta.ndim == 2 else None)


def _inverse(objective: ModelObjective, rows: Rows, theta: Array, H: Array, used: NDArray[np.bool_]) -> Inverse | None:
    """The inverse of Fisher's information H in the coordinates that are used; its weak directions are measured at the rows."""
    if theta.ndim == 2:
        return pseudo_inverse(H[np.ix_(used, used)])
    whole = inverse_curvature(objective, theta, rows, functools.partial(_information, objective.loss))
    return None if whole is None else whole._replace(root=whole.root[used], size=whole.size[used])


def _information(form: Loss, batch: Batch, z: Array) -> Array:
    """E[phi''] given z: phi'' is linear in y, so it is phi'' at the mean; of classes y plays no part."""
    y = np.zeros(len(z)) if form.task != "number" else form.mean(z)
    return form.curvature(y, z)


def _rounding(objective: ModelObjective, rows: Rows, theta: Array) -> Array:
    """What rounding of the predictions may do to each entry of the gradient, in the shape of theta."""

    def sums(batch: Batch) -> tuple[Array, Array]:
        z = objective.forward(theta, batch)
        moved = (ROUNDED * objective.loss.own_curvature(batch.y, z) * (np.abs(z) + np.abs(z).max(initial=0.0))) ** 2
        weight = objective.weighted(np.ones_like(z), batch) * batch.share
        return np.asarray((weight * moved).sum(axis=0)), objective.scaling.gathered_squares(batch.X, weight)

    moved, squares = rows.sum(sums, width=theta[0].size ** 2)
    return np.asarray(np.sqrt(moved) * np.sqrt(squares))


def _dispersion(objective: ModelObjective, rows: Rows, theta: Array, parameters: int) -> float:
    W, form = rows.total_weight, objective.loss
    if form.name == "squared":
        return max(2.0 * objective.data_loss(theta, rows) * W / (W - parameters), 1e-300)
    if form.name != "gamma":
        return 1.0

    def pearson(batch: Batch) -> float:
        mu = form.mean(objective.forward(theta, batch))
        return float(objective.weighted(((batch.y - mu) / mu) ** 2, batch).sum())

    return max(rows.sum(pearson) / (W - parameters), 1e-300)


def _outward(scaling: Scaling, p: int, known: Array, classes: int) -> Array:
    """The matrix that leads from the coordinates of training to the units of the data."""
    n = p - int(scaling.intercept)
    scale = np.where(known[:n], scaling.scale, 1.0)
    T = np.eye(p)
    T[np.arange(n), np.arange(n)] = 1.0 / scale
    if scaling.intercept:
        T[-1, :n] = np.where(known[:n], -scaling.shift / scale, 0.0)
    return np.kron(T, np.eye(classes))


def _p(p: float) -> str:
    return number(p) if not p < 1e-4 else f"< 1e{math.ceil(math.log10(p)) if p > 0.0 else -300}"
