"""Remedies as something that can be pasted: a command for files, a line of Python for arrays."""

from __future__ import annotations

from fallline.symptoms._base import Evidence


def remedy(evidence: Evidence, **settings: str) -> str:
    """``fallline fit FILE --target COL --l2 0.1`` or ``fallline.fit(X, y, l2=0.1)``.

    An empty value takes an option away.
    """
    if evidence.link == "none":
        inner = ", ".join(f"{name}={value}" for name, value in settings.items() if value)
        return f"fallline.minimize(f, x0{', ' if inner else ''}{inner})"
    if not evidence.source:
        inner = ", ".join(f"{name}={value}" for name, value in settings.items() if value)
        return f"fallline.fit(X, y{', ' if inner else ''}{inner})"
    options = {"learning_rate": "--lr", "max_passes": "--max-passes", "l2": "--l2"}
    told = " ".join(f"{options[name]} {value}" for name, value in settings.items() if value and name in options)
    return f"fallline fit {evidence.source} --target {evidence.target}{' ' if told else ''}{told}"
