"""What rounding does to J, to its gradient and to the predictions: no proof is finer than that."""

from __future__ import annotations

import functools
import math
from typing import Any, Final

import numpy as np

from fallline.inverse import Inverse
from fallline.losses._base import quiet
from fallline.objective import ModelObjective
from fallline.rows._base import Array, Batch, Rows

EPS: Final = float(np.finfo(np.float64).eps)
# Roundings of a term of a sum that are told: of the two factors, of their product, and of what both were computed from.
ROUNDINGS: Final = 4.0
# Less than this share of a slope may be rounding: its square is below the rounding of J.
FEW_DIGITS: Final = 1e-9
DEVIATIONS: Final = 3.0
PRECISE: Final = bool(np.finfo(np.longdouble).eps < EPS / 100.0)  # whether long double is longer than double, as on x86
# Added to each bound, as a share of it: second derivatives are sums, too.
SUMMED: Final = 1e-8


class Digits:
    """How many digits the gradient at theta has along a direction, found out when a proof first needs to know."""

    def __init__(self, objective: ModelObjective, rows: Rows, theta: Array) -> None:
        self.objective, self.rows, self.theta = objective, rows, theta

    def decrement(self, inverse: Inverse, s: Array) -> float:
        """sqrt(s^T inverse s), no less than it is: with what rounding may have taken from s and from the inverse.

        With H = X^T C X, an error e of the predictions moves it by at most |C^1/2 e|, along whatever direction. An error of a
        sum, or of the cells, counts by one over the size of the direction that it lies along, which is the norm of a column
        of the root; the second derivatives along it are known as well as it stands out from the rounding of the cells.
        """
        own = inverse.norm(s)
        stretch = float(np.linalg.norm(inverse.root * inverse.size[:, None], axis=0).max(initial=0.0))
        lost = ROUNDINGS * EPS * self._far * stretch
        if lost > FEW_DIGITS:
            own += self._of_predictions + float(np.linalg.norm(np.abs(inverse.root).T @ self.noise))
        return own * (1.0 + SUMMED + 2.0 * lost)

    def slope(self) -> float:
        """How large a gradient may be that was computed as zero."""
        return float(np.linalg.norm(self.noise))

    def sums(self) -> Array:
        """sqrt(sum r_i^2) sqrt(sum x_ij^2) for each coordinate of the gradient, (p K,): the size of what is summed there."""
        r_square, _, x_square = self._squares
        return np.repeat(math.sqrt(r_square) * np.sqrt(x_square), self.theta.size // len(x_square))

    @functools.cached_property
    def noise(self) -> Array:
        """What rounding does to each coordinate of the gradient, (p K,)."""
        r_square, _, x_square = self._squares
        scaling = self.objective.scaling
        far = np.abs(scaling.shift) / scaling.scale
        cells = np.sqrt(x_square) + (np.append(far, 0.0) if scaling.intercept else far)
        return ROUNDINGS * EPS * math.sqrt(r_square) * np.repeat(cells, self.theta.size // len(cells))

    @functools.cached_property
    def _far(self) -> float:
        """Standard deviations that a column lies from zero: so many times larger is the rounding of its cells."""
        scaling = self.objective.scaling
        return 1.0 + float(np.max(np.abs(scaling.shift) / scaling.scale, initial=0.0))

    @property
    def _of_predictions(self) -> float:
        """|C^1/2 e|: what the rounding of the predictions moves a slope by, in coordinates in which H is the identity."""
        return ROUNDINGS * EPS * math.sqrt(self._squares[1])

    @functools.cached_property
    def _squares(self) -> tuple[float, float, Array]:
        """Sums over the rows, each with its share: of r_i^2, of curvature times squared terms of z_i, and of x_ij^2."""
        objective, theta = self.objective, self.theta

        @quiet
        def of(batch: Batch) -> tuple[float, float, Array]:
            z = objective.forward(theta, batch)
            r = objective.weighted(objective.loss.slope(batch.y, z), batch)
            terms = terms_of(objective, theta, batch)
            moved = objective.weighted(objective.loss.own_curvature(batch.y, z) * terms * terms, batch)
            ones = np.full(len(batch.y), batch.share)
            x_square = objective.scaling.gathered_squares(batch.X, ones)
            return float(np.sum(r * r) * batch.share), float(np.sum(moved) * batch.share), x_square

        return self.rows.sum(of)


def terms_of(objective: ModelObjective, theta: Array, batch: Batch) -> Array:
    """The sizes of the terms that each prediction is summed from, in the units of the data: the shape of z.

    A prediction is off by about a rounding of that, in training and wherever the coefficients are used.
    """
    coef, b = objective.scaling.outward(theta)
    shifted: Any = np.abs(objective.scaling.shift) @ np.abs(coef) if objective.scaling.intercept else 0.0
    size = np.abs(batch.X) @ np.abs(coef) + (np.abs(b) + shifted)
    if batch.offset is None:
        return np.asarray(size)
    return np.asarray(size + np.abs(batch.offset if size.ndim == 1 else batch.offset[:, None]))


@quiet
def loss_rounding(objective: ModelObjective, theta: Array, J: float, rows: Rows) -> float:
    """What rounding does to J at theta: to first order in the slopes and, where these vanish, to second order.

    `rows` are some that stand for all. Each of their predictions is made again in long double; where that is no longer than
    double, it is taken to be off by a rounding of its terms. Such errors of many rows add up as a random walk does, of which
    three standard deviations are told.
    """

    def part(batch: Batch) -> tuple[float, float, float]:
        z = objective.forward(theta, batch)
        value, slope = objective.loss.value_and_slope(batch.y, z)
        off = _off(objective, theta, batch, z)
        # Of a curvature that jumps, the larger one within reach: a row on the border of a hinge may lie on either side.
        curvature = np.max([objective.loss.own_curvature(batch.y, z + d) for d in (-off, 0.0 * off, off)], axis=0)
        own = ROUNDINGS * EPS * (np.abs(value) + objective.loss.term_size(batch.y, z))
        if objective.loss.link in (
            "logit",
            "softmax",
        ):  # a slope is mu - y: of a nearly certain row no digit may be left
            own = own + EPS * np.abs(off).reshape(len(off), -1).sum(axis=1)
        terms = (slope * off, curvature * off * off, own)
        first, second, last = (
            objective.weighted(v.reshape(len(v), -1).sum(axis=1), batch) * batch.share for v in terms
        )
        return float(first.sum()), float(np.sum(first**2 + last**2)), float(second.sum())

    common, squares, second = rows.sum(part, width=theta[0].size ** 2)
    w, _ = objective.scaling.split(theta)
    return (
        abs(common) + DEVIATIONS * math.sqrt(squares) + second + ROUNDINGS * EPS * (abs(J) + objective.penalty.value(w))
    )


def _off(objective: ModelObjective, theta: Array, batch: Batch, z: Array) -> Array:
    """How far the predictions z are off, made of the coefficients in the units of the data."""
    if not PRECISE:
        return EPS * terms_of(objective, theta, batch)
    coef, b = (np.asarray(v, dtype=np.longdouble) for v in objective.scaling.outward(theta))
    exact: Any
    if isinstance(batch.X, np.ndarray):
        exact = batch.X.astype(np.longdouble) @ coef
    else:  # SciPy has no products in long double
        X = batch.X.tocsr()
        ends = np.concatenate(
            [np.zeros((1, *coef.shape[1:]), np.longdouble), np.cumsum((X.data * coef[X.indices].T).T, axis=0)]
        )
        exact = ends[X.indptr[1:]] - ends[X.indptr[:-1]]
    exact = exact + b
    if batch.offset is not None:
        exact = exact + (batch.offset if exact.ndim == 1 else batch.offset[:, None])
    return np.asarray(exact - z, dtype=np.float64)
