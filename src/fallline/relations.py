"""How columns go together, with one another and with the target: seen on a sample of the rows before training.

A few thousand rows tell it; only what is called exact is looked up in all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.exact_rank import P, combined, residues
from fallline.losses._base import Loss
from fallline.rows._base import Array, Batch, Rows
from fallline.rows.arrays import ArrayRows
from fallline.rows.coded import Coded
from fallline.rows.columns import table_column

LEAST_ROWS, ROWS_PER_COLUMN = 1000, 10  # of the sample
MOST_COLUMNS = 250  # beyond, a correlation matrix takes longer than the small fits that it would be made for
NO_VARIATION = 1e-10  # an eigenvalue of the correlation matrix below: the columns are dependent (VERDICTS, D11)
ROUND_OFF = 1e-11  # of the terms about their means: coefficients that were found are known to that
ULPS = 8.0 * 2.2e-16  # of the terms themselves: what rounding of the cells and of the sum leaves
FEWEST = 20  # rows, to say anything that is not exact
SMALL_TERM = 1e-7  # of the largest: a coefficient that is nothing
DENOMINATORS = 24  # a coefficient near a fraction with so small a denominator is that fraction
VOTERS = 9  # rows whose median is the commonest value, where one value has nearly all rows
PROMISING = 0.2  # of the target's variation explained by a column alone: worth the sorting that its AUC takes
MOST_COMMON = 0.99  # of the rows with one value: nearly constant
KEY_COLUMNS = 8  # columns that are compared first when rows are looked for that occur twice


@dataclass(frozen=True)
class Relations:
    """What the columns have to do with one another, with the target, with the order of the rows and the check rows."""

    rows: int = 0  # that were looked at
    smallest: float = math.nan  # eigenvalue of the correlation matrix of the columns that vary
    largest: float = math.nan
    raw_condition: float = math.nan  # of the columns as they are, where they are trained on so
    pair: tuple[str, str, float] | None = None  # the two columns with the largest |correlation|
    dependent: str = ""  # a column that the others make up, in all rows, to within rounding
    exact: bool = False  # and to the last bit of every cell
    combination: tuple[tuple[str, float], ...] = ()  # how: the sum of coefficient times column, plus
    constant: float = 0.0
    alone: tuple[str, float] | None = None  # the column that alone tells the target best, and how well
    alone_by: str = (
        "r2"  # share of the target's variation; of two classes "auc", the chance that it ranks a pair rightly
    )
    common: tuple[tuple[str, float], ...] = ()  # columns with one value in nearly all rows, and in which share
    shares: tuple[float, ...] = ()  # of the rows by class
    runs: float = math.nan  # Wald and Wolfowitz's z of the target in the order of the rows; NaN where rows are shuffled
    neighbours: float = math.nan  # correlation of the target with that of the row before
    twins: int = 0  # check rows that are training rows too
    full: tuple[str, ...] = ()  # texts whose levels all have a column, as was asked for


def relate(
    rows: Rows, held: Rows | None, names: tuple[str, ...], form: Loss, *, seed: int, in_order: bool, raw: bool,
    spare: Mapping[str, str] | None = None,
) -> Relations:  # fmt: skip
    """Look at a sample of `rows`.

    `in_order`: mini-batches come in the order of the rows. `raw`: the columns are trained on as they are. `spare`: columns
    that follow from others by what was asked for (a text with a column for each level), and whose they are; the rest is
    looked at without them.
    """
    spare = spare or {}
    shares = _shares(rows) if form.task == "classes" or form.link == "logit" else ()
    found = Relations(shares=shares, full=tuple(spare.values()))
    if in_order:
        z, lag = _order(rows)
        found = replace(found, runs=z, neighbours=lag)
    if held is not None:
        found = replace(found, twins=_twins(rows, held))
    count = max(LEAST_ROWS, ROWS_PER_COLUMN * rows.n)
    if not 1 <= rows.n <= MOST_COLUMNS or rows.m < 3:
        return found
    sample = rows.sample(count, np.random.default_rng(seed))
    y = np.asarray(sample.y, dtype=np.float64)
    used = np.ones(len(y), dtype=bool) if sample.weight is None else sample.weight > 0.0
    X = sample.X if isinstance(sample.X, np.ndarray) else sample.X.toarray()
    X, y = np.asarray(X, dtype=np.float64)[used], y[used]
    if len(y) < 3:
        return found
    with np.errstate(all="ignore"):  # columns of huge numbers overflow: then nothing is known of them
        found = _related(replace(found, rows=len(y)), rows, X, y, names, form, spare)
        return replace(found, raw_condition=_condition(X.T @ X)) if raw else found


def _related(
    found: Relations, rows: Rows, X: Array, y: Array, names: tuple[str, ...], form: Loss, spare: Mapping[str, str]
) -> Relations:  # fmt: skip
    usual = np.median(X[:VOTERS], axis=0)
    share = (X == usual).mean(axis=0)
    mean, sd = X.mean(axis=0), X.std(axis=0)
    vary = np.flatnonzero((sd > 1e-13 * np.abs(mean)) & np.isfinite(sd) & (sd > 0.0))
    common = [
        j for j in vary if share[j] > MOST_COMMON and table_column(names[j]) == names[j]
    ]  # levels and holes may be rare
    found = replace(found, common=tuple((names[j], float(share[j])) for j in common))
    if not len(vary):
        return found
    Z = (X[:, vary] - mean[vary]) / sd[vary]
    found = _alone(found, Z, y, [names[j] for j in vary], form)
    own = np.array([names[j] not in spare for j in vary])
    vary, Z = vary[own], Z[:, own]
    if len(vary) < 2:
        return found
    C = Z.T @ Z / len(Z)
    if not np.isfinite(C).all():
        return found
    values = np.linalg.eigvalsh(C)
    off = np.abs(C - np.diag(np.diag(C)))
    i, j = np.unravel_index(int(off.argmax()), off.shape)
    found = replace(
        found, smallest=float(max(values[0], 0.0)), largest=float(values[-1]),
        pair=(names[vary[min(i, j)]], names[vary[max(i, j)]], float(C[i, j])),
    )  # fmt: skip
    if values[0] < NO_VARIATION * values[-1] and len(Z) > len(vary) + 1:
        found = _combined(found, rows, Z, mean, sd[vary], vary, names)
    return found


def _condition(G: Array) -> float:
    values = np.linalg.eigvalsh(G) if np.isfinite(G).all() else np.full(1, np.nan)
    return float(values[-1] / values[0]) if values[0] > 0.0 else math.inf


def _alone(found: Relations, Z: Array, y: Array, names: list[str], form: Loss) -> Relations:
    """The column that alone tells the target best."""
    codes, groups = np.unique(y), None
    if form.task == "classes" or form.link == "logit":
        if len(codes) > len(y) // 2:
            return found
        groups = y[:, None] == codes
        with np.errstate(invalid="ignore"):
            explained = ((groups.T @ Z) ** 2 / groups.sum(axis=0)[:, None]).sum(axis=0) / len(Z)
    else:
        spread = y.std()
        if not spread > 0.0:
            return found
        explained = (Z.T @ ((y - y.mean()) / spread) / len(Z)) ** 2
    explained = np.nan_to_num(explained)
    best = int(explained.argmax())
    told = replace(found, alone=(names[best], float(min(explained[best], 1.0))))
    if groups is None or len(codes) != 2:
        return told
    ranked = [(_auc(Z[:, j], y == codes[1]), names[j]) for j in np.flatnonzero(explained > PROMISING)]
    return replace(told, alone=max(ranked)[::-1], alone_by="auc") if ranked else told


def _auc(z: Array, positive: NDArray[np.bool_]) -> float:
    """The chance that a row of one class has a higher value than one of the other (or a lower one: whichever is more)."""
    from scipy.stats import rankdata

    ones, zeros = int(positive.sum()), int((~positive).sum())
    u = float(rankdata(z)[positive].sum()) - ones * (ones + 1) / 2.0
    return max(u, ones * zeros - u) / (ones * zeros)


def _combined(
    found: Relations, rows: Rows, Z: Array, mean: Array, sd: Array, vary: NDArray[np.intp], names: tuple[str, ...]
) -> Relations:
    """A column as the sum of others, found on the sample by a pivoted QR factorisation, verified on all rows."""
    from scipy.linalg import qr, solve_triangular

    R, order = qr(Z, mode="r", pivoting=True)[:2]
    R = R[: Z.shape[1]]
    size = np.abs(np.diag(R))
    rank = int(np.sum(size > math.sqrt(NO_VARIATION) * size[0]))
    for k in range(rank, Z.shape[1]):
        weights = solve_triangular(R[:rank, :rank], R[:rank, k])
        who, others = order[k], order[:rank]
        terms = weights / sd[others] * sd[who]
        named = np.abs(weights) > SMALL_TERM * np.abs(weights).max()
        columns = vary[others[named]]
        coefficients = np.array([_plain(c) for c in terms[named]])
        at = mean[[int(vary[who]), *columns.tolist()]]
        holds, constant = _holds(rows, int(vary[who]), columns, coefficients, at)
        if holds:
            told = tuple((names[j], float(c)) for j, c in zip(columns, coefficients, strict=True))
            exact = _exact(rows, [int(vary[who]), *columns.tolist()], coefficients)
            return replace(found, dependent=names[int(vary[who])], combination=told, constant=constant, exact=exact)
    return found


def _exact(rows: Rows, columns: list[int], coefficients: Array) -> bool:
    """Whether the first column less the sum of the others is the same number in every row, without any rounding."""
    fractions = [Fraction(float(c)).limit_denominator(DENOMINATORS) for c in coefficients]
    if any(float(f) != c for f, c in zip(fractions, coefficients, strict=True)):
        return False
    weights = np.array([1, *(-f.numerator * pow(f.denominator, -1, P) % P for f in fractions)], dtype=np.int64)
    first: int | None = None
    for batch in rows.blocks():
        if not len(batch.y):
            continue
        rest = combined(residues(_columns(batch, columns)), weights)
        first = int(rest[0]) if first is None else first
        if np.any(rest != first):
            return False
    return True


def _plain(c: float) -> float:
    near = float(Fraction(c).limit_denominator(DENOMINATORS))
    return near if abs(near - c) <= 1e-6 * abs(c) else float(c)


def _holds(
    rows: Rows, who: int, columns: NDArray[np.intp], coefficients: Array, mean: Array
) -> tuple[bool, float]:  # fmt: skip
    """Whether column `who` is that sum of the others plus one constant, in every row, to within rounding; and the constant.

    `mean` (of `who`, then of the columns): sums about it keep the digits that matter.
    """
    low, high, spread, size = math.inf, -math.inf, 0.0, 0.0
    terms, signed = np.concatenate([[1.0], np.abs(coefficients)]), np.concatenate([[1.0], -coefficients])
    for batch in rows.blocks():
        X = _columns(batch, [who, *columns.tolist()])
        d = X - mean
        rest = d @ signed
        low, high = min(low, float(rest.min())), max(high, float(rest.max()))
        spread, size = max(spread, float((np.abs(d) @ terms).max())), max(size, float((np.abs(X) @ terms).max()))
    constant = float(mean @ signed) + (low + high) / 2.0
    allowed = ROUND_OFF * spread + ULPS * len(terms) * size
    exact = high - low <= allowed
    return exact and allowed < 1e-6 * spread, 0.0 if abs(constant) <= 1e-9 * size else constant


def _columns(batch: Batch, columns: list[int]) -> Array:
    X = batch.X[:, columns]
    return np.asarray(X if isinstance(X, np.ndarray) else X.toarray(), dtype=np.float64)


def _shares(rows: Rows) -> tuple[float, ...]:
    """The share of each class, by weight; empty where targets are not whole numbers."""
    total: Array = np.zeros(0)
    for y, weight, _ in rows.sides():
        if not len(y):
            continue
        codes = y.astype(np.intp)
        if not (y == codes).all() or codes.min() < 0 or codes.max() > 100_000:
            return ()
        here = np.bincount(codes, weight, minlength=len(total)).astype(np.float64)
        here[: len(total)] += total
        total = here
    return tuple((total / total.sum()).tolist()) if total.sum() > 0.0 else ()


def _order(rows: Rows) -> tuple[float, float]:
    """Whether the target depends on the place of a row: the runs test about the median, and neighbours' correlation."""
    y = np.concatenate([side[0] for side in rows.sides()]).astype(np.float64)
    middle = float(np.median(y))
    above = y > middle if (y > middle).any() else y >= middle
    ones, zeros = float(above.sum()), float((~above).sum())
    z = lag = math.nan
    if ones and zeros and len(y) > 2:
        expected = 1.0 + 2.0 * ones * zeros / len(y)
        variance = (expected - 1.0) * (expected - 2.0) / (len(y) - 1.0)
        runs = 1.0 + float(np.sum(above[1:] != above[:-1]))
        z = (runs - expected) / math.sqrt(variance) if variance > 0.0 else math.nan
    d = y - y.mean()
    if float(d @ d) > 0.0:
        lag = float(d[1:] @ d[:-1] / (d @ d))
    return z, lag


def _twins(rows: Rows, held: Rows) -> int:
    """How many check rows have the same numbers and the same target as a training row.

    Of dense rows a few columns and the target are compared first, and all columns of those that look alike. Rows of a
    stream are not looked at.
    """
    if not isinstance(rows, ArrayRows) or not isinstance(held, ArrayRows) or rows.n == 0:
        return 0
    few = np.unique(np.linspace(0, rows.n - 1, min(rows.n, KEY_COLUMNS)).astype(np.intp))
    mine, theirs = _keys(rows, few), _keys(held, few)
    if isinstance(rows.X, np.ndarray) and rows.n > len(few):
        every = np.arange(rows.n)
        alike = [np.flatnonzero(np.isin(mine, theirs)), np.flatnonzero(np.isin(theirs, mine))]
        mine, theirs = (_keys(part.chosen(at), every) for part, at in zip((rows, held), alike, strict=True))
    return int(np.isin(theirs, mine).sum())


def _keys(rows: ArrayRows, columns: NDArray[np.intp]) -> NDArray[np.uint64]:
    """A number for each row that rows with the same target and the same values share; of dense rows, in `columns`."""
    if isinstance(rows.X, np.ndarray):
        numbers = [rows.X[:, j] for j in columns]
    elif isinstance(rows.X, Coded):
        numbers = [*rows.X.numbers.T, *rows.X.codes.T]
    else:
        X = rows.X.tocsr()
        entries = _mixed(_mixed(np.zeros(X.nnz, dtype=np.uint64), X.indices), X.data)
        entries[X.data == 0.0] = 0
        ends = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(entries, dtype=np.uint64)])
        numbers = [(ends[X.indptr[1:]] - ends[X.indptr[:-1]]).astype(np.float64)]
    key = np.zeros(rows.m, dtype=np.uint64)
    for column in [rows.y, *numbers]:
        key = _mixed(key, column)
    return key


def _mixed(key: NDArray[np.uint64], values: Any) -> NDArray[np.uint64]:
    """`key` with the bits of `values` mixed in, by the multiplication of Knuth's hashing."""
    bits = (np.asarray(values, dtype=np.float64) + 0.0).view(np.uint64)  # + 0.0: minus zero is zero
    key = (key ^ bits) * np.uint64(0x9E3779B97F4A7C15)
    return key ^ (key >> np.uint64(29))
