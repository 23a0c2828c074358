"""What ``sklearn.callback`` is to an estimator, for versions of scikit-learn before 1.9: the hooks and their context."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any

HOOKS = ("setup", "teardown", "on_fit_task_begin", "on_fit_task_end")


class Context:
    """A task: its name, its number among its siblings, and the task that it is a part of."""

    def __init__(self, estimator: Any, task_name: str, task_id: int, max_subtasks: int | None, parent: Any) -> None:
        self.estimator_name, self.task_name, self.task_id = type(estimator).__name__, task_name, task_id
        self.max_subtasks, self.parent, self.sequential_subtasks = max_subtasks, parent, True
        self.source_estimator_name = self.source_task_name = None
        self._callbacks = getattr(estimator, "_skl_callbacks", [])
        self._estimator, self._made = estimator, 0

    def subcontext(self, task_name: str = "", max_subtasks: int | None = 0) -> Context:
        """The next task within this one."""
        self._made += 1
        return Context(self._estimator, task_name, self._made - 1, max_subtasks, self)

    def call_on_fit_task_begin(self, **given: Any) -> Context:
        """Tell all callbacks."""
        self._call("on_fit_task_begin", given)
        return self

    def call_on_fit_task_end(self, **given: Any) -> bool:
        """Tell all callbacks; whether one asks to stop."""
        return self._call("on_fit_task_end", given)

    def _call(self, hook: str, given: dict[str, Any]) -> bool:
        estimator, make = given.pop("estimator"), given.pop("reconstruction_attributes", None)
        stop = False
        for callback in self._callbacks:
            function = getattr(callback, hook)
            wanted = [
                p.name
                for p in inspect.signature(function).parameters.values()
                if p.kind is inspect.Parameter.KEYWORD_ONLY
            ]
            if "fitted_estimator" in wanted:
                given["fitted_estimator"] = None if make is None else _fitted(estimator, make())
            stop |= bool(function(estimator, self, **{name: given.get(name) for name in wanted}))
        return stop


def _fitted(estimator: Any, attributes: dict[str, Any]) -> Any:
    there = copy.copy(estimator)
    vars(there).update(attributes)
    return there


class CallbackSupportMixin:
    """``set_callbacks``, and the task of a fit."""

    def set_callbacks(self, *callbacks: Any) -> Any:
        """Set callbacks for the estimator: objects with the hooks of scikit-learn's protocol; none takes them away."""
        for callback in callbacks:
            if isinstance(callback, type) or not all(callable(getattr(callback, hook, None)) for hook in HOOKS):
                raise TypeError("callbacks must be instances following the FitCallback protocol.")
        if callbacks:
            self._skl_callbacks = list(callbacks)
        else:
            vars(self).pop("_skl_callbacks", None)
        return self

    def _init_callback_context(self, task_name: str = "fit", max_subtasks: int | None = 0) -> Context:
        self._context = Context(self, task_name, 0, max_subtasks, None)
        self._set_up = []
        for callback in getattr(self, "_skl_callbacks", []):
            self._set_up.append(callback)
            callback.setup(estimator=self, context=self._context)
        return self._context


def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
    """Run the method, and whatever happens then take the callbacks down."""

    @functools.wraps(method)
    def managed(estimator: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(estimator, *args, **kwargs)
        finally:
            context = vars(estimator).pop("_context", None)
            for callback in vars(estimator).pop("_set_up", []):
                callback.teardown(estimator=estimator, context=context)

    return managed
