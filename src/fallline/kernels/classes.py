"""The two products of a pass for several classes: z = X coef + b and X^T r, with coef (n, K).

The loss in between is NumPy's, on as many rows as fit the cache: it works on whole rows of K numbers.
"""

from __future__ import annotations

from typing import Any

from fallline.kernels.compile import Kernel


def _forward(X: Any, coef: Any, b: Any, z: Any) -> Any:
    """z = X coef^T + b for dense rows; `coef` is (K, n), so that both factors of a product lie in line."""
    n, classes = X.shape[1], len(coef)
    for i in range(len(X)):
        k = 0
        while k + 2 <= classes:
            s0, s1 = 0.0, 0.0
            for j in range(n):
                s0 += X[i, j] * coef[k, j]
                s1 += X[i, j] * coef[k + 1, j]
            z[i, k] = s0 + b[k]
            z[i, k + 1] = s1 + b[k + 1]
            k += 2
        if k < classes:
            s0 = 0.0
            for j in range(n):
                s0 += X[i, j] * coef[k, j]
            z[i, k] = s0 + b[k]


def _backward(X: Any, r: Any, back: Any) -> Any:
    """Add r^T X to `back`, (K, n)."""
    n, classes = X.shape[1], len(back)
    i = 0
    while i + 4 <= len(X):
        for k in range(classes):
            a0, a1, a2, a3 = r[i, k], r[i + 1, k], r[i + 2, k], r[i + 3, k]
            for j in range(n):
                back[k, j] += a0 * X[i, j] + a1 * X[i + 1, j] + a2 * X[i + 2, j] + a3 * X[i + 3, j]
        i += 4
    while i < len(X):
        for k in range(classes):
            for j in range(n):
                back[k, j] += r[i, k] * X[i, j]
        i += 1


def _forward_sparse(data: Any, indices: Any, indptr: Any, coef: Any, b: Any, z: Any, first: Any) -> Any:
    """z = X coef + b for CSR rows first, first + 1, ...; `coef` is (n, K)."""
    classes = coef.shape[1]
    for i in range(len(z)):
        for k in range(classes):
            z[i, k] = b[k]
        for p in range(indptr[first + i], indptr[first + i + 1]):
            a, j = data[p], indices[p]
            for k in range(classes):
                z[i, k] += a * coef[j, k]


def _backward_sparse(data: Any, indices: Any, indptr: Any, r: Any, back: Any, first: Any) -> Any:
    """Add X^T r to `back`, (n, K)."""
    classes = back.shape[1]
    for i in range(len(r)):
        for p in range(indptr[first + i], indptr[first + i + 1]):
            a, j = data[p], indices[p]
            for k in range(classes):
                back[j, k] += a * r[i, k]


forward, backward = Kernel(_forward), Kernel(_backward)
forward_sparse, backward_sparse = Kernel(_forward_sparse), Kernel(_backward_sparse)
