"""Peak memory of a fit above what its input takes, each in a process of its own.

    python benchmarks/memory.py dense|sparse scale

prints the megabytes of X and those that the fit needed beside it, after a small fit that loads and compiles.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import synthetic
from rows import Row

ROWS, COLUMNS, TEXT_ROWS = 1_000_000, 100, 200_000
WARM_ROWS = 80_000  # 8 and 5.7 million numbers: enough for fallline to compile, as it does for large data only
SHARE, BESIDE = 0.05, 50.0  # of X, and megabytes
MB = 1e6

Found = tuple[list[Row], dict[str, Any]]


def measure(scale: float, repeats: int) -> Found:
    """Both kinds of data; `repeats` is not used, for memory does not vary as time does."""
    rows, records = [], {}
    for kind in ("dense", "sparse"):
        run = subprocess.run([sys.executable, __file__, kind, str(scale)], capture_output=True, text=True, check=False)
        if run.returncode:
            raise RuntimeError(f"memory, {kind}: {run.stderr[-500:]}")
        found = json.loads(run.stdout.splitlines()[-1])
        allowed = SHARE * found["X_mb"] + BESIDE
        name = f"memory {kind}"
        rows.append(Row(name, 1.0, found["beside_mb"], "5 % of X + 50 MB", allowed, faster=False, unit="MB"))
        records[kind] = {**found, "allowed_mb": allowed}
    return rows, records


def fit_once(kind: str, scale: float) -> dict[str, Any]:
    """Warm up, make the data, forget the peak so far, fit, and read the peak."""
    import fallline

    def fit(X: Any, y: Any, l2: float) -> Any:
        return fallline.fit(X, y, loss="logistic", l2=l2, standardize=False, tol=1e-6)

    _fit_small(kind, fit)
    X, y = _data(kind, ROWS if kind == "dense" else TEXT_ROWS, scale)
    l2 = 1e-4 if kind == "dense" else 1.0 / len(y)
    gc.collect()
    forgotten = _forget_peak()
    before = _resident()
    start = time.perf_counter()
    result = fit(X, y, l2)
    seconds = time.perf_counter() - start
    held = X.nbytes if isinstance(X, np.ndarray) else X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    return {
        "X_mb": held / MB, "before_mb": before, "peak_mb": _peak(), "beside_mb": max(0.0, _peak() - before),
        "peak_was_reset": forgotten, "seconds": seconds, "verdict": str(result.verdict), "shape": list(X.shape),
    }  # fmt: skip


def _fit_small(kind: str, fit: Any) -> None:
    X, y = _data(kind, WARM_ROWS, 1.0)
    fit(X, y, 1e-2)


def _data(kind: str, count: int, scale: float) -> tuple[Any, Any]:
    m = max(1000, round(count * scale))
    if kind == "sparse":
        return synthetic.text(m)
    X = synthetic.independent(m, COLUMNS)
    return X, synthetic.labels(X @ (np.random.default_rng(1).standard_normal(COLUMNS) / np.sqrt(COLUMNS)))


def _status(field: str) -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return float(line.split()[1]) * 1024 / MB
    raise KeyError(field)


def _resident() -> float:
    """Megabytes resident now, or at the most so far where the system does not say."""
    return _status("VmRSS") if os.path.exists("/proc/self/status") else _peak()


def _peak() -> float:
    """The most megabytes that were resident (since the peak was forgotten, where that is possible)."""
    if os.path.exists("/proc/self/status"):
        return _status("VmHWM")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MB


def _forget_peak() -> bool:
    """Set the peak to what is resident now: making the data took more than keeping it. Linux only."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


if __name__ == "__main__":
    print(json.dumps(fit_once(sys.argv[1], float(sys.argv[2]))))
