"""``fallline explain``: what a finding or a verdict means."""

from __future__ import annotations

import click


@click.command("explain")
@click.argument("code", required=False)
def command(code: str | None) -> None:
    """Explain CODE, a finding such as D02 or a verdict such as "converged". Without CODE, list them all."""
    from fallline.symptoms import explain, symptoms
    from fallline.verdict import Verdict

    if code is not None:
        click.echo(explain(code))
        return
    for name, symptom in symptoms().items():
        click.echo(f"{name}  {symptom.summary}")
    click.echo("\nverdicts: " + ", ".join(Verdict))
