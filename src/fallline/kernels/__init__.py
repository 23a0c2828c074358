"""Compiled twins of what is written readably elsewhere, for data where that pays.

Each has a test that it equals the readable definition. Nothing unchecked (shapes, types, indices) may reach one:
compiled code does not look. Importing anything in here but this file imports Numba.
"""

import time

BEGAN = time.time()  # about when losses and rules were imported
FROM_NUMBERS = 4_000_000  # numbers in X: below, NumPy is done before Numba (0.3 s to import) has begun
FROM_STEPS = 20_000  # mini-batch steps in all: each costs about 30 microseconds in Python
