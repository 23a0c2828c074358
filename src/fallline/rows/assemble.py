"""Encoded pieces put side by side: a dense array, numbers beside codes, or a CSR matrix built straight from the codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.rows.coded import Coded, code_type
from fallline.rows.columns import Piece
from fallline.threads import cut, each

DENSE_ROWS = 1 << 12  # rows that are filled together
BLOCK_ROWS = 1 << 16  # rows that are made sparse at once: the working memory stays small beside X


def dense(pieces: list[Piece], rows: int) -> NDArray[np.float64]:
    """X as a float64 array (rows, total width) in C order."""
    X = np.zeros((rows, sum(piece.width for piece in pieces)))
    begins = np.cumsum([0, *(piece.width for piece in pieces)])

    def fill(span: tuple[int, int]) -> None:  # some rows at a time, which stay near the processor from column to column
        part, own = slice(*span), X[slice(*span)]
        for begin, piece in zip(begins, pieces, strict=False):
            if piece.codes is not None:
                codes = piece.codes[part]
                chosen = np.flatnonzero(codes >= 0)
                own[chosen, begin + codes[chosen]] = 1.0 if piece.values is None else piece.values[part][chosen]
            elif piece.values is not None:
                own[:, begin] = piece.values[part]
            else:
                own[:, begin : begin + piece.width] = piece.entries[part].toarray()

    each(fill, cut(rows, -(-rows // DENSE_ROWS)))
    return X


def coded(pieces: list[Piece], rows: int) -> Coded:
    """X as numbers beside codes: what is 0 or 1 is kept as the number of the column that is 1."""
    pieces = [part for piece in pieces for part in _spread(piece)]
    begins = np.cumsum([0, *(piece.width for piece in pieces)])
    n = int(begins[-1])
    numbers = [(begin, piece.values) for begin, piece in zip(begins, pieces, strict=False) if piece.values is not None]
    groups = [(begin, piece.codes) for begin, piece in zip(begins, pieces, strict=False) if piece.codes is not None]
    X = np.empty((rows, len(numbers)), order="F")
    for j, (_, values) in enumerate(numbers):
        X[:, j] = values
    codes = np.empty((rows, len(groups)), dtype=code_type(n), order="F")
    for j, (begin, own) in enumerate(groups):
        codes[:, j] = np.where(own < 0, n, own + np.int32(begin))
    return Coded(X, np.array([begin for begin, _ in numbers], dtype=np.intp), codes, n)


def _spread(piece: Piece) -> list[Piece]:
    """The number times each level, as columns of numbers; other pieces as they are."""
    if piece.values is None or piece.codes is None:
        return [piece]
    return [Piece(1, np.where(piece.codes == k, piece.values, 0.0)) for k in range(piece.width)]


def csr(pieces: list[Piece], rows: int) -> Any:
    """X as a CSR matrix, float64 with sorted int32 indices (int64 row starts where int32 cannot count the cells)."""
    from scipy.sparse import csr_matrix, hstack

    if any(piece.entries is not None for piece in pieces):
        parts = [csr([piece], rows) if piece.entries is None else piece.entries for piece in pieces]
        return parts[0] if len(parts) == 1 else hstack(parts, format="csr")
    begins = np.cumsum([0, *(piece.width for piece in pieces)])
    counts, indices, data = [], [], []
    for first in range(0, rows, BLOCK_ROWS):
        block = slice(first, min(first + BLOCK_ROWS, rows))
        index, value = _cells(pieces, begins, block)
        filled = value != 0.0
        counts.append(filled.sum(axis=1))
        indices.append(index[filled])  # row by row; within a row the pieces, and so the columns, are in order
        data.append(value[filled])
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts) if counts else [])])
    whole = np.int32 if starts[-1] <= np.iinfo(np.int32).max else np.int64
    cells = np.concatenate(data) if data else np.empty(0)
    where = np.concatenate(indices) if indices else np.empty(0, np.int32)
    return csr_matrix((cells, where.astype(whole, copy=False), starts.astype(whole)), shape=(rows, int(begins[-1])))


def _cells(
    pieces: list[Piece], begins: NDArray[np.int64], block: slice
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The column and the value of each piece in each row of a block; a value of 0 stands for no cell."""
    index = np.empty((block.stop - block.start, len(pieces)), dtype=np.int32)
    value = np.empty(index.shape)
    for j, (piece, begin) in enumerate(zip(pieces, begins, strict=False)):
        if piece.codes is not None:
            codes = piece.codes[block]
            index[:, j], value[:, j] = begin + codes, codes >= 0
            if piece.values is not None:
                value[:, j] *= piece.values[block]
        elif piece.values is not None:
            index[:, j], value[:, j] = begin, piece.values[block]
    return index, value
