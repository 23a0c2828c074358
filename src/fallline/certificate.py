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
from collections.abc import Iterator, Sequence

import numpy as np

from fallline.balance import best_shift
from fallline.curved import inverse_curvature
from fallline.duality import duality_gap
from fallline.exact_rank import column_rank
from fallline.inverse import Inverse
from fallline.objective import ModelObjective
from fallline.rounding import Digits
from fallline.rows._base import Array, Batch, Rows
from fallline.spread import Spread, spread
from fallline.sure import FAR, Out, sure_rows, uncentred

FACTOR_LIMIT = 5000  # unknowns: a Cholesky factor of this size takes about a second
ROUND_OFF = 1e-14  # of the sums in a gradient
LOST = 1e-8  # of the largest singular value of the directions that were dropped: a smaller one is none of its own
MOST = 2.0  # times what is enough: an estimate that is larger is too large
INFLATIONS = (1.2, 2.0, 4.0, 10.0)  # guesses of how much H_low's radius exceeds H's


def gap_bound(
    objective: ModelObjective, rows: Rows, theta: Array, g: Array, enough: float = np.inf,
    among: Sequence[Rows] | None = None,
) -> float | None:  # fmt: skip
    """Return a proved upper bound on J(theta) - J*, or None where none can be had at this theta.

    `g` is the gradient of the smooth part of J over all rows. `among` names the rows whose matrices of second
    derivatives may be formed, tried in turn: all rows (the default), or some of them as a part (``Rows.as_part``):
    curvature that is left out only lowers the floor, so a bound from a part is as true as one from all, and larger by
    about the share of the rows that it has. Costs two to four sums of outer products over these rows, each about p
    passes; p is the number of unknowns, at most ``FACTOR_LIMIT``. Above that, where `among` is empty, and where the
    columns depend on one another in ways that the slope minds, a ridge or |w| give a bound at the cost of a few passes.
    Where the bound will be larger than `enough`, None may be returned for less.
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
        if not _dropped_nothing(objective, some, theta, inverse):
            continue
        digits = Digits(objective, rows, theta)
        nu = digits.decrement(inverse, s)
        if objective.constant_curvature(theta, some):
            return nu * nu / 2.0
        if nu * nu / 2.0 > MOST * enough * rows.m / some.m:  # about J - J* (times as much for a part), too far off
            if objective.smooth:
                return None
            break  # behind |w| another bound may be much lower
        spread_of = spread(objective, some, theta, inverse)
        spreads = spread_of.each(some)
        if np.any(2.0 * nu * spreads > FAR):
            found = _but_for_sure_rows(*uncentred(objective, theta), rows, some, 2.0 * nu, spread_of, spreads)
            if found is not None:
                return found
        found = _verified(objective, some, theta, s, digits, inverse, spreads)
        if found is not None or objective.smooth:
            return found
    by_ridge = (objective.smooth and not among) or s.size > FACTOR_LIMIT
    bounds = [ridge_bound(objective, rows, theta, s.reshape(theta.shape)) if by_ridge else None]
    bounds.append(None if objective.smooth else duality_gap(objective, rows, theta))
    return min((bound for bound in bounds if bound is not None), default=None)


def _verified(
    objective: ModelObjective, rows: Rows, theta: Array, s: Array, digits: Digits, inverse: Inverse, spreads: Array,
    out: Out | None = None,
) -> float | None:  # fmt: skip
    """nu_low^2 / 2 for a lower matrix that holds itself to the radius it was made for; None if none does.

    `spreads` is how far the rows' predictions move within the unit ball of H; `out` is what of them has no part in J here.

    The radius is guessed as that of H, inflated by c. Where the floor keeps a share of the curvature of every row that is at
    least 1 / c, the guess holds with that share of H for H_low, and nothing more is to be formed. Else how much is kept is
    seen from all rows together: if it were the same share everywhere, the guess would hold with H_low >= H / c; as the
    curvature that counts may be kept better, guesses down to H / c^2 are tried too, last.
    """

    def radius(batch: Batch, reach: float) -> Array:
        return reach * spreads[batch.first : batch.first + len(batch.y)]

    out = Out(np.zeros(rows.m, dtype=bool)) if out is None else out
    nu = digits.decrement(inverse, s)

    def floor(batch: Batch, z: Array, reach: float) -> Array:
        own = out.of(batch)
        return own.without(objective.loss.curvature_floor(batch.y, own.seen(z), radius(batch, reach)))

    def kept(batch: Batch, inflation: float) -> Array:
        z = objective.forward(theta, batch)
        low, whole = floor(batch, z, 2.0 * nu * inflation), _curvature(objective, out, batch, z)
        sums = [float(_total(objective.weighted(c, batch))) for c in (low, whole)]
        return np.array([*sums, np.sum(_traces(low) * inflation < _traces(whole))])

    def guesses() -> Iterator[tuple[float, bool]]:
        last = []
        for inflation in INFLATIONS:
            floor_sum, whole_sum, short = rows.sum(
                functools.partial(kept, inflation=inflation), width=theta[0].size ** 2
            )
            if not short:
                yield inflation, True
            elif out.classes is not None:
                continue  # without them H is nearly singular: rounding decides its rank, and that of another like it
            elif floor_sum * inflation >= whole_sum:
                yield inflation, False
            elif floor_sum * inflation**2 * SLACK >= whole_sum:
                last.append((inflation, False))
        yield from last

    for inflation, everywhere in guesses():
        if everywhere:
            return inflation * nu * nu / 2.0
        reach = 2.0 * nu * inflation
        low = inverse_curvature(objective, theta, rows, functools.partial(floor, reach=reach))
        if low is None or low.rank < inverse.rank:
            continue
        nu_low = digits.decrement(low, s)
        wider = spread(objective, rows, theta, low, out.classes).each(rows)
        if np.all((2.0 * nu_low * wider <= reach * spreads) | out.rows):
            return nu_low * nu_low / 2.0
    return None


def _but_for_sure_rows(
    objective: ModelObjective, theta: Array, rows: Rows, some: Rows, reach: float, spread_of: Spread, spreads: Array
) -> float | None:
    """The bound of the other rows, and all that the sure ones can still lose: see sure.py."""
    sure = sure_rows(objective, rows, some, theta, reach, spread_of, spreads)
    if sure is None:
        return None
    s = objective.least_slope(theta, objective.value_and_grad(theta, rows)[1]).ravel()
    rest = s - sure.slope
    others = inverse_curvature(objective, theta, some, functools.partial(_curvature, objective, sure.out))
    if others is None or not _within(objective, rows, theta, rest, others):
        return None
    if others.dropped:  # which rank these rows have exactly is not known
        return None
    spreads = spread(objective, some, theta, others, sure.out.classes).each(some)
    bound = _verified(objective, some, theta, rest, Digits(objective, rows, theta), others, spreads, sure.out)
    return None if bound is None else sure.loss + bound


def _curvature(objective: ModelObjective, out: Out, batch: Batch, z: Array) -> Array:
    """The curvature of rows of which that is left out."""
    own = out.of(batch)
    return own.without(objective.loss.curvature(batch.y, own.seen(z)))


def _traces(c: Array) -> Array:
    """The curvature of each row; of classes, of whose matrix a floor keeps a share, the trace of that."""
    return c if c.ndim == 1 else np.asarray(np.einsum("ikk->i", c))


def _total(c: Array) -> float:
    return float(c.sum() if c.ndim == 1 else np.einsum("ikk->", c))


def _dropped_nothing(objective: ModelObjective, rows: Rows, theta: Array, inverse: Inverse) -> bool:
    """Whether J is exactly flat along the directions that the inverse has lost, as the cells have it.

    A direction of 1e-14 of a column's size is lost in a matrix of second derivatives, and yet large weights along it can
    lower J. There must be no more such directions, seen as combinations of columns, than the exact rank leaves.
    """
    if inverse.null is None or not inverse.dropped:
        return True
    p = len(theta)
    lost = inverse.null.shape[1] if theta.ndim == 1 else _lost_columns(theta, inverse)
    if lost <= p - min(p, rows.m):  # columns that are more than the rows depend on one another in any case
        return True
    found = column_rank(rows, objective.scaling.intercept)
    return found is not None and lost <= p - found


def _lost_columns(theta: Array, inverse: Inverse) -> int:
    """How many combinations of columns lie among the lost directions of several classes."""
    assert inverse.null is not None
    ways = (inverse.null / inverse.size[:, None]).reshape(*theta.shape, -1)
    ways = ways / np.linalg.norm(ways, axis=(0, 1))
    ways = ways - ways.mean(axis=1, keepdims=True)  # shifting all classes alike is no combination of columns
    if float(np.abs(ways).max(initial=0.0)) <= LOST:
        return 0
    size = np.sqrt(np.mean(np.square(inverse.size.reshape(theta.shape)), axis=1))
    values = np.linalg.svd(ways.reshape(len(theta), -1) * size[:, None], compute_uv=False)
    return int(np.sum(values > LOST * values[0]))


def _within(objective: ModelObjective, rows: Rows, theta: Array, s: Array, inverse: Inverse) -> bool:
    """Whether the subgradient lies in the range of H, but for round-off in the gradient that it was made from.

    Outside of it, where H is flat, nothing bounds how far the loss could still fall.
    """
    if inverse.null is None:
        return True

    noise = ROUND_OFF * Digits(objective, rows, theta).sums()  # of a sum of r_i x_ij, per coordinate
    noise = np.repeat(noise, s.size // len(noise))
    own = s / inverse.size
    rounding = np.abs(inverse.null).T @ (noise / inverse.size) + ROUND_OFF * float(np.linalg.norm(own))
    return bool(np.all(np.abs(inverse.null.T @ own) <= rounding))


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
    digits = Digits(objective, rows, theta)
    if not objective.scaling.intercept:
        slope = float(np.linalg.norm(s)) + digits.slope()
        return slope * slope / (2.0 * l2)
    shift = best_shift(objective, rows, functools.partial(objective.forward, theta), theta[0].size)
    if shift is None:
        return None
    settled = theta.copy()
    settled[-1] += shift if theta.ndim == 2 else shift[0]
    J, g = objective.value_and_grad(settled, rows)
    sw, _ = objective.scaling.split(objective.least_slope(settled, g))
    slope = float(np.linalg.norm(sw)) + digits.slope()
    return max(objective.value(theta, rows) - J, 0.0) + slope * slope / (2.0 * l2)
