"""Formulas that are written once, as methods of a loss or a rule, called from within compiled kernels.

A compiled function cannot see a Python object, but it can see a named tuple. So a loss or a rule (a frozen dataclass)
gets a *twin*: a named tuple of its settings, whose type says which class it stands for. ``value(twin, y, z)`` in a
kernel is then compiled from the source of that class's own method, with numbers for y and z instead of arrays.
"""

from __future__ import annotations

import collections
import dataclasses
import importlib
import inspect
import types
from collections.abc import Callable
from typing import Any

from numba import types as numba_types
from numba.extending import overload, overload_method

from fallline.kernels.arithmetic import arithmetic, numpy_of_formulas

PREFIX, DOT = "twin_of_", "__dot__"
# Inlined, or the compiler would call a formula row by row instead of working on several rows at once.
AS_WRITTEN = {"error_model": "numpy", "fastmath": False, "forceinline": True}

_named_tuple: Any = collections.namedtuple
_classes: dict[type, type] = {}  # twin -> class
_twins: dict[type, Any] = {}  # class -> twin


def twin(thing: Any) -> Any:
    """The named tuple of the settings of a loss or a rule."""
    made = _twin_of(type(thing))
    return made(*(getattr(thing, name) for name in made._fields[:-1]), 0)


def is_ours(thing: Any) -> bool:
    """Whether its formulas are fallline's own, so that kernels made of them may be kept on disk."""
    return type(thing).__module__.startswith("fallline.")


def value(self: Any, y: Any, z: Any) -> Any:
    """phi(y, z) of one row, by the loss whose twin `self` is."""
    return self.value(y, z)


def slope(self: Any, y: Any, z: Any) -> Any:
    """dphi/dz of one row."""
    return self.slope(y, z)


def update(self: Any, g: Any, state: Any, lr: Any) -> Any:
    """(move, next state) of the rule whose twin `self` is."""
    return self.update(g, state, lr)


def _twin_of(cls: type) -> Any:
    if cls not in _twins:
        path = f"{cls.__module__}.{cls.__qualname__}"
        name = PREFIX + (path.replace(".", DOT) if cls.__module__.startswith("fallline.") else f"a_users_{len(_twins)}")
        fields = [field.name for field in dataclasses.fields(cls)]
        made = _named_tuple(name, [*fields, "filler"], module=__name__)  # a tuple of nothing has no type of its own
        _twins[cls], _classes[made] = made, cls
        globals()[name] = made  # where the disk cache will look for it
    return _twins[cls]


def __getattr__(name: str) -> Any:
    """A twin that the disk cache asks for before anybody has made it: ``twin_of_fallline.losses.logistic.Logistic``."""
    if not name.startswith(PREFIX):
        raise AttributeError(name)
    module, _, cls = name.removeprefix(PREFIX).replace(DOT, ".").rpartition(".")
    return _twin_of(getattr(importlib.import_module(module), cls))


def class_of(typed: Any) -> type | None:
    """The class that a named tuple type stands for."""
    return _classes.get(getattr(typed, "instance_class", type(None)))


def _formula(typed: Any, method: str) -> Callable[..., Any] | None:
    """The source of a method of the class that a named tuple type stands for."""
    cls = class_of(typed)
    return _bare(inspect.unwrap(inspect.getattr_static(cls, method))) if cls is not None else None


def _bare(function: Any) -> Callable[..., Any]:
    """A function as the compiler can take it: no annotations, our NumPy, and helpers of its module compiled too."""
    seen = {**function.__globals__, "np": numpy_of_formulas}
    for name in function.__code__.co_names:
        if isinstance(seen.get(name), types.FunctionType):
            seen[name] = arithmetic(_bare(seen[name]))
    return types.FunctionType(function.__code__, seen, function.__name__, function.__defaults__, function.__closure__)


def _of_loss(method: str) -> Callable[..., Any]:
    def found(self: Any, y: Any, z: Any) -> Any:
        return _formula(self, method)

    return found


def _mean(self: Any, z: Any) -> Any:
    return _formula(self, "mean")


def _update(self: Any, g: Any, state: Any, lr: Any) -> Any:
    return _formula(self, "update")


def unannotated(found: Callable[..., Any]) -> Callable[..., Any]:
    """`found`, bare: Numba compares the signatures of a stub and of what stands for it letter by letter."""
    found.__annotations__ = {}
    return found


overload(value, jit_options=AS_WRITTEN)(unannotated(_of_loss("value")))
overload(slope, jit_options=AS_WRITTEN)(unannotated(_of_loss("slope")))
overload(update, jit_options={"error_model": "numpy"})(unannotated(_update))
for _stub in (value, slope, update):
    unannotated(_stub)
for _kind in (numba_types.NamedTuple, numba_types.NamedUniTuple):
    overload_method(_kind, "mean", jit_options=AS_WRITTEN)(unannotated(_mean))
    for _method in ("value", "slope", "curvature"):
        overload_method(_kind, _method, jit_options=AS_WRITTEN)(unannotated(_of_loss(_method)))
