"""Proof of how far the loss can still fall: a bound on J(theta) - J*, from one look around theta.

Let s be a subgradient of J at theta, and let H_low be a matrix that bounds the second derivatives of J from below at
every theta + d with  |x_i . d| <= r_i  for all rows i. Then for those d

    J(theta + d)  >=  J(theta) + s . d + 1/2 d^T H_low d,

which is least at J(theta) - nu^2 / 2 with nu^2 = s^T H_low^-1 s. On the sphere d^T H_low d = (2 nu)^2 it is at least
J(theta), so by convexity J is at least J(theta) beyond the sphere too. The sphere lies where the bound holds if
r_i >= 2 nu sqrt(x_i^T H_low^-1 x_i) for every row. Hence

    J(theta) - J*  <=  nu^2 / 2.

Each loss says how low its curvature can fall within a radius (``Loss.curvature_floor``), and that is all it takes:
the same lines serve squared loss (exactly), logistic, Poisson, gamma, Huber, softmax and the rest, with or without a
ridge, and |w| or bounds through the smallest subgradient. Near the optimum the bound tends to the truth. (In the
family of the Newton decrement bounds of self-concordant functions: Bach 2010; Sun and Tran-Dinh 2019.)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from fallline.balance import best_shift
from fallline.curved import inverse_curvature
from fallline.duality import duality_gap
from fallline.inverse import Inverse
from fallline.objective import ModelObjective
from fallline.rows._base import Array, Batch, Rows

FACTOR_LIMIT = 5000  # unknowns: a Cholesky factor of this size takes about a second
ROUND_OFF = 1e-14  # of the sums in a gradient
INFLATIONS = (1.2, 2.0, 4.0, 10.0)  # guesses of how much H_low's radius exceeds H's


def gap_bound(
    objective: ModelObjective, rows: Rows, theta: Array, g: Array, among: Sequence[Rows] | None = None
) -> float | None:
    """Return a proved upper bound on J(theta) - J*, or None where none can be had at this theta.

    `g` is the gradient of the smooth part of J over all rows. `among` names the rows whose matrices of second
    derivatives may be formed, tried in turn: all rows (the default), or some of them as a part (``Rows.as_part``):
    curvature that is left out only lowers the floor, so a bound from a part is as true as one from all, and larger by
    about the share of the rows that it has. Costs two to four sums of outer products over these rows, each about p
    passes; p is the number of unknowns, at most ``FACTOR_LIMIT``. Above that, where `among` is empty, and where the
    columns depend on one another in ways that the slope minds, a ridge or |w| give a bound at the cost of a few passes.
    """
    s = objective.least_slope(theta, g).ravel()
    if not np.any(s):
        return 0.0
    among = [rows] if among is None else among
    if s.size > FACTOR_LIMIT or not objective.smooth and rows.m < rows.n:  # no matrix of the rows would be regular
        among = []
    for some in among:
        inverse = inverse_curvature(objective, theta, some)
        if inverse is None:
            continue
        if inverse.rank < _rank(objective, rows, theta, inverse, whole=some is rows) or not _within(
            objective, rows, theta, s, inverse
        ):
            continue
        nu = inverse.norm(s)
        if objective.constant_curvature(theta, some):
            return nu**2 / 2.0
        found = _verified(objective, some, theta, s, nu, inverse)
        if found is not None or objective.smooth:
            return found
    by_ridge = (objective.smooth and not among) or s.size > FACTOR_LIMIT
    bounds = [ridge_bound(objective, rows, theta, s.reshape(theta.shape)) if by_ridge else None]
    bounds.append(None if objective.smooth else duality_gap(objective, rows, theta))
    return min((bound for bound in bounds if bound is not None), default=None)


def _verified(
    objective: ModelObjective, rows: Rows, theta: Array, s: Array, nu: float, inverse: Inverse
) -> float | None:
    """nu_low^2 / 2 for a lower matrix that holds itself to the radius it was made for; None if none does.

    The radius is guessed as that of H, inflated. How much curvature the floor then keeps is seen from the rows alone,
    so a matrix is formed only where the guess can hold: H_low >= H / inflation^2, roughly.
    """
    spread = _spread(objective, theta, inverse)
    spreads = rows.each(spread, theta.size)

    def radius(batch: Batch, reach: float) -> Array:
        return reach * spreads[batch.first : batch.first + len(batch.y)]

    def kept(batch: Batch, reach: float) -> Array:
        z = objective.forward(theta, batch)
        floor = objective.loss.curvature_floor(batch.y, z, radius(batch, reach))
        whole = objective.loss.curvature(batch.y, z)
        return np.array([float(_total(objective.weighted(c, batch))) for c in (floor, whole)])

    for inflation in INFLATIONS:
        reach = 2.0 * nu * inflation
        floor_sum, whole_sum = rows.sum(functools.partial(kept, reach=reach), width=theta[0].size ** 2)
        if floor_sum * inflation**2 * SLACK < whole_sum:
            continue

        def floor(batch: Batch, z: Array, reach: float = reach) -> Array:
            return objective.loss.curvature_floor(batch.y, z, radius(batch, reach))

        low = inverse_curvature(objective, theta, rows, floor)
        if low is None or low.rank < inverse.rank:
            continue
        nu_low = low.norm(s)
        wider = rows.each(_spread(objective, theta, low), theta.size)
        if np.all(2.0 * nu_low * wider <= reach * spreads):
            return nu_low**2 / 2.0
    return None


def _total(c: Array) -> float:
    return float(c.sum() if c.ndim == 1 else np.einsum("ikk->", c))


def _spread(objective: ModelObjective, theta: Array, inverse: Inverse) -> Callable[[Batch], Array]:
    """How far z can move within the unit ball of a matrix, row by row.

    sqrt(x^T M^-1 x); for classes the widest pair's: sqrt(x^T (N_kk + N_qq - N_kq - N_qk) x), N = M^-1.
    """
    if theta.ndim == 1:
        return lambda batch: _row_norms(objective.scaling.rows(batch.X) @ inverse.root)
    p, classes = theta.shape
    N = (inverse.root @ inverse.root.T).reshape(p, classes, p, classes)
    forms = [N[:, k, :, k] + N[:, q, :, q] - N[:, k, :, q] - N[:, q, :, k] for k in range(classes) for q in range(k)]

    def widest(batch: Batch) -> Array:
        inner = objective.scaling.rows(batch.X)
        squares = np.zeros(len(inner))
        for form in forms:
            np.maximum(squares, np.einsum("ip,ip->i", inner @ form, inner), out=squares)
        return np.sqrt(squares)

    return widest


def _within(objective: ModelObjective, rows: Rows, theta: Array, s: Array, inverse: Inverse) -> bool:
    """Whether the subgradient lies in the range of H, but for round-off in the gradient that it was made from.

    Outside of it, where H is flat, nothing bounds how far the loss could still fall.
    """
    if inverse.rank == s.size:
        return True

    def sizes(batch: Batch) -> tuple[float, Array]:
        r = objective.weighted(objective.loss.slope(batch.y, objective.forward(theta, batch)), batch)
        return float(np.sum(r * r) * batch.share), objective.scaling.gathered_squares(
            batch.X, np.full(len(batch.y), batch.share)
        )

    r_square, x_square = rows.sum(sizes)
    noise = ROUND_OFF * np.sqrt(r_square) * np.sqrt(x_square)  # of a sum of r_i x_ij, per coordinate
    noise = np.repeat(noise, s.size // len(noise))
    return float(np.linalg.norm(inverse.outside(s))) <= float(np.linalg.norm(noise / inverse.size))


def _rank(objective: ModelObjective, rows: Rows, theta: Array, inverse: Inverse, whole: bool) -> int:
    """The rank that H must have for the subgradient to lie in its range.

    Over all rows: that of the Gram matrix of the columns. Losses that are flat somewhere (Huber, hinge) can lose rank
    that the data has; all others keep it. Over a part, which may lack what the data has: all of it, but for what
    shifting all classes alike cannot change.
    """
    if not whole:
        if theta.ndim == 1:
            return theta.size
        return theta.size - (objective.scaling.intercept if objective.penalty.curvature else len(theta))
    if theta.ndim == 2 or inverse.rank == theta.size:
        return inverse.rank
    flat = rows.sum(lambda b: int(np.sum(objective.loss.curvature(b.y, objective.forward(theta, b)) <= 0.0)))
    if not flat:
        return inverse.rank
    gram = inverse_curvature(objective, theta, rows, lambda b, z: np.ones_like(z))
    return theta.size if gram is None else gram.rank


SLACK = 2.0  # the curvature that counts, along s, may be kept better than the mean of all rows


def ridge_bound(objective: ModelObjective, rows: Rows, theta: Array, s: Array) -> float | None:
    """The bound that a ridge gives at the cost of a few passes, for any number of unknowns; None without a ridge.

    `s` is the smallest subgradient. Without an intercept J curves by l2 at least in all directions, so
    J - J* <= |s|^2 / (2 l2).  With one, so does the least of J over the intercept, as a function of the weights, whose
    subgradient is that of J at theta', which is theta with the intercept that is best for its weights:

        J(theta) - J*  <=  J(theta) - J(theta') + |s'_w|^2 / (2 l2).
    """
    l2 = objective.penalty.curvature
    if not l2:
        return None
    if not objective.scaling.intercept:
        return float(np.vdot(s, s)) / (2.0 * l2)
    shift = best_shift(objective, rows, functools.partial(objective.forward, theta), theta[0].size)
    if shift is None:
        return None
    settled = theta.copy()
    settled[-1] += shift if theta.ndim == 2 else shift[0]
    J, g = objective.value_and_grad(settled, rows)
    sw, _ = objective.scaling.split(objective.least_slope(settled, g))
    return max(objective.value(theta, rows) - J, 0.0) + float(np.vdot(sw, sw)) / (2.0 * l2)


def _row_norms(A: Array) -> Array:
    norms: Array = np.sqrt(np.einsum("ij,ij->i", A, A))
    return norms
