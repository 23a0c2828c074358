"""The command line: ``fallline fit``, ``predict``, ``compare``, ``export``, ``explain``, ``demo``.

Commands are imported when they are run, so ``fallline --help`` is quick. Data goes to standard output, words for
people to standard error. Exit codes: 0 finished, 1 internal error or broken off by Ctrl-C, 2 usage, 3 diverged or no
finite optimum, 4 data refused, 5 unfinished, 6 warnings under --strict, 7 not all could be written.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

import click

from fallline import __version__
from fallline.errors import FalllineError, OutputError
from fallline.visible import visible

COMMANDS = {
    "fit": "Train a model on a table and say how it went.",
    "predict": "Predict the rows of a table with a trained model.",
    "rates": "Say which learning rates suit a table.",
    "report": "Write a page about one or several trained models.",
    "lab": "Turn the knobs of gradient descent on a page and watch it run.",
    "compare": "Train with several optimizers and lay their curves over one another.",
    "export": "Write a trained model as SQL, JSON or ONNX.",
    "explain": "Explain a finding's code or a verdict.",
    "demo": "Train on a data set that ships inside: no file needed.",
}
INTERNAL = 1
MOST_TOLD = 150  # letters of another library's error: with our own words about 300


class Lazy(click.Group):
    """A group whose commands live in modules of their own, imported when needed; errors end as one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"fallline.commands.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from fallline.family import suggest

            raise click.UsageError(f"No such command {args[0]!r}.{suggest(args[0], list(COMMANDS))}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command; words for people that could not be written are an error once the work is done."""
        from fallline.commands.standard_output import checked_streams

        with checked_streams() as words_are_lost:
            try:
                return super().main(*args, **extra)
            except FalllineError as error:  # of --help and --version, which are no commands
                click.echo(f"error: {error}", err=True)
                raise SystemExit(error.exit_code) from None
            except SystemExit as end:
                if end.code or not words_are_lost():
                    raise
                raise SystemExit(OutputError.exit_code) from None

    def make_context(self, *args: Any, **settings: Any) -> click.Context:
        try:
            return super().make_context(*args, **settings)
        except click.ClickException as error:
            raise _shown(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            raise _shown(error) from None
        except FalllineError as error:
            more = f" (fallline explain {error.code})" if error.code else ""
            click.echo(f"error: {error}{more}", err=True)
            ctx.exit(error.exit_code)
        except (click.exceptions.Exit, click.Abort, KeyboardInterrupt):
            raise
        except Exception as error:
            if os.environ.get("FALLLINE_DEBUG"):
                raise
            from fallline.redaction import redacted

            click.echo(
                f"error: something went wrong inside fallline ({type(error).__name__}: "
                f"{visible(redacted(str(error)))[:MOST_TOLD]}). "
                "Run it again with FALLLINE_DEBUG=1 to see where, and please report it.",
                err=True,
            )
            ctx.exit(INTERNAL)


def _shown(error: click.ClickException) -> click.ClickException:
    """The same, with the words of the command line that it repeats as they are shown."""
    for part in ("message", "param_hint", "option_name"):
        if isinstance(getattr(error, part, None), str):
            setattr(error, part, visible(getattr(error, part)))
    return error


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fallline")
def main() -> None:
    """Train models by gradient descent: no learning rate to guess, a verdict instead of a warning."""
