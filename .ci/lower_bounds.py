"""Print pip constraints that hold what pyproject.toml asks for at the lowest version that it allows, one a line.

    python .ci/lower_bounds.py [EXTRA ...] > constraints.txt
    pip install --constraint constraints.txt ".[EXTRA]"

The dependencies and those of the extras that are named. Of a library that several of them ask for, the highest of its lower
bounds holds, since that is the lowest that fits all. A dependency without a lower bound is an error.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

LOWER = (">=", "==", "~=")  # operators whose version is the lowest one that is allowed


def lower_bounds(project: dict[str, object], extras: list[str]) -> dict[str, Version]:
    """The lowest version of each requirement of `project` (its table of pyproject.toml) and of its `extras`, by name."""
    optional = project["optional-dependencies"]
    words = [*project["dependencies"], *(word for extra in extras for word in optional[extra])]
    found: dict[str, Version] = {}
    for requirement in map(Requirement, words):
        lowest = [Version(part.version) for part in requirement.specifier if part.operator in LOWER]
        if not lowest:
            raise SystemExit(f"pyproject.toml: {requirement} has no lower bound")
        found[requirement.name] = max(lowest[0], found.get(requirement.name, lowest[0]))
    return found


if __name__ == "__main__":
    text = (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    for name, version in lower_bounds(tomllib.loads(text)["project"], sys.argv[1:]).items():
        print(f"{name}=={version}")
