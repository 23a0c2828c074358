"""What a fit is asked to do, settled before any row is looked at."""

from __future__ import annotations

import math
import numbers
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from fallline.errors import SettingError, SettingTypeError
from fallline.identity import known_identity
from fallline.optimizers import AnyOptimizer
from fallline.penalties._base import Penalty
from fallline.penalties.none import NoPenalty
from fallline.rates._base import Rate
from fallline.recorder import Event
from fallline.rows.plain_arrays import shown

PATIENCE = 5  # looks at the check rows without a lower loss: as scikit-learn's n_iter_no_change
LAST_DIGITS = 1e-13  # a gap, relative: weights for standard errors should be within a hundredth of one of the optimum
FULL_BATCH_PASSES = 1000
MINI_BATCH_PASSES = 50


@dataclass(frozen=True)
class Settings:
    """The settings of :func:`fallline.fit` that are the same wherever the rows are."""

    penalty: Penalty = field(default_factory=NoPenalty)
    optimizer: str | AnyOptimizer = "auto"
    learning_rate: float | str | Rate = "auto"
    batch_size: int | None = None
    fit_intercept: bool = True
    standardize: bool = True
    patience: int = 0  # looks at the check rows without a lower loss; 0: no early stopping
    inference: bool = False
    start: Any = None
    tol: float = 1e-6
    max_passes: float | None = None
    max_seconds: float = math.inf
    callback: Callable[[Event], Any] | None = None
    seed: int = 0
    given: dict[str, Any] = field(default_factory=dict)  # in words of the user, for the record
    shuffle: bool = True  # mini-batches come in a new random order each epoch
    auto_fix: bool = True  # a run at an automatic rate that diverges goes back and on with less

    def __post_init__(self) -> None:
        check_settings(self.tol, self.max_passes, self.max_seconds, self.batch_size, self.seed)
        for name in ("shuffle", "auto_fix"):
            if not isinstance(getattr(self, name), bool):
                raise SettingTypeError(f"{name}: got {getattr(self, name)!r}; give True or False.")
        check_callback(self.callback)

    @property
    def horizon(self) -> float:
        """The budget of passes."""
        return budget_of(self.max_passes, self.batch_size)

    @property
    def in_order(self) -> bool:
        """Whether mini-batches come in the order of the rows."""
        return self.batch_size is not None and not self.shuffle

    def path(self, form: Any) -> str | None:
        """Digest of all that decides where the run goes: a run that was killed goes the same way again.

        None where it cannot be told apart from another, for its loss, say, is not one of fallline's own.
        """
        parts = (
            computing_versions(), form, self.penalty, self.optimizer, self.learning_rate, self.batch_size, self.fit_intercept,
            self.standardize, self.patience, self.inference, getattr(self.start, "theta", self.start), self.tol,
            self.max_passes, self.seed, self.shuffle, self.auto_fix,
        )  # fmt: skip
        return known_identity(*parts)

    def told(self, form: Any) -> dict[str, Any]:
        """What the record says of them."""
        rate = self.learning_rate
        return {
            "loss": form.name, **self.given, "batch_size": self.batch_size, "fit_intercept": self.fit_intercept,
            "standardize": self.standardize, "tol": self.tol, "max_passes": self.horizon, "seed": self.seed,
            "learning_rate": rate if isinstance(rate, (int, float, str)) else rate.reason,
            "optimizer": self.optimizer if isinstance(self.optimizer, str) else repr(self.optimizer),
            "versions": versions(),
        }  # fmt: skip


def versions() -> dict[str, str]:
    """Of what a run's numbers depend on."""
    from fallline import __version__

    return {"fallline": __version__, "numpy": np.__version__, "python": platform.python_version()}


def computing_versions() -> dict[str, str]:
    """The versions of what decides the last bits of a run's numbers."""
    return versions() | {name: version(name) for name in ("scipy", "numba")}


def budget_of(max_passes: float | None, batch_size: int | None) -> float:
    """The passes allowed: those that were named, or as many as are usual."""
    if max_passes is not None:
        return float(max_passes)
    return float(FULL_BATCH_PASSES if batch_size is None else MINI_BATCH_PASSES)


def patience_of(early_stopping: Any, check: Any) -> int:
    """How many looks at the check rows may pass without a lower loss; 0: they do not decide."""
    if isinstance(early_stopping, bool):
        patience = PATIENCE if early_stopping else 0
    elif isinstance(early_stopping, numbers.Integral) and int(early_stopping) > 0:
        patience = int(early_stopping)
    else:
        raise SettingError(
            f"early_stopping: got {early_stopping!r}; give True, False, or how many looks at the check rows may pass (5)."
        )
    if patience and (check is None or isinstance(check, (int, float)) and not check):
        raise SettingError(
            "early_stopping: needs check rows to look at; give check=0.2 (--check 0.2), or check=(X, y)."
        )
    return patience


def check_callback(callback: Any) -> None:
    """Raise SettingTypeError for a callback that cannot be called."""
    if callback is not None and not callable(callback):
        raise SettingTypeError(f"callback: got {shown(callback)}; give a function of a fallline.Event, or None.")


def check_settings(tol: Any, max_passes: Any, max_seconds: Any, batch_size: Any, seed: Any) -> None:
    """Raise SettingError for what cannot be."""
    for name, value, low in (("tol", tol, 0.0), ("max_passes", max_passes, 0.0), ("max_seconds", max_seconds, 0.0)):
        if value is None and name == "max_passes":
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
            raise SettingTypeError(f"{name}: got {value!r}; it must be a number.")
        if not value >= low:
            raise SettingError(f"{name}: got {value!r}; it must be {low:g} or more.")
    if batch_size is not None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, numbers.Integral):
            raise SettingTypeError(
                f"batch_size: got {batch_size!r}; it must be a whole number of rows, or None for full batch."
            )
        if batch_size < 1:
            raise SettingError(f"batch_size: got {batch_size}; it must be 1 or more, or None for full batch.")
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
        raise SettingError(f"seed: got {seed!r}; it must be a whole number, 0 or more.")
