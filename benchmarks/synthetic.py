"""Data that are made: correlated, badly scaled columns, and sparse rows like those of text."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

SEED = 20250701
FACTORS = 5
OWN_NOISE = 0.5  # standard deviation of what is a column's own, beside 1 for what it shares with others
TEXT_COLUMNS = 47_000
TEXT_A_ROW = 75


def independent(m: int, n: int, dtype: Any = np.float64) -> Any:
    """(m, n) standard normal."""
    X = np.empty((m, n), dtype=dtype)
    np.random.default_rng(SEED).standard_normal(out=X, dtype=dtype)
    return X


def correlated(m: int, n: int, decades: float = 2.0, shift: float = 2.0) -> tuple[Any, Any]:
    """X (m, n) and its standardised signal (m,), which has standard deviation 1.

    A few factors are shared by all columns; column scales are 10**uniform(-decades, decades), means up to `shift`
    standard deviations.
    """
    rng = np.random.default_rng(SEED)
    loadings = rng.standard_normal((FACTORS, n)) / np.sqrt(FACTORS)
    v = rng.standard_normal(n)
    X = np.empty((m, n))
    rng.standard_normal(out=X)
    X *= OWN_NOISE
    X += rng.standard_normal((m, FACTORS)) @ loadings
    z = X @ v
    z /= z.std()
    X += rng.uniform(-shift, shift, n)
    X *= 10.0 ** rng.uniform(-decades, decades, n)
    return X, z


def labels(z: Any, strength: float = 2.0) -> Any:
    """0 or 1, drawn with log-odds `strength` z."""
    rng = np.random.default_rng(SEED + 1)
    return (rng.random(len(z)) < 1.0 / (1.0 + np.exp(-strength * z))).astype(np.float64)


def counts(z: Any) -> Any:
    """Poisson counts of mean e^(z/2)."""
    return np.random.default_rng(SEED + 1).poisson(np.exp(0.5 * z)).astype(np.float64)


def heavy_tails(z: Any) -> Any:
    """3 z + Student's t with 2 degrees of freedom."""
    return 3.0 * z + np.random.default_rng(SEED + 1).standard_t(2.0, len(z))


def classes(X: Any, count: int) -> Any:
    """Codes 0 .. count - 1, drawn from a softmax of linear scores of the standardised columns."""
    rng = np.random.default_rng(SEED + 1)
    V = rng.standard_normal((X.shape[1], count)) / X.std(axis=0)[:, None]
    z = X @ V
    z = 1.5 * (z - z.mean(axis=0)) / z.std(axis=0)
    return (z + rng.gumbel(size=z.shape)).argmax(axis=1).astype(np.float64)


def text(m: int, n: int = TEXT_COLUMNS) -> tuple[Any, Any]:
    """CSR (m, n): about 75 stored numbers a row, columns as frequent as words are (Zipf), rows of length 1; labels."""
    rng = np.random.default_rng(SEED)
    share = 1.0 / (np.arange(n) + 10.0)
    ends = np.cumsum(share / share.sum())
    places = np.minimum(np.searchsorted(ends, rng.random(m * TEXT_A_ROW)), n - 1)
    columns = rng.permutation(n)[places].astype(np.int32)
    ends_of_rows = np.arange(0, m * TEXT_A_ROW + 1, TEXT_A_ROW, dtype=np.int32)
    X = scipy.sparse.csr_matrix((rng.exponential(size=m * TEXT_A_ROW), columns, ends_of_rows), shape=(m, n))
    X.sum_duplicates()
    lengths = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    X.data /= np.repeat(lengths, np.diff(X.indptr))
    z = X @ rng.standard_normal(n)
    return X, labels(z / z.std())
