"""What there is to train on in the lab: small tables that show something, and the user's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fallline.tables import Prepared

MOST_ROWS, MOST_COLUMNS = 5000, 60  # of the user's table: enough to see, few enough to run at once


@dataclass(frozen=True)
class Problem:
    """Rows to train on, and a sentence that says what is to be seen."""

    title: str
    sentence: str
    X: NDArray[np.float64]
    y: NDArray[Any]
    loss: str = "squared"
    names: tuple[str, ...] = field(default=())

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(self.y)


def built_in() -> dict[str, Problem]:
    """The tables that come with the lab."""
    rng = np.random.default_rng(0)
    x = np.arange(200.0)
    lean = rng.standard_normal((300, 2)) @ np.array([[1.0, 0.9], [0.0, 0.3]])
    round_ = rng.standard_normal((300, 2))
    clouds = np.vstack([rng.standard_normal((150, 2)) - 0.9, rng.standard_normal((150, 2)) + 0.9])
    return {
        "round": Problem(
            "A round bowl", "Two columns that have nothing to do with one another: every step points at the bottom.",
            round_, round_ @ [1.0, 2.0] + 0.5 * rng.standard_normal(300), names=("a", "b"),
        ),
        "valley": Problem(
            "A narrow valley", "Two columns that say nearly the same: the loss is a long valley, and plain steps cross it.",
            lean, lean @ [1.0, 2.0] + 0.5 * rng.standard_normal(300), names=("rooms", "area"),
        ),
        "line": Problem(
            "y = 2x", "The textbook's line, x from 0 to 199. Turn standardising off and find a rate that works.",
            x[:, None], 2.0 * x, names=("x",),
        ),
        "clouds": Problem(
            "Two clouds", "Two classes that overlap: logistic loss, whose bowl is steep here and flat there.",
            clouds, np.repeat([0, 1], 150), "logistic", ("left-right", "down-up"),
        ),
    }  # fmt: skip


def own(prepared: Prepared, seed: int) -> Problem:
    """The user's table, of at most so many of its rows, drawn by `seed`."""
    from fallline.errors import SettingError

    rows = prepared.rows.sample(min(MOST_ROWS, prepared.rows.m), np.random.default_rng(seed))
    if rows.n > MOST_COLUMNS or prepared.form.task == "classes":
        raise SettingError(
            f"lab: {rows.n:,} columns after encoding{' and several classes' if prepared.form.task == 'classes' else ''}; the "
            f"lab shows up to {MOST_COLUMNS} columns and one output. Leave some out with --drop."
        )
    X = np.asarray(rows.X if isinstance(rows.X, np.ndarray) else rows.X.toarray(), dtype=np.float64)
    title = f"{prepared.source}: {prepared.named.target_name}"
    told = f"Your table: {len(X):,} of its {prepared.total:,} rows, {rows.n:,} columns after encoding."
    return Problem(title, told, X, np.asarray(rows.y), prepared.form.name, prepared.named.names)
