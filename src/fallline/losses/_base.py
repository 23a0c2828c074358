"""What a loss is: a formula phi(y, z) of one target and one prediction.

A loss never sees X: ``z = X @ theta`` is made row by row elsewhere, so arrays, sparse matrices, files and clusters
share one formula. Everything below is elementwise over rows.
"""

from __future__ import annotations

import abc
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from fallline.numbering import values_told

Array = NDArray[np.floating]
# Far from the optimum formulas may overflow: what comes out is infinite or NaN, which the loop sees and tells.
quiet = np.errstate(over="ignore", under="ignore", invalid="ignore")
Task = Literal["number", "two classes", "classes"]


class Loss(abc.ABC):
    """phi(y, z): how bad the prediction z is when the truth is y; zero or more, and convex in z: proofs rely on both.

    Subclasses are frozen dataclasses: their fields are their settings. They declare, as class variables,

    ``name``       what users type: ``"squared"``
    ``summary``    one line for the docs table and ``fallline fit --help``
    ``task``       what a target is: a number, one of two classes, one of several classes
    ``targets``    the targets that are allowed, in words: ``"counts or rates: zero or more"``
    ``link``       ``"identity"``, ``"log"``, ``"logit"`` or ``"softmax"``: mu = inverse link of z

    Shapes: y is (m,) float (class codes 0, 1, ... for classes); z is (m,), or (m, K) for several classes.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    task: ClassVar[Task] = "number"
    targets: ClassVar[str]
    link: ClassVar[str] = "identity"

    @property
    def smooth(self) -> bool:
        """Whether the slope has no jumps: then gradient descent has a largest stable step, at least locally."""
        return True

    @abc.abstractmethod
    def value(self, y: Array, z: Array) -> Array:
        """phi(y, z), shape (m,)."""

    @abc.abstractmethod
    def slope(self, y: Array, z: Array) -> Array:
        """dphi/dz, the shape of z."""

    def value_and_slope(self, y: Array, z: Array) -> tuple[Array, Array]:
        """Both at once, for losses where they share work: a twin of the two formulas, equal to them."""
        return self.value(y, z), self.slope(y, z)

    @abc.abstractmethod
    def curvature(self, y: Array, z: Array) -> Array:
        """d2phi/dz2: shape (m,); (m, K, K) when z is (m, K)."""

    def own_curvature(self, y: Array, z: Array) -> Array:
        """The diagonal of ``curvature``, in the shape of z: d2phi/dz_k2 of each class k."""
        c = self.curvature(y, z)
        return c if c.ndim == 1 else np.einsum("ikk->ik", c)

    @abc.abstractmethod
    def curvature_floor(self, y: Array, z: Array, radius: Array) -> Array:
        """A lower bound of the curvature over all z' with |z' - z| <= radius, row by row; shape of ``curvature``.

        For (m, K) predictions: over all z' with ``max(z' - z) - min(z' - z) <= radius`` (a matrix bound).
        This is what turns a gradient into a proof of how far the optimum can be: see certificate.py.
        """

    @property
    @abc.abstractmethod
    def curvature_bound(self) -> float | None:
        """The largest curvature anywhere (1 for squared, 1/4 for logistic), or None where it grows without bound."""

    def majorant(self, y: Array, z: Array) -> Array | float | None:
        """The curvature of a parabola that touches phi at z and lies nowhere below it: the bound of the curvature, or less.

        It stands for the curvature of rows that have none at z. None: there is no such parabola.
        """
        return self.curvature_bound

    @abc.abstractmethod
    def mean(self, z: Array) -> Array:
        """The inverse link: what the model predicts for y, e.g. a probability or a rate; the shape of z."""

    @abc.abstractmethod
    def start(self, y: Array, weight: Array, offset: Array | None) -> float | Array:
        """The best constant prediction z (on the link scale), where the intercept starts; (K,) for several classes.

        `weight` is (m,) and sums to more than zero; `offset` is added to z, or None.
        """

    def term_size(self, y: Array, z: Array) -> Array:
        """The size of the largest terms that cancel in phi(y, z), shape (m,): phi is off by a rounding of that.

        Zero where there are none; formulas such as mu - y z are sums of terms that may be much larger than phi.
        """
        return np.zeros(len(y))

    def conjugate(self, y: Array, u: Array) -> Array | None:
        """phi*(y, u) = sup_z (u z - phi(y, z)), shape (m,), infinite where u is no slope that phi can have.

        It proves optima under |w| for any number of columns (duality.py); None: not known, and nothing is proved there.
        """
        return None

    def ladder(self, unit: float) -> tuple[Loss, ...]:
        """The losses to train one after another, each starting where the last ended: for smooth losses just this one.

        A loss with corners is the limit of smooth ones; `unit` is the spread of y.
        """
        return (self,)

    @property
    def excess(self) -> float:
        """By how much phi may exceed the loss that it stands for (a smoothed corner); 0 for a loss that is itself."""
        return 0.0

    def check_targets(self, y: Array) -> str | None:
        """What is wrong with these targets, as one sentence, or None. `y` is finite."""
        return None


def negative_entropy(p: Array) -> Array:
    """p log p: 0 at 0, infinite below."""
    found: Array = np.where(p > 0.0, p * np.log(np.where(p > 0.0, p, 1.0)), np.where(p == 0.0, 0.0, np.inf))
    return found


def first_bad(y: Array, bad: NDArray[np.bool_]) -> str:
    """``3 are not (first: row 812, y = -2)``: how the errors point at targets; rows count from 0."""
    return values_told(bad, f"y = {y[int(np.argmax(bad))]:g}")
