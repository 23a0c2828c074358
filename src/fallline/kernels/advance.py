"""A rule's update of every coordinate, in place.

Most rules treat each coordinate alone (``Optimizer.elementwise``). Their formulas are then compiled for one number, in
a loop over the coordinates that the compiler turns into one pass over theta and the state: written for arrays they
make an array for each formula, which for 100 coordinates takes several times as long as the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from fallline.kernels.compile import LENIENT
from fallline.kernels.twins import class_of, unannotated, update

WITHIN = {"error_model": "numpy", "fastmath": LENIENT, "forceinline": True}


def copied(rule: Any, state: Any) -> Any:
    """A state that `advance` may write to."""
    return type(state)(*(value.copy() if isinstance(value, np.ndarray) else value for value in state))


def advance(rule: Any, g: Any, state: Any, lr: Any, theta: Any) -> Any:
    """Add the move of the rule whose twin `rule` is to theta; return the next state, which may be `state` changed."""
    move, state = update(rule, g, state, lr)
    theta += move
    return state


def _entry(state: Any, j: Any) -> Any:
    """Coordinate j of a state, a named tuple of numbers."""
    return type(state)(*(value[j] if isinstance(value, np.ndarray) else value for value in state))


def _put(state: Any, j: Any, entry: Any) -> Any:
    """Write coordinate j; return the state, with the numbers that belong to no coordinate as they are in `entry`."""
    for value, new in zip(state, entry, strict=True):
        if isinstance(value, np.ndarray):
            value[j] = new
    return type(state)(*(v if isinstance(v, np.ndarray) else type(v)(n) for v, n in zip(state, entry, strict=True)))


def _of_copied(rule: Any, state: Any) -> Any:
    return _written(state, "rule, state", array="state[{k}].copy()") if _elementwise(rule) else _itself


def _of_entry(state: Any, j: Any) -> Any:
    # counts as fractions: beta**t is then an instruction without a loop, which the compiler makes once for all j
    return _written(state, "state, j", array="state[{k}][j]", whole="np.float64(state[{k}])")


def _of_put(state: Any, j: Any, entry: Any) -> Any:
    number, whole = "entry[{k}]", "np.int64(entry[{k}])"
    return _written(state, "state, j, entry", before="state[{k}][j] = entry[{k}]", number=number, whole=whole)


def _written(
    state: Any, arguments: str, *, before: str = "", array: str = "state[{k}]", number: str = "state[{k}]",
    whole: str | None = None,
) -> Callable[..., Any]:  # fmt: skip
    """A function that makes such a state; written out, for the compiler knows no loop over a tuple of several types."""
    kinds = [
        array if isinstance(kind, types.Array) else whole or number if isinstance(kind, types.Integer) else number
        for kind in state.types
    ]
    lines = [before.format(k=k) for k, kind in enumerate(state.types) if before and isinstance(kind, types.Array)]
    made = ", ".join(kind.format(k=k) for k, kind in enumerate(kinds))
    text = "\n    ".join([f"def found({arguments}):", *lines, f"return State({made},)"])
    names: dict[str, Any] = {"State": state.instance_class, "np": np}
    exec(text, names)
    found: Callable[..., Any] = names["found"]
    return found


def _of_advance(rule: Any, g: Any, state: Any, lr: Any, theta: Any) -> Any:
    return _one_by_one if _elementwise(rule) else _as_arrays


def _elementwise(rule: Any) -> bool:
    return bool(getattr(class_of(rule), "elementwise", False))


def _itself(rule: Any, state: Any) -> Any:
    return state


def _one_by_one(rule: Any, g: Any, state: Any, lr: Any, theta: Any) -> Any:
    after = state
    for j in range(len(theta)):
        move, entry = update(rule, g[j], _entry(state, j), lr)
        theta[j] += move
        after = _put(state, j, entry)
    return after


def _as_arrays(rule: Any, g: Any, state: Any, lr: Any, theta: Any) -> Any:
    move, after = update(rule, g, state, lr)
    for j in range(len(theta)):
        theta[j] += move[j]
    return after


for _bare in (_itself, _one_by_one, _as_arrays):
    unannotated(_bare)
for _stub, _found in ((copied, _of_copied), (_entry, _of_entry), (_put, _of_put), (advance, _of_advance)):
    overload(unannotated(_stub), jit_options=WITHIN)(unannotated(_found))
