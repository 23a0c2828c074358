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
NOTHING = 1e-100  # of the largest: constant columns, divided by a spread that stands for none
EXACT = 1e-13  # of the largest singular value: smaller is an exact dependence too
EIGEN_LIMIT = 1500  # unknowns: eigenvalues of a matrix of this size take about a second


class Inverse(NamedTuple):
    """root @ root.T is the (pseudo-)inverse of a matrix of the given rank.

    Vectors may have any shape with as many entries as the matrix has rows: theta's own.
    """

    root: Array
    rank: int
    size: Array  # the square roots of the matrix's diagonal: the units of the entries
    basis: Array | None = None  # of its range, in these units, orthonormal; None where that is everything

    def outside(self, v: Array) -> Array:
        """What of v lies beside the range of the matrix, in the units of its diagonal."""
        u = v.ravel() / self.size
        return np.zeros_like(u) if self.basis is None else u - self.basis @ (self.basis.T @ u)

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


class ClassInverse(NamedTuple):
    """The same for a matrix of one block for each class, whose unknowns lie in the columns of theta (p, K).

    roots[k] @ roots[k].T is the inverse of the block of class k.
    """

    roots: Array  # (K, p, p)

    def inward(self, v: Array) -> Array:
        return np.asarray(np.matmul(np.swapaxes(self.roots, 1, 2), v.T[:, :, None])[:, :, 0].T)

    def outward(self, u: Array, shape: tuple[int, ...]) -> Array:
        return np.asarray(np.matmul(self.roots, u.T[:, :, None])[:, :, 0].T)

    def apply(self, v: Array) -> Array:
        return self.outward(self.inward(v), v.shape)

    def norm(self, v: Array) -> float:
        return float(np.linalg.norm(self.inward(v)))


AnyInverse = Inverse | DiagonalInverse | ClassInverse


def pseudo_inverse(H: Array) -> Inverse | None:
    """The exact inverse on the range of H, by eigenvalues; None where H is not finite.

    H is brought to a diagonal of ones first, so that the units of a column do not decide what counts as singular.
    """
    if not np.all(np.isfinite(H)):
        return None
    size = _sizes(H)
    values, vectors = np.linalg.eigh(H / np.outer(size, size))
    kept = values > NULL * len(H) * max(float(values[-1]), np.finfo(float).tiny)
    root = vectors[:, kept] / np.sqrt(values[kept]) / size[:, None]
    return Inverse(root, int(kept.sum()), size, None if kept.all() else vectors[:, kept])


def factored_inverse(R: Array) -> Inverse | None:
    """The same of R^T R, from R itself: with half of the digits lost to conditioning, where R^T R would lose them all."""
    if not np.all(np.isfinite(R)):
        return None
    size = filled(np.linalg.norm(R, axis=0))
    _, values, across = np.linalg.svd(R / size)
    values = np.append(values, np.zeros(R.shape[1] - len(values)))
    kept = values > EXACT * max(float(values[0]), np.finfo(float).tiny)
    root = across[kept].T / values[kept] / size[:, None]
    return Inverse(root, int(kept.sum()), size, None if kept.all() else across[kept].T)


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
    return Inverse(_transposed_inverse(factor) / size[:, None], len(H), size)


def damped_inverse(H: Array) -> Inverse:
    """An inverse good enough to descend by: of H plus a little of its diagonal, as much as its factor needs.

    Where H overflowed it is the identity: plain descent.
    """
    from scipy.linalg import lapack

    if not np.all(np.isfinite(H)):
        return Inverse(np.eye(len(H)), len(H), np.ones(len(H)))
    size, damping = _sizes(H), DAMPING
    scaled = H / np.outer(size, size)
    while True:
        factor, info = lapack.dpotrf(scaled + damping * np.eye(len(H)), lower=1)
        if info == 0:
            return Inverse(_transposed_inverse(factor) / size[:, None], len(H), size)
        damping *= 100.0
        if damping > 1.0:  # it is not a matrix of numbers
            return Inverse(np.eye(len(H)), len(H), np.ones(len(H)))


def _sizes(H: Array) -> Array:
    return filled(np.sqrt(np.maximum(np.diag(H), 0.0)))


def filled(size: Array) -> Array:
    """Sizes of columns to divide by: where one is nothing beside the largest, as its whole column then is, the largest."""
    top = float(size.max(initial=0.0))
    top = top if top > NOTHING else 1.0  # a matrix of nothing
    return np.where(size > NOTHING * top, size, top)


def _transposed_inverse(factor: Array) -> Array:
    from scipy.linalg import lapack

    inverse, _ = lapack.dtrtri(factor, lower=1)
    return np.asarray(np.tril(inverse).T)
