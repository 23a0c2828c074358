"""fallline and its peers side by side, in one process, in turn: one table.

    python benchmarks/run.py [name ...] [--scale 1.0] [--repeats 5] [--limit 30] [--out DIR]

Prints a table (problem, aim, fallline, best peer, ratio, whether the aim is met) and writes DIR/results.json and, for
problems of time to accuracy, DIR/<problem>.png. Progress goes to the standard error. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import accuracy
import epochs
import machine
import memory
import passes
import plots
from problems import PROBLEMS
from realdata import Missing
from rows import Row, table

MEASURES: dict[str, Callable[[float, int], tuple[list[Row], dict[str, Any]]]] = {
    **{f"pass-{loss}": passes.dense(loss) for loss in passes.AIMS},
    "pass-csr": passes.sparse,
    "pass-users-loss": passes.users_own,
    "gradient-descent": epochs.descent,
    "epoch-sgd": epochs.sgd,
    "epoch-adam": epochs.adam,
    "memory": memory.measure,
}
NAMES = (*(name for name in MEASURES if name != "memory"), *PROBLEMS, "memory")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", help=f"any of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows: 0.01 to try it out")
    parser.add_argument("--repeats", type=int, default=5, help="runs whose median counts")
    parser.add_argument("--limit", type=float, default=30.0, help="seconds: a solver that took longer goes no further")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out"), help="folder for results.json and pictures")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(NAMES))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; names are {', '.join(NAMES)}")
    return given


def measure(name: str, given: argparse.Namespace) -> tuple[list[Row], dict[str, Any]]:
    """The rows of the table for one problem, and what is recorded of it."""
    if name in MEASURES:
        accuracy.say(name)
        return MEASURES[name](given.scale, given.repeats)
    found = accuracy.measure(PROBLEMS[name](given.scale), given.repeats, given.limit)
    plots.draw(found, given.out)
    return found.rows, found.record()


def main() -> None:
    """Measure what was asked for; results.json is written after each problem."""
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    about = {**machine.describe(), "scale": given.scale, "repeats": given.repeats, "limit_seconds": given.limit}
    rows: list[Row] = []
    records: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for name in given.names or NAMES:
        try:
            found, records[name] = measure(name, given)
        except Missing as missing:
            left_out[name] = str(missing)
            accuracy.say(f"{name} is left out: {missing}")
            continue
        except Exception as error:  # one problem that fails does not cost the numbers of the others
            left_out[name] = f"FAILED, {type(error).__name__}: {error}"
            accuracy.say(traceback.format_exc())
            continue
        rows.extend(found)
        out = {**about, "rows": [row.record() for row in rows], "problems": records, "left_out": left_out}
        (given.out / "results.json").write_text(json.dumps(out, indent=1), encoding="utf-8")
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items() if version)
    print(f"{about['machine']['processor']}, {about['machine']['cores']} cores; {versions}; commit {about['commit']}")
    print(f"{about['command']}; medians of {given.repeats} interleaved runs; compiling is not counted")
    print(table(rows))
    for name, why in left_out.items():
        print(f"{name} is left out: {why}")


if __name__ == "__main__":
    main()
