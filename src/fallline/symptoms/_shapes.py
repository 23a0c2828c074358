"""Shapes of curves that more than one symptom asks for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.history import History
from fallline.symptoms._base import Evidence

WINDOW = 20  # steps: W of the catalogue
ROUND_OFF = 1e-12  # relative: a rise of an exact loss beyond this is a rise (VERDICTS: measured on seven data sets)
EPOCHS = 10  # whose losses say whether a curve still falls
NO_FALL = 2.0  # standard errors: a slope nearer to zero is none
STEADY = 0.5  # the last rate is at least this share of the first: it does not fall to zero
FORGOTTEN = 0.5  # |mean cosine| of successive gradients below: they have little in common
SMALL_SLOPE = 1e-4  # of the gradient at the start: with less left there is nothing that noise could hide
NEARER = 1e-3  # of what was gained in all: a fall per ten epochs below that share is none


class Curve(NamedTuple):
    """Steps and exact losses that were kept."""

    step: NDArray[np.float64]
    loss: NDArray[np.float64]

    @property
    def rose(self) -> NDArray[np.bool_]:
        """At which of the points the loss is above the one before, beyond round-off."""
        return self.rises(0.0)

    def rises(self, resolution: float) -> NDArray[np.bool_]:
        """The same where predictions are rounded: a mean of r^2/2 is off by r times the rounding of r, and its square."""
        rose = np.zeros(len(self.loss), dtype=bool)
        with np.errstate(invalid="ignore"):
            size = np.abs(self.loss[:-1])
            rounding = 4.0 * (np.sqrt(size * resolution) + resolution)
            rose[1:] = self.loss[1:] - self.loss[:-1] > ROUND_OFF * size + rounding
        return rose


def exact_curve(history: History) -> Curve:
    """Losses over all rows at the steps that were kept; a loss that is not a number is infinite."""
    loss, kept = history.full_loss, history.accepted == 1.0
    known = kept & (~np.isnan(loss) | np.isnan(history.loss))
    return Curve(history.step[known], np.where(np.isfinite(loss), loss, np.inf)[known])


def steady(history: History) -> bool:
    """Whether the learning rate has stayed about where it began."""
    rates = history.learning_rate
    rates = rates[np.isfinite(rates)]
    return len(rates) > 0 and rates[-1] >= STEADY * rates[0]


def lies_on_noise(evidence: Evidence) -> bool:
    """Whether a mini-batch run at a steady rate has stopped falling although its full gradient has not vanished.

    The slope of the exact loss over the last epochs is within ``NO_FALL`` standard errors of zero, or the fall is
    nothing beside all that was gained; and successive gradients have little in common.
    """
    history = evidence.history
    if evidence.full_batch or not steady(history):
        return False
    curve, norms = exact_curve(history), history.full_gradient_norm
    norms, loss = norms[np.isfinite(norms)], curve.loss[-EPOCHS:]
    if len(curve.loss) < EPOCHS + 1 or not np.isfinite(loss).all() or norms[-1] <= SMALL_SLOPE * norms[0]:
        return False
    slope, error = _line(loss)
    gained = float(curve.loss[0] - curve.loss.min())
    flat = slope > -NO_FALL * error or -slope * EPOCHS < NEARER * gained
    cosine = history.cosine[np.isfinite(history.cosine)]
    return flat and gained > 0.0 and (not len(cosine) or abs(float(cosine[len(cosine) // 2 :].mean())) < FORGOTTEN)


def _line(y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and its standard error of a line through equally spaced points."""
    x = np.arange(len(y)) - (len(y) - 1) / 2.0
    slope = float(x @ (y - y.mean()) / (x @ x))
    rest = y - y.mean() - slope * x
    return slope, float(np.sqrt(rest @ rest / (len(y) - 2) / (x @ x)))
