"""Results as the table of docs/performance.md: one line a measurement, from one results.json or several.

python benchmarks/page.py benchmarks/out/results.json ... > docs/performance-table.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rows import Row

FIELDS = ("problem", "aim", "ours", "peer", "theirs", "faster", "unit", "reached", "at_least", "note")


def main() -> None:
    runs = [json.loads(Path(path).read_text()) for path in sys.argv[1:]]
    print("| problem | aim | fallline | best peer | | ratio | met |")
    print("|---|---|---|---|---|---|---|")
    for run in runs:
        for row in run["rows"]:
            cells = Row(**{name: row[name] for name in FIELDS}).cells()
            print("|", " | ".join(cell.replace("|", "/") for cell in cells), "|")
    last = runs[-1]
    machine, versions = last["machine"], last["versions"]
    print(f"\n{machine['processor']}, {machine['cores']} cores; ", end="")
    print(", ".join(f"{name} {version}" for name, version in versions.items() if name != "fallline") + ".")


if __name__ == "__main__":
    main()
