"""The options that fit, compare and demo share, as one object."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fallline.tables.asked import Asked


class Listing(click.Option):
    """An option whose help ends with the names of a family, looked up when the help is shown and not before."""

    def __init__(self, *declared: Any, family: str, **settings: Any) -> None:
        super().__init__(*declared, **settings)
        self._family, self._told = family, self.help or ""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        module = importlib.import_module(f"fallline.{self._family}")
        self.help = f"{self._told} {', '.join(getattr(module, self._family)())}."
        return super().get_help_record(ctx)


class Number(click.FloatRange):
    """A number within its limits; NaN, which click lets pass, is within none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = float(super().convert(value, param, ctx))
        if math.isnan(found):
            self.fail(f"{value} is not a number.", param, ctx)
        return found


@dataclass
class Options:
    """What was asked for. Names are those of the options; see ``fallline fit --help``."""

    target: str
    loss: str | None = None
    optimizer: str = "auto"
    lr: str = "auto"
    batch_size: int | None = None
    l1: float = 0.0
    l2: float = 0.0
    lower: float | None = None
    upper: float | None = None
    na: str = "auto"
    scale: bool = True
    intercept: bool = True
    weight: str | None = None
    offset: str | None = None
    exposure: str | None = None
    drop: tuple[str, ...] = ()
    check: float = 0.2
    early_stopping: bool = False
    inference: bool = False
    tol: float = 1e-6
    max_passes: float | None = None
    max_seconds: float = float("inf")
    seed: int = 0
    shuffle: bool = True
    auto_fix: bool = True
    memory: str | None = None
    cache: Path | None = None
    reference: tuple[str, ...] = ()
    levels: str | None = None

    def asked(self) -> Asked:
        """What of it is asked of the table."""
        from fallline.tables.asked import Asked

        return Asked(**{f.name: getattr(self, f.name) for f in fields(Asked)})

    @property
    def bounds(self) -> tuple[float | None, float | None] | None:
        """(lower, upper) of the coefficients, where there are any."""
        return (self.lower, self.upper) if (self.lower, self.upper) != (None, None) else None

    def streams(self, file: Path) -> bool:
        """Whether a file is so large beside the memory asked for that it is not read whole, as far as its size says."""
        from fallline.rows.table import DELIMITED, JSON_LINES
        from fallline.tables.asked import memory_budget
        from fallline.tables.prepare import IN_MEMORY

        if self.memory is None or not file.is_file():
            return False
        text = file.suffix.lower() in (*DELIMITED, *JSON_LINES)
        return not text or IN_MEMORY * file.stat().st_size > memory_budget(self.memory)

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> Options:
        """The options among `given`; what is left there belongs to the command alone."""
        return cls(**{f.name: given.pop(f.name) for f in fields(cls) if f.name in given})


def named(options: Options) -> dict[str, str]:
    """What was asked for other than the usual, by the names of the options; several values a line each."""
    from fallline.symptoms._pasted import listed

    usual, told = Options(target=""), dict[str, str]()
    for f in fields(Options):
        value = getattr(options, f.name)
        if f.name == "target" or value is None or value == getattr(usual, f.name):
            continue
        several = isinstance(value, (tuple, list))
        told[f.name] = listed(map(str, value)) if several else f"{value:g}" if isinstance(value, float) else str(value)
    return told


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the training options to a command."""
    listed = [
        click.option("--loss", metavar="NAME", cls=Listing, family="losses",
                     help="What is minimised; guessed from the target. One of:"),
        click.option("--lr", default="auto", metavar="RATE", show_default=True,
                     help="Learning rate: auto, a number, or a schedule such as cosine:0.1."),
        click.option("--batch-size", type=click.IntRange(min=1), help="Rows a step; 1 is stochastic. Default: all rows."),
        click.option("--l2", type=Number(min=0), default=0.0, help="Ridge: l2/2 ||w||^2, on standardised columns."),
        click.option("--l1", type=Number(min=0), default=0.0, help="Lasso: l1 ||w||_1, on standardised columns."),
        click.option("--lower", type=Number(), help="Lowest coefficient allowed."),
        click.option("--upper", type=Number(), help="Highest coefficient allowed."),
        click.option("--na", type=click.Choice(["auto", "refuse", "median", "mean", "drop"]), default="auto", show_default=True,
                     help="Empty cells: auto fills with the median and marks them in a column of their own."),
        click.option("--scale/--no-scale", default=True, help="Standardise columns inside the model (default)."),
        click.option("--intercept/--no-intercept", default=True, help="Fit an intercept (default)."),
        click.option("--reference", metavar="WHICH", multiple=True, help="The level of text that has no column, with which "
                     "the others compare: most-frequent (default), none, or COL=LEVEL. May be repeated."),
        click.option("--levels", metavar="N", help="Columns that a text may become; rarer levels share one. hash:4096: texts "
                     "of more levels are hashed into so many columns. Default: 5000."),
        click.option("--weight", metavar="COL", help="Column of sample weights."),
        click.option("--offset", metavar="COL", help="Column added to the prediction on the link scale."),
        click.option("--exposure", metavar="COL", help="Column of exposures for counts: offset = its logarithm."),
        click.option("--drop", metavar="COL", multiple=True, help="Leave a column out. May be repeated."),
        click.option("--check", type=Number(0, 1, max_open=True), default=0.2, show_default=True,
                     help="Share of the rows held out to check on."),
        click.option("--early-stopping", is_flag=True, help="End when the loss on the check rows stops falling; keep the best."),
        click.option("--inference", is_flag=True, help="Standard errors, intervals and p-values of the coefficients."),
        click.option("--tol", type=Number(min=0), default=1e-6, show_default=True,
                     help="Stop when provably within this share of the best loss."),
        click.option("--max-passes", type=Number(min=0), help="Budget of passes over the data."),
        click.option("--max-seconds", type=Number(min=0), default=float("inf"), help="Budget of seconds."),
        click.option("--memory", metavar="SIZE", help="Memory for the data, such as 500MB; what does not fit is streamed "
                     "from disk. Default: half of what is free."),
        click.option("--cache", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
                     help="Where streamed rows are kept, also for later runs. Default: a folder that is deleted at the end."),
        click.option("--shuffle/--no-shuffle", default=True, help="Mini-batches in a new random order each epoch (default)."),
        click.option("--auto-fix/--no-auto-fix", default=True,
                     help="Take an automatic rate back when it turns out too large (default)."),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all randomness."),
    ]  # fmt: skip
    for option in reversed(listed):
        command = option(command)
    return command


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how people and programs are spoken to."""
    listed = [
        click.option("--quiet", is_flag=True, help="Only the verdict."),
        click.option("--plain", is_flag=True, help="No drawing, for screen readers and logs."),
        click.option("--color/--no-color", default=None, help="Colour or not, whatever the terminal says."),
    ]
    for option in reversed(listed):
        command = option(command)
    return command
