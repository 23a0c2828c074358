"""Options that a model file holds: a stranger may have written them, so they are checked as those of a user are."""

from __future__ import annotations

import math
import typing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click

from fallline.commands.options import Options
from fallline.errors import FalllineError, SettingError
from fallline.modelvalues import fits
from fallline.visible import shortened

DISK = ("cache",)  # options that touch the disk: taken from the command line alone
MOST_LETTERS, MOST_FORMULA = 500, 20_000  # of a text, such as a column's name; of the target, which may be a formula


def checked_options(ctx: click.Context, kept: dict[str, Any], model: Path) -> Options:
    """The options of a model file; raises SettingError, which names the file, for what the command line would refuse."""
    by_name = {param.name: param for param in ctx.command.params}
    hints = typing.get_type_hints(Options)
    own: dict[str, Any] = {}
    for field in fields(Options):
        name = field.name
        if name not in kept or name in DISK:
            continue
        value = tuple(kept[name]) if isinstance(kept[name], list) else kept[name]
        if not fits(value, hints[name]) or not _sane(value, MOST_FORMULA if name == "target" else MOST_LETTERS):
            raise SettingError(_refused(model, name, value))
        if value is None or value == ():
            own[name] = value
            continue
        try:
            own[name] = by_name[name].type_cast_value(ctx, value)
        except click.BadParameter as error:
            raise SettingError(_refused(model, name, value, error.message)) from None
    if not own.get("target"):
        raise SettingError(f"--resume: {model} does not say which column it predicts; train anew.")
    options = Options(**own)
    _check_together(options, model)
    return options


def _sane(value: Any, most: int) -> bool:
    """Whether a value of the right kind can be one of an option at all."""
    if isinstance(value, tuple):
        return all(_sane(part, most) for part in value)
    if isinstance(value, str):
        return "\0" not in value and len(value) <= most
    return not isinstance(value, float) or not math.isnan(value)


def _check_together(options: Options, model: Path) -> None:
    """What is checked where the options are used, before anything is read."""
    from fallline.commands.training import settle
    from fallline.losses import as_loss
    from fallline.optimizers import as_optimizer
    from fallline.penalties import as_penalty
    from fallline.rates import as_rate
    from fallline.settings import check_settings
    from fallline.tables.asked import memory_budget

    try:
        if "~" in options.target:
            from fallline.tables.formula import Formula

            Formula.read(options.target)
        as_loss("squared" if options.loss is None else options.loss)
        as_penalty(None, options.l1, options.l2, options.bounds)
        settle(options)
        memory_budget(options.memory)
        replace(options.asked(), target="y")
        if options.lr != "auto":
            as_rate(options.lr)
        if options.optimizer != "auto":
            as_optimizer(options.optimizer)
        check_settings(options.tol, options.max_passes, options.max_seconds, options.batch_size, options.seed)
    except FalllineError as error:
        told = f"--resume: {model} holds options that cannot be: {shortened(str(error), 110)}"
        raise SettingError(f"{told} Name them on the command line, or train anew.") from None


def _refused(model: Path, name: str, value: Any, why: str = "") -> str:
    flag = f"--{name.replace('_', '-')}"
    told = f"--resume: {model} holds {shortened(repr(value), 60)} for {flag}, which cannot be"
    return f"{told}{f' ({shortened(why, 100)})' if why else ''}; train anew."
