"""What an estimator tells of its fit: verdict, gap, findings, curve, standard errors, and its page in a notebook."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import estimator_html_repr
from sklearn.utils.validation import check_is_fitted

from fallline.errors import SettingError
from fallline.history import History
from fallline.report.notebook import repr_html
from fallline.result import Result
from fallline.verdict import Verdict
from fallline.visible import visible

Array = NDArray[np.floating]

# From the worst to the best: of several runs, the worst is the verdict on the estimator.
WORST_FIRST = (
    Verdict.DIVERGED, Verdict.NO_FINITE_OPTIMUM, Verdict.STUCK, Verdict.UNFINISHED, Verdict.NOISE_LIMITED,
    Verdict.GOOD_ENOUGH, Verdict.CONVERGED,
)  # fmt: skip


class Told(BaseEstimator):
    """Attributes of a fitted estimator, all of which come from ``results_``, the results of its runs."""

    results_: list[Result]

    @property
    def result_(self) -> Result:
        """The :class:`fallline.Result` of the fit; of several outputs or one-vs-rest see ``results_``."""
        check_is_fitted(self, "results_")
        if len(self.results_) != 1:
            raise AttributeError(f"There are {len(self.results_)} runs, one an output: see results_.")
        return self.results_[0]

    @property
    def verdict_(self) -> str:
        """How the fit ended, in a word; the worst where there were several runs."""
        return str(self._worst.verdict)

    @property
    def gap_(self) -> float | None:
        """Proved bound on J - J*, the largest of the runs; None where one has none."""
        gaps = [result.gap for result in self._runs]
        return None if None in gaps else max(gap for gap in gaps if gap is not None)

    @property
    def findings_(self) -> list[Any]:
        """What was found, in order of importance."""
        return [finding for result in self._runs for finding in result.findings]

    @property
    def loss_curve_(self) -> Any:
        """J over all training rows at each step or epoch; a list of such curves where there were several runs."""
        curves = [_curve(result.history) for result in self._runs]
        return curves[0] if len(curves) == 1 else curves

    @property
    def n_iter_(self) -> int:
        """Steps made, of the longest run."""
        return max(1, *(result.steps for result in self._runs))

    @property
    def _runs(self) -> list[Result]:
        check_is_fitted(self, "results_")
        return self.results_

    @property
    def _worst(self) -> Result:
        return min(self._runs, key=lambda result: WORST_FIRST.index(result.verdict))

    def summary(self, level: float = 0.95) -> str:
        """A table of coefficients with standard errors, p-values and confidence intervals: see ``Result.inference``.

        For ``inference=True``. Raises SettingError saying why where there are none: a penalty, no convergence, columns
        that depend on one another.
        """
        tables = []
        for result in self._runs:
            if result.inference is None:
                raise SettingError(f"summary: there are no standard errors: {result.no_inference}")
            title = [visible(result.target_name)] if len(self._runs) > 1 else []
            tables.append("\n".join([*title, result.inference.table(level)]))
        return "\n\n".join(tables)

    def _repr_html_inner(self) -> str:
        """The diagram, and below it verdict, numbers and the curve of the fit."""
        diagram = str(estimator_html_repr(self))
        if not hasattr(self, "results_"):
            return diagram
        count = len(self.results_)
        which = f"<p style='margin:.4em 0'>The worst of {count} runs, one an output:</p>" if count > 1 else ""
        return diagram + which + repr_html(self._worst)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        output: dict[str, str] = super()._repr_mimebundle_(**kwargs)
        if "text/html" in output:
            output["text/html"] = self._repr_html_inner()
        return output

    def _warn(self) -> None:
        """Say what went wrong, once."""
        worst = self._worst
        if worst.verdict in WORST_FIRST[: WORST_FIRST.index(Verdict.GOOD_ENOUGH)] and worst.stop_reason != "interrupt":
            remedy = f" {worst.findings[0].sentence}" if worst.findings else ""
            warnings.warn(f"{worst.verdict}: {worst.sentence}{remedy}", ConvergenceWarning, stacklevel=4)


def _curve(history: History) -> Array:
    J = history.full_loss
    curve: Array = J[np.isfinite(J)]
    return curve
