"""Rows in memory and the compiled kernels: how the rows are cut, and what goes into a kernel.

The cut depends on the shape of the data alone, never on the number of threads, and the parts are added in order: so
any number of threads gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.kernels import classes, coded, dense, sparse, tried
from fallline.kernels.twins import is_ours, twin
from fallline.losses._base import Loss
from fallline.rows._base import Array, ClassPass, Moments, Pass
from fallline.rows.absent import absent_weight
from fallline.rows.coded import Coded
from fallline.threads import cut, each

if TYPE_CHECKING:
    from fallline.rows.arrays import ArrayRows

Column = NDArray[np.float64]

PIECES = 32  # of the rows: enough for many threads, each large beside what it costs to start one
NUMBERS_PER_PIECE = 250_000  # a call of a kernel costs as much as a few thousand
AT_ONCE = 7 * 1024  # bytes of rows in double precision that stay next to the processor; twice that in single
LEAST_AT_ONCE, MOST_AT_ONCE = 8, 128  # rows: the loss works on so many together
AHEAD = 12 * 1024  # bytes between asking memory for a row and using it: a pass over 1,000,000 x 100 takes 24 ms, not 36
LINES_AT_ONCE = 2048  # the same for Fortran's order, where a column's piece should be long
ENTRIES_PER_SUM = 32  # a piece of sparse rows has its own X^T r of n numbers: worth it with so many entries for each
CLASS_ROWS_AT_ONCE = 1024  # rows whose K numbers the loss works on at once
GRAM_ROOM = 10_000_000  # numbers in matrices that are summed at once (80 MB)
NONE = np.empty(0)

_uncompilable: set[type] = set()


def fused(rows: ArrayRows, loss: Loss, coef: Array, b: float) -> Pass | None:
    """Forward, loss and backward in one pass; None where the loss does not compile or X lies in no order at all."""
    run = _kernel(rows)
    if run is None or type(loss) in _uncompilable or not is_dataclass(loss):
        return None
    settings, keep = twin(loss), is_ours(loss)
    coef = np.ascontiguousarray(coef, dtype=np.float64)
    weight = NONE if rows.weight is None else rows.weight
    offset = NONE if rows.offset is None else rows.offset

    def part(piece: tuple[int, int]) -> tuple[float, Array, float]:
        back = np.zeros(rows.n)
        J, slopes = run(settings, rows.y, weight, offset, coef, float(b), back, *piece, keep=keep)
        return J, back, slopes

    pieces = cut(rows.m, _pieces(rows))
    first = tried(lambda: part(pieces[0]), repr(loss))  # alone, so that one thread compiles
    if first is None:
        _uncompilable.add(type(loss))
        return None
    parts = [first, *each(part, pieces[1:])]
    back = parts[0][1]
    for _, more, _ in parts[1:]:
        back += more
    return Pass(sum(part[0] for part in parts), back, sum(part[2] for part in parts))


def fused_classes(rows: ArrayRows, loss: Loss, coef: Array, b: Array) -> ClassPass | None:
    """The same for several classes, coef (n, K): compiled products, and the loss in NumPy between them."""
    b = np.broadcast_to(np.asarray(b, dtype=np.float64), (coef.shape[1],)).copy()
    products = _products(rows, np.asarray(coef, dtype=np.float64), b)
    if products is None:
        return None

    def part(piece: tuple[int, int]) -> ClassPass:
        slopes, J = np.zeros(len(b)), 0.0
        forward, backward, back = products()
        for first in range(*piece, CLASS_ROWS_AT_ONCE):
            last = min(first + CLASS_ROWS_AT_ONCE, piece[1])
            z = np.empty((last - first, len(b)))
            forward(first, last, z)
            if rows.offset is not None:
                z += rows.offset[first:last, None]
            v, r = loss.value_and_slope(rows.y[first:last], z)
            if rows.weight is not None:
                v, r = v * rows.weight[first:last], r * rows.weight[first:last, None]
            backward(first, last, r)
            J, slopes = J + float(v.sum()), slopes + r.sum(axis=0)
        return ClassPass(J, back(), slopes)

    pieces = cut(rows.m, _pieces(rows))
    whole = part(pieces[0])
    back, slopes, J = whole.back, whole.slopes, whole.loss
    for more in each(part, pieces[1:]):
        back += more.back
        J, slopes = J + more.loss, slopes + more.slopes
    return ClassPass(J, back, slopes)


def _products(rows: ArrayRows, coef: Array, b: Array) -> Callable[[], tuple[Any, Any, Callable[[], Array]]] | None:
    """A maker of (z = X coef + b of some rows, add X^T r of some rows, the sum of those) for the way that X lies."""
    X = rows.X
    if isinstance(X, Coded):
        n = len(coef)
        slopes, ended = np.ascontiguousarray(coef[X.places]), np.concatenate([coef, np.zeros((1, len(b)))])

        def of_codes() -> Any:
            across, back = np.zeros_like(slopes), np.zeros_like(ended)

            def total() -> Array:
                back[X.places] += across
                return back[:n]

            return (
                lambda first, last, z: coded.forward(X.numbers.T, X.codes.T, slopes, ended, b, first, z),
                lambda first, last, r: coded.backward(X.numbers.T, X.codes.T, first, r, across, back),
                total,
            )

        return of_codes
    if not isinstance(X, np.ndarray):
        entries, across = (X.data, unsigned(X.indices), unsigned(X.indptr)), np.ascontiguousarray(coef)

        def of_entries() -> Any:
            back = np.zeros_like(across)
            return (
                lambda first, last, z: classes.forward_sparse(*entries, across, b, z, np.uint64(first)),
                lambda first, last, r: classes.backward_sparse(*entries, r, back, np.uint64(first)),
                lambda: back,
            )

        return of_entries
    if not X.flags.c_contiguous:
        return None
    turned = np.ascontiguousarray(coef.T)

    def of_numbers() -> Any:
        back = np.zeros_like(turned)
        return (
            lambda first, last, z: classes.forward(X[first:last], turned, b, z),
            lambda first, last, r: classes.backward(X[first:last], r, back),
            lambda: back.T,
        )

    return of_numbers


def _kernel(rows: ArrayRows) -> Any:
    """The kernel for the way that X lies, with X filled in."""
    X = rows.X
    if isinstance(X, Coded):

        def by_codes(
            loss: Any, y: Any, weight: Any, offset: Any, coef: Array, b: float, back: Array, *piece: int, keep: bool
        ) -> Any:
            across, ended = np.zeros(len(X.places)), np.zeros(len(coef) + 1)
            slopes, sides = coef[X.places], (y, weight, offset)
            found = coded.by_codes(
                loss, X.numbers.T, X.codes.T, *sides, slopes, np.append(coef, 0.0), b, across, ended, *piece, keep=keep
            )
            back += ended[:-1]
            back[X.places] += across
            return found

        return by_codes
    if not isinstance(X, np.ndarray):
        data, indices, indptr = X.data, unsigned(X.indices), unsigned(X.indptr)

        def by_entries(loss: Any, y: Any, *rest: Any, keep: bool) -> Any:
            return sparse.by_rows(loss, data, indices, indptr, y, *rest, keep=keep)

        return by_entries
    if not (X.flags.c_contiguous or X.flags.f_contiguous):
        return None
    if X.flags.c_contiguous:
        width = max(X.strides[0], 1)
        together = AT_ONCE * 8 // X.itemsize // width // 4 * 4
        kernel: Any = dense.by_rows
        how: tuple[int, ...] = (min(max(together, LEAST_AT_ONCE), MOST_AT_ONCE), max(1, AHEAD // width))
    else:
        kernel, how = dense.by_columns, (LINES_AT_ONCE,)

    def by_numbers(loss: Any, y: Any, *rest: Any, keep: bool) -> Any:
        return kernel(loss, X, y, *rest, *how, keep=keep)

    return by_numbers


def _pieces(rows: ArrayRows) -> int:
    sparse_rows = hasattr(rows.X, "indptr")
    worth = rows.stored // (ENTRIES_PER_SUM * max(rows.n, 1)) if sparse_rows else rows.stored // NUMBERS_PER_PIECE
    return max(2, min(PIECES, worth))


def unsigned(indices: Any) -> Any:
    """The same bits as unsigned numbers: checked when they came in, so none is negative."""
    return indices.view(np.uint32 if indices.dtype.itemsize == 4 else np.uint64)


class Part(NamedTuple):
    """Of the columns of some rows: the sum of weights, means, sums of squares about them, and extremes."""

    total: float
    mean: Column
    square: Column
    low: Column
    high: Column


def moments(rows: ArrayRows) -> Moments | None:
    """Means, spreads and extremes of dense columns in one pass; None where X lies in no order at all."""
    if not (rows.X.flags.c_contiguous or rows.X.flags.f_contiguous):
        return None
    pieces = cut(rows.m, PIECES)
    first = part_moments(rows.X, rows.weight, pieces[0])  # alone, so that one thread compiles
    return joined([first, *each(lambda piece: part_moments(rows.X, rows.weight, piece), pieces[1:])])


def part_moments(X: Array, weight: Array | None, piece: tuple[int, int]) -> Part:
    """Of the rows from the first number to the second, centred on the first of them."""
    kernel = dense.moments if X.flags.c_contiguous else dense.moments_by_columns
    sums, squares, low, high = np.zeros((4, X.shape[1]))
    total = kernel(X, NONE if weight is None else weight, *piece, sums, squares, low, high)
    shift = sums / total if total > 0.0 else sums
    return Part(total, X[piece[0]] + shift, np.maximum(squares - total * shift * shift, 0.0), low, high)


def joined(parts: list[Part]) -> Moments:
    """Of all parts together, by the parallel formula of Chan, Golub and LeVeque (1983).

    So nothing cancels where the mean is large beside the spread.
    """
    total, mean, square, low, high = parts[0]
    for more, other, spread, lower, higher in parts[1:]:
        if more > 0.0:
            gap, joint = other - mean, total + more
            mean, square = mean + gap * (more / joint), square + spread + gap * gap * (total * more / joint)
            total = joint
        low, high = np.minimum(low, lower), np.maximum(high, higher)
    return Moments(mean, square / total, low, high)


def gram(rows: ArrayRows, c: Array) -> tuple[Array, Array]:
    """(sum_i c_i x_i x_i^T, sum_i c_i x_i) of rows that are sparse or coded."""
    X, n = rows.X, rows.n + isinstance(rows.X, Coded)
    if isinstance(X, Coded):
        kernel: Any = coded.gram
        entries: tuple[Any, ...] = X.numbers.T, X.places.view(np.uint64), X.codes.T
    else:
        kernel, entries = sparse.gram, (X.data, unsigned(X.indices), unsigned(X.indptr))

    def part(piece: tuple[int, int]) -> tuple[Array, Array]:
        G, pull = np.zeros((n, n)), np.zeros(n)
        kernel(*entries, c, G, pull, *piece)
        return G, pull

    pieces = cut(rows.m, max(1, min(PIECES, GRAM_ROOM // n**2)))
    G, pull = part(pieces[0])
    for more, other in each(part, pieces[1:]):
        G += more
        pull += other
    diagonal = np.diag(G).copy()
    G += G.T  # each pair of columns was added to one of its two entries
    np.fill_diagonal(G, diagonal)
    return G[: rows.n, : rows.n], pull[: rows.n]


def coded_moments(rows: ArrayRows) -> Moments:
    """The same for numbers beside codes: of a one-hot column with the share p, the mean is p and the square p (1 - p)."""
    X, n, nothing = rows.X, rows.n, NONE if rows.weight is None else rows.weight

    def part(piece: tuple[int, int]) -> tuple[Column, Column]:
        total, count = np.zeros(n + 1), np.zeros(n + 1)
        coded.weights(X.codes.T, nothing, total, count, *piece)
        return total[:-1], count[:-1]

    pieces = cut(rows.m, _pieces(rows))
    parts = [part(pieces[0]), *each(part, pieces[1:])]
    share, count = np.asarray(sum(p[0] for p in parts)) / rows.total_weight, np.asarray(sum(p[1] for p in parts))
    mean, square = share, share * (1.0 - share)
    low, high = (count == rows.m).astype(np.float64), (count > 0).astype(np.float64)
    if len(X.places):
        found = moments(rows.beside(X.numbers))
        assert found is not None
        mean[X.places], square[X.places], low[X.places], high[X.places] = found
    return Moments(mean, np.maximum(square, 0.0), low, high)


def sparse_moments(rows: ArrayRows) -> Moments:
    """The same for CSR rows, in two passes over the stored entries; entries that are not stored are zeros."""
    X, n = rows.X, rows.n
    entries = (X.data, unsigned(X.indices), unsigned(X.indptr), NONE if rows.weight is None else rows.weight)

    def first(piece: tuple[int, int]) -> tuple[Column, ...]:
        total, stored, count = np.zeros((3, n))
        low, high = np.full(n, np.inf), np.full(n, -np.inf)
        sparse.sums(*entries, total, stored, count, low, high, *piece)
        return total, stored, count, low, high

    pieces = cut(rows.m, _pieces(rows))
    parts = [first(pieces[0]), *each(first, pieces[1:])]  # the first alone, so that one thread compiles
    total, stored, count = (sum(part[k] for part in parts) for k in range(3))
    low, high = np.min([part[3] for part in parts], axis=0), np.max([part[4] for part in parts], axis=0)
    mean = np.asarray(total) / rows.total_weight

    def second(piece: tuple[int, int]) -> Column:
        square = np.zeros(n)
        sparse.squares(*entries, mean, square, *piece)
        return square

    heavy = np.ones(rows.m) if rows.weight is None else rows.weight
    absent = absent_weight(X, heavy, np.asarray(stored), np.asarray(count), rows.total_weight)
    square = sum([second(pieces[0]), *each(second, pieces[1:])]) + absent * mean**2
    zeros = np.asarray(count) < rows.m
    low, high = np.where(zeros, np.minimum(low, 0.0), low), np.where(zeros, np.maximum(high, 0.0), high)
    return Moments(mean, np.maximum(np.asarray(square), 0.0) / rows.total_weight, low, high)
