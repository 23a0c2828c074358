"""From prepared rows and options to a Result: what fit, compare and demo have in common."""

from __future__ import annotations

import contextlib
import glob
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.atomic_write import refusal, shown
from fallline.commands.options import Options, named
from fallline.errors import SettingError
from fallline.report.console import Console
from fallline.report.numbers import number
from fallline.rows.arrays import ArrayRows
from fallline.rows.columns import Levels
from fallline.rows.slopes import Slopes
from fallline.rows.stored import StoredRows
from fallline.stopping import stopping_gently, uninterrupted
from fallline.summary import Provenance
from fallline.tables import Prepared
from fallline.threads import one_blas_thread

if TYPE_CHECKING:
    import polars as pl

    from fallline.result import Result

PICTURES = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp")
UNEVEN = 10.0  # ratio of spreads that is worth a word in the header


def read(table: Any, options: Options, name: str, console: Console) -> Prepared:
    """Prepare the rows of a path, a frame or a source; small files are read whole, all else is streamed."""
    import polars as pl

    from fallline.rows.sources import FrameSource, as_source
    from fallline.rows.table import read_table
    from fallline.tables import prepare

    asked = options.asked()
    if isinstance(table, (str, Path)) and _read_whole(str(table)) and not options.streams(Path(table)):
        table, asked = read_table(table, drop=options.drop), replace(asked, drop=())
    if isinstance(table, pl.DataFrame):
        return prepare(FrameSource(table, name), asked)
    try:
        return prepare(as_source(table), asked, console.progress)
    finally:
        console.progress("", 0)


def settle(options: Options) -> None:
    """Raise for settings that contradict one another, before a file is opened."""
    from fallline.inference import check_inference
    from fallline.losses import as_loss
    from fallline.penalties import as_penalty
    from fallline.settings import patience_of

    patience_of(options.early_stopping, options.check)
    if options.inference:
        penalty = as_penalty(None, options.l1, options.l2, options.bounds)
        check_inference(as_loss(options.loss or "squared"), penalty, options.batch_size)


def _read_whole(file: str) -> bool:
    """Whether it is a small file of a kind that is read whole; or no file at all, which reading will tell."""
    from fallline.rows.pieces import PACKED
    from fallline.rows.sources import is_large, is_several
    from fallline.rows.sources.libsvm import is_libsvm

    return not (is_several(file) or is_large(file) or is_libsvm(file) or Path(file).suffix.lower() in PACKED)


def opened(file: str, memory: str | None, kinds: dict[str, str]) -> Iterator[pl.DataFrame]:
    """The frames of a table to predict: one of a small file, which is read whole, else as they stream."""
    from fallline.rows.sources import as_source
    from fallline.rows.sources.frames import steady_frames
    from fallline.rows.table import read_table
    from fallline.tables.asked import memory_budget
    from fallline.tables.prepare import frame_room

    if memory is None and _read_whole(file):
        return iter([read_table(file, kinds=kinds)])
    return steady_frames(as_source(file, kinds), frame_room(memory_budget(memory)))


def run(
    prepared: Prepared, options: Options, observers: list[Callable[[Any], Any]], optimizer: str | None = None, *,
    start: Result | None = None, given: dict[str, Any] | None = None,
    keep: Callable[[Result], Result] = lambda result: result,
) -> Result:  # fmt: skip
    """Train; Ctrl-C once stops and keeps the best, twice aborts.

    `start`: a run to go on from. `given`: more to keep with the settings. `keep` is called with the result at once, before
    Ctrl-C can have any other effect than to end the training, and returns the result that is to be told of.
    """
    from fallline.fitting import train_rows
    from fallline.penalties import as_penalty
    from fallline.rates import as_rate
    from fallline.settings import Settings, patience_of

    with stopping_gently(program=True) as stopped, one_blas_thread():
        settings = Settings(
            penalty=as_penalty(None, options.l1, options.l2, options.bounds), optimizer=optimizer or options.optimizer,
            learning_rate="auto" if options.lr == "auto" else as_rate(options.lr), batch_size=options.batch_size,
            fit_intercept=options.intercept and prepared.intercept, standardize=options.scale, tol=options.tol,
            patience=patience_of(options.early_stopping, options.check), inference=options.inference,
            max_passes=options.max_passes, max_seconds=options.max_seconds,
            callback=lambda event: any([observer(event) for observer in observers]) or stopped(), seed=options.seed,
            given={"l1": options.l1, "l2": options.l2, "command": {"named": named(options)}} | (given or {}),
            shuffle=options.shuffle, auto_fix=options.auto_fix,
            start=start,
        )  # fmt: skip
        source = Provenance(prepared.source, prepared.holes, prepared.encoder)
        result = train_rows(
            prepared.rows, prepared.held, prepared.named, prepared.form, settings, source, time.perf_counter()
        )
        with uninterrupted():
            return keep(result)


def until(stopped: Callable[[], bool], frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The frames until Ctrl-C is pressed, which is raised where they are asked for."""
    for frame in frames:
        if stopped():
            raise KeyboardInterrupt
        yield frame


def show_header(console: Console, prepared: Prepared) -> None:
    """What was read, guessed, split and prepared, before the first step."""
    encoder, options = prepared.encoder, prepared.asked
    words = {"text": "category", "boolean": "yes/no", "date": "date", "product": "product", "vectors": "sparse vector"}
    of = [words.get(column.kind, "number") for column in encoder.columns]
    counts = {word: of.count(word) for word in ("number", "category", "yes/no", "date", "product", "sparse vector")}
    told = ", ".join(f"{n} {_plural(word, n)}" for word, n in counts.items() if n)
    name = Path(prepared.source).name or prepared.source
    console.labelled("data", f"{name}: {prepared.total:,} rows; {told} -> {len(encoder.features):,} columns")
    console.labelled("target", f"{options.target} ({prepared.why}) -> {prepared.form.name} loss")
    if prepared.held is not None:
        console.labelled(
            "split", f"{prepared.rows.m:,} train / {prepared.held.m:,} check, shuffled, seed {options.seed}"
        )
    if isinstance(prepared.rows, StoredRows):
        console.labelled("memory", f"larger than the budget, so streamed from {prepared.where}")
        if prepared.note is not None:
            console.labelled("cache", prepared.note)
    for line in prepared.dropped:
        console.labelled("rows", line)
    for line in _columns_told(prepared):
        console.labelled("columns", line)


def show_plan(console: Console, options: Options, scaled: str) -> None:
    """How the columns are prepared and when the run ends."""
    from fallline.settings import LAST_DIGITS, PATIENCE, budget_of

    console.labelled("prepared", scaled)
    passes = budget_of(options.max_passes, options.batch_size)
    proof = f"provably within {min(options.tol, LAST_DIGITS) if options.inference else options.tol:g} of the best loss"
    early = f", or {PATIENCE} looks at the check rows without a lower loss" if options.early_stopping else ""
    console.labelled("stop when", f"{proof}{early}, or {passes:,.0f} passes, or Ctrl-C (keeps the best so far)")


@np.errstate(all="ignore")  # see entry.py
def scaling_told(prepared: Prepared, scale: bool) -> str:
    """What standardising does to these columns, in words."""
    if not scale:
        return "columns used as they are (--no-scale)"
    if not isinstance(prepared.rows, ArrayRows):
        return "standardised inside the model"
    X = prepared.rows.X
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
    why = refusal(path)
    if not why and any(same_file(path, source) for source in sources):
        why = "is the file that is being read; give another name to write to."
    if why:
        raise SettingError(f"{shown(path)}: {why}")
    return path


def inputs(file: str) -> list[Path]:
    """The files that are read where FILE is given: several of a pattern or a folder."""
    path = Path(file)
    with contextlib.suppress(OSError, ValueError):
        if path.is_dir():
            return [found for found in path.rglob("*") if found.is_file()]
        if not path.exists():
            return [Path(found) for found in glob.glob(file, recursive=True)]
    return [path]


def same_file(one: Path, other: Path) -> bool:
    """Whether two names lead to one file; of files that are not there yet, whether the names are the same."""
    with contextlib.suppress(OSError):
        return os.path.samefile(one, other)
    return os.path.realpath(one) == os.path.realpath(other)


def drawable(path: Path, *sources: Path) -> Path:
    """`path` if a picture can be written there: PNG to a device or a pipe, else as the name ends."""
    writable(path, *sources)
    if path.suffix.lower() not in PICTURES and (path.is_file() or not path.exists()):
        raise SettingError(f"{shown(path)}: pictures are written as {', '.join(PICTURES)}.")
    return path


def _columns_told(prepared: Prepared) -> list[str]:
    told = []
    if prepared.holes:
        cells = sum(prepared.holes.values())
        how = {
            "auto": "filled with the median and marked by a column of their own (--na refuse: stop instead)",
            "median": "filled with the median (--na median)",
            "mean": "filled with the mean (--na mean)",
        }.get(prepared.encoder.na, "filled")
        told.append(
            f"{cells:,} empty {_plural('cell', cells)} in {len(prepared.holes)} {_plural('column', len(prepared.holes))} {how}"
        )
    for name, why in prepared.encoder.left_out.items():
        told.append(f"{name} left out: {why}")
    for column in prepared.encoder.columns:
        text = column.text if isinstance(column, Slopes) else column
        if isinstance(text, Levels):
            told.append(f"{column.name}: {text.told}")
    return told


def _plural(word: str, n: int) -> str:
    return word if n == 1 or word.endswith("no") else f"{word[:-1]}ies" if word.endswith("ry") else f"{word}s"
