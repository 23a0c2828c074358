"""Threads: how many, and work on pieces of the rows at once.

What is computed never depends on the number of threads: the pieces are cut by the shape of the data alone, and their
sums are added in order. So one thread and sixteen give the same bits.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from fallline.errors import SettingError, SettingTypeError

if TYPE_CHECKING:
    from collections.abc import Iterator

Piece = TypeVar("Piece")
Summand = TypeVar("Summand")

AHEAD = 0  # the pool of one thread that prepares what comes next
VARIABLES = ("FALLLINE_NUM_THREADS", "OMP_NUM_THREADS")  # joblib's workers set the second to their share of the cores

_asked: ContextVar[int | None] = ContextVar("fallline_threads", default=None)
_pools: dict[int, ThreadPoolExecutor] = {}


def thread_count() -> int:
    """How many threads a pass may use: what was asked for, else the environment, else the cores of this process."""
    asked = _asked.get()
    if asked is not None:
        return asked
    for name in VARIABLES:
        given = os.environ.get(name, "").split(",")[0].strip()
        if given.isdigit() and int(given) > 0:
            return int(given)
    return available_cores()


def available_cores() -> int:
    """The cores that this process may use, which in a container are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


@contextmanager
def use_threads(n: int | None) -> Iterator[None]:
    """Within: `n` threads; None leaves it as it is. Other Python threads are not affected."""
    if n is not None and (isinstance(n, bool) or not isinstance(n, int)):
        raise SettingTypeError(f"n_threads: got {n!r}; it must be a whole number of threads, or None for all cores.")
    if n is not None and n < 1:
        raise SettingError(f"n_threads: got {n}; it must be 1 or more, or None for all cores.")
    token = _asked.set(n if n is not None else _asked.get())
    try:
        yield
    finally:
        _asked.reset(token)


def each(work: Callable[[Piece], Summand], pieces: Sequence[Piece]) -> list[Summand]:
    """[work(piece) for piece in pieces], several at once. `work` gains by it where it lets go of the interpreter.

    A piece that cuts itself into pieces gets no more threads.
    """
    count = min(thread_count(), len(pieces))
    with one_blas_thread():
        if count <= 1 or getattr(_here, "within_a_piece", False):
            return [work(piece) for piece in pieces]
        done: list[Any] = [None] * len(pieces)
        turn = itertools.count()

        def some(_: int) -> None:  # whoever is free takes the next: one handing over a thread, not one a piece
            while (k := next(turn)) < len(pieces):
                done[k] = work(pieces[k])

        for one in [_submit(count, some, k) for k in range(count)]:
            one.result()
        return done


def ahead(work: Callable[[Piece], Summand], pieces: Sequence[Piece]) -> Iterator[Summand]:
    """work(piece) for piece in pieces, the next one being made while one is used."""
    if thread_count() < 2 or len(pieces) < 2 or getattr(_here, "within_a_piece", False):
        yield from map(work, pieces)
        return
    waiting = _submit(AHEAD, work, pieces[0])
    for piece in pieces[1:]:
        done = waiting.result()
        waiting = _submit(AHEAD, work, piece)
        yield done
    yield waiting.result()


def meanwhile(work: Callable[[], Summand]) -> Future[Summand]:
    """work(), begun by another thread while this one goes on; done at once where there is but one thread to use."""
    if thread_count() < 2 or getattr(_here, "within_a_piece", False):
        done: Future[Summand] = Future()
        done.set_result(work())
        return done
    return _submit(AHEAD, lambda _: work(), None)


def aside(work: Callable[[], Summand]) -> Summand:
    """work(), in another thread than the main one, where Ctrl-C cannot break into it.

    For compiled code that hands Python objects back, and for compiling: a signal in the middle of either leaves the
    process in pieces. The main thread meanwhile waits, and is interrupted at once.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    return _submit(1, lambda _: work(), None).result()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within: the linear algebra library keeps to one thread.

    Its threads on top of ours compete for the same cores, wait for one another longer than they work on small matrices
    (on a busy machine the eigenvalues of a 123 x 123 matrix took 226 ms in two threads and 3 ms in one), and change the
    last bits. The setting belongs to the whole process, so it is counted: the first to come sets it, the last to leave
    puts back what was there.
    """
    mine = _blas  # a child forked within starts with another
    with mine.lock:
        if mine.users == 0:
            mine.before = [
                (library, library.num_threads) for library in _libraries().lib_controllers if library.user_api == "blas"
            ]
            _set_threads([(library, 1) for library, _ in mine.before])
        mine.users += 1
    try:
        yield
    finally:
        if mine is _blas:
            with mine.lock:
                mine.users -= 1
                if mine.users == 0:
                    _set_threads(mine.before)


class _Blas:
    """Who keeps the linear algebra library to one thread, and how many it had before."""

    def __init__(self) -> None:
        self.lock, self.users = threading.Lock(), 0
        self.before: list[tuple[Any, int]] = []


_blas, _here, _pools_lock = _Blas(), threading.local(), threading.Lock()


def _set_threads(counts: list[tuple[Any, int]]) -> None:
    for library, count in counts:
        release = getattr(library, "clear_controlling_thread", None)  # threadpoolctl 3.8: only one thread may set it
        if release is not None:
            release(force=True)
        library.set_num_threads(count)
        if release is not None:
            release(force=True)


@cache
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _submit(count: int, work: Callable[[Piece], Summand], piece: Piece) -> Future[Summand]:
    """In a pool; or here and now where the interpreter shuts down and pools take nothing more."""
    try:
        return _pool(count).submit(copy_context().run, work, piece)
    except RuntimeError:
        done: Future[Summand] = Future()
        done.set_result(work(piece))
        return done


def _pool(count: int) -> ThreadPoolExecutor:
    """One pool for each size, shared by all callers: two fits at once take turns instead of doubling the threads."""
    with _pools_lock:
        if count not in _pools:
            _pools[count] = ThreadPoolExecutor(max(1, count), thread_name_prefix="fallline", initializer=_enter)
        return _pools[count]


def _enter() -> None:
    _here.within_a_piece = True


def _forget() -> None:
    """A forked process inherits pools whose threads stayed behind, and settings of fits that do: it starts without."""
    global _blas, _pools_lock
    _pools.clear()
    if _blas.users:
        _set_threads(_blas.before)
    _blas, _pools_lock = _Blas(), threading.Lock()
    _here.within_a_piece = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def cut(length: int, pieces: int) -> list[tuple[int, int]]:
    """`length` rows in at most `pieces` parts of nearly equal size, as (begin, end).

    >>> cut(10, 3)
    [(0, 3), (3, 6), (6, 10)]
    """
    pieces = max(1, min(pieces, length))
    edges: list[Any] = [length * k // pieces for k in range(pieces + 1)]
    return list(zip(edges[:-1], edges[1:], strict=True))
