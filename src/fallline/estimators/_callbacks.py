"""scikit-learn's callback protocol (``sklearn.callback``, from 1.9): a fit is a task, each recorded step one within it.

Older versions have no such module: a small stand-in calls the same hooks with a context that has the same names, so
that callbacks written for the protocol run there too. (It knows nothing of meta-estimators, which know nothing of
callbacks there.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fallline.recorder import Event

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before 1.9
    from fallline.estimators._callback_stand_in import CallbackSupportMixin, with_callbacks

__all__ = ["CallbackSupportMixin", "FitContext", "bridge", "with_callbacks"]


class FitContext:
    """The task of one fit, which began when this was made."""

    def __init__(self, estimator: Any, X: Any, y: Any, weight: Any) -> None:
        self.task = estimator._init_callback_context(max_subtasks=None)
        self.estimator = estimator
        self.whole = {"X": X, "y": y, "metadata": None if weight is None else {"sample_weight": weight}}
        self.task.call_on_fit_task_begin(estimator=estimator, **self.whole)

    def step(self, attributes: Callable[[], dict[str, Any]]) -> bool:
        """Tell that a step is done; whether a callback asks to stop. `attributes`: those of a fitted estimator."""
        step = self.task.subcontext(task_name="step")
        step.call_on_fit_task_begin(estimator=self.estimator, **self.whole)
        return bool(
            step.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes=attributes, **self.whole)
        )

    def end(self) -> None:
        """The fit is done, and the estimator has its attributes."""
        own = self.estimator
        self.task.call_on_fit_task_end(
            estimator=own,
            reconstruction_attributes=lambda: {"coef_": own.coef_, "intercept_": own.intercept_},
            **self.whole,
        )


def bridge(context: FitContext, attributes: Callable[[Event], dict[str, Any]]) -> Callable[[Event], bool] | None:
    """An observer of the loop that calls the hooks; None where nobody listens."""
    if not getattr(context.estimator, "_skl_callbacks", []):
        return None
    return lambda event: context.step(lambda: attributes(event))
