"""Ctrl-C in Python: once the best so far is returned, twice it is an error, and what is not ours is left alone.

Real signals, in processes of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")

BEGIN = """
import os, signal, sys, threading, time
import numpy as np, fallline
rng = np.random.default_rng(0)
X = rng.standard_normal((200, 3)); y = X @ [1.0, 2.0, 3.0] + rng.standard_normal(200)
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever shell this was started from
press = lambda: os.kill(os.getpid(), signal.SIGINT)
endless = dict(optimizer="descent", learning_rate=1e-7, max_passes=1e9, tol=0.0)
def at(step, times=1):
    def callback(event):
        if event.step == step:
            for _ in range(times): press()
    return callback
"""


def run(code: str) -> str:
    script = BEGIN + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_once_returns_the_best_so_far_with_its_verdict() -> None:
    out = run("""
        result = fallline.fit(X, y, callback=at(50), **endless)
        print(result.verdict, result.stop_reason, result.steps, result.best_loss < result.history.loss[0])
        print("stopped" in result.sentence, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    """)
    assert out.split() == ["unfinished", "interrupt", "50", "True", "True", "True"]


def test_of_a_function_it_is_the_same() -> None:
    out = run("""
        f, grad = (lambda x: float(x @ x)), (lambda x: 2 * x)
        result = fallline.minimize(
            f, np.ones(2), grad=grad, optimizer="descent", learning_rate=1e-9, tol=0.0, max_steps=10**9, callback=at(20)
        )
        print(result.verdict, result.stop_reason, result.steps)
    """)
    assert out.split() == ["unfinished", "interrupt", "20"]


def test_in_the_middle_of_single_steps() -> None:
    out = run("""
        def later(event):
            if event.step == 0: threading.Timer(0.3, press).start()
        print(fallline.fit(X, y, batch_size=1, callback=later, **endless).stop_reason)
    """)
    assert out.split() == ["interrupt"]


def test_twice_aborts_and_so_does_a_loop_of_short_fits() -> None:
    out = run("""
        try: fallline.fit(X, y, callback=at(50, times=2), **endless)
        except KeyboardInterrupt: print("aborted", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
        time.sleep(0.1)
        import fallline.stopping
        fallline.stopping._pressed_at = -float("inf")
        fits = 0
        try:
            while True:
                fallline.fit(X, y, callback=at(0)); fits += 1
        except KeyboardInterrupt: print("left after", fits)
    """)
    assert out.split("\n")[:2] == ["aborted True", "left after 1"]


def test_before_there_is_anything_to_keep_it_is_an_error() -> None:
    out = run("""
        class Slow:
            def __array__(self, *_, **__):
                press(); return X
        try: fallline.fit(Slow(), y)
        except KeyboardInterrupt: print("raised")
    """)
    assert out.split() == ["raised"]


def test_a_handler_of_the_users_own_is_respected_and_stays() -> None:
    out = run("""
        seen = []
        own = lambda number, frame: seen.append(number)
        signal.signal(signal.SIGINT, own)
        result = fallline.fit(X, y, callback=at(5), optimizer="descent", learning_rate=1e-7, max_passes=20)
        print(len(seen), result.stop_reason, signal.getsignal(signal.SIGINT) is own)
    """)
    assert out.split() == ["1", "budget", "True"]


def test_of_a_table_on_disk_the_rows_stay_for_the_next_run() -> None:
    out = run("""
        import tempfile
        from pathlib import Path
        import polars as pl
        from fallline.tables import asked
        asked.LEAST_MEMORY = 1
        home = Path(tempfile.mkdtemp())
        os.environ["XDG_CACHE_HOME"] = str(home)
        pl.DataFrame(np.column_stack([X, y]), schema=["a", "b", "c", "y"]).write_parquet(home / "t.parquet")
        def go(**how):
            result = fallline.fit(home / "t.parquet", "y", memory=5_000, optimizer="descent", max_passes=9, tol=0.0, **how)
            print(result.stop_reason, len(list((home / "fallline" / "rows").glob("rows-*/train"))))
            return result
        go(callback=at(3))
        print(go().steps)
    """)
    assert out.split() == ["interrupt", "1", "budget", "0", "9"]


def test_in_another_thread_nothing_is_touched() -> None:
    out = run("""
        seen = []
        def work(): seen.append(fallline.fit(X, y, optimizer="descent", max_passes=5).stop_reason)
        thread = threading.Thread(target=work); thread.start(); thread.join()
        print(seen[0], signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    """)
    assert out.split() == ["budget", "True"]


def test_a_search_of_estimators_ends_at_once() -> None:
    out = run("""
        from sklearn.model_selection import GridSearchCV
        from fallline import GDRegressor
        threading.Timer(1.0, press).start()
        search = GridSearchCV(GDRegressor(**endless), {"l2": [0.0, 0.1, 1.0]}, error_score=0.0)
        try: search.fit(X, y)
        except KeyboardInterrupt: print("raised")
    """)
    assert out.split() == ["raised"]
