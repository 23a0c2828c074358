"""Wall time: one call, several calls side by side, and an end to calls that take too long."""

from __future__ import annotations

import gc
import signal
import statistics
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

AGAIN = 5.0  # seconds after which it rings again: an exception raised within a callback can get lost


class TooLong(BaseException):
    """The time for this call is over; no solver catches it by accident."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise TooLong in the block after `seconds`.

    It is raised between two lines of Python: a solver that stays in compiled code is stopped only when it comes back,
    so those are also given few iterations first. Without effect on Windows and outside the main thread.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: Any) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and what `work` returned; warnings are not shown, garbage is collected before."""
    gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        out = work()
        return time.perf_counter() - start, out


def interleaved(cases: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of `repeats` calls of each case in turn, after one call that is not counted.

    In turn, so that a busy moment of the machine falls on every case alike.
    """
    for work in cases.values():
        timed(work)
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, work in cases.items():
            seconds[name].append(timed(work)[0])
    return seconds


def in_turn(repeats: int, *work: Callable[[], Any]) -> list[float]:
    """Median seconds of each, interleaved."""
    return list(medians(interleaved({str(k): run for k, run in enumerate(work)}, repeats)).values())


def medians(seconds: dict[str, list[float]]) -> dict[str, float]:
    """The median of each."""
    return {name: statistics.median(values) for name, values in seconds.items()}
