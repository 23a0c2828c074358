"""What a training command writes: the model first, then the picture, then what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fallline.atomic_write import shown
from fallline.commands.training import drawable, same_file, writable
from fallline.errors import SettingError
from fallline.stopping import uninterrupted
from fallline.visible import shell_path

if TYPE_CHECKING:
    from fallline.report.console import Console
    from fallline.result import Result
    from fallline.tables import Prepared

GOES_ON = ("unfinished", "noise-limited", "stuck")  # verdicts of runs that more passes may end better
NOT_SAVED = ("diverged", "no finite optimum")


@dataclass(frozen=True)
class Outputs:
    """Where the model and the picture of the loss curve go, None for nowhere; `jsonl`: each step as a line of JSON."""

    model: Path | None
    plot: Path | None = None
    jsonl: bool = False

    def check(self, *sources: Path) -> Outputs:
        """These, if they can be written as far as is known now; raises SettingError before any work is done."""
        if self.model is not None:
            writable(self.model, *sources)
        if self.plot is not None:
            drawable(self.plot, *sources)
            if self.model is not None and same_file(self.model, self.plot):
                raise SettingError(f"{shown(self.plot)}: is where the model goes; give the picture another name.")
        return self


def worth_saving(result: Result) -> bool:
    """Whether its weights are of use."""
    return str(result.verdict) not in NOT_SAVED


def way_on(prepared: Prepared) -> str:
    """What to do where the model could not be saved."""
    if Path(prepared.where).exists():
        return f"What was learnt is kept in {shown(prepared.where)}: make room and give the same command again."
    return "Make room, or give another --out, and run it again."


def tell_saved(console: Console, result: Result, outputs: Outputs, file: Path | None) -> None:
    """Draw the picture, say what was saved, and say what to do next."""
    from fallline.report.figure import save_png

    try:
        if outputs.plot is not None:
            with uninterrupted():  # compiled parts of matplotlib may abort the process when an import is interrupted
                save_png(result.plot(), outputs.plot)
            console.labelled("saved", f"{outputs.plot}  (loss curve)")
    finally:
        _tell_model(console, result, outputs.model, file)


def saved_at(result: Result, outputs: Outputs) -> str | None:
    """The path of the model; None where it was not saved."""
    return None if outputs.model is None or not worth_saving(result) else str(outputs.model)


def _tell_model(console: Console, result: Result, out: Path | None, file: Path | None) -> None:
    from fallline.commands.resume import going_on, rows_named
    from fallline.report.console import LABEL

    if out is None:
        return
    if not worth_saving(result):
        console.labelled("saved", "nothing: weights of this run are of no use")
        return
    model = shell_path(str(out))
    following = [f"fallline predict {model} {rows_named(result)}", f"fallline report {model}"]
    if str(result.verdict) in GOES_ON and file is not None:
        following[0] = going_on(out, result)
    following += [f"fallline explain {finding.code}" for finding in result.findings[:1]]
    for label, words in zip(("NEXT", *[""] * len(following)), following, strict=False):
        console.line(f"{label:<{LABEL}}{words}")  # a line each, never wrapped: they are there to be pasted
    console.labelled("saved", f"{out}  (model, history, data summary; no rows)")
