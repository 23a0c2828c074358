"""The end of a run in the terminal: the curve, the verdict, what was found, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fallline.report.console import LABEL, Console, tone_of
from fallline.report.curve import draw
from fallline.report.losses import curve_in_words, curve_of
from fallline.report.text import check_line

if TYPE_CHECKING:
    from fallline.result import Result

MOST_FINDINGS = 3
CODE = 5  # columns of "D20  ": what belongs to a finding stands to the right of its code


def show_curve(console: Console, result: Result) -> None:
    """The loss curve, or a sentence about it for screen readers."""
    steps, losses, x_name = curve_of(result.history)
    if console.plain:
        console.labelled("curve", curve_in_words(result.history))
    elif len(steps) > 2:  # two points have no curve between them; the table has said it all
        console.line()
        for line in draw(
            {"loss": (steps, losses)}, width=min(console.width, 78), unicode=console.unicode, x_name=x_name
        ):
            console.line(line)


def show_verdict(console: Console, result: Result) -> None:
    """VERDICT, the check score, and at most three findings with the command that mends each."""
    console.line()
    told = f"{result.verdict} ({result.certainty}): {result.sentence}"
    console.labelled("VERDICT", told, tone_of(result.verdict), always=True)
    if result.check:
        console.labelled("", check_line(result))
    for i, finding in enumerate(result.findings[:MOST_FINDINGS]):
        console.labelled("FOUND" if i == 0 else "", f"{finding.code}  {finding.sentence}", "warn", hang=CODE)
        if finding.automatic:
            console.labelled("", f"{'':{CODE}}done already: {finding.automatic}", hang=CODE)
        if finding.remedy:
            console.line(" " * (LABEL + CODE) + finding.remedy)  # never wrapped: it is there to be pasted
    if len(result.findings) > MOST_FINDINGS:
        rest = ", ".join(finding.code for finding in result.findings[MOST_FINDINGS:])
        console.labelled("", f"and {rest}: fallline explain {result.findings[MOST_FINDINGS].code}")


def show_inference(console: Console, result: Result) -> None:
    """The table of standard errors that was asked for, or why there is none."""
    if result.inference is None:
        console.labelled("errors", f"no standard errors: {result.no_inference}", "warn")
        return
    console.line()
    for line in result.inference.table().splitlines():
        console.line(line)
