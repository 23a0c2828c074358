"""``fallline rates``: which learning rates suit a table, and where the one in use stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fallline.commands.options import Listing, Options, output_options, training_options


@click.command("rates")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--target", required=True, metavar="COL", help="The column to predict.")
@click.option(
    "--optimizer",
    default="descent",
    show_default=True,
    metavar="NAME",
    cls=Listing,
    family="optimizers",
    help="One of:",
)
@training_options
@click.option("--plot", type=click.Path(path_type=Path), metavar="PNG", help="Write the range of rates as a picture.")
@output_options
def command(file: Path, **given: Any) -> None:
    """Say which learning rates are stable and which are good for FILE, by 2/L and a range test of the optimizer.

    It trains once, as `fallline fit` would with these options, and saves nothing.
    """
    from fallline.commands.training import drawable, inputs, read, run, settle, show_header
    from fallline.errors import SettingError
    from fallline.optimizers import as_optimizer
    from fallline.report.console import Console
    from fallline.report.curve import draw
    from fallline.report.figure import save_png

    options = Options.taken_from(given)
    console = Console.open(plain=given["plain"], quiet=given["quiet"], color=given["color"])
    plot = drawable(given["plot"], *inputs(str(file))) if given["plot"] else None
    if options.optimizer != "auto":
        as_optimizer(options.optimizer)
    settle(options)
    prepared = read(file, options, str(file), console)
    show_header(console, prepared)
    result = run(prepared, options, [])
    prepared.close(finished=True)
    report = result.rate_report()
    if not len(report.rates) and report.limit is None:
        raise SettingError(
            f"rates: with {result.theta.size:,} unknowns the shape of the loss is not kept (61 at most, one output), so there "
            "is no range test; --optimizer descent tells the stable limit 2/L."
        )
    console.line()
    for line in str(report).splitlines():
        console.labelled("rates", line, always=True)
    finite = report.losses < float("inf")
    if finite.sum() > 2 and not console.plain:
        console.line()
        curve = (report.rates[finite], report.losses[finite])
        lines = draw(
            {"range test": curve}, width=min(console.width, 78), unicode=console.unicode, log_x=True,
            x_name="learning rate", y_name=f"loss above the best after 50 steps of {report.optimizer}",
        )  # fmt: skip
        for line in lines:
            console.line(line)
    if plot is not None:
        save_png(report.plot(), plot)
        console.labelled("saved", f"{plot}  (range of rates)")
