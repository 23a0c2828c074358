"""``fallline lab``: turn the knobs of gradient descent and watch it run, on a page of this machine."""

from __future__ import annotations

from pathlib import Path

import click

from fallline.commands.options import Options


@click.command("lab")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--target", metavar="COL", help="The column of FILE to predict.")
@click.option("--loss", metavar="NAME", help="What is minimised; guessed from the target.")
@click.option("--drop", metavar="COL", multiple=True, help="Leave a column out. May be repeated.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the page. Default: any that is free.")
@click.option("--open/--no-open", "show", default=True, help="Open the page in the browser (default).")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the rows that are drawn from FILE."
)
def command(
    file: Path | None, target: str | None, loss: str | None, drop: tuple[str, ...], port: int, show: bool, seed: int
) -> None:
    """Open a page where data, optimizer, learning rate and batch size are chosen, and the real engine runs live.

    Without FILE there are four small tables that show something. The page is served to this machine only.
    """
    from fallline.commands.training import read
    from fallline.lab import serve
    from fallline.lab.problems import built_in, own
    from fallline.report.console import Console

    if (file is None) != (target is None):
        raise click.UsageError("Give both FILE and --target, or neither.")
    console = Console.open()
    problems = built_in()
    if file is not None and target is not None:
        prepared = read(file, Options(target, loss=loss, drop=drop, check=0.0, seed=seed), str(file), console)
        problems = {"own": own(prepared, seed), **problems}
        prepared.close(finished=True)
    serve(problems, console, port, show)
