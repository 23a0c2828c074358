"""Threads, processes, signals and the kernel cache, as users meet them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import fallline
from fallline import threads

PROBLEM = """
import os, signal, sys, threading, time
import numpy as np, fallline
rng = np.random.default_rng(0)
X = rng.standard_normal((210_000, 20))
y = (X @ rng.standard_normal(20) + rng.logistic(size=len(X)) > 0).astype(float)
"""
FIT = "print(fallline.fit(X, y, loss='logistic').verdict)"


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The code in a process of its own, on data that is large enough for the compiled kernels."""
    command = [sys.executable, "-W", "ignore", "-c", PROBLEM + code]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300, check=False
    )


def problem() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((210_000, 20))
    return X, (X @ rng.standard_normal(20) + rng.logistic(size=len(X)) > 0).astype(float)


def digest(X: Any, y: Any) -> bytes:
    """Every bit of a fit's result."""
    result = fallline.fit(X, y, loss="logistic", l2=1e-3)
    return result.theta.tobytes() + np.float64(result.gap).tobytes()


def blas() -> list[int]:
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]


@pytest.mark.skipif(threads.available_cores() < 2, reason="the linear algebra library has one thread anyway")
def test_the_linear_algebra_library_gets_its_threads_back() -> None:
    before, bad = blas(), []

    def piece(_: int) -> None:
        time.sleep(0.001)
        bad.extend(count for count in blas() if count > 1)

    workers = [threading.Thread(target=lambda: [threads.each(piece, range(4)) for _ in range(20)]) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert blas() == before and not bad  # not left at 1, and 1 all the while


def test_the_linear_algebra_librarys_threads_change_no_bit() -> None:
    X, y = problem()
    alone = digest(X, y)
    with threadpool_limits(1, user_api="blas"):
        assert digest(X, y) == alone


def test_a_piece_may_cut_itself_into_pieces() -> None:
    assert threads.each(lambda k: sum(threads.each(lambda j: j * k, range(5))), range(8)) == [10 * k for k in range(8)]


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_joblib(backend: str) -> None:
    pytest.importorskip("joblib")
    out = run(f"""
import joblib
def digest(X, y):
    result = fallline.fit(X, y, loss="logistic", l2=1e-3)
    return result.theta.tobytes() + np.float64(result.gap).tobytes()
alone = digest(X, y)
found = joblib.Parallel(n_jobs=2, backend={backend!r})(joblib.delayed(digest)(X, y) for _ in range(4))
print(found == [alone] * 4)
""")
    assert out.stdout.split() == ["True"], out.stderr[-500:]


def test_a_threaded_web_server() -> None:
    """Eight requests at once, each a fit: all answers are what one alone gets."""
    from concurrent.futures import ThreadPoolExecutor
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from urllib.request import urlopen

    X, y = problem()

    class Fits(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = digest(X, y)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    alone = digest(X, y)
    with ThreadingHTTPServer(("127.0.0.1", 0), Fits) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with ThreadPoolExecutor(8) as clients:
            address = f"http://127.0.0.1:{server.server_address[1]}/"
            answers = list(clients.map(lambda _: urlopen(address, timeout=60).read(), range(8)))
        server.shutdown()
    assert answers == [alone] * 8


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_ctrl_c_in_compiled_steps() -> None:
    out = run("""
X = rng.standard_normal((1_000_000, 8)); y = X[:, 0] + rng.standard_normal(len(X))
kw = dict(batch_size=16, optimizer="adam", learning_rate=0.01)
fallline.fit(X, y, max_passes=1, **kw)
for k in range(6):
    threading.Timer(0.3 + 0.0037 * k, os.kill, (os.getpid(), signal.SIGINT)).start()
    try: print("stopped" if fallline.fit(X, y, max_passes=1e6, **kw).stop_reason == "interrupt" else "ended", end=" ")
    except KeyboardInterrupt: print("stopped", end=" ")  # a second one soon after the first
""")
    assert (out.returncode, out.stdout.split()) == (0, ["stopped"] * 6), out.stderr[-500:]


def test_kernels_are_compiled_where_no_signal_arrives(tmp_path: Path) -> None:
    out = run("""
from numba.core import event
seen = []
class Listener(event.Listener):
    def on_start(self, e): seen.append(threading.current_thread() is threading.main_thread())
    def on_end(self, e): pass
event.register("numba:compile", Listener())
fallline.fit(X, y, loss="logistic")
print(len(seen) > 0, any(seen))
""", FALLLINE_CACHE_DIR=str(tmp_path))  # fmt: skip
    assert out.stdout.split() == ["True", "False"], out.stderr[-500:]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_while_another_thread_compiles(tmp_path: Path) -> None:
    out = run("""
import fallline.kernels.compile
from numba.core import event
begun = threading.Event()
class Listener(event.Listener):
    def on_start(self, e): begun.set()
    def on_end(self, e): pass
event.register("numba:compile", Listener())
threading.Thread(target=fallline.fit, args=(X, y), kwargs={"loss": "logistic"}).start()
begun.wait()
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(0 if fallline.fit(X, y, loss="logistic").verdict == "converged" else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""", FALLLINE_CACHE_DIR=str(tmp_path))  # fmt: skip
    assert out.stdout.split() == ["0"], out.stderr[-500:]


def test_a_thread_may_outlive_the_main_thread() -> None:
    out = run("""
def go():
    print(fallline.fit(X, y, loss="logistic", optimizer="descent", learning_rate=0.01, max_passes=60).verdict)
fallline.fit(X, y, loss="logistic", max_passes=2)
threading.Thread(target=go).start()
""")
    assert out.stdout.split() == ["unfinished"], out.stderr[-500:]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with what one fit compiled."""
    cache = tmp_path_factory.mktemp("kernels")
    run(FIT, FALLLINE_CACHE_DIR=str(cache))
    return cache


@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
def test_a_damaged_cache_is_made_anew(ending: str, filled: Path, tmp_path: Path) -> None:
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    files = [path for path in tmp_path.rglob("*") if path.suffix == ending]
    for path in files:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    out = run(FIT, FALLLINE_CACHE_DIR=str(tmp_path))
    assert files and out.stdout.split() == ["converged"], out.stderr[-300:]


def test_a_full_disk(tmp_path: Path) -> None:
    code = """
from numba.core.caching import IndexDataCacheFile
def full(*args): raise OSError(28, "No space left on device")
IndexDataCacheFile._save_data = full
"""
    out = run(code + FIT, FALLLINE_CACHE_DIR=str(tmp_path))
    assert out.stdout.split() == ["converged"], out.stderr[-300:]


def test_nowhere_to_write_and_no_home(tmp_path: Path) -> None:
    code = """
import pathlib
def no(*args, **kw): raise RuntimeError("Could not determine home directory.")
pathlib.Path.home = pathlib.Path.expanduser = no
os.path.expanduser = lambda path: path
from fallline.kernels import compile as compiling
compiling.PACKAGE = pathlib.Path(os.devnull)
compiling._homes()
"""
    out = run(code)
    assert out.returncode == 0, out.stderr[-300:]
    out = run(FIT, FALLLINE_CACHE_DIR=os.devnull, TMPDIR=str(tmp_path))
    assert out.stdout.split() == ["converged"] and not list(tmp_path.iterdir()), out.stderr[-300:]


def test_sources_edited_under_a_running_process_are_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is in memory is older than what the files say: kept under their digest it would be a stale kernel."""
    from fallline.kernels import compile as compiling

    monkeypatch.setenv("FALLLINE_CACHE_DIR", str(tmp_path))
    assert compiling.cache_folder() is not None
    monkeypatch.setattr(compiling, "BEGAN", 0.0)
    assert compiling.cache_folder() is None
