"""Inverses of matrices of second derivatives, which are symmetric, not negative, and sometimes singular.

Columns that depend on one another exactly make directions in which J does not change. A gradient has nothing to say
along them but round-off, so these directions are left alone: the solution found is the one nearest to the start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

NULL = 1e-13  # of the largest eigenvalue, times the size: smaller is an exact dependence between columns
DAMPING = 1e-12  # of the diagonal, where eigenvalues are too dear to tell dependent columns apart
NOTHING = 1e-100  # of the largest: constant columns, divided by a spread that stands for none
EXACT = 1e-13  # of a column's size, where directions are measured: smaller is an exact dependence
WEAK = 1e-9  # of a column's square: where less than that is left of it beyond the others, it is measured
ROUNDED = 1e-14  # of what was measured: sums of squares and their eigenvalues are not known better
EIGEN_LIMIT = 1500  # unknowns: eigenvalues of a matrix of this size take about a second


class Inverse(NamedTuple):
    """root @ root.T is the (pseudo-)inverse of a matrix of the given rank.

    Vectors may have any shape with as many entries as the matrix has rows: theta's own.
    """

    root: Array
    rank: int
    size: Array  # the square roots of the matrix's diagonal: the units of the entries
    null: Array | None = None  # the directions that it has lost, in these units, orthonormal; None where there are none
    dropped: int = 0  # of them, that were small and not zero

    def outside(self, v: Array) -> Array:
        """What of v lies beside the range of the matrix, in the units of its diagonal."""
        u = v.ravel() / self.size
        return np.zeros_like(u) if self.null is None else self.null @ (self.null.T @ u)

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
    """The exact inverse on the range of H, by eigenvalues, as far as H itself tells it; None where H is not finite."""
    if not np.all(np.isfinite(H)):
        return None
    size = _sizes(H)
    values, vectors = np.linalg.eigh(H / np.outer(size, size))
    kept = values > NULL * len(H) * max(float(values[-1]), np.finfo(float).tiny)
    root = vectors[:, kept] / np.sqrt(values[kept]) / size[:, None]
    return Inverse(root, int(kept.sum()), size, None if kept.all() else vectors[:, ~kept], int(np.sum(~kept)))


def refined_inverse(H: Array, along: Callable[[Array], tuple[Array, Array]]) -> Inverse | None:
    """The exact (pseudo-)inverse on the range of H, whose weak directions are looked at again; None where H is not finite.

    Formed as a matrix, H has lost what is below about 1e-16 of its largest eigenvalue. `along`, given directions V as
    columns, returns (H V, V^T H V) from where H came from, to its own precision: so a direction that is weak, with a
    singular value of 1e-12 of the largest, is told from one that is none. A pivoted Cholesky factor finds the columns that
    the others nearly make up. With H = [A B; B^T C] in the basis of the other columns and of what is left of these, A is
    known, B and C are measured, and what is inverted is A and its complement C - B^T A^-1 B.
    H is brought to a diagonal of ones first, so that the units of a column do not decide what counts as singular.
    """
    from scipy.linalg import lapack

    if not np.all(np.isfinite(H)):
        return None
    used = np.diag(H) > 0.0
    if not used.any():
        return Inverse(np.zeros((len(H), 0)), 0, np.ones(len(H)), np.eye(len(H)))
    if not used.all():
        return _embedded(refined_inverse(H[np.ix_(used, used)], _among(along, used)), used)
    size = _sizes(H)
    factor, order, rank, _ = lapack.dpstrf(H / np.outer(size, size), tol=WEAK, lower=1)
    strong, vague = order[:rank] - 1, order[rank:] - 1
    root = np.zeros((len(H), len(H)))
    own_root = _transposed_inverse(factor[:rank, :rank])
    root[strong, :rank] = own_root
    if not len(vague):
        return Inverse(root / size[:, None], rank, size)
    ways = np.zeros((len(H), len(vague)))
    ways[vague, np.arange(len(vague))] = 1.0
    ways[strong] = -own_root @ factor[rank:, :rank].T
    ways /= np.linalg.norm(ways, axis=0)
    H_ways, C = along(ways / size[:, None])
    if not np.all(np.isfinite(H_ways)):
        return None
    B = H_ways[strong] / size[strong, None]
    lean = own_root @ (own_root.T @ B)  # A^-1 B
    ways[strong] -= lean
    length = np.sqrt(np.maximum(np.diag(C), 0.0))
    some = length > EXACT
    # Each in the unit of its own length: a direction that is merely weak must not hide one that is weaker.
    S = (0.5 * (C + C.T) - B.T @ lean)[np.ix_(some, some)] / np.outer(length[some], length[some])
    own, turn = np.linalg.eigh(S) if some.any() else (np.empty(0), np.empty((0, 0)))
    turned = (ways[:, some] / length[some]) @ turn
    kept = (own > ROUNDED) & (own > EXACT**2 * np.square(turned).sum(axis=0))
    found = int(kept.sum())
    root[:, rank : rank + found] = turned[:, kept] / np.sqrt(own[kept])
    root, null = root[:, : rank + found], None
    if found < len(vague):
        lost = np.hstack([ways[:, ~some], turned[:, ~kept]])
        null = np.linalg.qr(lost / np.linalg.norm(lost, axis=0))[0]
        root -= null @ (null.T @ root)  # of all solutions, the one nearest to the start
    return Inverse(root / size[:, None], rank + found, size, null, len(vague) - found)


def _among(
    along: Callable[[Array], tuple[Array, Array]], used: NDArray[np.bool_]
) -> Callable[[Array], tuple[Array, Array]]:
    """`along` for directions in some of the coordinates."""

    def of(ways: Array) -> tuple[Array, Array]:
        everywhere = np.zeros((len(used), ways.shape[1]))
        everywhere[used] = ways
        H_ways, C = along(everywhere)
        return H_ways[used], C

    return of


def _embedded(inverse: Inverse | None, used: NDArray[np.bool_]) -> Inverse | None:
    """An inverse in some of the coordinates, where the matrix is nothing in the others."""
    if inverse is None:
        return None
    root, size = np.zeros((len(used), inverse.rank)), np.full(len(used), float(inverse.size.max()))
    root[used], size[used] = inverse.root, inverse.size
    lost = np.eye(len(used))[:, ~used]
    if inverse.null is not None:
        null = np.zeros((len(used), inverse.null.shape[1]))
        null[used] = inverse.null
        lost = np.hstack([null, lost])
    return Inverse(root, inverse.rank, size, lost, inverse.dropped)


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

    if not len(factor):
        return factor
    inverse, _ = lapack.dtrtri(factor, lower=1)
    return np.asarray(np.tril(inverse).T)
