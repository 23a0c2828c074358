"""``optimizer="auto"`` and ``learning_rate="auto"``: a short decision, and the reason for it in words.

what was named                       what runs
-----------------------------------  ---------------------------------------------------------------------------
nothing: curvature matrix            gradient descent preconditioned by the second derivatives, step 1, backtracking;
  affordable, few rows               proximal where |w| or bounds make corners
the same, many rows                  first on a sample of the rows; then L-BFGS (proximal descent) on all,
                                     preconditioned by the second derivatives of the sample, step 1, backtracking
nothing: too many unknowns for it,   row by row: each row's best step in turn (dual ascent)
  sparse rows, fewer than columns,
  a ridge
nothing: many classes, the matrix    L-BFGS preconditioned by the second derivatives within each class, of a sample of
  of them all too dear               the rows where these are many
nothing: too many unknowns           L-BFGS preconditioned by the diagonal of the second derivatives; accelerated gradient
                                     descent with restart at 1/L, or backtracking, for a penalty of one's own
the same with |w| or bounds          gradient descent preconditioned by the second derivatives of a working set: the
                                     columns that are away from their corners, or next to leaving them
nothing, and early stopping          gradient descent in implicit steps of growing length (gradient_flow.py), or plain at 1/L
nothing but a batch size             Adam at a rate found by trial runs, falling along a cosine
nothing but a rate                   plain gradient descent (the textbook)
a rule that does not divide by       full batch: 1/L;  mini-batch: 1/(2 L_B) falling along a cosine;
  the gradient's own size              where curvature has no bound: backtracking (descent) or trial runs
any other rule (Adam, ...)           a rate found by trial runs, falling along a cosine
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fallline.ascent import RowByRow, ascends
from fallline.curvature import Curvature, batch_curvature, largest_curvature
from fallline.errors import SettingError
from fallline.gradient_flow import FlowPreconditioner
from fallline.line_search import LineSearch
from fallline.objective import ModelObjective, Objective
from fallline.optimizers import AnyOptimizer, as_optimizer
from fallline.optimizers.lbfgs import LBFGS
from fallline.precondition import ClassPreconditioner, DiagonalPreconditioner, Preconditioner, by_curvature
from fallline.prices import (
    FEWER,
    PER_UNKNOWN,
    SAMPLE_ROWS,
    affordable,
    class_matrices_fit,
    matrix_passes,
    sample_size,
    width,
    worth_sampling,
)
from fallline.probe import probe
from fallline.quasi_newton import QuasiNewton
from fallline.rates import as_rate
from fallline.rates._base import Rate
from fallline.rates.backtracking import Backtracking
from fallline.rates.constant import Constant
from fallline.rates.cosine import Cosine
from fallline.rows._base import Array, Rows
from fallline.rows.arrays import ArrayRows
from fallline.stops.certificate import Certify, Hope
from fallline.working_set import WorkingSetPreconditioner

# Returns to the best parameters after a divergence, when the rate was ours (as many as Ultralytics makes).
RECOVERIES = 3
# Of J: what rounding does to it where columns are far from zero. A 5 x 20 lasso whose columns lie at 1e6 had its last Newton
# steps refused for rises of 8e-15, and its proof with them.
LAST_DIGITS = 1e-12
# Unknowns up to which a matrix of them all is formed: with fewer rows than columns, and with more.
SMALL, WIDE = 200, 500
DENSE = 200  # unknowns of a function up to which BFGS keeps its matrix; at a conditioning of 1e12, L-BFGS takes 5 times the steps
WAIT = 1e6  # steps that double the digits each time: the last of them cost a pass each, so a proof can wait for them
LOOSER = 1.5  # a proof from a part of the rows is looser than the estimate by the share of the rows, and this
# Armijo's share for preconditioned steps, whose natural length is 1 (Nocedal and Wright, section 3.1).
NEWTON_SHARE = 1e-4


@dataclass(frozen=True)
class Plan:
    """What will run, and why."""

    optimizer: AnyOptimizer
    rate: Rate
    method: str
    precondition: Preconditioner | None = None
    recoveries: int = 0
    curvature: Curvature | None = None
    sample: Rows | None = None  # rows to solve on first
    hope: Hope | None = None  # when to try for a proof
    prove: Certify | None = None  # where the rule knows how low J can be
    wide: bool = False  # no matrix of all columns is to be formed
    named: AnyOptimizer | None = None  # the rule that a result names, where what runs is a form of it

    @property
    def told(self) -> AnyOptimizer | None:
        """The rule that a result names; None for one that is nobody's to name, or holds the rows."""
        own = self.prove is not None or isinstance(self.optimizer, QuasiNewton)
        return self.named if own else self.optimizer

    @property
    def scaled(self) -> bool:
        """Whether steps are made in other coordinates than the gradient's, so that no rate compares with 2/L."""
        return self.precondition is not None or self.prove is not None


def plan_model(
    objective: ModelObjective, rows: Rows, theta: Array, optimizer: str | AnyOptimizer,
    learning_rate: float | str | Rate, batch_size: int | None, unit: float, seed: int,
) -> Plan:  # fmt: skip
    """Decide for a loss of linear predictions."""
    auto_rule, auto_rate = optimizer == "auto", learning_rate == "auto"
    if auto_rule and auto_rate and batch_size is None:
        known = objective.penalty.elementwise(rows.n) is not None
        if objective.loss.smooth and not objective.smooth and known and _few_matter(objective, rows, theta):
            return _by_working_sets(objective, rows, theta)
        if objective.loss.smooth and (objective.smooth or known and affordable(rows, theta, rows.m)):
            return _preconditioned(objective, rows, theta, seed)
        optimizer = "accelerated" if objective.loss.curvature_bound is not None else "descent"
    elif auto_rule:
        optimizer = "adam" if auto_rate else "descent"
    rule = as_optimizer(optimizer)
    _check_pair(rule, objective)
    if rule.needs_exact and batch_size is not None:
        raise SettingError(
            f"optimizer={rule.name!r} with batch_size={batch_size}: the rule compares the gradients of different steps, "
            "which must then be exact; leave batch_size=None, or use another rule."
        )
    if rule.needs_exact and auto_rate:
        return Plan(
            rule, Backtracking(1.0, share=NEWTON_SHARE, growth=2.0, most=1.0),
            f"{rule.name}, full batch, preconditioned by the diagonal of the second derivatives",
            DiagonalPreconditioner(objective, rows), RECOVERIES,
        )  # fmt: skip
    if not auto_rate:
        rate = as_rate(learning_rate)
        if rate.judges and batch_size is not None:
            raise SettingError(
                "learning_rate='backtracking': it needs the exact loss; leave batch_size=None, or use another rate."
            )
        how = "full batch" if batch_size is None else f"mini-batches of {batch_size:,} rows"
        return Plan(rule, rate, f"{rule.name}, {how}, as named")
    return _rate_for(rule, objective, rows, theta, batch_size, unit, seed)


def _preconditioned(objective: ModelObjective, rows: Rows, theta: Array, seed: int) -> Plan:
    """The automatic method for smooth objectives: coordinates in which a step of 1 is right."""
    rate = Backtracking(1.0, share=NEWTON_SHARE, growth=2.0, most=1.0)
    unknowns, ridge, classes = theta.size, objective.penalty.curvature, width(theta)
    count = sample_size(rows, classes)
    if count is not None and not worth_sampling(objective, rows, theta, count):
        count = None
    if not affordable(rows, theta, count or rows.m, once=objective.constant_curvature(theta, rows)):
        if isinstance(rows, ArrayRows) and ascends(objective, rows):
            by_rows = RowByRow(objective, rows, theta.shape[1:], seed)
            if by_rows.compiles:
                return _row_by_row(by_rows, unknowns)
        if classes > 1 and class_matrices_fit(theta):
            return _class_by_class(objective, rows, theta, rate, seed)
        return Plan(
            as_optimizer("lbfgs"), rate,
            f"L-BFGS preconditioned by the diagonal of the second derivatives ({unknowns:,} unknowns, too many for a "
            "matrix of them), so that a step of 1 is right",
            DiagonalPreconditioner(objective, rows), RECOVERIES, hope=Hope(1.2, ridge) if ridge else None,
        )  # fmt: skip
    if count is None:
        how = f"{'' if objective.smooth else 'proximal '}gradient descent preconditioned by the second derivatives"
        return Plan(
            as_optimizer("descent"), rate, f"{how} ({unknowns:,} unknowns), so that a step of 1 is right",
            by_curvature(objective, rows), RECOVERIES, hope=Hope(WAIT),
        )  # fmt: skip
    sample = rows.sample(count, np.random.default_rng(seed))
    price = matrix_passes(rows, theta, count) if classes > 1 else 0.0
    rule, name = ("lbfgs", "L-BFGS") if objective.smooth else ("descent", "proximal gradient descent")
    how = f"solved on {count:,} rows first, then {name} preconditioned by the second derivatives of these rows"
    return Plan(
        as_optimizer(rule), rate, f"{how} ({unknowns:,} unknowns), so that a step of 1 is right",
        by_curvature(objective, sample, rows, price), RECOVERIES, sample=sample,
        hope=Hope(LOOSER * rows.m / count),
    )  # fmt: skip


def plan_stopped(
    objective: ModelObjective, rows: Rows, theta: Array, unit: float, seed: int
) -> Plan:  # fmt: skip
    """Decide where nothing is named and check rows say when to end: a path from the start, looked at step by step.

    The other methods go to the optimum at once, from which no check row can keep them.
    """
    known = objective.smooth or objective.penalty.elementwise(rows.n) is not None
    if objective.loss.smooth and known and affordable(rows, theta, rows.m):
        return Plan(
            as_optimizer("descent"), Backtracking(1.0, share=NEWTON_SHARE, growth=2.0, most=1.0),
            "gradient descent in implicit steps, each 1.5 times as long as the last, so that the check rows are looked at all "
            "along the path",
            FlowPreconditioner(objective, rows), RECOVERIES, hope=Hope(WAIT),
        )  # fmt: skip
    plan = _rate_for(as_optimizer("descent"), objective, rows, theta, None, unit, seed)
    return replace(plan, method=f"{plan.method}, whose path the check rows are looked at along")


def _few_matter(objective: ModelObjective, rows: Rows, theta: Array) -> bool:
    """Whether a matrix of all columns costs more than several of those that are away from their corners.

    Where a sample of the rows stands for all, its matrix is cheap; and where neither |w| nor a ridge holds a column, only a
    matrix of all columns proves anything (duality.py).
    """
    if type(objective) is not ModelObjective:  # a stream's, whose memory is of all columns
        return False
    if not affordable(rows, theta, rows.m):
        return True
    parts = objective.penalty.elementwise(rows.n)
    provable = parts is not None and bool(np.all((parts[0] > 0.0) | (parts[1] > 0.0)))
    if rows.m < rows.n:
        return theta.size > SMALL
    return provable and theta.size > WIDE and sample_size(rows, width(theta)) is None


def _by_working_sets(objective: ModelObjective, rows: Rows, theta: Array) -> Plan:
    """The automatic method where |w| or bounds hold most of many columns."""
    return Plan(
        as_optimizer("descent"), Backtracking(1.0, share=NEWTON_SHARE, growth=2.0, most=1.0, rounding=LAST_DIGITS),
        "proximal gradient descent preconditioned by the second derivatives of a working set: the columns of "
        f"{rows.n:,} that are away from their corners or next to leaving them, so that a step of 1 is right",
        WorkingSetPreconditioner(objective, rows), RECOVERIES, hope=Hope(WAIT), wide=True,
    )  # fmt: skip


def _row_by_row(rule: RowByRow, unknowns: int) -> Plan:
    """The automatic method for sparse rows that are fewer than the columns."""
    return Plan(
        rule, Constant(1.0, why="each row's step is the best for it"),
        f"row by row, by dual ascent ({rule.rows.m:,} rows make {unknowns:,} unknowns, too many for a matrix of them)",
        hope=Hope(1.0, lowest=lambda: rule.about), prove=rule.prove,
    )  # fmt: skip


def _class_by_class(objective: ModelObjective, rows: Rows, theta: Array, rate: Rate, seed: int) -> Plan:
    """The automatic method for many classes: a matrix for each, where one for all of them would be too dear."""
    ridge, wanted = objective.penalty.curvature, max(SAMPLE_ROWS, PER_UNKNOWN * theta.size)
    sample = rows.sample(wanted, np.random.default_rng(seed)) if FEWER * wanted <= rows.m else None
    whose = f"of {wanted:,} rows, on which it was solved first, " if sample is not None else ""
    return Plan(
        as_optimizer("lbfgs"), rate,
        f"L-BFGS preconditioned by the second derivatives within each class {whose}({theta.size:,} unknowns, too many for "
        "a matrix of them all), so that a step of 1 is right",
        ClassPreconditioner(objective, rows, sample), RECOVERIES, sample=sample,
        hope=Hope(1.2, ridge) if ridge else None,
    )  # fmt: skip


def _rate_for(
    rule: AnyOptimizer,
    objective: ModelObjective,
    rows: Rows,
    theta: Array,
    batch_size: int | None,
    unit: float,
    seed: int,
) -> Plan:
    """The automatic rate of a rule."""
    bounded = objective.loss.curvature_bound is not None
    backtracks = rule.name == "descent" and batch_size is None  # the one rule that needs no bound of the curvature
    if rule.adaptive or not objective.loss.smooth or not (bounded or backtracks):
        return _probed(rule, objective, rows, theta, batch_size, unit, seed)
    curvature = largest_curvature(objective, rows, theta, seed)
    L = max(curvature.L, 1e-300)
    if batch_size is not None:
        LB = batch_curvature(objective, rows, L, batch_size)
        lr = 1.0 / (2.0 * LB)
        rate: Rate = Cosine(lr, why=f"1/(2 L_B), L_B = {LB:.4g}: the curvature of a mini-batch of {batch_size:,}")
        return Plan(rule, rate, f"{rule.name}, mini-batches of {batch_size:,} rows", None, RECOVERIES, curvature)
    if bounded:
        rate = Constant(1.0 / L, why=f"1/L, L = {L:.4g} from {curvature.products} products")
    else:
        rate = Backtracking(1.0 / L)
    return Plan(rule, rate, f"{rule.name}, full batch", None, RECOVERIES, curvature)


def _probed(
    rule: AnyOptimizer,
    objective: Objective,
    rows: Rows | None,
    theta: Array,
    batch_size: int | None,
    unit: float,
    seed: int,
) -> Plan:
    found = probe(objective, rows, rule, theta, batch_size=batch_size, unit=unit, seed=seed)
    on = f" on {found.rows:,} rows" if rows is not None else ""
    rate = Cosine(found.lr, why=f"the best of {found.tried} trial runs{on}: a measurement, not a proof")
    how = "full batch" if batch_size is None else f"mini-batches of {batch_size:,} rows"
    return Plan(rule, rate, f"{rule.name}, {how}", None, RECOVERIES)


def plan_function(
    objective: Objective, theta: Array, optimizer: str | AnyOptimizer, learning_rate: float | str | Rate, seed: int
) -> Plan:
    """Decide for a user's function: BFGS or L-BFGS with a line search; descent at corners (|w|, bounds), or for a rate."""
    if optimizer == "auto" and objective.smooth and learning_rate == "auto" and theta.size <= DENSE:
        return Plan(QuasiNewton(memory=0), LineSearch(), "BFGS, each step found by a line search")
    if optimizer == "auto":
        optimizer = "lbfgs" if objective.smooth and learning_rate == "auto" else "descent"
    rule = as_optimizer(optimizer)
    _check_pair(rule, objective)
    if isinstance(rule, LBFGS) and learning_rate == "auto":
        how = "L-BFGS, each step found by a line search"
        return Plan(QuasiNewton(rule.memory), LineSearch(), how, named=rule)
    if learning_rate != "auto":
        return Plan(rule, as_rate(learning_rate), f"{rule.name}, as named")
    if rule.name == "descent":
        return Plan(rule, Backtracking(1.0), "gradient descent, each step found by backtracking", None, RECOVERIES)
    return _probed(rule, objective, None, theta, None, 1.0, seed)


def _check_pair(rule: AnyOptimizer, objective: Objective) -> None:
    if rule.needs_exact and not objective.smooth:
        raise SettingError(
            f"optimizer={rule.name!r} with an L1 penalty or bounds: the rule learns from how the gradient changes, which "
            "says nothing at a corner. Use 'accelerated', 'descent', 'nesterov' or 'adam'."
        )
    if rule.tracks_theta and not objective.smooth:
        raise SettingError(
            f"optimizer={rule.name!r} with an L1 penalty or bounds: the rule keeps its own copy of theta "
            "(for its decay or its average), which a proximal step would leave behind. "
            "Use 'descent', 'accelerated', 'nesterov' or 'adam'."
        )
