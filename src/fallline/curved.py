"""The inverse of the second derivatives of J: what preconditions a step, and what proves a result.

Formed as a matrix H and factored, it loses accuracy as the square of the conditioning of the columns. So where H is not
safely regular, its weak directions are measured by looking at the rows once more, which tells dependent columns from
nearly dependent ones up to a conditioning of 1e12 or so, as a QR factor of the rows would, for less.
"""

from __future__ import annotations

import numpy as np

from fallline.inverse import Inverse, refined_inverse, regular_inverse
from fallline.objective import MISSED, CurvatureOf, ModelObjective
from fallline.rows._base import Array, Rows

ALIKE = 1e-8  # of a block's trace: what its rows may sum to by round-off
CENTRED = 1e-12  # of the largest weight: a mean over the classes that is no more is none


def inverse_curvature(
    objective: ModelObjective,
    theta: Array,
    rows: Rows,
    curvature: CurvatureOf | None = None,
    diagonal: Array | None = None,
) -> Inverse | None:
    """The (pseudo-)inverse of the second derivatives of J at `theta` over `rows`; None where none is to be had.

    `curvature` may replace phi'' (see ``ModelObjective.hessian``), and `diagonal` be that of more rows (see ``lift``).
    Directions along which J cannot change (all classes shifted alike, where no ridge minds) are grounded.
    """
    H = objective.hessian(theta, rows, curvature)
    lifted = np.zeros(len(H)) if diagonal is None else lift(H, diagonal)
    ground = _ground(objective, theta, H)
    for own, size in ground:
        H[own, own] += size
    regular = regular_inverse(H)
    if regular is not None:
        return regular

    def along(ways: Array) -> tuple[Array, Array]:
        HV, square = objective.along(theta, rows, ways, curvature)
        more = lifted[:, None] * ways
        for own, size in ground:
            more[own] += size * ways[own].sum(axis=0)
        return HV + more, square + ways.T @ more

    return refined_inverse(H, along)


def lift(H: Array, diagonal: Array) -> Array:
    """Add to the diagonal of a sample's matrix, in place, where it has less than half of what all rows have there.

    Returns what was added.

    Or a column that is never 1 in the sample, or a class that is not there, would seem to cost nothing to move.
    """
    own, whole = np.diag(H), diagonal.ravel()
    added: Array = np.where(own < MISSED * whole, whole - own, 0.0)
    H[np.diag_indices(len(H))] += added
    return added


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
