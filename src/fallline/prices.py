"""What passes and matrices of second derivatives cost, roughly, and how many rows stand for all."""

from __future__ import annotations

from fallline.certificate import FACTOR_LIMIT
from fallline.objective import DENSER, ModelObjective
from fallline.rows._base import Array, Rows

SAMPLE_ROWS, SAMPLE_PER_COLUMN = 20_000, 20
# Where a quarter of the rows is less than that: so many at least, or rare levels are missing from them (with fewer, the
# demo took 1,000 passes).
FEW_ROWS, FEW_PER_COLUMN = 5_000, 50
# Rows where there are many classes: with fewer a sample is fitted perfectly, and says nothing.
PER_UNKNOWN = 10
FEWER = 4  # times fewer rows than all, at least: otherwise all are asked at once
WHOLE_MATRICES = 6  # of all rows, until the end; 1 where the curvature never changes
SAMPLE_MATRICES, SAMPLE_PASSES = 7, 5  # of a sample, to solve on it and to refresh; and passes after that
SMALL_MATRIX = 1e8  # operations, a few milliseconds: all rows are asked at once too
SAMPLE_SHARE, SAMPLE_NUMBERS = 0.04, 2_500_000  # of X at most, and numbers (20 MB) on top of that
# Operations, and numbers of X, a second: rough, and enough to tell the cases apart.
MATRIX_SPEED, PASS_SPEED = 3e10, 3e9
MATRICES, PASSES_SAVED, PATIENCE = 3, 3000, 1.0  # matrices and passes in a run; seconds that nobody minds
CLASS_PASSES_SAVED = 600  # where there are many classes: with a matrix for each class L-BFGS takes hundreds
EXPONENTIAL = (
    50  # numbers of X that take as long as a class of a row: 100,000 x 16, 16 classes, took 0.05 s a pass, 0.01 without
)
DEAREST = 50.0  # passes that a matrix may cost where it may not help: covertype's costs 23, that of 100,000 flights 69
FIRST_TRY = 10.0  # of a proof, which takes several: with 23 for flights its tries took most of a run and proved nothing
PROOF_MATRICES = 4  # in a proof: the second derivatives, a floor or two, and the spreads, which cost about as much
CLASS_NUMBERS = 3e7  # in the matrices of the classes together: 240 MB


def width(theta: Array) -> int:
    """How many numbers a row predicts."""
    return int(theta.shape[1]) if theta.ndim == 2 else 1


def pass_seconds(rows: Rows, classes: int) -> float:
    """Of one pass over all rows."""
    return (rows.stored + (EXPONENTIAL * rows.m if classes > 1 else 0)) * classes / PASS_SPEED


def matrix_seconds(rows: Rows, theta: Array, count: int) -> float:
    """Of a matrix of second derivatives of `count` rows, and its inverse."""
    return (count * _matrix_work(rows, width(theta)) + float(theta.size) ** 3) / MATRIX_SPEED


def matrix_passes(rows: Rows, theta: Array, count: int) -> float:
    """The same, in passes over all rows."""
    return matrix_seconds(rows, theta, count) / pass_seconds(rows, width(theta))


def sample_size(rows: Rows, classes: int = 1) -> int | None:
    """How many rows stand for all, or None where all are few enough.

    Steps contract by about sqrt(unknowns / count). The copy stays small beside X.
    """
    least = max(SAMPLE_PER_COLUMN * rows.n, PER_UNKNOWN * rows.n * classes if classes > 1 else 0)
    count = min(max(SAMPLE_ROWS, least), rows.m // FEWER)
    count = min(count, int(SAMPLE_SHARE * rows.m + SAMPLE_NUMBERS / max(1.0, rows.stored / rows.m)))
    worth = rows.m * _matrix_work(rows, classes) > SMALL_MATRIX
    enough = least if classes > 1 else 5 * rows.n if count >= SAMPLE_ROWS else max(FEW_ROWS, FEW_PER_COLUMN * rows.n)
    return count if worth and count >= enough else None


def worth_sampling(objective: ModelObjective, rows: Rows, theta: Array, count: int) -> bool:
    """Whether matrices of a sample and the passes after them cost less than matrices of all rows."""
    a_sample, all_rows = matrix_seconds(rows, theta, count), matrix_seconds(rows, theta, rows.m)
    whole = 1 if objective.constant_curvature(theta, rows) else WHOLE_MATRICES
    return SAMPLE_MATRICES * a_sample + SAMPLE_PASSES * pass_seconds(rows, width(theta)) < whole * all_rows


def affordable(rows: Rows, theta: Array, count: int, once: bool = False) -> bool:
    """Whether matrices of second derivatives of `count` rows cost less than the passes that they save.

    `once`: one is enough, for the curvature never changes.
    """
    if theta.size > FACTOR_LIMIT:
        return False
    saved = CLASS_PASSES_SAVED if theta.ndim == 2 and class_matrices_fit(theta) else PASSES_SAVED
    matrices = (1 if once else MATRICES) * matrix_seconds(rows, theta, count)
    return bool(matrices <= PATIENCE + saved * pass_seconds(rows, width(theta)))


def class_matrices_fit(theta: Array) -> bool:
    """Whether a matrix for each class can be kept."""
    return bool(theta.shape[0] ** 2 * theta.shape[1] <= CLASS_NUMBERS)


def _matrix_work(rows: Rows, classes: int) -> float:
    """Operations for one row's share of a matrix of second derivatives."""
    filled = rows.stored / rows.m  # numbers in a row: all columns, or the few that are not zero
    return float(min(rows.n**2, DENSER * filled**2) * classes * (classes + 1))


def proving(rows: Rows, part: Rows | None, theta: Array) -> list[Rows]:
    """The rows whose matrices a proof may form, the cheapest first; none where many classes make the first try too dear."""
    among = [rows] if part is None else [part, rows]
    if theta.ndim == 1:
        return among

    def bearable(some: Rows, passes: float) -> bool:
        a_try = PROOF_MATRICES * matrix_seconds(rows, theta, some.m)
        return matrix_passes(rows, theta, some.m) <= passes or a_try <= PATIENCE

    return [some for some in among if bearable(some, DEAREST)] if bearable(among[0], FIRST_TRY) else []
