"""How long fallline takes to start, as a ratio to starting Python itself.

    python benchmarks/startup.py [runs]

Prints the median of `runs` (at least 7) interleaved runs of a bare ``python -c pass``, of ``import numpy``, of
``import fallline``, of the first look at ``fallline.fit``, of ``fallline --help``, of ``fallline demo`` and of a fit of
1,000,000 x 20, and which heavy libraries each of them loads. *Nothing cached* is the first run ever: no byte code of any
library, no compiled kernel (three runs).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

LEAST_RUNS = 7
HEAVY = (
    "numpy",
    "scipy",
    "polars",
    "matplotlib",
    "rich",
    "click",
    "safetensors",
    "sklearn",
    "pandas",
    "numba",
    "torch",
    "jax",
)
HELP = "import sys; sys.argv = ['fallline', '--help']; from fallline.cli import main; main()"
DEMO = "import sys; sys.argv = ['fallline', 'demo']; from fallline.cli import main; main()"
LARGE = """
import time, numpy as np
X = np.random.default_rng(0).standard_normal((1_000_000, 20))
y = (X[:, 0] > 0).astype(float)
y[::7] = 0.0
start = time.perf_counter()
import fallline
fallline.fit(X, y, loss="logistic")
print(time.perf_counter() - start)
"""
CASES = {
    "python -c pass": "pass",
    "import numpy": "import numpy",
    "import fallline": "import fallline",
    "fallline.fit": "import fallline; fallline.fit",  # names are loaded when they are first used
    "fallline --help": HELP,
    "fallline demo": DEMO,
    "fit 1,000,000 x 20": LARGE,
}
LIST_LOADED = (
    "import atexit, sys\n"
    "atexit.register(lambda: print('LOADED', *{m.partition('.')[0] for m in sys.modules}, file=sys.stderr))\n"
)


def seconds(code: str, **environment: str) -> float:
    """Wall time of one fresh interpreter running `code`; or what it prints, where it times a part of itself."""
    start = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={**os.environ, **environment}
    )
    return float(run.stdout) if code == LARGE else time.perf_counter() - start


def first_ever(code: str) -> float:
    """The same with nothing cached: an empty folder for byte code, and one for kernels."""
    with tempfile.TemporaryDirectory() as empty:
        return seconds(
            code,
            PYTHONPYCACHEPREFIX=f"{empty}/byte-code",
            PYTHONDONTWRITEBYTECODE="",
            FALLLINE_CACHE_DIR=f"{empty}/kernels",
        )


def heavy_modules(code: str) -> list[str]:
    """The libraries of HEAVY that `code` loads."""
    run = subprocess.run([sys.executable, "-c", LIST_LOADED + code], check=True, capture_output=True, text=True)
    loaded = set(run.stderr.rpartition("LOADED")[2].split())
    return [name for name in HEAVY if name in loaded]


def main() -> None:
    """Measure and print one line per case."""
    runs = max(LEAST_RUNS, int(sys.argv[1])) if len(sys.argv) > 1 else LEAST_RUNS
    for code in CASES.values():  # once unmeasured: the byte code is written and the files are in memory
        seconds(code)
    # Interleaved, so that a busy moment of the machine falls on every case alike.
    times = {case: [] for case in CASES}
    for _ in range(runs):
        for case, code in CASES.items():
            times[case].append(seconds(code))
    bare = statistics.median(times["python -c pass"])
    print(f"{'':18s}{'median':>9s}{'ratio':>8s}   loads      ({runs} runs, Python {sys.version.split()[0]})")
    for case, code in CASES.items():
        median = statistics.median(times[case])
        print(f"{case:18s}{median:7.3f} s{median / bare:7.1f}x   {' '.join(heavy_modules(code)) or '-'}")
    for case in ("fallline demo", "fit 1,000,000 x 20"):
        median = statistics.median(first_ever(CASES[case]) for _ in range(3))
        print(f"{case:18s}{median:7.3f} s{median / bare:7.1f}x   (nothing cached)")


if __name__ == "__main__":
    main()
