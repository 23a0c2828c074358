"""The inverse of the second derivatives of J: what preconditions a step, and what proves a result.

Formed as a matrix H and factored, it loses accuracy as the square of the conditioning of the columns. So where H is not
safely regular, dependent columns are told from nearly dependent ones by looking at the rows once more, and nearly
dependent ones are treated by a QR factor of the weighted rows, which is good up to a conditioning of 1e12 or so.
"""

from __future__ import annotations

import numpy as np

from fallline.inverse import (
    EIGEN_LIMIT,
    EXACT,
    Inverse,
    factored_inverse,
    pseudo_inverse,
    regular_inverse,
)
from fallline.objective import MISSED, CurvatureOf, ModelObjective
from fallline.rows._base import Array, Batch, Rows

ALIKE = 1e-8  # of a block's trace: what its rows may sum to by round-off
CENTRED = 1e-12  # of the largest weight: a mean over the classes that is no more is none


def inverse_curvature(
    objective: ModelObjective,
    theta: Array,
    rows: Rows,
    curvature: CurvatureOf | None = None,
    limit: int = EIGEN_LIMIT,
    diagonal: Array | None = None,
) -> Inverse | None:
    """The (pseudo-)inverse of the second derivatives of J at `theta` over `rows`; None where none is to be had.

    `curvature` may replace phi'' (see ``ModelObjective.hessian``), and `diagonal` be that of more rows (see ``lift``).
    Above `limit` unknowns only a safely regular matrix is inverted. Directions along which J cannot change (all classes
    shifted alike, where no ridge minds) are grounded.
    """
    H = objective.hessian(theta, rows, curvature)
    if diagonal is not None:
        lift(H, diagonal)
    ground = _ground(objective, theta, H)
    for own, size in ground:
        H[own, own] += size
    regular = regular_inverse(H)
    if regular is not None or len(H) > limit:
        return regular
    pseudo = pseudo_inverse(H)
    if pseudo is None or pseudo.basis is None or _exact(objective, theta, rows, pseudo):
        return pseudo
    R = objective.factor(theta, rows, curvature)
    lifts = np.zeros((len(ground), len(H)))
    for k, (own, size) in enumerate(ground):
        lifts[k, own] = np.sqrt(size)
    return factored_inverse(np.vstack([R, lifts]))


def lift(H: Array, diagonal: Array) -> None:
    """Add to the diagonal of a sample's matrix, in place, where it has less than half of what all rows have there.

    Or a column that is never 1 in the sample, or a class that is not there, would seem to cost nothing to move.
    """
    own, whole = np.diag(H), diagonal.ravel()
    H[np.diag_indices(len(H))] += np.where(own < MISSED * whole, whole - own, 0.0)


def _ground(objective: ModelObjective, theta: Array, H: Array) -> list[tuple[slice, float]]:
    """The blocks of H to lift, and by how much, to make it regular where shifting all classes alike changes nothing.

    A ridge minds, but leaves these directions to themselves: where theta has no part along them (its classes sum to
    zero), neither has the slope, nor has the difference of two classes. So no bound changes.
    """
    if theta.ndim == 1 or not objective.smooth:
        return []
    p, classes = theta.shape
    w, _ = objective.scaling.split(theta)
    shifted = float(np.abs(w.mean(axis=1)).max(initial=0.0)) > CENTRED * float(np.abs(w).max(initial=0.0))
    first = p - objective.scaling.intercept if objective.penalty.curvature and shifted else 0
    ridge, found = objective.penalty.curvature, []
    for j in range(first, p):
        own = slice(j * classes, (j + 1) * classes)
        block, size = H[own, own], float(np.trace(H[own, own]))
        alike = block.sum(axis=1) - (ridge if j < len(w) else 0.0)
        if np.all(np.abs(alike) <= ALIKE * size):  # a loss that minds when all classes shift is not to be grounded
            found.append((own, size / classes**2))
    return found


def _exact(objective: ModelObjective, theta: Array, rows: Rows, pseudo: Inverse) -> bool:
    """Whether the columns depend on one another exactly along the directions that the pseudo-inverse left out.

    Then no row's prediction moves along them. Their squares are measured at the rows, not as differences of large sums.
    """
    assert pseudo.basis is not None
    left = np.linalg.svd(pseudo.basis, full_matrices=True)[0][:, pseudo.basis.shape[1] :] / pseudo.size[:, None]
    shape = (*theta.shape, left.shape[1])
    ways = left.reshape(shape)

    def moved(batch: Batch) -> Array:
        inner = objective.scaling.rows(batch.X)
        z = np.tensordot(inner, ways, axes=1)
        if z.ndim == 3:
            z = z - z.mean(axis=1, keepdims=True)  # shifting all classes alike is no move
        length = np.tensordot(np.abs(inner), np.abs(ways), axes=1)
        return np.array([np.square(z).sum(), np.square(length).sum()])

    far, whole = rows.sum(moved, width=left.size)
    return bool(far <= (EXACT * EXACT) * whole)
