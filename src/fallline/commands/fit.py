"""``fallline fit``: the main job."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fallline.commands.options import Listing, Options, output_options, training_options
from fallline.errors import OutputError

if TYPE_CHECKING:
    from fallline.commands.saving import Outputs
    from fallline.report.console import Console
    from fallline.result import Result

SCHEMA = 1  # of --json and --jsonl
WARNED = 6


@click.command("fit")
@click.argument("file", type=click.Path(allow_dash=True), required=False)
@click.option("--target", metavar="COL", help="The column to predict, or a formula: 'price ~ log(area) + town'.")
@click.option(
    "--resume", type=click.Path(path_type=Path), metavar="MODEL",
    help="Go on from the weights of MODEL, with the options it was trained with and a new budget; name FILE again.",
)  # fmt: skip
@click.option("--sql", metavar="QUERY", help="Train on what QUERY of --db returns, instead of a FILE.")
@click.option("--db", metavar="URI", help="sqlite:///file.db, duckdb:///file.duckdb, postgresql://user@host/name.")
@click.option("--external-access", is_flag=True, help="Let the query read files and addresses that it names (DuckDB).")
@click.option("--optimizer", default="auto", metavar="NAME", cls=Listing, family="optimizers", help="auto, or one of:")
@training_options
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="MODEL", help="Where the model goes. [default: FILE.fall]"
)
@click.option("--plot", type=click.Path(path_type=Path), metavar="PNG", help="Write the loss curve as a picture.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option("--jsonl", is_flag=True, help="One JSON line for each recorded step on standard output, then the object.")
@click.option("--strict", is_flag=True, help="Exit with 6 when anything was found.")
@output_options
@click.pass_context
def command(
    ctx: click.Context, /, file: str | None, sql: str | None, db: str | None, resume: Path | None, **given: Any
) -> None:
    """Train a model on the table in FILE (CSV, TSV, Parquet, Arrow, JSON lines) to predict one of its columns.

    FILE may also be a folder, a pattern ('sales/*.parquet'), an address (s3://bucket/sales.parquet), or - for CSV on
    standard input.

    The loss is guessed from the target, the learning rate is computed, and the run ends in a verdict.

        fallline fit houses.csv --target price
    """
    from fallline.commands.resume import KEPT, Place, resumed, told
    from fallline.commands.saving import Outputs, saved_at, tell_saved
    from fallline.commands.standard_output import check_standard_output, write_out
    from fallline.commands.training import inputs
    from fallline.report.console import Console
    from fallline.rows.sources import SqlSource

    before, place = None, Place(file, sql, db, given["external_access"])
    if given["target"] is None and resume is None:
        raise click.UsageError("Missing option '--target'.", ctx)
    options = Options.taken_from(given)
    if resume is not None:
        before, options, place = resumed(ctx, resume, options, place)
        file, sql, db = place.file, place.sql, place.db
    machine = given["as_json"] or given["jsonl"]
    console = Console.open(
        plain=given["plain"], quiet=given["quiet"] or given["as_json"] or given["jsonl"], color=given["color"]
    )
    if (sql is None) != (db is None) or (sql is None) == (file is None):
        raise click.UsageError("Give a FILE to train on; or --sql and --db.", ctx)
    source = Path(file or "query")
    out = given["out"] or resume or Path(f"{_stem(file or 'query')}.fall")
    outputs = Outputs(out, given["plot"], given["jsonl"]).check(*inputs(str(source)))
    if machine:
        check_standard_output()
    table: Any = None if sql is None or db is None else SqlSource(sql, db, place.external_access)
    more = {KEPT: told(options, place)}
    result = train_and_tell(console, table, options, file or table.name, outputs, before, resume, more)
    try:
        if machine:
            write_out(_line(as_object(result, saved_at(result, outputs))))
    finally:
        tell_saved(console, result, outputs, source)
    finish(ctx, result, given["strict"])


def _stem(file: str) -> str:
    """The model's name by default: that of the file, or of the folder."""
    return Path(file.split("?")[0].rstrip("/")).name.split("*")[0].split(".")[0].strip("-") or "model"


def train_and_tell(
    console: Console, table: Any, options: Options, source: str, outputs: Outputs, before: Result | None = None,
    model: Path | None = None, more: dict[str, Any] | None = None,
) -> Result:  # fmt: skip
    """Prepare, show the header, train with the live table, save the model, show the curve and the verdict.

    `before` is the run of the file `model` to go on from; `more` is kept with the settings.
    """
    from fallline.commands.resume import check_columns, joined
    from fallline.commands.saving import way_on, worth_saving
    from fallline.commands.training import read, run, scaling_told, settle, show_header, show_plan
    from fallline.report.ending import show_curve, show_inference, show_verdict
    from fallline.report.numbers import count, number
    from fallline.report.table import LiveTable
    from fallline.settings import budget_of

    settle(options)
    prepared = read(source if table is None else table, options, source, console)
    show_header(console, prepared)
    show_plan(console, options, scaling_told(prepared, options.scale))
    if before is not None and model is not None:
        check_columns(before, prepared.named.names, model)
        console.labelled(
            "resume",
            f"from {model}, after {count(before.passes, 'pass', 'passes')}, loss {number(before.best_loss, 6)}",
        )
    earlier = (0, 0.0, 0.0) if before is None else (before.steps, before.passes, before.seconds)
    live = LiveTable(console, prepared.rows.m, earlier[1] + budget_of(options.max_passes, options.batch_size))

    def show(event: Any) -> None:
        live(event.after(*earlier))
        if outputs.jsonl:
            _print_event(event.after(*earlier))

    def keep(result: Result) -> Result:
        whole = result if before is None else joined(before, result)
        if outputs.model is not None and worth_saving(whole):
            whole.save(outputs.model)
        prepared.close(finished=whole.stop_reason != "interrupt")
        return whole

    try:
        result = run(prepared, options, [show], start=before, given=more, keep=keep)
    except OutputError as error:
        prepared.close(finished=False)
        raise OutputError(f"{error} {way_on(prepared)}") from None
    except BaseException as error:
        prepared.close(finished=isinstance(error, Exception))
        raise
    if result.stop_reason == "interrupt" and Path(prepared.where).exists():
        console.labelled("kept", f"{prepared.where}, for the same command to go on from; delete it if you will not")
    live.finish(result.gap, result.best_loss)
    console.line()
    console.labelled("method", result.method)
    console.labelled("step", result.rate_reason)
    show_curve(console, result)
    show_verdict(console, result)
    if options.inference:
        show_inference(console, result)
    return result


def finish(ctx: click.Context, result: Result, strict: bool) -> None:
    """Leave with the verdict's exit code."""
    if strict and result.findings and not result.verdict.exit_code:
        ctx.exit(WARNED)
    ctx.exit(result.verdict.exit_code)


def as_object(result: Result, saved: str | None) -> dict[str, Any]:
    """The result for programs; numbers that are not finite are null."""
    coef: Any = dict(zip(result.feature_names, result.coef.tolist(), strict=True))
    told = {
        "schema": SCHEMA, "verdict": str(result.verdict), "certainty": str(result.certainty), "sentence": result.sentence,
        "findings": [finding.to_dict() for finding in result.findings], "loss": result.loss.name if result.loss else None,
        "training_loss": result.best_loss, "baseline_loss": result.baseline_loss, "gap": result.gap, "check": result.check,
        "coef": coef, "intercept": result.intercept if isinstance(result.intercept, float) else result.intercept.tolist(),
        "classes": list(result.classes) if result.classes else None, "method": result.method, "rate": result.rate_reason,
        "passes": result.passes, "steps": result.steps, "seconds": result.seconds, "seed": result.settings.get("seed"),
        "rows": result.summary.rows if result.summary else None, "columns": len(result.feature_names), "saved": saved,
    }  # fmt: skip
    cleaned: dict[str, Any] = _finite(told)
    return cleaned


def _finite(value: Any) -> Any:
    import math

    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print_event(event: Any) -> None:
    """Training goes on where it cannot be written: the object at the end cannot, either, and that is told then."""
    from fallline.commands.standard_output import write_out

    with contextlib.suppress(OutputError):
        write_out(_line({"schema": SCHEMA, "event": "step", **_finite(event.to_dict())}))


def _line(told: dict[str, Any]) -> bytes:
    return f"{json.dumps(told, allow_nan=False)}\n".encode()
