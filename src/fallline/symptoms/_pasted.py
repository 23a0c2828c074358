"""Remedies as something that can be pasted: a command for files, a line of Python for arrays.

All that was named for the run is named again, but for what the remedy changes.
"""

from __future__ import annotations

import shlex

from fallline.rows.columns import table_column
from fallline.symptoms._base import Evidence

# What is said in Python, and the option of the command line where that has another name.
OPTIONS = {"learning_rate": "lr", "standardize": "scale", "fit_intercept": "intercept", "sample_weight": "weight"}
SWITCHES = ("scale", "intercept", "shuffle", "auto_fix")  # options that are on unless --no-... is given
SEVERAL = ("drop", "reference")  # options that may be repeated
WORDS = ("learning_rate", "optimizer", "na", "drop")  # settings whose values are words
USUAL = {"learning_rate": "auto", "optimizer": "auto", "standardize": "True", "shuffle": "True", "loss": "squared"}


def remedy(evidence: Evidence, **settings: str) -> str:
    """``fallline fit FILE --target COL --l2 0.1`` or ``fallline.fit(X, y, l2=0.1)``.

    A value that is what a setting is anyway takes away what was named of it.
    """
    if evidence.source:
        options = dict(evidence.named)
        for name, value in settings.items():
            own = OPTIONS.get(name, name)
            before = options.pop(own, None)
            if name == "drop":  # more is left out, not something else; and by the name that it has in the table
                value = "\n".join(dict.fromkeys([*(before.split("\n") if before else []), table_column(value)]))
            if USUAL.get(name) != value:
                options[own] = value
        file = [] if "sql" in options else [shlex.quote(evidence.source)]  # a query stands for a file
        told = ["fallline fit", *file, f"--target {shlex.quote(evidence.target)}"]
        return " ".join(told + [_option(name, value) for name, value in options.items()])
    named = dict(evidence.named)
    for name, value in settings.items():
        named.pop(name, None)
        if USUAL.get(name) != value:
            named[name] = _in_python(name, value)
    given = "f, x0" if evidence.link == "none" else "X, y"
    inner = "".join(f", {name}={value}" for name, value in named.items())
    return f"fallline.{'minimize' if evidence.link == 'none' else 'fit'}({given}{inner})"


def _option(name: str, value: str) -> str:
    flag = name.replace("_", "-")
    if value == "True":
        return f"--{flag}"
    if value == "False":
        return f"--no-{flag}" if name in SWITCHES else ""
    if name in SEVERAL:
        return " ".join(f"--{flag} {shlex.quote(one)}" for one in value.split("\n"))
    return f"--{flag} {shlex.quote(value)}"


def _in_python(name: str, value: str) -> str:
    try:
        float(value)
    except ValueError:
        return repr(value) if name in WORDS else value
    return value
