"""``fallline compare``: several optimizers on the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fallline.commands.options import Listing, Options, output_options, training_options

if TYPE_CHECKING:
    from fallline.report.console import Console
    from fallline.result import Result


@click.command("compare")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--target", required=True, metavar="COL", help="The column to predict.")
@click.option(
    "--optimizers",
    required=True,
    metavar="A,B,C",
    cls=Listing,
    family="optimizers",
    help="Names with commas between: auto,",
)
@training_options
@click.option("--plot", type=click.Path(path_type=Path), metavar="PNG", help="Write the overlaid curves as a picture.")
@output_options
def command(file: Path, optimizers: str, **given: Any) -> None:
    """Train on FILE with each of several optimizers: one table, one picture of all curves."""
    from fallline.commands.training import drawable, inputs, read, run, show_header
    from fallline.errors import SettingError
    from fallline.optimizers import as_optimizer
    from fallline.report.console import Console
    from fallline.report.figure import compare_curves, save_png

    options = Options.taken_from(given)
    console = Console.open(plain=given["plain"], quiet=given["quiet"], color=given["color"])
    plot = drawable(given["plot"], *inputs(str(file))) if given["plot"] else None
    names = [name.strip() for name in optimizers.split(",") if name.strip()]
    if not names:
        raise SettingError("--optimizers: give at least one name.")
    for name in names:
        if name != "auto":
            as_optimizer(name)  # a name that does not exist is refused before anything is trained
    prepared = read(file, options, str(file), console)
    show_header(console, prepared)
    results: dict[str, Result] = {}
    for name in names:
        results[name] = run(prepared, options, [], name)
        if results[name].stop_reason == "interrupt":
            break
    prepared.close(finished=True)
    _show(console, results)
    if plot is not None:
        save_png(compare_curves(results), plot)
        console.labelled("saved", f"{plot}  (loss curves)")


def _show(console: Console, results: dict[str, Result]) -> None:
    from fallline.report.curve import draw
    from fallline.report.losses import excess_curves
    from fallline.report.numbers import above_best, number, seconds

    rows = [("optimizer", "verdict", "loss", "above best", "check loss", "passes", "time")]
    for name, result in results.items():
        bound = "-" if result.gap is None else f"<= {above_best(result.gap, result.best_loss)}"
        check = number(result.check["loss"], 5) if result.check else "-"
        work = f"{result.passes:,.0f}"
        rows.append(
            (name, str(result.verdict), number(result.best_loss, 6), bound, check, work, seconds(result.seconds))
        )
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    console.line()
    for row in rows:
        left = [f"{row[k]:<{widths[k]}}" for k in (0, 1)]
        console.line("  ".join(left + [f"{row[k]:>{widths[k]}}" for k in range(2, len(row))]).rstrip())
    if console.plain or console.quiet:
        return
    console.line()
    curves = excess_curves(results)
    for line in draw(
        curves, width=min(console.width, 78), unicode=console.unicode, x_name="passes", y_name="loss above the best"
    ):
        console.line(line)
