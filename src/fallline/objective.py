"""Forward, loss, backward: the only place that joins loss, penalty and rows.

    J(theta) = 1/W sum_i weight_i phi(y_i, z_i + offset_i) + R(w),     W = sum_i weight_i

For squared loss without weights this is the textbook's J(theta) = 1/(2m) sum (h(x) - y)^2.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from fallline import kernels
from fallline.grams import class_gram, gram, of_products, sparse_hessian
from fallline.losses._base import Loss, quiet
from fallline.penalties._base import Penalty
from fallline.rows._base import Array, Batch, Rows
from fallline.scaling import NO_SPREAD, Scaling

ROUNDED = 4e-16  # of a prediction: what its sum is known to
MISSED = 0.5  # of a column's spread: a sample that lacks so much of it says little of it
LANDED = 1e-15  # of where the entry came from: a step to zero that missed it by round-off
PARTS, WIDE = (
    4,
    2000,
)  # blocks for a matrix: enough of them for all threads, each with more rows than H is worth adding for
DENSER = 150.0  # times as many products of a dense matrix take as long as those of a sparse one


CurvatureOf: TypeAlias = Callable[[Batch, Array], Array]  # (batch, z) -> what stands for phi''


class Objective(abc.ABC):
    """Something with a value and a gradient at theta."""

    @abc.abstractmethod
    def value_and_grad(self, theta: Array, batch: Batch | Rows | None) -> tuple[float, Array]:
        """J and grad J at theta: over all rows, or estimated from a mini-batch.

        The part that is not smooth counts in the value, not in the gradient.
        """

    def prox(self, theta: Array, lr: float) -> Array:
        """The proximal step of the part that is not smooth (|w|, bounds)."""
        return theta

    def project(self, theta: Array) -> Array:
        """The nearest theta within the bounds: theta itself where there are none."""
        return theta

    def land(self, theta: Array, move: Array) -> Array:
        """theta + move, within the bounds."""
        return self.project(theta + move)

    def least_slope(self, theta: Array, g: Array) -> Array:
        """The smallest subgradient: zero exactly at an optimum."""
        return g

    @property
    def smooth(self) -> bool:
        """Whether prox is the identity."""
        return True


@dataclass(frozen=True)
class ModelObjective(Objective):
    """A loss of linear predictions plus a penalty on the weights, in the coordinates of `scaling`.

    Formulas may overflow far from the optimum: what comes out is infinite or NaN, which the loop sees and tells.
    """

    loss: Loss
    penalty: Penalty
    scaling: Scaling
    lacking: Array | None = None  # share of each column's spread that is not in the rows: see ``for_sample``
    _last: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)  # rows, theta, J, gradient

    def for_sample(self, sample: Rows) -> ModelObjective:
        """The same for second derivatives of a sample of the rows, which may lack rare levels.

        Columns standardised over all rows have a mean square of 1. Where the sample has less than half of that, what it
        lacks is made up for on the diagonal, at the mean curvature: or a column that is never 1 in the sample would seem
        to cost nothing to move.
        """
        if not self.scaling.intercept or not np.any(self.scaling.scale != 1.0):
            return self

        def squares(batch: Batch) -> Array:
            return self.scaling.gathered_squares(batch.X, self.weighted(np.ones(len(batch.y)), batch) * batch.share)

        lacking = 1.0 - self.scaling.split(sample.sum(squares))[0]
        lacking[(lacking < MISSED) | (self.scaling.scale >= NO_SPREAD)] = 0.0
        return replace(self, lacking=lacking) if lacking.any() else self

    @quiet
    def value_and_grad(self, theta: Array, batch: Batch | Rows | None) -> tuple[float, Array]:
        assert batch is not None
        if isinstance(batch, Rows):
            J, g = self._passed(theta, batch)
        else:
            J, g = self._sum(theta, batch)
        w, _ = self.scaling.split(theta)
        return float(J) + self.penalty.value(w), g + self._padded(self.penalty.slope(w))

    def value(self, theta: Array, rows: Rows) -> float:
        """J at theta over all rows."""
        w, _ = self.scaling.split(theta)
        return self.data_loss(theta, rows) + self.penalty.value(w)

    @quiet
    def data_loss(self, theta: Array, rows: Rows) -> float:
        """The mean loss alone, without the penalty: what is compared on check rows."""
        return float(
            rows.sum(
                lambda part: self.weighted(self.loss.value(part.y, self.forward(theta, part)), part).sum() * part.share
            )
        )

    def forward(self, theta: Array, batch: Batch) -> Array:
        """Predictions z, offset included."""
        z = self.scaling.predictions(theta, batch.X)
        if batch.offset is None:
            return z
        return z + (batch.offset if z.ndim == 1 else batch.offset[:, None])

    @quiet
    def hessian(self, theta: Array, rows: Rows, curvature: CurvatureOf | None = None) -> Array:
        """The matrix of second derivatives, (p K, p K); `curvature` may replace phi'' by another (m,) or (m, K, K)."""
        compiled = rows.stored >= kernels.FROM_NUMBERS
        anywhere = curvature is None and theta.ndim == 1 and self.constant_curvature(theta, rows)

        def weights(batch: Batch) -> Array:
            z = np.zeros(len(batch.y)) if anywhere else self.forward(theta, batch)
            c = self.loss.curvature(batch.y, z) if curvature is None else curvature(batch, z)
            return self.weighted(c, batch) * batch.share

        def part(batch: Batch) -> Array:
            c = weights(batch)
            return (
                gram(self.scaling, batch.X, c, compiled) if c.ndim == 1 else class_gram(self.scaling.rows(batch.X), c)
            )

        p, classes = theta.shape[0], theta.shape[1] if theta.ndim == 2 else 1
        if anywhere and rows.products is not None:
            H = of_products(self.scaling, rows.products, float(weights(next(iter(rows.blocks())))[0]))
        elif rows.n**2 * rows.m**2 > DENSER * rows.stored**2 and not len(self.scaling.far):
            H = sparse_hessian(self.scaling, rows, rows.each(weights, classes * classes))
        else:  # also where columns are far from zero: an expanded square would lose the digits that proofs need
            H = rows.sum(part, width=min(PARTS * theta.size, max(theta.size, WIDE)), room=theta.size**2)
        penalised = np.arange((p - self.scaling.intercept) * classes)
        H[penalised, penalised] += self.penalty.curvature
        if self.lacking is not None:
            blocks = H.reshape(p, classes, p, classes)
            for j in np.flatnonzero(self.lacking):
                blocks[j, :, j, :] += self.lacking[j] * blocks[-1, :, -1, :]
        return H

    @quiet
    def class_hessians(self, theta: Array, rows: Rows) -> Array:
        """The second derivatives within each class, (K, p, p): the diagonal blocks of ``hessian``, K times as cheap."""
        p, classes = theta.shape

        def weights(batch: Batch) -> Array:
            return self.weighted(self.loss.own_curvature(batch.y, self.forward(theta, batch)), batch) * batch.share

        def part(batch: Batch) -> Array:
            inner, c = self.scaling.rows(batch.X), weights(batch)
            return np.stack([inner.T @ (inner * c[:, k, None]) for k in range(classes)])

        if rows.n**2 * rows.m**2 > DENSER * rows.stored**2 and not len(self.scaling.far):
            own = rows.each(weights, classes)
            H = np.stack([sparse_hessian(self.scaling, rows, own[:, k]) for k in range(classes)])
        else:
            H = rows.sum(part, width=min(PARTS * theta.size, max(theta.size, WIDE)), room=theta.size * p)
        penalised = np.arange(p - self.scaling.intercept)
        H[:, penalised, penalised] += self.penalty.curvature
        if self.lacking is not None:
            for j in np.flatnonzero(self.lacking):
                H[:, j, j] += self.lacking[j] * H[:, -1, -1]
        return H

    @quiet
    def along(self, theta: Array, rows: Rows, ways: Array, curvature: CurvatureOf | None = None) -> tuple[Array, Array]:
        """(H V, V^T H V) for directions V in the columns of `ways`, H = ``hessian(theta, rows, curvature)``, not formed.

        Measured at the rows: a sum of squares has the digits that are lost in a difference of large sums.
        """
        shape = (*theta.shape, ways.shape[1])
        flat = ways.reshape(len(theta), -1)

        def part(batch: Batch) -> tuple[Array, Array, Array]:
            z = self.forward(theta, batch)
            c = self.loss.curvature(batch.y, z) if curvature is None else curvature(batch, z)
            c = self.weighted(c, batch) * batch.share
            centred = isinstance(batch.X, np.ndarray) or len(self.scaling.far) > 0  # or products would lose digits
            inner = self.scaling.rows(batch.X) if centred else None
            moved = self.scaling.predictions(flat, batch.X) if inner is None else inner @ flat
            moved = moved.reshape(-1, *shape[1:])
            if self.loss.link == "softmax":
                moved -= moved.mean(axis=1, keepdims=True)  # shifting all classes alike is no move
            pull = c[:, None] * moved if c.ndim == 1 else c @ moved
            square = moved.reshape(-1, shape[-1]).T @ pull.reshape(-1, shape[-1])
            pull = pull.reshape(-1, flat.shape[1])
            back = self.scaling.gather(batch.X, pull) if inner is None else inner.T @ pull
            return back.reshape(ways.shape), square, np.asarray(c.sum(axis=0))

        narrow = rows.stored < rows.m * rows.n and not len(self.scaling.far)
        HV, square, whole = rows.sum(part, width=flat.shape[1] if narrow else theta.size, room=2 * ways.size)
        more = np.zeros_like(ways)
        penalised = (theta.shape[0] - self.scaling.intercept) * theta[0].size
        more[:penalised] = self.penalty.curvature * ways[:penalised]
        if self.lacking is not None:
            blocks, own = more.reshape(shape), ways.reshape(shape)
            for j in np.flatnonzero(self.lacking):
                blocks[j] += self.lacking[j] * (whole @ own[j] if whole.ndim else whole * own[j])
        return HV + more, square + ways.T @ more

    def constant_curvature(self, theta: Array, rows: Rows) -> bool:
        """Whether the curvature is the same however far one goes, as for squared loss: then one matrix is enough."""
        batch = next(iter(rows.blocks()))
        offset = None if batch.offset is None else batch.offset[:1]
        first = batch._replace(X=batch.X[:1], y=batch.y[:1], offset=offset)
        z = self.forward(theta, first)
        everywhere = self.loss.curvature_floor(first.y, z, np.full(1, np.inf))
        return bool(np.all(everywhere == self.loss.curvature(first.y, z)) and np.all(everywhere > 0.0))

    @quiet
    def resolution(self, theta: Array, rows: Rows) -> float:
        """How small a loss is none: what rounding does to J.

        A difference z - y is off by a rounding of z, which squared loss squares; the formulas of other links are
        differences themselves, of terms of the size of curvature times z.
        """
        power = 2.0 if self.loss.link == "identity" else 1.0

        def part(batch: Batch) -> float:
            z = self.forward(theta, batch)
            c = self.loss.curvature(batch.y, z)
            own = c if c.ndim == 1 else np.einsum("ikk->i", c)
            size = np.abs(z) if z.ndim == 1 else np.abs(z).max(axis=1)
            if self.loss.link != "identity":
                size = np.maximum(size, 1.0)  # these links have a unit of their own
            return float(self.weighted(own * (ROUNDED * size) ** power, batch).sum() * batch.share)

        return rows.sum(part, width=theta[0].size ** 2)

    @quiet
    def hessian_diagonal(self, theta: Array, rows: Rows) -> Array:
        """The diagonal of the second derivatives, in the shape of theta."""

        def part(batch: Batch) -> Array:
            own = self.loss.own_curvature(batch.y, self.forward(theta, batch))
            return self.scaling.gathered_squares(batch.X, self.weighted(own, batch) * batch.share)

        d = rows.sum(part, width=theta[0].size ** 2)
        w, b = self.scaling.split(d)
        return self._joined(w + self.penalty.curvature, b)

    def prox(self, theta: Array, lr: float) -> Array:
        w, b = self.scaling.split(theta)
        return self._joined(self.penalty.prox(w, lr), b)

    def project(self, theta: Array) -> Array:
        w, b = self.scaling.split(theta)
        return self._joined(self.penalty.project(w), b)

    def corners(self, theta: Array) -> tuple[Array, Array, Array]:
        """(l1, lower, upper) of each entry of theta.ravel(), where the penalty acts entry by entry."""
        w, b = self.scaling.split(theta)
        found = self.penalty.elementwise(len(w))
        assert found is not None
        shape, free = (-1,) + (1,) * (theta.ndim - 1), np.zeros(np.size(b) * self.scaling.intercept)
        l1, low, high = (np.broadcast_to(found[k].reshape(shape), w.shape).ravel() for k in (0, 2, 3))
        return np.append(l1, free), np.append(low, free - np.inf), np.append(high, free + np.inf)

    def corner_value(self, theta: Array) -> float:
        """The part of the penalty that is not smooth: what ``value_and_grad`` counts in J and not in the gradient."""
        l1, _, _ = self.corners(theta)
        return float(l1 @ np.abs(theta.ravel()))

    def land(self, theta: Array, move: Array) -> Array:
        """theta + move within the bounds; an entry that lands within round-off of zero, where |w| has its corner, is zero.

        Steps are made of differences, which miss an exact zero by the last digit.
        """
        there = self.project(theta + move)
        if self.penalty.elementwise(len(self.scaling.split(theta)[0])) is None:
            return there
        l1 = self.corners(theta)[0].reshape(theta.shape)
        near = (l1 > 0.0) & (np.abs(there) <= LANDED * np.abs(theta))
        return np.where(near, 0.0, there)

    def least_slope(self, theta: Array, g: Array) -> Array:
        w, _ = self.scaling.split(theta)
        gw, gb = self.scaling.split(g)
        return self._joined(self.penalty.least_slope(w, gw), gb)

    @property
    def smooth(self) -> bool:
        return self.penalty.smooth

    def _passed(self, theta: Array, rows: Rows) -> tuple[float, Array]:
        """The same as when it was last asked, where it is asked for the same: a run begins where its floor was measured."""
        if not (self._last and self._last[0] is rows and np.array_equal(self._last[1], theta)):
            self._last[:] = [rows, theta.copy(), *self._pass(theta, rows)]
        return self._last[2], self._last[3]

    def _pass(self, theta: Array, rows: Rows) -> tuple[float, Array]:
        """Mean loss and its gradient over all rows: compiled where that pays, else block by block in NumPy."""
        summed = rows.fused(self.loss, *self.scaling.outward(theta))
        if summed is None:
            return rows.sum(lambda part: self._sum(theta, part))
        g = self.scaling.gathered(summed.back, np.asarray(summed.slopes))
        return summed.loss / rows.total_weight, g / rows.total_weight

    def _sum(self, theta: Array, batch: Batch) -> tuple[float, Array]:
        z = self.forward(theta, batch)  # forward
        value, slope = self.loss.value_and_slope(batch.y, z)
        J = self.weighted(value, batch).sum() * batch.share  # loss
        r = self.weighted(slope, batch) * batch.share  # backward
        return float(J), self.scaling.gather(batch.X, r)

    @staticmethod
    def weighted(values: Array, batch: Batch) -> Array:
        """Row values times the rows' weights."""
        if batch.weight is None:
            return values
        return values * batch.weight.reshape((-1,) + (1,) * (values.ndim - 1))

    def _joined(self, w: Array, b: Any) -> Array:
        return np.concatenate([w, np.asarray(b)[None]]) if self.scaling.intercept else w

    def _padded(self, slope: Array) -> Array:
        return np.concatenate([slope, np.zeros((1, *slope.shape[1:]))]) if self.scaling.intercept else slope


@dataclass(frozen=True)
class FunctionObjective(Objective):
    """A user's own function of a vector, with its gradient; there are no rows."""

    both: Callable[[Array], tuple[float, Array]]
    penalty: Penalty | None = None
    slope: Callable[[Array], Array] | None = None  # the gradient alone, where that costs less

    def value_and_grad(self, theta: Array, batch: Batch | Rows | None = None) -> tuple[float, Array]:
        J, g = self.both(theta)
        if self.penalty is None:
            return J, g
        return J + self.penalty.value(theta), g + self.penalty.slope(theta)

    def gradient(self, theta: Array) -> Array:
        """The gradient of everything smooth."""
        g = self.both(theta)[1] if self.slope is None else self.slope(theta)
        return g if self.penalty is None else g + self.penalty.slope(theta)

    def prox(self, theta: Array, lr: float) -> Array:
        return theta if self.penalty is None else self.penalty.prox(theta, lr)

    def project(self, theta: Array) -> Array:
        return theta if self.penalty is None else self.penalty.project(theta)

    def least_slope(self, theta: Array, g: Array) -> Array:
        return g if self.penalty is None else self.penalty.least_slope(theta, g)

    @property
    def smooth(self) -> bool:
        return self.penalty is None or self.penalty.smooth
