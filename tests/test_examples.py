"""The examples run as they are, and say what they should."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(script: str, cwd: Path, *arguments: str) -> str:
    """What `script` prints, run in the folder `cwd`."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_listed() -> None:
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [p.name for p in EXAMPLES.glob("*.py") if f"`python examples/{p.name}`" not in listed] == []


def test_first_fit_converges_and_an_hour_late_stays_about_an_hour(tmp_path: Path) -> None:
    printed = run("first_fit.py", tmp_path)
    assert "converged" in printed
    expected = re.search(r"expected delay on arrival: (-?\d+) minutes", printed)
    assert expected is not None and 45 <= int(expected.group(1)) <= 75
    assert list(tmp_path.iterdir()) == []


def test_textbook_finds_two_and_names_the_limit(tmp_path: Path) -> None:
    printed = run("textbook.py", tmp_path, "curves.png").splitlines()
    assert printed[0].startswith("rate 0.01    theta = 2.0000") or printed[0].startswith("rate 0.01    theta = 1.9999")
    assert "0.18" in printed[3]  # 2/L with L = mean(x^2) = 11
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
