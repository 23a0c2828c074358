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

from collections.abc import Callable

import numpy as np

from fallline.inverse import Inverse, best_inverse
from fallline.objective import ModelObjective
from fallline.rows._base import Array, Batch, Rows

FACTOR_LIMIT = 5000  # unknowns: a Cholesky factor of this size takes about a second
INFLATIONS = (1.2, 2.0, 4.0, 10.0)  # guesses of how much H_low's radius exceeds H's


def gap_bound(objective: ModelObjective, rows: Rows, theta: Array, g: Array) -> float | None:
    """Return a proved upper bound on J(theta) - J*, or None where none can be had at this theta.

    `g` is the gradient of the smooth part of J over all rows. Costs two to four sums of outer products over the rows,
    about p passes; p is the number of unknowns, at most ``FACTOR_LIMIT``.
    """
    s = objective.least_slope(theta, g).ravel()
    if not np.any(s):
        return 0.0
    if s.size > FACTOR_LIMIT:
        return None
    inverse = best_inverse(objective.hessian(theta, rows))
    if inverse is None or inverse.rank < _rank(objective, rows, theta, inverse):
        return None
    nu = inverse.norm(s)
    if _constant_curvature(objective, rows, theta):
        return nu**2 / 2.0
    for inflation in INFLATIONS:
        found = _verified(objective, rows, theta, s, nu * inflation, inverse)
        if found is not None:
            return found
    return None


def _verified(
    objective: ModelObjective, rows: Rows, theta: Array, s: Array, nu: float, inverse: Inverse
) -> float | None:
    """nu_low^2 / 2 if a lower matrix made for radius 2 nu sqrt(x^T H^-1 x) holds itself to that radius, else None."""
    spread = _spread(objective, theta)

    def floor(batch: Batch, z: Array) -> Array:
        return objective.loss.curvature_floor(batch.y, z, 2.0 * nu * spread(batch, inverse))

    low = best_inverse(objective.hessian(theta, rows, floor))
    if low is None or low.rank < inverse.rank:
        return None
    nu_low = low.norm(s)
    worst = max(
        float(np.max(nu_low * spread(b, low) - nu * spread(b, inverse), initial=-np.inf)) for b in rows.blocks(s.size)
    )
    return nu_low**2 / 2.0 if worst <= 0.0 else None


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
        widest = np.zeros(len(inner))
        for k in range(classes):
            for q in range(k):
                np.maximum(widest, _row_norms(inner @ (root[:, k] - root[:, q])), out=widest)
        return widest

    return pairs


def _rank(objective: ModelObjective, rows: Rows, theta: Array, inverse: Inverse) -> int:
    """The rank that H must have for the subgradient to lie in its range: that of the Gram matrix of the columns.

    Losses that are flat somewhere (Huber, hinge) can lose rank that the data has; all others keep it.
    """
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


def _row_norms(A: Array) -> Array:
    norms: Array = np.sqrt(np.einsum("ij,ij->i", A, A))
    return norms
