"""What every function that users call does first: arguments checked by name, and floating-point faults kept inside.

Formulas may overflow or underflow where that does no harm: far from the optimum the loop sees it, and a row that is all
but certain costs nothing. Whether NumPy warns of it or raises (``np.seterr``, ``warnings``) is the user's setting for
the user's own arithmetic, and must not decide how a fit ends.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from fallline.errors import SettingTypeError
from fallline.family import suggest

P = ParamSpec("P")
R = TypeVar("R")


def entry_point(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a public function: see above. Raises SettingTypeError for arguments that it does not have."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def called(*args: P.args, **settings: P.kwargs) -> R:
        try:
            signature.bind(*args, **settings)
        except TypeError:
            raise SettingTypeError(_complaint(function.__name__, signature, len(args), settings)) from None
        with np.errstate(all="ignore"):
            return function(*args, **settings)

    return called


def _complaint(name: str, signature: inspect.Signature, given: int, settings: dict[str, Any]) -> str:
    by_place = [n for n, p in signature.parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    unknown = [setting for setting in settings if setting not in signature.parameters]
    if unknown:
        hint = suggest(unknown[0], list(signature.parameters))
        return f"{name}: there is no setting called {unknown[0]!r}.{hint} help(fallline.{name}) lists them all."
    if given > len(by_place):
        return (
            f"{name}: got {given} arguments by place; it takes {' and '.join(by_place)} so. Give all others by name, as in "
            f"{name}({', '.join(by_place)}, seed=1)."
        )
    needed = [n for n in by_place if signature.parameters[n].default is inspect.Parameter.empty]
    missing = [n for n in needed[given:] if n not in settings]
    if missing:
        return f"{name}: {missing[0]!r} is missing; it takes {' and '.join(needed)}."
    return f"{name}: {next(n for n in by_place[:given] if n in settings)!r} is given twice, by place and by name."
