"""Columns standardised inside the model, without touching the data.

With mean m_j and standard deviation s_j of column j, the model is trained in the coordinates of x' = (x - m) / s, where
plain gradient descent does not care about units. Nothing is copied, and sparse data stays sparse, because

    x' . w' + b'  =  x . (w' / s)  +  (b' - sum_j w'_j m_j / s_j)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

# Stands for the spread of a constant column, so that what rounding leaves of it is nothing; no column spreads so far
# (summary.LARGEST).
NO_SPREAD = 1e305
EXTREME = 1e145  # or one over it: spreads whose squares are not used
FAR = 100.0  # standard deviations from zero: further away, expanding (x - mean)^2 loses more than four digits


@dataclass(frozen=True)
class Scaling:
    """Shift and scale of each column, and whether an intercept is the last row of theta.

    theta is (n + 1,) or (n + 1, K) with an intercept, (n,) or (n, K) without one. `shift` is zero without an intercept,
    which alone can take up the shift.
    """

    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    intercept: bool

    @classmethod
    def none(cls, n: int, intercept: bool) -> Scaling:
        """Leave the columns as they are."""
        return cls(np.zeros(n), np.ones(n), intercept)

    def split(self, theta: Array) -> tuple[Array, Any]:
        """(weights, intercept) of theta; the intercept is 0.0 where there is none."""
        return (theta[:-1], theta[-1]) if self.intercept else (theta, 0.0)

    def outward(self, theta: Array) -> tuple[Array, Any]:
        """(coefficients, intercept) in the units of the data, from theta in the coordinates of training."""
        w, b = self.split(theta)
        coef = w / _like(self.scale, w)
        return coef, b - self.shift @ coef if self.intercept else b

    def inward(self, coef: Array, intercept: Any) -> Array:
        """The inverse of ``outward``."""
        w = coef * _like(self.scale, coef)
        if not self.intercept:
            return w
        return np.concatenate([w, np.asarray(intercept + self.shift @ coef)[None]])

    def predictions(self, theta: Array, X: Any) -> Array:
        """z = x' . w' + b' for each row of X; (m,) or (m, K)."""
        coef, b = self.outward(theta)
        z: Array = X @ coef + b
        return z

    def gather(self, X: Any, r: Array) -> Array:
        """sum_i r_i dz_i/dtheta, the shape of theta: how slopes of the rows become a gradient."""
        return self.gathered(X.T @ r, r.sum(axis=0))

    def gathered(self, back: Array, total: Any) -> Array:
        """The same from X^T r and the sum of r."""
        g = (back - np.multiply.outer(self.shift, total)) / _like(self.scale, back)
        return np.concatenate([g, np.asarray(total)[None]]) if self.intercept else g

    def gathered_squares(self, X: Any, c: Array) -> Array:
        """sum_i c_i x'_ij^2 for each coordinate j of theta, the shape of theta: how curvatures add up."""
        if isinstance(X, np.ndarray):
            inner = X - self.shift
            if len(self.extreme):
                inner = inner / self.scale
                d = (inner * inner).T @ c
            else:
                d = (inner * inner).T @ c / _like(self.scale**2, c)
            return np.concatenate([d, np.asarray(c.sum(axis=0))[None]]) if self.intercept else d
        square = X.power(2).T @ c
        total = c.sum(axis=0)
        cross = 2.0 * _like(self.shift, c) * (X.T @ c) if self.shift.any() else 0.0
        d = (square - cross + np.multiply.outer(self.shift**2, total)) / _like(self.scale**2, c)
        far = self.far
        if len(far):
            inner = (X[:, far].toarray() - self.shift[far]) / self.scale[far]
            d[far] = (inner * inner).T @ c
        d = np.maximum(d, 0.0)
        return np.concatenate([d, np.asarray(total)[None]]) if self.intercept else d

    def squared_lengths(self, X: Any) -> Array:
        """|x'|^2 of each row, without the intercept's one."""
        if isinstance(X, np.ndarray):
            inner = (X - self.shift) / self.scale
            return np.asarray(np.einsum("ij,ij->i", inner, inner))
        per, far = 1.0 / self.scale**2, self.far
        per[far] = 0.0
        near = _without(X, self.extreme)
        shift = np.where(per > 0.0, self.shift, 0.0)
        lengths = near.power(2) @ per - 2.0 * (near @ (shift * per)) + float(shift**2 @ per)
        if len(far):
            inner = (X[:, far].toarray() - self.shift[far]) / self.scale[far]
            lengths = lengths + np.einsum("ij,ij->i", inner, inner)
        positive: Array = np.maximum(np.asarray(lengths), 0.0)
        return positive

    @property
    def far(self) -> NDArray[np.intp]:
        """The columns that are centred number by number, also where they are sparse.

        They lie so far from zero, or have so small or so large numbers, that an expanded square loses digits.
        """
        away = np.abs(self.shift) > FAR * self.scale
        away[self.extreme] = True
        return np.flatnonzero(away)

    @property
    def extreme(self) -> NDArray[np.intp]:
        """The columns that are divided by their spread before they are squared, which would overflow or vanish."""
        odd = (self.scale > EXTREME) & (self.scale < NO_SPREAD) | (self.scale < 1.0 / EXTREME)
        return np.flatnonzero(odd)

    def rows(self, X: Any) -> Array:
        """The standardised rows themselves, dense (k, p), a column of ones last if there is an intercept."""
        dense = X.toarray() if hasattr(X, "toarray") else X
        plain = not self.shift.any() and bool((self.scale == 1.0).all())
        inner = dense if plain else (dense - self.shift) / self.scale
        return np.column_stack([inner, np.ones(len(inner))]) if self.intercept else inner


def _without(X: Any, columns: NDArray[np.intp]) -> Any:
    """Sparse X with these columns empty."""
    if not len(columns):
        return X
    near = X.tocsr(copy=True)
    near.data[np.isin(near.indices, columns)] = 0.0
    return near


def _like(column: Array, w: Array) -> Array:
    return column if w.ndim == 1 else column[:, None]
