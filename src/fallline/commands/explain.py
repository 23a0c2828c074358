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
        text = explain(code)
    else:
        lines = [f"{name}  {symptom.summary}" for name, symptom in symptoms().items()]
        text = "\n".join([*lines, "", "verdicts: " + ", ".join(Verdict)])
    click.echo(text)
