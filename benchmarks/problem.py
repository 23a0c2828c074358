"""A problem to be solved: data, loss and penalty, and how much faster than its peers fallline aims to be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Problem:
    """J = (1/m) sum phi(y_i, x_i . w + b + offset_i) + l1 |w|_1 + (l2/2) |w|^2; b is never penalised.

    `X` is (m, n) dense or CSR, `y` (m,): 0 or 1 for logistic, class codes for softmax. `offset` is log(`exposure`).
    `aims` is how many times faster fallline wants to be at each relative suboptimality, None: not said.
    """

    name: str
    loss: str
    X: Any
    y: Any
    aims: dict[float, float | None]
    l1: float = 0.0
    l2: float = 0.0
    intercept: bool = True
    delta: float = 1.0  # of Huber
    exposure: Any = None
    offset: Any = None
    optimum: float | None = None  # J* where others published it

    @property
    def m(self) -> int:
        return int(self.X.shape[0])

    @property
    def dense(self) -> bool:
        return isinstance(self.X, np.ndarray)

    @property
    def input(self) -> str:
        """What the data look like, for the record."""
        kind = f"{self.X.dtype} dense" if self.dense else f"{self.X.dtype} CSR, {self.X.nnz:,} stored"
        return f"{self.X.shape[0]:,} x {self.X.shape[1]:,} {kind}"

    def rows(self, count: int) -> Problem:
        """The same problem on some of its rows, at least one of each class among them: to warm solvers up on."""
        if count >= self.m:
            return self
        chosen = np.random.default_rng(0).choice(self.m, count, replace=False)
        if self.loss in ("logistic", "softmax"):
            chosen = np.concatenate([chosen, np.unique(self.y, return_index=True)[1]])
        chosen = np.unique(chosen)
        some = {k: None if v is None else v[chosen] for k, v in (("exposure", self.exposure), ("offset", self.offset))}
        return replace(self, X=self.X[chosen], y=self.y[chosen], optimum=None, **some)

    def by_columns(self) -> Problem:
        """The same problem with X stored by columns, for solvers that would otherwise copy it."""
        return replace(self, X=np.asfortranarray(self.X) if self.dense else self.X.tocsc())
