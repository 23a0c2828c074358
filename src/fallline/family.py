"""A family is a folder with one class per file; adding a file is all it takes to join.

Losses, penalties, optimizers, rates and symptoms are families. Look-up by name, the choices of the command line, the
tables of the docs and the contract tests all ask here, so a new member is found everywhere at once.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import pkgutil
from typing import Any, TypeVar

from fallline.errors import SettingError, SettingTypeError

N = TypeVar("N")


@functools.cache  # what lies in a package does not change while it is in use
def members(package: str, base: type[Any]) -> dict[str, Any]:
    """Return the members of the family that lives in `package`, by their declared ``name``, sorted.

    A member is a concrete subclass of `base` defined in a module of the package whose file name does not begin with an
    underscore.
    """
    found: dict[str, Any] = {}
    folder = importlib.import_module(package)
    for module_info in pkgutil.iter_modules(folder.__path__):
        if module_info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package}.{module_info.name}")
        for value in vars(module).values():
            if not (inspect.isclass(value) and issubclass(value, base)) or inspect.isabstract(value):
                continue
            if value.__module__ == module.__name__:
                found[str(vars(value)["name"])] = value
    return dict(sorted(found.items()))


# What other libraries call it, and what it is here.
ELSEWHERE = {
    "log loss": "'logistic'", "crossentropy": "'softmax'", "cross entropy": "'softmax'", "multinomial": "'softmax'",
    "ovr": "'one-vs-rest'", "mse": "'squared'", "squared error": "'squared'", "least squares": "'squared'",
    "absolute error": "'quantile' (tau=0.5)", "mae": "'quantile' (tau=0.5)", "hinge": "'squared hinge'",
    "epsilon insensitive": "'huber' or 'quantile'", "sgd": "optimizer='descent' with batch_size=1",
    "saga": "optimizer='auto'", "sag": "optimizer='auto'", "newton cg": "optimizer='auto'", "liblinear": "optimizer='auto'",
    "newton cholesky": "optimizer='auto'", "gd": "optimizer='descent'", "gradient descent": "optimizer='descent'",
    "constant": "learning_rate=0.1, a number", "optimal": "learning_rate='auto'", "invscaling": "'inverse time'",
    "adaptive": "learning_rate='auto'",
}  # fmt: skip


def suggest(word: str, known: list[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the known word nearest to `word`, or an empty string."""
    plain = word.strip().lower().replace("_", " ").replace("-", " ")
    if plain in ELSEWHERE and plain not in known:
        return f" Here that is {ELSEWHERE[plain]}."
    near = difflib.get_close_matches(word.lower(), [k.lower() for k in known], n=1, cutoff=0.5)
    original = {k.lower(): k for k in known}
    return f" Did you mean '{original[near[0]]}'?" if near else ""


def look_up(word: str, family: dict[str, type[N]], setting: str, **settings: Any) -> N:
    """Return the member of `family` called `word`, made with `settings`.

    Raises SettingError, which names the nearest member and lists them all.
    """
    if not isinstance(word, str):
        raise SettingTypeError(f"{setting}: got {word!r}; give a name, one of {', '.join(family)}.")
    key = word.strip().lower().replace("_", " ").replace("-", " ")
    if key not in family:
        names = list(family)
        raise SettingError(
            f"{setting}: there is none called {word!r}.{suggest(key, names)} There are: {', '.join(names)}."
        )
    return family[key](**settings)
