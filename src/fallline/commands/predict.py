"""``fallline predict``: a trained model on new rows."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fallline.commands.options import output_options


@click.command("predict")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path())
@click.option(
    "--out", type=click.Path(path_type=Path), help="Where to write (.csv or .parquet). Default: CSV on standard output."
)
@click.option("--memory", metavar="SIZE", help="Memory for the data, such as 500MB: FILE is streamed.")
@click.option("--force", is_flag=True, help="Predict although the numbers look standardised already (D22).")
@output_options
def command(
    model: Path,
    file: str,
    out: Path | None,
    memory: str | None,
    force: bool,
    plain: bool,
    quiet: bool,
    color: bool | None,
) -> None:
    """Predict every row of the table in FILE with MODEL, a file that `fallline fit` wrote.

    Columns may stand in any order, and the target may be there or not. For classes the probability of each is given
    beside the label. Labels and names are written as they are, so that they can be read back: a spreadsheet may take one
    that begins with = for a formula, and should import such a file as text. On a terminal control characters are escaped.
    """
    from fallline.commands.standard_output import check_standard_output, write_out
    from fallline.commands.training import inputs, opened, until, writable
    from fallline.errors import SettingError
    from fallline.redaction import redacted
    from fallline.report.cells import for_terminal
    from fallline.report.console import Console
    from fallline.result import load
    from fallline.rows.write import write_csv, write_table
    from fallline.stopping import stopping_gently
    from fallline.tables.predicting import Predictor

    console = Console.open(plain=plain, quiet=quiet, color=color)
    if out is not None:
        writable(out, model, *inputs(file))
    else:
        check_standard_output()
    result = load(model)
    if result.encoder is None:
        raise SettingError(
            f"{model}: was trained on arrays, so the columns of a table mean nothing to it; use it in Python."
        )
    predictor = Predictor(result, result.encoder, redacted(file), force)
    # Between two frames: Polars would pass Ctrl-C on in the middle of cleaning up.
    with stopping_gently(program=True) as stopped:
        frames = until(stopped, opened(file, memory, result.encoder.kinds))
        if out is None:
            made = predictor.frames(frames)
            write_csv(for_terminal(made) if sys.stdout.isatty() else made, write_out)
        else:
            write_table(predictor.frames(frames), out)
    for sentence in [] if predictor.report is None else predictor.report.sentences():
        console.labelled("note", sentence)
    for finding in predictor.findings:
        console.labelled("FOUND", f"{finding.code}  {finding.sentence}", "warn", hang=5)
    if out is not None:
        console.labelled("saved", f"{out}  ({predictor.rows:,} predictions)")
