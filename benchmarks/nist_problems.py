"""NIST's nonlinear least squares problems (StRD), as functions to minimise with their exact gradients.

The data, the two starts and the certified values in ``nist_nonlinear.json`` are those of
https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml, works of the United States government and in the public domain.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray
COMPLEX_STEP = 1e-30  # of a parameter: without a difference nothing cancels (Squire and Trapp 1998)
INDEPENDENT = 1e-9  # of a column: what is left of it beside the others; less is rounding in the model
SOLVED = 1e-6  # relative, of the certified residual sum of squares


def _misra1b(b: Array, x: Array) -> Array:
    return b[0] * (1 - (1 + b[1] * x / 2) ** -2)


def _gauss(b: Array, x: Array) -> Array:
    return (
        b[0] * np.exp(-b[1] * x)
        + b[2] * np.exp(-((x - b[3]) ** 2) / b[4] ** 2)
        + b[5] * np.exp(-((x - b[6]) ** 2) / b[7] ** 2)
    )


def _enso(b: Array, x: Array) -> Array:
    t = 2 * np.pi * x
    year = b[1] * np.cos(t / 12) + b[2] * np.sin(t / 12)
    return (
        b[0]
        + year
        + b[4] * np.cos(t / b[3])
        + b[5] * np.sin(t / b[3])
        + b[7] * np.cos(t / b[6])
        + b[8] * np.sin(t / b[6])
    )


def _cubics(b: Array, x: Array) -> Array:
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def _lanczos(b: Array, x: Array) -> Array:
    return b[0] * np.exp(-b[1] * x) + b[2] * np.exp(-b[3] * x) + b[4] * np.exp(-b[5] * x)


MODELS: dict[str, Callable[[Array, Any], Array]] = {
    "Bennett5": lambda b, x: b[0] * (b[1] + x) ** (-1 / b[2]),
    "BoxBOD": lambda b, x: b[0] * (1 - np.exp(-b[1] * x)),
    "Chwirut1": lambda b, x: np.exp(-b[0] * x) / (b[1] + b[2] * x),
    "Chwirut2": lambda b, x: np.exp(-b[0] * x) / (b[1] + b[2] * x),
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "ENSO": _enso,
    "Eckerle4": lambda b, x: (b[0] / b[1]) * np.exp(-0.5 * ((x - b[2]) / b[1]) ** 2),
    "Gauss1": _gauss,
    "Gauss2": _gauss,
    "Gauss3": _gauss,
    "Hahn1": _cubics,
    "Kirby2": lambda b, x: (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2),
    "Lanczos1": _lanczos,
    "Lanczos2": _lanczos,
    "Lanczos3": _lanczos,
    "MGH09": lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH10": lambda b, x: b[0] * np.exp(b[1] / (x + b[2])),
    "MGH17": lambda b, x: b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4]),
    "Misra1a": lambda b, x: b[0] * (1 - np.exp(-b[1] * x)),
    "Misra1b": _misra1b,
    "Misra1c": lambda b, x: b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x: b[0] * b[1] * x / (1 + b[1] * x),
    "Nelson": lambda b, x: b[0] - b[1] * x[0] * np.exp(-b[2] * x[1]),
    "Rat42": lambda b, x: b[0] / (1 + np.exp(b[1] - b[2] * x)),
    "Rat43": lambda b, x: b[0] / (1 + np.exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Roszman1": lambda b, x: b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / np.pi,
    "Thurber": _cubics,
}


class Problem(NamedTuple):
    """The residual sum of squares of one model from one start, in the unit of the parameters or of their start."""

    name: str
    start: int  # 1 or 2
    scaled: bool  # the unknowns are the parameters as multiples of their starts
    unit: Array
    x0: Array
    rss: float  # certified
    x: Array
    y: Array

    def residuals(self, u: Array) -> Array:
        """Model less observation, at u."""
        with np.errstate(all="ignore"):
            found: Array = MODELS[self.name](u * self.unit, self.x) - self.y
        return found

    def jacobian(self, u: Array) -> Array:
        """Derivatives of the residuals, (rows, parameters), exact but for rounding."""
        columns = []
        for i in range(len(u)):
            h = COMPLEX_STEP * max(abs(u[i]), 1.0)
            columns.append(self.residuals(u + 1j * h * (np.arange(len(u)) == i)).imag / h)
        return np.column_stack(columns)

    def value(self, u: Array) -> float:
        """The residual sum of squares."""
        with np.errstate(all="ignore"):
            r = self.residuals(u)
            return float(r @ r)

    def gradient(self, u: Array) -> Array:
        """Its gradient."""
        with np.errstate(all="ignore"):
            g: Array = 2.0 * self.jacobian(u).T @ self.residuals(u)
        return g

    def solved(self, value: float) -> bool:
        """Whether a sum of squares is the certified one."""
        return abs(value - self.rss) <= SOLVED * self.rss

    def expected_gain(self, u: Array) -> float:
        """Decrease that the Gauss-Newton step promises, as a share of the sum of squares: |projection of r on J|^2 / |r|^2."""
        with np.errstate(all="ignore"):
            J, r = self.jacobian(u), self.residuals(u)
        if not (np.isfinite(J).all() and np.isfinite(r).all()):
            return float("inf")
        size = np.linalg.norm(J, axis=0)
        Q, R = np.linalg.qr(J[:, size > 0.0] / size[size > 0.0])
        sure = np.abs(np.diag(R)) > INDEPENDENT
        return float(np.sum((Q.T @ r)[sure] ** 2) / (r @ r)) if r @ r else 0.0


def problems() -> Iterator[Problem]:
    """Every problem: 27 models, two starts, the parameters as they are and as multiples of their starts."""
    stored = json.loads((Path(__file__).parent / "nist_nonlinear.json").read_text(encoding="utf-8"))
    for name, told in stored.items():
        rows = np.array(told["rows"])
        y = np.log(rows[:, 0]) if name == "Nelson" else rows[:, 0]
        x = rows[:, 1:].T if rows.shape[1] > 2 else rows[:, 1]
        for k, start in enumerate(told["starts"], 1):
            begin = np.array(start)
            for scaled in (False, True):
                unit = np.abs(begin) if scaled else np.ones(len(begin))
                yield Problem(name, k, scaled, unit, begin / unit, told["rss"], x, y)
