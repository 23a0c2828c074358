"""Compiled twins of what is written readably elsewhere, for data where that pays.

Each has a test that it equals the readable definition. Nothing unchecked (shapes, types, indices) may reach one:
compiled code does not look. Importing anything in here but this file imports Numba.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

Made = TypeVar("Made")

BEGAN = time.time()  # about when losses and rules were imported
FROM_NUMBERS = 4_000_000  # numbers in X: below, NumPy is done before Numba (0.3 s to import) has begun
FROM_STEPS = 20_000  # mini-batch steps in all: each costs about 30 microseconds in Python

_log = logging.getLogger(__name__)


def tried(work: Callable[[], Made], what: str) -> Made | None:
    """work(), or None where the compiler does not take it: formulas may be a user's."""
    try:
        return work()
    except Exception as error:
        if not type(error).__module__.startswith("numba."):
            raise
        _log.debug("%s does not compile, so Python or NumPy does it: %s", what, error)
        return None
