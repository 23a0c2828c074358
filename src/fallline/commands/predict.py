"""``fallline predict``: a trained model on new rows."""

from __future__ import annotations

from pathlib import Path

import click

from fallline.commands.options import output_options


@click.command("predict")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Where to write (.csv or .parquet). Default: CSV on standard output."
)
@output_options
def command(model: Path, file: Path, out: Path | None, plain: bool, quiet: bool, color: bool | None) -> None:
    """Predict every row of the table in FILE with MODEL, a file that `fallline fit` wrote.

    Columns may stand in any order, and the target may be there or not. For classes the probability of each is given
    beside the label.
    """
    import numpy as np
    import polars as pl

    from fallline.commands.training import offset_of, writable
    from fallline.errors import SchemaError, SettingError
    from fallline.report.console import Console
    from fallline.result import load
    from fallline.rows.table import read_table
    from fallline.rows.write import write_table

    console = Console.open(plain=plain, quiet=quiet, color=color)
    if out is not None:
        writable(out, model, file)
    result = load(model)
    if result.encoder is None:
        raise SettingError(
            f"{model}: was trained on arrays, so the columns of a table mean nothing to it; use it in Python."
        )
    encoder = result.encoder
    frame = read_table(file, kinds=encoder.kinds)
    for column in (encoder.offset, encoder.exposure):
        if column and column not in frame.columns:
            raise SchemaError(
                f"{file}: lacks the column {column!r}, the exposure or offset that the model was trained with."
            )
    X, report = encoder.transform(frame)
    kept = frame if report.kept is None else frame[report.kept]
    shift = offset_of(kept, encoder.offset, encoder.exposure)
    answer = {f"predicted {result.target_name}": result.predict(X, shift)}
    if result.classes is not None and result.loss is not None and result.loss.link in ("logit", "softmax"):
        probability = result.predict_probability(X, shift)
        answer |= {f"probability {label}": probability[:, k] for k, label in enumerate(result.classes)}
    table = pl.DataFrame(answer)
    if report.kept is not None:  # one line for every row of FILE, empty where the row had holes
        place = pl.DataFrame({"row": np.arange(frame.height)})
        table = place.join(
            table.with_columns(row=pl.Series(report.kept)), on="row", how="left", maintain_order="left"
        ).drop("row")
    for sentence in report.sentences():
        console.labelled("note", sentence)
    if out is None:
        click.echo(table.write_csv(), nl=False)
    else:
        write_table(table, out)
        console.labelled("saved", f"{out}  ({table.height:,} predictions)")
