"""``fallline export``: a trained model in a form that other programs read."""

from __future__ import annotations

import sys
from pathlib import Path

import click

FORMS = ("sql", "sqlite", "json", "onnx")


@click.command("export")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--to", "form", type=click.Choice(FORMS), required=True, help="sqlite is SQL without dates and LEAST.")
@click.option("--out", type=click.Path(path_type=Path), help="Where to write. Default: standard output (not for ONNX).")
def command(model: Path, form: str, out: Path | None) -> None:
    """Write MODEL, a file that `fallline fit` wrote, as a SQL expression, as JSON or as an ONNX graph.

    The SQL expression takes the columns of the table as they are. JSON and ONNX hold the coefficients of the encoded
    columns, by name.
    """
    from fallline.atomic_write import write_whole
    from fallline.commands.standard_output import check_standard_output, write_out
    from fallline.commands.training import writable
    from fallline.errors import SettingError
    from fallline.result import load
    from fallline.visible import visible

    if out is not None:
        writable(out, model)
    elif form == "onnx":
        raise SettingError("--to onnx is no text: say where to write it, as in --out model.onnx.")
    else:
        check_standard_output()
    result = load(model)
    if form == "onnx":
        result.to_onnx(out)
        return
    text = result.to_json() if form == "json" else result.to_sql("sqlite" if form == "sqlite" else "ansi")
    data = (text + "\n").encode()
    if out is None:
        if sys.stdout.isatty() and visible(text, lines=form == "json") != text:
            raise SettingError(
                "--to: names in it hold control characters, which a terminal would act on; use --out or a pipe."
            )
        write_out(data)
    else:
        write_whole(out, data)
