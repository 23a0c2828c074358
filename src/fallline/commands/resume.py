"""``fallline fit --resume MODEL``: what a saved run was asked for, and its going on.

A model file may come from anybody. What it was trained on (a file, an address, a query) is opened only where the user names
it again or agrees on a terminal; its options are checked as a user's are; those that touch the disk are not taken from it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from fallline.commands.kept import DISK, checked_options
from fallline.commands.options import Options, named
from fallline.errors import SchemaError, SettingError
from fallline.redaction import HIDDEN, redacted, redacted_all
from fallline.result import Result, load
from fallline.visible import shell_path, shell_word, shortened, visible

KEPT = "command"  # in a Result's settings: where it was trained from, and with which options
MOST_TOLD = 60  # characters of a name that an error repeats
MOST_SHOWN = 1000  # characters of a query that can be agreed to; a longer one must be named


@dataclass(frozen=True)
class Place:
    """Where the rows come from: a file (path, pattern, address, -), or a query of a database."""

    file: str | None = None
    sql: str | None = None
    db: str | None = None
    external_access: bool = False  # whether the query may read files and addresses

    @property
    def named(self) -> bool:
        """Whether there is any."""
        return (self.file, self.sql, self.db) != (None, None, None)

    def words(self) -> str:
        """As a command line has it, without credentials."""
        if self.file is not None:
            return shell_path(redacted(self.file))
        words = f"--sql {shell_word(redacted(self.sql or ''))} --db {shell_word(redacted(self.db or ''))}"
        return f"{words} --external-access" if self.external_access else words


def told(options: Options, place: Place) -> dict[str, Any]:
    """What is kept with the model, so that the run can go on; credentials are not."""
    own = {f.name: getattr(options, f.name) for f in fields(Options) if f.name not in DISK}
    query = {} if place.sql is None else {"sql": place.sql, "db": place.db}
    access = {"external_access": "True"} if place.external_access else {}
    kept = {
        "file": place.file, "sql": place.sql, "db": place.db, "options": own, "named": query | access | named(options),
    }  # fmt: skip
    return {name: redacted_all(part) for name, part in kept.items()}


def resumed(ctx: click.Context, model: Path, options: Options, place: Place) -> tuple[Result, Options, Place]:
    """The saved result, the options to go on with (those of the command line win), and where its rows come from."""
    before = load(model)
    kept = before.settings.get(KEPT)
    if before.loss is None or not isinstance(kept, dict) or not isinstance(kept.get("options"), dict):
        raise SettingError(
            f"--resume: {model} was not trained by `fallline fit`, so it does not say what to go on with."
        )
    own = checked_options(ctx, kept["options"], model)
    given = {
        f.name: getattr(options, f.name) for f in fields(Options)
        if ctx.get_parameter_source(f.name) in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    }  # fmt: skip
    if given.get("target", own.target) != own.target:
        raise SettingError(
            f"--resume: {model} predicts {shortened(repr(own.target), MOST_TOLD)}, not {given['target']!r}."
        )
    return before, replace(own, **given), place if place.named else _agreed(kept, model, place.external_access)


def _agreed(kept: dict[str, Any], model: Path, external_access: bool) -> Place:
    """The place that the model file names, where somebody at a terminal says so."""
    file, sql, db = (kept.get(name) for name in ("file", "sql", "db"))
    again = f"fallline fit --resume {shell_path(str(model))}"
    texts = [text for text in (file, sql, db) if text is not None]
    known = all(isinstance(text, str) for text in texts) and ((sql is None) == (db is None) != (file is None))
    if not known:
        raise SettingError(f"--resume: {model} does not say what it was trained on; name it: {again} FILE.")
    place = Place(file, sql, db, external_access)
    whole = sum(map(len, texts)) <= MOST_SHOWN and not any(HIDDEN in text for text in texts)
    if not (whole and sys.stdin.isatty() and sys.stderr.isatty()):
        how, what = (
            ("FILE", shortened(str(file), MOST_TOLD))
            if sql is None
            else ("--sql QUERY --db URI", "a query of a database")
        )
        raise SettingError(
            f"--resume: nothing is read that a model file names. Name the data again: {again} {how} (the file says: {what})."
        )
    click.echo(f"{visible(str(model))} says that it was trained on:", err=True)
    for text in texts:
        click.echo(f"    {visible(text)}", err=True)
    if not click.confirm("Read that?", default=False, err=True):
        raise SettingError("--resume: nothing was read.")
    return place


def rows_named(result: Result) -> str:
    """The file that a run was trained on, for a command; another name where it was none."""
    file = result.settings.get(KEPT, {}).get("file")
    return "new.csv" if file is None else shell_path(file)


def going_on(model: Path, result: Result) -> str:
    """The command that goes on from `model`, with the data and the folder of the cache named again."""
    kept = result.settings[KEPT]
    place = Place(kept["file"], kept["sql"], kept["db"], "external_access" in kept["named"])
    cache = kept["named"].get("cache")
    return " ".join(
        [
            f"fallline fit --resume {shell_path(str(model))}",
            place.words(),
            *([f"--cache {shell_path(cache)}"] if cache else []),
        ]
    )


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
