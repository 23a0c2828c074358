"""Compiled twins of what is written readably elsewhere, for data where that pays.

Each has a test that it equals the readable definition. Nothing unchecked (shapes, types, indices) may reach one:
compiled code does not look. Importing anything in here but this file imports Numba.
"""

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from fallline.errors import SettingError

Made = TypeVar("Made")


class CompilerOff(SettingError):
    """Numba compiles nothing because it was told so, and nothing else can do this work."""


BEGAN = time.time()  # about when losses and rules were imported
FROM_NUMBERS = 4_000_000  # numbers in X: below, NumPy is done before Numba (0.3 s to import) has begun
FROM_STEPS = 20_000  # mini-batch steps in all: each costs about 30 microseconds in Python
if os.environ.get("NUMBA_DISABLE_JIT", "0").strip() not in ("", "0"):  # NumPy and Python do all that they can
    FROM_NUMBERS = FROM_STEPS = sys.maxsize

_log = logging.getLogger(__name__)


def tried(work: Callable[[], Made], what: str) -> Made | None:
    """work(), or None where the compiler does not take it: formulas may be a user's."""
    try:
        return work()
    except Exception as error:
        if not (isinstance(error, CompilerOff) or type(error).__module__.startswith("numba.")):
            raise
        _log.debug("%s does not compile, so Python or NumPy does it: %s", what, error)
        return None
