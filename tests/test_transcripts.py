"""What the terminal shows, word for word: in a pipe, in CI, in 60 columns, for screen readers, on a real terminal.

The transcripts lie in tests/transcripts. FALLLINE_TRANSCRIPTS=1 writes them anew; read what changed before it goes in.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

GOLDEN = Path(__file__).parent / "transcripts"
BARE = {"COLUMNS": "100", "PYTHONIOENCODING": "utf-8", "TERM": "xterm"}
FIT = ("fit", "houses.csv", "--target", "price", "--optimizer", "descent")
CASES: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "piped": (FIT, {}),
    "ci": (FIT, {"CI": "true", "TERM": "dumb"}),
    "narrow": (FIT, {"COLUMNS": "60"}),
    "ascii": (FIT, {"PYTHONIOENCODING": "ascii"}),
    "forced-color": (FIT, {"FORCE_COLOR": "1"}),
    "plain": ((*FIT, "--plain"), {}),
    "quiet": ((*FIT, "--quiet"), {}),
    "diverged": (("fit", "houses.csv", "--target", "price", "--no-scale", "--lr", "0.01"), {}),
    "unfinished": ((*FIT, "--max-passes", "5"), {}),
    "separated": (("fit", "houses.csv", "--target", "rich"), {}),
    "misspelt": (("fit", "houses.csv", "--target", "prise"), {}),
    "rates": (("rates", "houses.csv", "--target", "price"), {}),
    "explain": (("explain", "D11"), {}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("transcripts")
    rng = np.random.default_rng(0)
    rooms, town = rng.integers(1, 9, 400), rng.choice(["north", "south", "coast"], 400, p=[0.5, 0.3, 0.2])
    area = (rooms * 21.0 + rng.normal(0, 4.0, 400)).round(1)
    price = (50_000 * rooms + 30_000 * (town == "coast") + 100 * area + rng.normal(0, 30_000, 400)).round(0)
    frame = pl.DataFrame(
        {"rooms": rooms, "area": area, "town": town, "price": price, "rich": np.where(rooms > 4, "yes", "no")}
    )
    frame = frame.with_columns(area=pl.when(pl.int_range(400) % 50 == 7).then(None).otherwise(pl.col("area")))
    frame.drop("rich").write_csv(folder / "houses.csv")
    frame.write_csv(folder / "rich.csv")
    return folder


def tidied(text: str) -> str:
    """What differs from run to run: times; and the last digits of numbers that only round-off reaches."""
    text = re.sub(r" +\d+\.\d+ s\b", " T s", text)
    text = re.sub(r"\d(\.\d)?e-1\d %|0\.0000\d+ %", "TINY %", text)
    return re.sub(r"from \d+ products", "from N products", text)


def compared(name: str, shown: str) -> None:
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("FALLLINE_TRANSCRIPTS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_what_is_shown(case: str, folder: Path) -> None:
    words, environment = CASES[case]
    if case == "separated":
        words = ("fit", "rich.csv", *words[2:])
    kept = {k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS")}
    done = subprocess.run(
        [sys.executable, "-c", "from fallline.cli import main; main(prog_name='fallline')", *words],
        capture_output=True, check=False, timeout=120, cwd=folder, env=kept | BARE | environment,
    )  # fmt: skip
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in err and "\r" not in err
    assert ("\x1b" in err) == (case == "forced-color")
    width = int(environment.get("COLUMNS", "100"))
    wide = [line for line in err.splitlines() if len(re.sub(r"\x1b\[[0-9;]*m", "", line)) >= width]
    assert not [
        line for line in wide if "fallline fit" not in line and not line.startswith("error:")
    ]  # commands never break
    compared(case, tidied(f"$ fallline {' '.join(words)}\n{out}{err}exit {done.returncode}\n"))


def test_on_a_terminal(folder: Path) -> None:
    """A line is drawn in place while it goes on, and wiped away: what remains is what a pipe gets, in colour."""
    pty = pytest.importorskip("pty")
    import fcntl
    import struct
    import termios

    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    kept = {k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")}
    run = subprocess.Popen(
        [sys.executable, "-c", "from fallline.cli import main; main(prog_name='fallline')", *FIT],
        stdin=child, stdout=child, stderr=child, cwd=folder, env=kept | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    os.close(child)
    shown = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    assert run.wait(60) == 0
    text = shown.decode().replace("\r\n", "\n")
    assert "\r" in text and "\x1b[" in text
    lines = [line.rsplit("\r", 1)[-1].rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n")]
    piped = (GOLDEN / "piped.txt").read_text(encoding="utf-8").splitlines()[1:-1]
    assert [tidied(line) for line in lines if line] == [line for line in piped if line]
