"""fallline.fit: train a linear model with any loss, on the one loop."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fallline.conclude import conclude_model
from fallline.continuation import train_stages
from fallline.entry import entry_point
from fallline.errors import DataError, SettingError, SettingTypeError, TargetError
from fallline.inference import check_inference
from fallline.loggers._base import Logger
from fallline.loggers.notebook import PATIENCE, NotebookCurve, in_notebook
from fallline.losses import as_loss
from fallline.losses._base import Loss
from fallline.objective import ModelObjective
from fallline.optimizers import AnyOptimizer
from fallline.penalties import as_penalty
from fallline.penalties._base import Penalty
from fallline.rates._base import Rate
from fallline.recorder import Event
from fallline.relations import relate
from fallline.result import Result
from fallline.rows._base import Rows
from fallline.rows.arrays import ArrayRows
from fallline.rows.intake import Intake, Named, as_features, in_order, take_in
from fallline.rows.plain_arrays import shown
from fallline.rows.target import range_complaint
from fallline.rows.weights import with_usual_weights
from fallline.scaling import NO_SPREAD, Scaling
from fallline.settings import LAST_DIGITS, Settings, patience_of
from fallline.stages import Job
from fallline.start import best_constant, initial_theta
from fallline.stopping import stopping_gently
from fallline.summary import DataSummary, Provenance, summarise
from fallline.threads import one_blas_thread, use_threads

if TYPE_CHECKING:
    from fallline.tables.asked import Asked

Array = NDArray[np.floating]


@entry_point
def fit(
    X: Any,
    y: Any,
    *,
    loss: str | Loss | None = None,
    penalty: Penalty | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    bounds: tuple[Any, Any] | None = None,
    optimizer: str | AnyOptimizer = "auto",
    learning_rate: float | str | Rate = "auto",
    batch_size: int | None = None,
    fit_intercept: bool = True,
    standardize: bool = True,
    sample_weight: Any = None,
    offset: Any = None,
    check: float | tuple[Any, ...] | None = None,
    early_stopping: bool | int = False,
    inference: bool = False,
    start: Any = None,
    tol: float = 1e-6,
    max_passes: float | None = None,
    max_seconds: float = math.inf,
    shuffle: bool = True,
    auto_fix: bool = True,
    callback: Callable[[Event], Any] | None = None,
    feature_names: Any = None,
    target_name: str | None = None,
    provenance: Provenance | None = None,
    seed: int = 0,
    n_threads: int | None = None,
    exposure: str | None = None,
    na: str = "auto",
    drop: Sequence[str] = (),
    memory: int | str | None = None,
    cache: str | Path | None = None,
    reference: str | Mapping[str, str] = "most-frequent",
    levels: int | str | None = None,
) -> Result:
    """Train a linear model by gradient descent and return a :class:`Result`.

    ::

        J(theta) = 1/W sum_i weight_i phi(y_i, x_i . w + b + offset_i) + R(w)
        theta <- theta - lr * grad J(theta)

    With nothing named the step is computed, and the run ends when the loss is *provably* within `tol` (relative) of
    the best possible one. Name an optimizer, a rate or a batch size and you get that textbook algorithm.

    Parameters
    ----------
    X
        array (m, n), CSR matrix, or data frame of numbers. float32 and float64 are used as they are, without a copy.
        Or, with the name of a column as `y`, a table with text, dates and holes: a data frame (Polars, pandas, Arrow), a
        stream of Arrow batches, a file, a folder, a pattern, or an address (``"s3://bucket/sales.parquet"``).
    y
        (m,) targets: numbers, or labels for ``logistic`` (two of any kind; or shares, numbers between 0 and 1 that are
        not all 0 or 1), ``squared hinge`` and ``softmax``. Or the
        name of the target's column, or a formula: ``"price ~ log(carat) + cut + C(year) + cut:color"``.
    loss
        None: guessed from the target's column, ``"squared"`` for arrays. Or ``"squared"``, ``"logistic"``,
        ``"softmax"``, ``"huber"``, ``"quantile"``, ``"poisson"``, ``"gamma"``,
        ``"squared hinge"``, or a Loss such as ``fallline.Huber(delta=2.0)``.
    penalty, l1, l2, bounds
        R(w) = l1 ||w||_1 + l2/2 ||w||_2^2, and (lower, upper) bounds of the coefficients (numbers, arrays or None);
        `penalty` takes an object instead. l1 and l2 act on the standardised columns (as in glmnet), so the units of a
        column do not matter; bounds are in the units of the data. The intercept is never penalised.
    optimizer
        ``"auto"``, a name (``"adam"``), or an update rule (``fallline.Momentum(beta=0.8)``).
    learning_rate
        ``"auto"``, a number, a schedule's name and rate (``"cosine:0.1"``), or a Rate.
    batch_size
        None for full batch, 1 for stochastic, k for mini-batches, reshuffled at every epoch.
    shuffle
        False: mini-batches come in the order of the rows, epoch after epoch. A sorted table is then told of (D21).
    auto_fix
        False: an automatic rate that turns out too large is not taken back: the run ends as diverged.
    fit_intercept, standardize
        an intercept that starts at the best constant; columns standardised inside the model (coefficients are reported
        in the original units either way).
    sample_weight, offset
        (m,) weights, zero or more: a weight of 2 is a row given twice. (m,) numbers added to the predictions on the link
        scale: log(exposure) for rates of counts.
    check
        a share of the rows (0.2) drawn by `seed` and held out, or ``(X, y)``, ``(X, y, weight, offset)`` to check on.
    early_stopping
        True, or how many looks at the check rows (5) may pass without a lower loss there before the run ends; a look is
        an epoch, or a step of full batch. The parameters of the lowest check loss are kept.
    inference
        True: standard errors, confidence intervals and p-values of the weights, as ``Result.inference``, for unpenalised
        losses that are likelihoods. The run then goes on to the last digits.
    start
        where to start instead of zeros: an array like ``Result.theta``, or an earlier Result.
    tol
        relative gap, J - J* <= tol J*, at which the run ends as converged.
    max_passes, max_seconds
        the budget; passes over the data, by default 1000 for full batch and 50 for mini-batches.
    callback
        called with an Event at each recorded step; returning True stops the run and keeps the best so far. A logger of
        ``fallline.loggers`` writes the curve to CSV, JSON lines, MLflow or TensorBoard.
    feature_names, target_name
        names for the report; data frames bring their own.
    provenance
        the file and the encoder behind X, where there are any: the command line passes it.
    seed
        of the only randomness: mini-batch order, check rows, samples, trial runs, power iteration.
    n_threads
        threads of a pass; None for FALLLINE_NUM_THREADS or OMP_NUM_THREADS where set, else all cores that the process
        may use. The result does not depend on it, not in the last bit.
    exposure, na, drop, memory, cache
        of tables: the column of exposures of counts (as `sample_weight` and `offset` name columns there); what becomes of
        holes (``"auto"``, ``"median"``, ``"mean"``, ``"drop"``, ``"refuse"``; see ``fallline.rows.encoder.Encoder``);
        columns to leave out; the memory that the data may take (``"500MB"``; by default half of what is free), beyond
        which rows are streamed from disk; and the folder for those, which is deleted at the end unless it is named.
    reference, levels
        of tables, too: which level of a text has no column, so that the others compare with it: ``"most-frequent"``,
        ``"none"`` (each has one), or by column, ``{"cut": "Ideal"}``. And how many columns a text may become: a number
        (5000), beyond which the rarest levels share one; or ``"hash:4096"``, and texts of more levels are hashed into so many.

    Ctrl-C while it trains ends the run: the Result is that of the best so far, unfinished. Twice (in one fit, or within
    three seconds) it raises KeyboardInterrupt, as it does while a table is read. A handler of SIGINT that is not Python's
    own stays in force.

    Raises
    ------
    SettingError, DataError : with where, what was given and what is allowed, before anything is run.

    Examples
    --------
    >>> import numpy as np, fallline
    >>> x = np.arange(200.0)
    >>> result = fallline.fit(x[:, None], 2 * x)
    >>> result.coef.round(9), str(result.verdict), str(result.certainty)
    (array([2.]), 'converged', 'proved')

    >>> import polars as pl
    >>> homes = pl.DataFrame({"rooms": [2, 3, 4, None] * 25, "sea": ["near", "far"] * 50, "price": range(100)})
    >>> fallline.fit(homes, "price").feature_names
    ('rooms', 'rooms is missing', 'sea=near')
    >>> fallline.fit(homes, "price", reference="none", l2=0.1).feature_names
    ('rooms', 'rooms is missing', 'sea=far', 'sea=near')
    """
    began = time.perf_counter()
    if callback is None and in_notebook():
        callback = NotebookCurve(after=PATIENCE)
    patience = patience_of(early_stopping, check)
    given: dict[str, Any] = {"l1": l1, "l2": l2} | ({} if bounds is None else {"bounds": bounds})
    given |= {"check": float(check)} if isinstance(check, (int, float)) and check else {}
    settings = Settings(
        as_penalty(penalty, l1, l2, bounds), optimizer, learning_rate, batch_size, fit_intercept, standardize, patience,
        inference, start, tol, max_passes, max_seconds, callback, seed, given, shuffle, auto_fix,
    )  # fmt: skip
    if isinstance(y, str):
        from fallline.symptoms._pasted import listed
        from fallline.tables.asked import Asked, references_of

        form = None if loss is None else as_loss(loss)
        for name, value in (("sample_weight", sample_weight), ("offset", offset), ("exposure", exposure)):
            if value is not None and not isinstance(value, str):
                raise SettingTypeError(f"{name}: got {type(value).__name__}; of a table it is the name of a column.")
        share = 0.0 if check is None else check
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0.0 <= share < 1.0:
            raise SettingError(f"check: got {check!r}; of a table it is a share of the rows such as 0.2.")
        folder = None if cache is None else Path(cache)
        which = references_of(reference)
        asked = Asked(
            y, form, na, sample_weight, offset, exposure, tuple(drop), share, seed, memory, folder, which, levels
        )
        coded = {"reference": listed(which), "levels": levels}
        settings = replace(settings, given=given | {name: value for name, value in coded.items() if value})
        return _fit_table(X, asked, settings, n_threads, began)
    whose = None if reference == "most-frequent" else reference
    for name, value in (
        ("exposure", exposure), ("memory", memory), ("cache", cache), ("drop", tuple(drop) or None),
        ("reference", whose), ("levels", levels),
    ):  # fmt: skip
        if value is not None:
            raise SettingError(f"{name}: is for tables: X a table or a file, and y the name of its target's column.")
    form = as_loss("squared" if loss is None else loss)
    with use_threads(n_threads), one_blas_thread():
        data = take_in(X, y, form, sample_weight, offset, feature_names, target_name)
        if not (data.names or fit_intercept):
            raise DataError("X has no columns and fit_intercept=False: there is nothing to train.")
        part, held = _split(data, check, form, seed)
        rows = ArrayRows(part.X, part.y, part.weight, part.offset)
        return train_rows(rows, held, part.named, form, settings, provenance or Provenance(), began)


@np.errstate(all="ignore")  # see entry.py: the command line comes in here
def train_rows(
    rows: Rows, held: Rows | None, named: Named, form: Loss, settings: Settings, source: Provenance, began: float
) -> Result:
    """The rest of every fit, wherever its rows are: summarise, scale, train, conclude."""
    if settings.inference:
        check_inference(form, settings.penalty, settings.batch_size)
    rows = with_usual_weights(rows, settings.inference)
    held = None if held is None else with_usual_weights(held, settings.inference)
    rows.begin(functools.partial(settings.path, form))
    if not settings.shuffle and not isinstance(rows, ArrayRows):
        raise SettingError(
            "shuffle=False: rows of a table larger than memory are scattered when it is read. Leave it out."
        )
    relations = relate(
        rows, held, named.names, form, seed=settings.seed, in_order=settings.in_order, raw=not settings.standardize,
        spare={} if source.encoder is None else source.encoder.spare,
    )  # fmt: skip
    summary = summarise(
        rows,
        named.names,
        named.target_name,
        ordered=form.task != "classes",
        missing=source.missing,
        relations=relations,
    )
    complaint = range_complaint(summary.target_low, summary.target_high, form)
    if complaint is not None:
        raise TargetError(complaint)
    classes = len(named.classes) if named.classes is not None and form.task == "classes" else 1
    scaling = _scaling(summary, settings.fit_intercept, settings.standardize)
    rule = settings.penalty.scaled(np.where(scaling.scale < NO_SPREAD, scaling.scale, 1.0))
    constant = best_constant(form, rows, classes)
    theta = initial_theta(settings.start, constant, scaling, classes)
    if settings.start is not None and not math.isfinite(ModelObjective(form, rule, scaling).value(theta, rows)):
        raise SettingError(
            "start: the loss there is not finite; its predictions are out of range. Start nearer to zero."
        )
    if settings.inference:
        settings = replace(settings, tol=min(settings.tol, LAST_DIGITS))
    job = Job(
        rows, held, scaling, rule, settings, _unit(form, summary), classes, source, scaling, summary, form, constant
    )
    result: Result | None = None
    try:
        with stopping_gently() as stopped:  # before, Ctrl-C is what it always is: nothing is there yet to be kept
            stage = train_stages(replace(job, stopped=stopped), form, theta)
            result = conclude_model(stage, job, named, constant, settings.told(form), time.perf_counter() - began)
    finally:
        if isinstance(settings.callback, Logger):
            settings.callback.finish(result)
    return result


def _fit_table(table: Any, asked: Asked, settings: Settings, n_threads: int | None, began: float) -> Result:
    """The same from a table, whose columns are named."""
    from fallline.rows.sources import as_source
    from fallline.tables import prepare

    with use_threads(n_threads), one_blas_thread():
        prepared = prepare(as_source(table), asked)
        finished = False
        settings = replace(settings, fit_intercept=settings.fit_intercept and prepared.intercept)
        try:
            source = Provenance(prepared.source, prepared.holes, prepared.encoder)
            result = train_rows(prepared.rows, prepared.held, prepared.named, prepared.form, settings, source, began)
            finished = result.stop_reason != "interrupt"
        except Exception:  # nothing to go on with; an interrupt leaves what is there for the next run
            finished = True
            raise
        finally:
            prepared.close(finished)
    return result


def _split(data: Intake, check: Any, form: Loss, seed: int) -> tuple[Intake, ArrayRows | None]:
    """The rows to train on, and the rows held out to check on."""
    if check is None:
        return data, None
    if isinstance(check, tuple):
        if len(check) not in (2, 3, 4):
            raise SettingError(
                f"check: got a tuple of {len(check)}; give (X, y), (X, y, weight) or (X, y, weight, offset)."
            )
        try:
            other = _taken_like(data, form, *(*check, None, None)[:4])
        except DataError as error:
            raise type(error)(f"check: {error}") from None
        return data, ArrayRows(other.X, other.y, other.weight, other.offset)
    m = data.X.shape[0]
    if isinstance(check, bool) or not isinstance(check, (int, float)) or not 0.0 <= check < 1.0:
        raise SettingError(f"check: got {shown(check)}; give a share of the rows such as 0.2, or a tuple (X, y).")
    count = round(check * m)
    if count == 0:
        return data, None
    if m - count < 1:
        raise SettingError(f"check: {check:g} of {m:,} rows leaves none to train on.")
    order = np.random.default_rng(seed).permutation(m)
    held, kept = np.sort(order[:count]), np.sort(order[count:])
    return _rows_of(data, kept), _array_rows(_rows_of(data, held))


def _taken_like(data: Intake, form: Loss, X: Any, y: Any, weight: Any, offset: Any) -> Intake:
    """Rows to check on, with the columns and the labels of those to train on."""
    ordered = in_order(X, as_features(X), data.names)
    if ordered.shape[1] != data.X.shape[1]:
        raise DataError(f"X has {ordered.shape[1]:,} columns, and the rows to train on have {data.X.shape[1]:,}.")
    shares = form.task == "two classes" and data.classes is None
    return take_in(ordered, y, form, weight, offset, data.names, data.target_name, data.classes, shares)


def _rows_of(data: Intake, chosen: NDArray[np.intp]) -> Intake:
    def of(values: Any) -> Any:
        return None if values is None else values[chosen]

    return data._replace(X=data.X[chosen], y=data.y[chosen], weight=of(data.weight), offset=of(data.offset))


def _array_rows(data: Intake) -> ArrayRows:
    return ArrayRows(data.X, data.y, data.weight, data.offset)


def _scaling(summary: DataSummary, intercept: bool, standardize: bool) -> Scaling:
    n = len(summary.names)
    if not standardize:
        return Scaling.none(n, intercept)
    if not intercept:  # nothing can take up a shift, so only the scale: the root mean square
        size = np.hypot(summary.sd, summary.mean)
        return Scaling(np.zeros(n), np.where(size > 0.0, size, 1.0), False)
    return Scaling(summary.mean, np.where(summary.sd > 0.0, summary.sd, NO_SPREAD), True)


def _unit(form: Loss, summary: DataSummary) -> float:
    """The natural size of a prediction's change: the spread of y for an identity link, 1 for the others."""
    spread = summary.target_sd
    return (
        spread if form.link == "identity" and form.task == "number" and math.isfinite(spread) and spread > 0.0 else 1.0
    )
