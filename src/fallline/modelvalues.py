"""What a model file says of single things, as JSON: members of the families by name, and values that JSON has not."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline import __version__
from fallline.errors import ModelFileError
from fallline.losses import losses
from fallline.optimizers import optimizers
from fallline.penalties import penalties
from fallline.visible import shortened

FAMILIES: dict[str, Callable[[], dict[str, Any]]] = {"loss": losses, "penalty": penalties, "optimizer": optimizers}

# Members of the families: by name, with the settings that their dataclasses declare.


def member_to_json(kind: str, member: Any) -> dict[str, Any] | None:
    """Its name and settings; None for none, and for strangers that predictions can do without."""
    if member is None:
        return None
    try:
        return {"name": member.name, "settings": settings_of(kind, member)}
    except ModelFileError:
        if kind != "loss":
            return None
        raise ModelFileError(
            f"The model cannot be saved: its loss {type(member).__name__} is not one of fallline's, so nobody could "
            "load it. Put its file into the folder of the losses."
        ) from None


def settings_of(kind: str, member: Any) -> dict[str, Any]:
    """The settings of a member, as JSON."""
    if type(member) not in FAMILIES[kind]().values():
        raise ModelFileError(f"{member!r:.80} is not in the family of its kind.")
    return {f.name: pack(getattr(member, f.name)) for f in dataclasses.fields(member) if f.init}


def member_of(kind: str, data: dict[str, Any] | None) -> Any:
    """The inverse: made by its own class, which checks its settings' ranges, once they are of the declared kinds."""
    if data is None:
        return None
    family, name = FAMILIES[kind](), data["name"]
    if name not in family:
        raise ModelFileError(
            f"it names the {kind} '{shortened(str(name))}', which fallline {__version__} does not have. "
            f"There are: {', '.join(family)}."
        )
    settings, hints = known(data["settings"], dict, "settings"), typing.get_type_hints(family[name])
    settings = {setting: unpack(value) for setting, value in settings.items()}
    for setting, value in settings.items():
        if not fits(value, hints[setting]):
            raise ModelFileError(f"the {kind} '{name}' has {shortened(repr(value))} as its {setting}.")
    return family[name](**settings)


def fits(value: Any, hint: Any) -> bool:
    """Whether `value` is what the annotation of a setting says."""
    if hint is Any:
        return True
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, choice) for choice in inner)
    if origin is typing.Literal:
        return value in inner
    if origin is tuple:
        kinds = inner[:1] * len(value) if isinstance(value, tuple) and inner[-1] is Ellipsis else inner
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(fits, value, kinds))
    if origin is dict:
        return isinstance(value, dict) and all(fits(k, inner[0]) and fits(v, inner[1]) for k, v in value.items())
    if origin is list:
        return isinstance(value, list) and all(fits(part, inner[0]) for part in value)
    if isinstance(origin, type):
        return isinstance(value, origin)
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    if not isinstance(hint, type) or not isinstance(value, hint):
        return hint is None and value is None
    if not dataclasses.is_dataclass(value):
        return True
    hints = typing.get_type_hints(type(value))
    return all(fits(getattr(value, part.name), hints[part.name]) for part in dataclasses.fields(value))


# Values that JSON has not: {"$tuple": [1, 2]}, {"$float": "inf"}, {"$penalty": {"name": "l2", "settings": ...}}.


def pack(value: Any) -> Any:
    """A value as JSON; raises ModelFileError for what is not plain data."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, list):
        return [pack(v) for v in value]
    if isinstance(value, tuple):
        return {"$tuple": [pack(v) for v in value]}
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return {"$array": pack(value.tolist())}
    if isinstance(value, dict):
        packed = {str(k): pack(v) for k, v in value.items()}
        return {"$dict": [[k, v] for k, v in packed.items()]} if any(k.startswith("$") for k in packed) else packed
    for kind, family in FAMILIES.items():
        if type(value) in family().values():
            return {f"${kind}": {"name": value.name, "settings": settings_of(kind, value)}}
    raise ModelFileError(f"The model cannot be saved: {value!r:.80} ({type(value).__name__}) is not plain data.")


def unpack(value: Any) -> Any:
    """The inverse of ``pack``."""
    if isinstance(value, list):
        return [unpack(v) for v in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1 or not next(iter(value)).startswith("$"):
        return {k: unpack(v) for k, v in value.items()}
    ((tag, inner),) = value.items()
    if tag == "$float":
        return float(inner)
    if tag == "$tuple":
        return tuple(unpack(v) for v in inner)
    if tag == "$array":
        return np.asarray(unpack(inner))
    if tag == "$dict":
        return {k: unpack(v) for k, v in inner}
    return member_of(tag[1:], inner)


def known(value: Any, kind: type, name: str) -> Any:
    """`value`, when it is of the kind that `name` must be; True is no whole number."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ModelFileError(f"{name} is {shortened(repr(value))}, which is not of the kind {kind.__name__}.")
    return value


def number_of(value: Any, name: str) -> float:
    """A number, also one that JSON has not."""
    value = unpack(value)
    return float(value if isinstance(value, float) else known(value, int, name))


def names_of(value: Any) -> tuple[str, ...]:
    """A list of texts."""
    return tuple(known(name, str, "a column's name") for name in known(value, list, "the columns' names"))


def label_of(value: Any) -> str | int | float | bool:
    """A class label; raises ModelFileError for what cannot be one in a file."""
    label = value.item() if isinstance(value, np.generic) else value
    if not isinstance(label, (str, int, float)):
        kind = type(label).__name__
        raise ModelFileError(
            f"the class label {label!r:.60} is of the kind {kind}; text, numbers and truth values can be kept."
        )
    return label


def storable(array: Any) -> NDArray[np.floating]:
    """An array as it is stored: float32 as it is, all else as float64."""
    dtype = np.float32 if getattr(array, "dtype", None) == np.float32 else np.float64
    return np.array(array, dtype=dtype, order="C")
