"""A family is a folder with one class per file; adding a file is all it takes to join.

Losses, penalties, optimizers, rates and symptoms are families. Look-up by name, the choices of the command line, the
tables of the docs and the contract tests all ask here, so a new member is found everywhere at once.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from typing import Any, TypeVar

from fallline.errors import SettingError

N = TypeVar("N")


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


def suggest(word: str, known: list[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the known word nearest to `word`, or an empty string."""
    near = difflib.get_close_matches(word.lower(), [k.lower() for k in known], n=1, cutoff=0.5)
    original = {k.lower(): k for k in known}
    return f" Did you mean '{original[near[0]]}'?" if near else ""


def look_up(word: str, family: dict[str, type[N]], setting: str, **settings: Any) -> N:
    """Return the member of `family` called `word`, made with `settings`.

    Raises SettingError, which names the nearest member and lists them all.
    """
    key = word.strip().lower().replace("_", " ").replace("-", " ")
    if key not in family:
        names = list(family)
        raise SettingError(
            f"{setting}: there is none called {word!r}.{suggest(key, names)} There are: {', '.join(names)}."
        )
    return family[key](**settings)
