"""Threads: how many, and work on pieces of the rows at once.

What is computed never depends on the number of threads: the pieces are cut by the shape of the data alone, and their
sums are added in order. So one thread and sixteen give the same bits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from fallline.errors import SettingError, SettingTypeError

if TYPE_CHECKING:
    from collections.abc import Iterator

Piece = TypeVar("Piece")
Summand = TypeVar("Summand")

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

    Meanwhile the linear algebra library keeps to one thread for each of ours: its own threads would compete with them,
    and for blocks of this size they are twice as slow.
    """
    count = min(thread_count(), len(pieces))
    with _linear_algebra().limit(limits=1, user_api="blas"):
        if count <= 1:
            return [work(piece) for piece in pieces]
        waiting = [_pool(count).submit(copy_context().run, work, piece) for piece in pieces]
        return [one.result() for one in waiting]


@cache
def _linear_algebra() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _pool(count: int) -> ThreadPoolExecutor:
    """One pool for each size, shared by all callers: two fits at once take turns instead of doubling the threads."""
    if count not in _pools:
        _pools[count] = ThreadPoolExecutor(count, thread_name_prefix="fallline")
    return _pools[count]


def _forget() -> None:
    """A forked process inherits pools whose threads stayed behind: it starts without."""
    _pools.clear()


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
