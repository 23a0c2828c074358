"""Inverses of matrices of second derivatives, which are symmetric, not negative, and sometimes singular.

Columns that depend on one another exactly make directions in which J does not change. A gradient has nothing to say
along them but round-off, so these directions are left alone: the solution found is the one nearest to the start.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

NULL = 1e-13  # of the largest eigenvalue, times the size: smaller is an exact dependence between columns
DAMPING = 1e-12  # of the diagonal, where eigenvalues are too dear to tell dependent columns apart
EIGEN_LIMIT = 1500  # unknowns: eigenvalues of a matrix of this size take about a second


class Inverse(NamedTuple):
    """root @ root.T is the (pseudo-)inverse of a matrix of the given rank.

    Vectors may have any shape with as many entries as the matrix has rows: theta's own.
    """

    root: Array
    rank: int

    def inward(self, v: Array) -> Array:
        """root^T v: a gradient, in coordinates in which the matrix is the identity."""
        return self.root.T @ v.ravel()

    def outward(self, u: Array, shape: tuple[int, ...]) -> Array:
        """Root u: a step, back from these coordinates."""
        return (self.root @ u).reshape(shape)

    def apply(self, v: Array) -> Array:
        """The inverse times v."""
        return self.outward(self.inward(v), v.shape)

    def norm(self, v: Array) -> float:
        """sqrt(v^T inverse v)."""
        return float(np.linalg.norm(self.inward(v)))


class DiagonalInverse(NamedTuple):
    """The same for a diagonal matrix: root holds 1 / sqrt of its entries, in the shape of theta."""

    root: Array

    def inward(self, v: Array) -> Array:
        return self.root * v

    def outward(self, u: Array, shape: tuple[int, ...]) -> Array:
        return (self.root * u).reshape(shape)

    def apply(self, v: Array) -> Array:
        return self.root * self.root * v

    def norm(self, v: Array) -> float:
        return float(np.linalg.norm(self.root * v))


AnyInverse = Inverse | DiagonalInverse


def pseudo_inverse(H: Array) -> Inverse | None:
    """The exact inverse on the range of H, by eigenvalues; None where H is not finite.

    H is brought to a diagonal of ones first, so that the units of a column do not decide what counts as singular.
    """
    if not np.all(np.isfinite(H)):
        return None
    size = _sizes(H)
    values, vectors = np.linalg.eigh(H / np.outer(size, size))
    kept = values > NULL * len(H) * max(float(values[-1]), np.finfo(float).tiny)
    return Inverse(vectors[:, kept] / np.sqrt(values[kept]) / size[:, None], int(kept.sum()))


def regular_inverse(H: Array) -> Inverse | None:
    """The exact inverse by Cholesky's factor; None where H is not safely regular, or not finite."""
    from scipy.linalg import lapack

    if not np.all(np.isfinite(H)):
        return None
    size = _sizes(H)
    scaled = H / np.outer(size, size)
    factor, info = lapack.dpotrf(scaled, lower=1)
    if info != 0:
        return None
    condition, _ = lapack.dpocon(factor, float(np.abs(scaled).sum(axis=0).max()), uplo="L")
    if condition < NULL * len(H):
        return None
    return Inverse(_transposed_inverse(factor) / size[:, None], len(H))


def damped_inverse(H: Array) -> Inverse:
    """An inverse good enough to descend by: of H plus a little of its diagonal, as much as its factor needs.

    Where H overflowed it is the identity: plain descent.
    """
    from scipy.linalg import lapack

    if not np.all(np.isfinite(H)):
        return Inverse(np.eye(len(H)), len(H))
    size, damping = _sizes(H), DAMPING
    scaled = H / np.outer(size, size)
    while True:
        factor, info = lapack.dpotrf(scaled + damping * np.eye(len(H)), lower=1)
        if info == 0:
            return Inverse(_transposed_inverse(factor) / size[:, None], len(H))
        damping *= 100.0


def best_inverse(H: Array) -> Inverse | None:
    """The exact inverse that this size can pay for; None where there is none to be had."""
    return pseudo_inverse(H) if len(H) <= EIGEN_LIMIT else regular_inverse(H)


def _sizes(H: Array) -> Array:
    """The square roots of the diagonal; where that is zero, as its row then is too, the largest of them."""
    size: Array = np.sqrt(np.maximum(np.diag(H), 0.0))
    return np.where(size > 0.0, size, max(float(size.max(initial=0.0)), 1.0))


def _transposed_inverse(factor: Array) -> Array:
    from scipy.linalg import lapack

    inverse, _ = lapack.dtrtri(factor, lower=1)
    return np.asarray(np.tril(inverse).T)
