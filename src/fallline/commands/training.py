"""From a table and options to a Result: what fit, compare and demo have in common."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.commands.options import Options
from fallline.errors import DataError, SchemaError, SettingError, TargetError
from fallline.family import suggest
from fallline.losses import as_loss
from fallline.report.console import Console
from fallline.report.numbers import number
from fallline.result import Result
from fallline.rows.columns import OTHER, Levels
from fallline.rows.encoder import Encoder
from fallline.rows.target import encode_target, guess_loss
from fallline.summary import Provenance

if TYPE_CHECKING:
    import polars as pl

UNEVEN = 10.0  # ratio of spreads that is worth a word in the header


@dataclass
class Part:
    """Rows ready to train or check on."""

    X: Any
    y: Any
    weight: Any
    offset: Any


@dataclass
class Prepared:
    """A table turned into arrays, with all that was done to it on the way."""

    source: str
    loss: str
    why: str
    options: Options
    encoder: Encoder
    train: Part
    check: Part | None
    holes: dict[str, int]
    dropped: list[str]
    rows: int


def prepare(frame: pl.DataFrame, options: Options, source: str) -> Prepared:
    """Choose rows and columns, guess the loss, split, encode. Raises DataError and its kin before any training."""
    _check_columns(frame, options)
    frame, dropped = _choose_rows(frame, options)
    values = _plain_values(frame[options.target])
    loss, why = (options.loss, "as named") if options.loss else guess_loss(values)
    form = as_loss(loss)
    if options.exposure and form.link != "log":
        raise SettingError(
            f"--exposure is for losses with a log link (poisson, gamma); {form.name!r} has none. Use --offset."
        )
    _, classes = encode_target(values, form)
    train, held = _split(values, options, classes is not None)

    def learn(part: pl.DataFrame) -> Encoder:
        return Encoder.learn(
            part, options.target, na=options.na,
            weight=options.weight, offset=options.offset, exposure=options.exposure,
        )  # fmt: skip

    if options.na == "refuse":  # holes are counted over all rows, not only those to train on
        learn(frame)
    encoder = learn(frame[train])
    holes = {column.name: frame[column.name].null_count() for column in encoder.columns}
    return Prepared(
        source, form.name, why, options, encoder, _part(frame[train], values[train], encoder, options),
        _part(frame[held], values[held], encoder, options) if len(held) else None,
        {name: count for name, count in holes.items() if count}, dropped, frame.height,
    )  # fmt: skip


def run(prepared: Prepared, observers: list[Callable[[Any], Any]], optimizer: str | None = None) -> Result:
    """Train; Ctrl-C once stops and keeps the best, twice aborts."""
    from fallline.fitting import fit
    from fallline.rates import as_rate

    options = prepared.options
    bounds = (options.lower, options.upper) if (options.lower, options.upper) != (None, None) else None
    check = prepared.check
    with stopping_gently() as stopped:
        result = fit(
            prepared.train.X, prepared.train.y, loss=prepared.loss, l1=options.l1, l2=options.l2, bounds=bounds,
            optimizer=optimizer or options.optimizer, learning_rate="auto" if options.lr == "auto" else as_rate(options.lr),
            batch_size=options.batch_size, fit_intercept=options.intercept, standardize=options.scale,
            sample_weight=prepared.train.weight, offset=prepared.train.offset,
            check=None if check is None else (check.X, check.y, check.weight, check.offset), tol=options.tol,
            max_passes=options.max_passes, max_seconds=options.max_seconds,
            callback=lambda event: any([observer(event) for observer in observers]) or stopped(),
            feature_names=prepared.encoder.features, target_name=options.target,
            provenance=Provenance(prepared.source, prepared.holes, prepared.encoder), seed=options.seed,
        )  # fmt: skip
    return result


@contextmanager
def stopping_gently() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether Ctrl-C was pressed; a second Ctrl-C interrupts at once."""
    pressed = False

    def note(number_: int, frame: Any) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not in the main thread: whoever runs it decides
        yield lambda: False
        return
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


def show_header(console: Console, prepared: Prepared) -> None:
    """What was read, guessed, split and prepared, before the first step."""
    encoder, options = prepared.encoder, prepared.options
    words = {"text": "category", "boolean": "yes/no", "date": "date"}
    of = [words.get(column.kind, "number") for column in encoder.columns]
    counts = {word: of.count(word) for word in ("number", "category", "yes/no", "date")}
    told = ", ".join(f"{n} {_plural(word, n)}" for word, n in counts.items() if n)
    name = Path(prepared.source).name or prepared.source
    console.labelled("data", f"{name}: {prepared.rows:,} rows; {told} -> {len(encoder.features):,} columns")
    console.labelled("target", f"{options.target} ({prepared.why}) -> {prepared.loss} loss")
    held = prepared.check.X.shape[0] if prepared.check is not None else 0
    if held:
        console.labelled(
            "split", f"{prepared.train.X.shape[0]:,} train / {held:,} check, shuffled, seed {options.seed}"
        )
    for line in prepared.dropped:
        console.labelled("rows", line)
    for line in _columns_told(prepared):
        console.labelled("columns", line)


def show_plan(console: Console, options: Options, scaled: str) -> None:
    """How the columns are prepared and when the run ends."""
    console.labelled("prepared", scaled)
    passes = options.max_passes or (50 if options.batch_size else 1000)
    console.labelled(
        "stop when",
        f"provably within {options.tol:g} of the best loss, or {passes:,.0f} passes, or Ctrl-C (keeps the best so far)",
    )


def scaling_told(prepared: Prepared) -> str:
    """What standardising does to these columns, in words."""
    X = prepared.train.X
    if not prepared.options.scale:
        return "columns used as they are (--no-scale)"
    if hasattr(X, "tocsr"):
        return "standardised inside the model, without making the sparse columns dense"
    sd, names = np.std(X, axis=0), prepared.encoder.features
    numbers = np.isin(names, [c.name for c in prepared.encoder.columns if c.kind == "number"])
    varying = np.flatnonzero((sd > 0.0) & numbers)
    if len(varying) < 2:
        return "standardised inside the model"
    most, least = varying[int(sd[varying].argmax())], varying[int(sd[varying].argmin())]
    ratio = float(sd[most] / sd[least])
    if ratio < UNEVEN:
        return "standardised inside the model"
    return f"standardised inside the model ({names[most]} varied {number(ratio, 2)}x more than {names[least]})"


def writable(path: Path, *sources: Path) -> Path:
    """`path` if something can be written there, checked before any work is done."""
    if path.is_dir():
        raise SettingError(f"{path}: is a folder; give the name of a file to write.")
    if not path.parent.is_dir():
        raise SettingError(f"{path}: there is no folder {str(path.parent)!r}; make it first.")
    if any(path.exists() and source.exists() and path.samefile(source) for source in sources):
        raise SettingError(f"{path}: is the file that is being read; give another name to write to.")
    return path


def _check_columns(frame: pl.DataFrame, options: Options) -> None:
    asked = {
        "--target": options.target,
        "--weight": options.weight,
        "--offset": options.offset,
        "--exposure": options.exposure,
    }
    for flag, name in asked.items():
        if name is not None and name not in frame.columns:
            listed = ", ".join(frame.columns[:12]) + (", ..." if len(frame.columns) > 12 else "")
            hint = suggest(name, list(frame.columns))
            raise SchemaError(f"{flag}: there is no column {name!r}.{hint} The columns are: {listed}.")
    if options.offset and options.exposure:
        raise SettingError("--offset and --exposure: give one of them; exposure is an offset, its logarithm.")


def _choose_rows(frame: pl.DataFrame, options: Options) -> tuple[pl.DataFrame, list[str]]:
    """Rows that can be trained on, and sentences about those that cannot."""
    import polars as pl

    told = []

    def keep(mask: Any, why: str) -> None:
        nonlocal frame
        lost = frame.height - int(mask.sum())
        if lost:
            frame = frame.filter(mask)
            told.append(f"{lost:,} {_plural('row', lost)} left out: {why}")

    target = frame[options.target]
    known = target.is_not_null() & ~target.is_nan() if target.dtype.is_float() else target.is_not_null()
    keep(known, f"no {options.target}")
    frame = frame.with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(None))
    for column in (options.weight, options.offset, options.exposure):
        if column:
            if not frame[column].dtype.is_numeric():
                raise DataError(
                    f"Column {column!r} holds {frame[column].dtype}; weights, offsets and exposures are numbers."
                )
            keep(frame[column].is_not_null(), f"no {column}")
    if options.exposure:
        if (frame[options.exposure] < 0).any():
            raise DataError(
                f"Column {options.exposure!r} has negative exposures; an exposure is a positive time or amount."
            )
        keep(frame[options.exposure] > 0, f"{options.exposure} is 0 (no exposure tells nothing)")
    if options.na == "drop":
        keep(~pl.Series(frame.select(pl.any_horizontal(pl.all().is_null())).to_series()), "empty cells (--na drop)")
    if frame.height == 0:
        raise TargetError("No row is left to train on: " + "; ".join(told) + ".")
    return frame, told


def _plain_values(target: pl.Series) -> Any:
    if target.dtype.is_temporal():
        raise TargetError(f"The target {target.name!r} holds dates; predict a number: days since some day, say.")
    values = target.to_numpy()
    return values.astype(str) if values.dtype.kind == "O" else values


def _split(values: Any, options: Options, classes: bool) -> tuple[Any, Any]:
    """Row numbers to train on and to hold out; a class that would be held out whole is trained on."""
    m = len(values)
    order = np.random.default_rng(options.seed).permutation(m)
    held = order[: round(options.check * m)] if m > 1 else order[:0]
    train = order[len(held) :]
    if classes:
        unseen = ~np.isin(values[held], values[train])
        train, held = np.concatenate([train, held[unseen]]), held[~unseen]
    return np.sort(train), np.sort(held)


def _part(frame: pl.DataFrame, values: Any, encoder: Encoder, options: Options) -> Part:
    X, _ = encoder.transform(frame)
    return Part(X, values, _column(frame, options.weight), offset_of(frame, options.offset, options.exposure))


def _column(frame: pl.DataFrame, name: str | None) -> Any:
    return None if name is None else frame[name].cast(float).to_numpy()


def offset_of(frame: pl.DataFrame, offset: str | None, exposure: str | None) -> Any:
    """The offset that a column gives, or None."""
    return np.log(frame[exposure].cast(float).to_numpy()) if exposure else _column(frame, offset)


def _columns_told(prepared: Prepared) -> list[str]:
    told = []
    if prepared.holes:
        cells = sum(prepared.holes.values())
        how = {
            "auto": "filled with the median and marked by a column of their own (--na refuse: stop instead)",
            "median": "filled with the median (--na median)",
        }.get(prepared.encoder.na, "filled")
        told.append(
            f"{cells:,} empty {_plural('cell', cells)} in {len(prepared.holes)} {_plural('column', len(prepared.holes))} {how}"
        )
    for name, why in prepared.encoder.left_out.items():
        told.append(f"{name} left out: {why}")
    for column in prepared.encoder.columns:
        if isinstance(column, Levels):
            rare = "; rare ones are '(other)'" if OTHER in column.levels else ""
            told.append(f"{column.name}: {len(column.levels) + 1:,} levels, compared with {column.reference!r}{rare}")
    return told


def _plural(word: str, n: int) -> str:
    return word if n == 1 or word.endswith("no") else f"{word[:-1]}ies" if word.endswith("ry") else f"{word}s"
