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
from collections.abc import Callable

import numpy as np

from fallline.inverse import Inverse, best_inverse
from fallline.objective import ModelObjective
from fallline.rows._base import Array, Batch, Rows

FACTOR_LIMIT = 5000  # unknowns: a Cholesky factor of this size takes about a second
ROUND_OFF, OUTSIDE = (
    1e-14,
    1e-9,
)  # of the sums in a gradient; and of the subgradient, what may lie beside the range of H
PAIRS_LIMIT = 2e9  # multiplications: above, pairs of classes are bounded by their members, at most 2 times too wide
INFLATIONS = (1.2, 2.0, 4.0, 10.0)  # guesses of how much H_low's radius exceeds H's


def gap_bound(objective: ModelObjective, rows: Rows, theta: Array, g: Array, part: Rows | None = None) -> float | None:
    """Return a proved upper bound on J(theta) - J*, or None where none can be had at this theta.

    `g` is the gradient of the smooth part of J over all rows. `part` may name some of the rows (as a part, see
    ``Rows.as_part``): curvature that is left out only lowers the floor, so a bound from a part is as true as one from
    all, and larger by about the share of the rows that it has. Costs two to four sums of outer products over these
    rows, each about p passes; p is the number of unknowns, at most ``FACTOR_LIMIT``. Above that only a ridge gives a
    bound, |s|^2 / (2 l2), where an intercept takes a little more.
    """
    s = objective.least_slope(theta, g).ravel()
    if not np.any(s):
        return 0.0
    if s.size > FACTOR_LIMIT:
        return ridge_bound(objective, rows, theta, s.reshape(theta.shape))
    for some in [rows] if part is None else [part, rows]:
        H = objective.hessian(theta, some)
        inverse = best_inverse(H)
        if inverse is None:
            continue
        inside, lost = s, 0.0
        if inverse.rank < _rank(objective, rows, theta, inverse, whole=some is rows) or not _within(
            objective, rows, theta, s, H, inverse
        ):
            split = _lasso_split(objective, rows, theta, s, H, inverse)
            if split is None:
                continue
            inside, lost = split
        nu = inverse.norm(inside)
        if _constant_curvature(objective, some, theta):
            return nu**2 / 2.0 + lost
        return _verified(objective, some, theta, inside, nu, inverse, lost)
    return None


def _verified(
    objective: ModelObjective, rows: Rows, theta: Array, s: Array, nu: float, inverse: Inverse, lost: float
) -> float | None:
    """nu_low^2 / 2 + lost for a lower matrix that holds itself to the radius it was made for; None if none does.

    The radius is guessed as that of H, inflated. How much curvature the floor then keeps is seen from the rows alone,
    so a matrix is formed only where the guess can hold: H_low >= H / inflation^2, roughly.
    """
    spread = _spread(objective, theta)

    def radius(batch: Batch, reach: float) -> Array:
        return reach * spread(batch, inverse)

    def kept(batch: Batch, reach: float) -> Array:
        z = objective.forward(theta, batch)
        floor = objective.loss.curvature_floor(batch.y, z, radius(batch, reach))
        whole = objective.loss.curvature(batch.y, z)
        return np.array([float(_total(objective.weighted(c, batch))) for c in (floor, whole)])

    for inflation in INFLATIONS:
        reach = _reach(nu * inflation, lost)
        floor_sum, whole_sum = rows.sum(functools.partial(kept, reach=reach))
        if floor_sum * inflation**2 * SLACK < whole_sum:
            continue

        def floor(batch: Batch, z: Array, reach: float = reach) -> Array:
            return objective.loss.curvature_floor(batch.y, z, radius(batch, reach))

        low = best_inverse(objective.hessian(theta, rows, floor))
        if low is None or low.rank < inverse.rank:
            continue
        nu_low = low.norm(s)
        if all(np.all(_reach(nu_low, lost) * spread(b, low) <= radius(b, reach)) for b in rows.blocks(theta.size)):
            return nu_low**2 / 2.0 + lost
    return None


def _reach(nu: float, lost: float) -> float:
    """The radius beyond which the quadratic exceeds J(theta) whatever was lost: 2 nu where nothing was."""
    return nu + float(np.sqrt(nu * nu + 2.0 * lost))


def _lasso_split(
    objective: ModelObjective, rows: Rows, theta: Array, s: Array, H: Array, inverse: Inverse
) -> tuple[Array, float] | None:
    """(the part of s in the range of H, what the rest can cost at most), where |w| bounds the way to the optimum.

    sum_j l1_j |w*_j| <= J* <= J(theta), for no loss is below zero; so the rest, s_out, changes J by no more than
    sum_j |s_out_j| |w_j| + max_j (|s_out_j| / l1_j) J(theta). Its intercept is made zero by a vector in the range of H.
    """
    strengths = objective.penalty.elementwise(rows.n)
    if strengths is None or not strengths[0].all():
        return None
    out = s - H @ inverse.apply(s)
    k = theta[0].size if objective.scaling.intercept else 0
    if k:
        side = H[:, -k:]
        out = out - side @ (np.linalg.pinv(side[-k:]) @ out[-k:])
    w, _ = objective.scaling.split(theta)
    rest, _ = objective.scaling.split(out.reshape(theta.shape))
    rest = np.abs(rest)
    l1 = strengths[0] if w.ndim == 1 else strengths[0][:, None]
    J = objective.value(theta, rows)
    return s - out, float(np.sum(rest * np.abs(w)) + np.max(rest / l1) * J)


def _total(c: Array) -> float:
    return float(c.sum() if c.ndim == 1 else np.einsum("ikk->", c))


def _spread(objective: ModelObjective, theta: Array) -> Callable[[Batch, Inverse], Array]:
    """How far z can move within the unit ball of a matrix, row by row.

    Sqrt(x^T M^-1 x); for classes the widest pair's.
    """
    if theta.ndim == 1:

        def one(batch: Batch, inverse: Inverse) -> Array:
            return _row_norms(objective.scaling.rows(batch.X) @ inverse.root)

        return one

    p, classes = theta.shape

    def pairs(batch: Batch, inverse: Inverse) -> Array:
        inner = objective.scaling.rows(batch.X)
        root = inverse.root.reshape(p, classes, -1)
        if inner.size * root.shape[2] * classes * (classes - 1) > PAIRS_LIMIT:
            # |u_k - u_q|^2 <= 2 |u_k|^2 + 2 |u_q|^2 for u_k = x^T root_k: a quadratic form for each class, not pair
            forms = [inner @ (root[:, k] @ root[:, k].T) for k in range(classes)]
            squares = np.sort([np.einsum("ip,ip->i", form, inner) for form in forms], axis=0)
            shared: Array = np.sqrt(2.0 * np.maximum(squares[-2:].sum(axis=0), 0.0))
            return shared
        widest = np.zeros(len(inner))
        for k in range(classes):
            for q in range(k):
                np.maximum(widest, _row_norms(inner @ (root[:, k] - root[:, q])), out=widest)
        return widest

    return pairs


def _within(objective: ModelObjective, rows: Rows, theta: Array, s: Array, H: Array, inverse: Inverse) -> bool:
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
    units = np.sqrt(np.maximum(np.diag(H), 0.0))  # of the curvature: a column's own units must not matter
    units = np.where(units > 0.0, units, max(float(units.max(initial=0.0)), 1e-300))
    left = float(np.linalg.norm((s - H @ inverse.apply(s)) / units))
    return left <= max(OUTSIDE * float(np.linalg.norm(s / units)), float(np.linalg.norm(noise / units)))


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
    gram = best_inverse(objective.hessian(theta, rows, lambda b, z: np.ones_like(z)))
    return theta.size if gram is None else gram.rank


def _constant_curvature(objective: ModelObjective, rows: Rows, theta: Array) -> bool:
    """Whether the curvature is the same however far one goes (squared loss): then the bound is exact."""
    batch = next(iter(rows.blocks()))
    z = objective.forward(theta, batch)[:1]
    everywhere = objective.loss.curvature_floor(batch.y[:1], z, np.full(1, np.inf))
    return bool(np.all(everywhere == objective.loss.curvature(batch.y[:1], z)) and np.all(everywhere > 0.0))


SLACK = 2.0  # the curvature that counts, along s, may be kept better than the mean of all rows
RADII = (0.5, 0.1, 2.0)  # of z, in which the floor under the curvature of the intercept is taken
LENT = 0.1  # of the ridge's curvature, lent to the intercept


def ridge_bound(objective: ModelObjective, rows: Rows, theta: Array, s: Array) -> float | None:
    """The bound that a ridge gives at the cost of a pass or less, for any number of unknowns; None without a ridge.

    Without an intercept H_low = l2 I at every theta. With one, (a + b)^2 >= (1 - t) b^2 - (1/t - 1) a^2 for the parts a
    of the weights and b of the intercept in a row's change of z: for 1/t - 1 = LENT l2 / sigma, where sigma bounds the
    data's curvature along the weights, H_low = l2 (1 - LENT) I for the weights beside (1 - t) c for the intercept; c is
    the mean floor of the rows' curvature within a radius that is checked afterwards.
    """
    l2 = objective.penalty.curvature
    if not l2:
        return None
    sw, sb = objective.scaling.split(s)
    if not objective.scaling.intercept:
        return float(np.vdot(sw, sw)) / (2.0 * l2)
    for radius in RADII:
        found = _ridge_verified(objective, rows, theta, sw, sb, l2, radius)
        if found is not None:
            return found
    return None


def _ridge_verified(
    objective: ModelObjective, rows: Rows, theta: Array, sw: Array, sb: Array, l2: float, radius: float
) -> float | None:
    def sums(batch: Batch) -> tuple[Array, float]:
        z = objective.forward(theta, batch)
        floor = objective.loss.curvature_floor(batch.y, z, np.full(len(z), radius))
        c = objective.weighted(floor, batch) * batch.share
        size = c if c.ndim == 1 else np.einsum("ikk->i", c)  # of a matrix: its trace, which bounds it
        lengths = objective.scaling.squared_lengths(batch.X)
        return c.sum(axis=0), float(size @ lengths)

    classes = 1 if theta.ndim == 1 else theta.shape[1]
    mean, sigma = rows.sum(sums, width=classes * classes)
    longest = max(float(objective.scaling.squared_lengths(b.X).max()) for b in rows.blocks())
    lent = LENT * l2
    kept = lent / (max(sigma, 1e-300) + lent)  # 1 - t
    values, vectors = np.linalg.eigh(np.atleast_2d(mean))
    along = vectors.T @ np.atleast_1d(sb)
    live = values > 1e-12 * max(float(values[-1]), 1e-300)
    if np.any(np.abs(along[~live]) > 1e-9 * np.linalg.norm(along)):
        return None
    nu_square = float(np.vdot(sw, sw)) / (l2 - lent) + float(np.sum(along[live] ** 2 / values[live])) / kept
    reach = np.sqrt(longest / (l2 - lent)) + 1.0 / np.sqrt(kept * float(values[live].min(initial=np.inf)))
    widest = 2.0 * np.sqrt(nu_square) * reach * (1.0 if classes == 1 else np.sqrt(2.0))
    return nu_square / 2.0 if widest <= radius or _constant_curvature(objective, rows, theta) else None


def _row_norms(A: Array) -> Array:
    norms: Array = np.sqrt(np.einsum("ij,ij->i", A, A))
    return norms
