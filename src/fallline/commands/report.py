"""``fallline report``: a page about one or several trained models."""

from __future__ import annotations

from pathlib import Path

import click

from fallline.commands.options import output_options


@click.command("report")
@click.argument("models", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="MODEL [MODEL ...]")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="PAGE", help="Where the page goes. [default: MODEL.html]"
)
@output_options
def command(models: tuple[Path, ...], out: Path | None, plain: bool, quiet: bool, color: bool | None) -> None:
    """Write one HTML page about MODEL: verdict, curves, the step, the way over the loss surface, findings, weights.

    Further models are laid over it for comparison. The page needs no network and opens from the disk.
    """
    from fallline.commands.training import writable
    from fallline.report.console import Console
    from fallline.report.page import named, write_page
    from fallline.result import load

    console = Console.open(plain=plain, quiet=quiet, color=color)
    target = writable(out or models[0].with_suffix(".html"), *models)
    results = [load(path) for path in models]
    write_page(named(models, results), target)
    console.labelled("saved", f"{target}  (open it in a browser; it needs no network)")
