"""A model as plain JSON, for whatever can multiply and add."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from fallline import __version__
from fallline.atomic_write import write_whole
from fallline.exports.linear import LINKS, Linear


def to_json(model: Linear, path: str | Path | None = None) -> str:
    """Names, coefficients, link and formula. A column's name repeats for each class or output."""
    single = model.coef.shape[1] == 1
    of = model.coef[:, 0] if single else model.coef
    data: dict[str, Any] = {
        "model": "linear",
        "loss": model.loss,
        "link": model.link,
        "prediction": f"z = intercept + sum_j coef_j x_j; {LINKS[model.link]}",
        "target": model.target,
        "classes": None if model.classes is None else [_label(label) for label in model.classes],
        "intercept": float(model.intercept[0]) if single else model.intercept.tolist(),
        "coefficients": dict(zip(model.names, of.tolist(), strict=True)),
        "library": f"fallline {__version__}",
    }
    if len(data["coefficients"]) < len(model.names):  # columns of the same name: places instead
        data["coefficients"] = of.tolist()
    text = json.dumps(data, indent=2, allow_nan=False, default=str)
    if path is not None:
        write_whole(path, text.encode())
    return text


def _label(label: Any) -> Any:
    """A class as JSON has it: numbers that are not finite as text."""
    return str(label) if isinstance(label, float) and not math.isfinite(label) else label
