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
DAMPING = 1e-12  # of the largest diagonal entry, where eigenvalues are too dear to tell dependent columns apart
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
    """The exact inverse on the range of H, by eigenvalues; None where H is not finite."""
    if not np.all(np.isfinite(H)):
        return None
    values, vectors = np.linalg.eigh(H)
    kept = values > NULL * len(H) * max(float(values[-1]), np.finfo(float).tiny)
    return Inverse(vectors[:, kept] / np.sqrt(values[kept]), int(kept.sum()))


def regular_inverse(H: Array) -> Inverse | None:
    """The exact inverse by Cholesky's factor; None where H is not safely regular, or not finite."""
    from scipy.linalg import lapack

    if not np.all(np.isfinite(H)):
        return None
    factor, info = lapack.dpotrf(H, lower=1)
    if info != 0:
        return None
    condition, _ = lapack.dpocon(factor, float(np.abs(H).sum(axis=0).max()), uplo="L")
    if condition < NULL * len(H):
        return None
    inverse, _ = lapack.dtrtri(factor, lower=1)
    return Inverse(np.tril(inverse).T, len(H))


def damped_inverse(H: Array) -> Inverse:
    """An inverse good enough to descend by: of H plus a little of the identity, as much as its factor needs.

    Where H overflowed it is the identity: plain descent.
    """
    from scipy.linalg import lapack

    if not np.all(np.isfinite(H)):
        return Inverse(np.eye(len(H)), len(H))
    damping = DAMPING * max(float(np.abs(np.diag(H)).max()), np.finfo(float).tiny)
    while True:
        factor, info = lapack.dpotrf(H + damping * np.eye(len(H)), lower=1)
        if info == 0:
            inverse, _ = lapack.dtrtri(factor, lower=1)
            return Inverse(np.tril(inverse).T, len(H))
        damping *= 100.0


def best_inverse(H: Array) -> Inverse | None:
    """The exact inverse that this size can pay for; None where there is none to be had."""
    return pseudo_inverse(H) if len(H) <= EIGEN_LIMIT else regular_inverse(H)
