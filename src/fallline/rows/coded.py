"""A matrix of numbers beside one-hot columns, of which only the codes are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def code_type(n: int) -> type[np.uint16] | type[np.uint32]:
    """The smallest type for codes of n columns; unsigned, or kernels would check them for counting from the end."""
    return np.uint16 if n <= np.iinfo(np.uint16).max else np.uint32


class Coded:
    """X (m, n): `numbers` (m, d) are its columns `places` (d,); `codes` (m, k) name the columns that are 1 in each row.

    A code is the number of a column of X, or n where no column of its group is 1 (the reference level). A row costs
    8 d + 2 k bytes (4 k from 65,535 columns on), where CSR takes 12 for each entry that is not zero, dense rows 8 n.

    >>> X = Coded(np.array([[0.5], [1.5]]), np.array([0]), np.array([[1], [3]], dtype=np.uint16), 3)
    >>> X.toarray()
    array([[0.5, 1. , 0. ],
           [1.5, 0. , 0. ]])
    """

    def __init__(self, numbers: Array, places: NDArray[np.intp], codes: NDArray[np.unsignedinteger], n: int) -> None:
        # Column by column: a pass goes down one column after another, over as many rows as stay near the processor.
        self.numbers, self.codes = np.asfortranarray(numbers), np.asfortranarray(codes)
        self.places, self.n = places, n

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n)."""
        return len(self.codes), self.n

    @property
    def dtype(self) -> Any:
        """Of the numbers."""
        return self.numbers.dtype

    @property
    def nnz(self) -> int:
        """Entries that may differ from zero."""
        return int(self.numbers.size + self.codes.size)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return int(self.numbers.nbytes + self.codes.nbytes)

    def __getitem__(self, rows: Any) -> Coded:
        return Coded(self.numbers[rows], self.places, self.codes[rows], self.n)

    def __matmul__(self, coef: Array) -> Array:
        ended = np.concatenate([coef, np.zeros((1, *coef.shape[1:]))])
        z = self.numbers @ coef[self.places]
        for j in range(self.codes.shape[1]):
            z += ended[self.codes[:, j]]
        product: Array = z
        return product

    def tocsr(self) -> Any:
        """The same as a CSR matrix, float64, without stored zeros among the codes."""
        from scipy.sparse import csr_matrix

        m, d = self.numbers.shape
        where = np.concatenate([np.broadcast_to(self.places, (m, d)), self.codes], axis=1, dtype=np.int32)
        cells = np.concatenate([self.numbers.astype(np.float64), np.ones(self.codes.shape)], axis=1)
        kept = where < self.n
        starts = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
        X = csr_matrix((cells[kept], where[kept], starts), shape=self.shape)
        X.sort_indices()
        return X

    def toarray(self) -> Array:
        """The same as a dense array, float64."""
        dense: Array = self.tocsr().toarray()
        return dense
