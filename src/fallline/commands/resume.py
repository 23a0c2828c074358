"""``fallline fit --resume MODEL``: what a saved run was asked for, and its going on."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from fallline.commands.options import Options, named
from fallline.errors import SchemaError, SettingError
from fallline.modelvalues import printable
from fallline.result import Result, load

KEPT = "command"  # in a Result's settings: where it was trained from, and with which options


def told(options: Options, file: str | None, sql: str | None, db: str | None) -> dict[str, Any]:
    """What is kept with the model, so that the run can go on."""
    own = {f.name: getattr(options, f.name) for f in fields(Options)}
    own["cache"] = None if options.cache is None else str(options.cache)
    query = {} if sql is None or db is None else {"sql": sql, "db": db}
    return {"file": file, "sql": sql, "db": db, "options": own, "named": query | named(options)}


def resumed(ctx: click.Context, model: Path, options: Options) -> tuple[Result, Options, dict[str, Any]]:
    """The saved result, the options to go on with (those of the command line win), and where its rows came from."""
    before = load(model)
    kept = before.settings.get(KEPT)
    if before.loss is None or not isinstance(kept, dict) or "options" not in kept:
        raise SettingError(
            f"--resume: {model} was not trained by `fallline fit`, so it does not say what to go on with."
        )
    names = {f.name for f in fields(Options)}
    own = {name: value for name, value in kept["options"].items() if name in names}
    own["cache"] = None if own.get("cache") is None else Path(own["cache"])
    given = {
        name: getattr(options, name) for name in names
        if ctx.get_parameter_source(name) in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    }  # fmt: skip
    if given.get("target", own["target"]) != own["target"]:
        raise SettingError(f"--resume: {model} predicts {printable(repr(own['target']))}, not {given['target']!r}.")
    return before, Options(**(own | given)), kept


def check_columns(before: Result, names: tuple[str, ...], model: Path) -> None:
    """Raise SchemaError unless the rows have become the columns that the weights are of."""
    if names != before.feature_names:
        odd = sorted(set(names) ^ set(before.feature_names))
        raise SchemaError(
            f"--resume: the table gives other columns than {model} was trained on "
            f"({', '.join(map(repr, odd[:4])) or 'in another order'}{', ...' if len(odd) > 4 else ''}); train anew."
        )


def joined(before: Result, after: Result) -> Result:
    """The run that went on, with the record, steps, passes and seconds of what went before."""
    kept = after if after.best_loss <= before.best_loss else before
    history = before.history.followed_by(after.history, before.steps, before.passes, before.seconds)
    path = after.path
    if path is not None and before.path is not None and path.shape[1] == before.path.shape[1]:
        import numpy as np

        moved = path + np.array([before.steps, *[0.0] * (path.shape[1] - 1)])
        path = np.concatenate([before.path, moved])
    sentence = kept.sentence
    if kept is after and str(after.verdict) == "unfinished":
        sentence = f"since it was resumed, {sentence[:-1]}; {before.passes + after.passes:,.0f} passes in all."
    evidence = None if kept.evidence is None else replace(kept.evidence, history=history)
    return replace(
        kept, history=history, sentence=sentence, evidence=evidence, steps=before.steps + after.steps,
        passes=before.passes + after.passes, seconds=before.seconds + after.seconds, path=path,
    )  # fmt: skip
