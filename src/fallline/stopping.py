"""Ctrl-C while a run trains: once ends the run and keeps the best so far, twice aborts."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

AGAIN = 3.0  # seconds after a press in which another one aborts, whichever run it meets: a loop of short fits ends too
PATIENCE = 3  # presses of Ctrl-C that end even the writing of a model

_abrupt: ContextVar[bool] = ContextVar("fallline_abrupt", default=False)
_pressed_at = -math.inf


@contextmanager
def stopping_gently(program: bool = False) -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether Ctrl-C was pressed within; a second press raises KeyboardInterrupt at once.

    Where Ctrl-C is somebody else's, it stays so: in other threads than the main one, where no signal arrives; under a
    handler that is not Python's own (asyncio's, a server's, that of a run around this one); and within ``abruptly``.
    `program`: the process is ours alone, so any handler is replaced; a shell starts background jobs that ignore Ctrl-C.
    """
    pressed = False

    def note(number: int, frame: Any) -> None:
        global _pressed_at
        nonlocal pressed
        before, _pressed_at = _pressed_at, time.monotonic()
        if pressed or _pressed_at - before < AGAIN:
            raise KeyboardInterrupt
        pressed = True

    mine = threading.current_thread() is threading.main_thread() and not _abrupt.get()
    handler = signal.getsignal(signal.SIGINT)
    if not mine or not (program or handler is signal.default_int_handler):
        yield lambda: False
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: pressed
    finally:
        if signal.getsignal(signal.SIGINT) is note:  # else a callback has set its own meanwhile
            signal.signal(signal.SIGINT, signal.default_int_handler if handler is None else handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Within: Ctrl-C does nothing, so that what took long to make is written whole.

    Pressed ``PATIENCE`` times, it raises KeyboardInterrupt, for writing to a pipe may wait for a reader who never comes.
    """
    presses = 0

    def note(number: int, frame: Any) -> None:
        nonlocal presses
        presses += 1
        if presses >= PATIENCE:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler if handler is None else handler)


@contextmanager
def abruptly() -> Iterator[None]:
    """Within: Ctrl-C raises KeyboardInterrupt, as without us; for fits that are one of many, in somebody else's search."""
    token = _abrupt.set(True)
    try:
        yield
    finally:
        _abrupt.reset(token)
