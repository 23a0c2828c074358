"""Remedies as something that can be pasted: a command for files, a line of Python for arrays.

All that was named for the run is named again, but for what the remedy changes. Names of columns and files may be anybody's,
and so may all of a model file: every word is quoted for the shell, and what is no option or no plain value is left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from fallline.rows.columns import table_column
from fallline.symptoms._base import Evidence
from fallline.visible import shell_path, shell_word

# What is said in Python, and the option of the command line where that has another name.
OPTIONS = {"learning_rate": "lr", "standardize": "scale", "fit_intercept": "intercept", "sample_weight": "weight"}
SWITCHES = ("scale", "intercept", "shuffle", "auto_fix")  # options that are on unless --no-... is given
SEVERAL = ("drop", "reference")  # options that may be repeated
WORDS = ("learning_rate", "optimizer", "na", "drop")  # settings whose values are words
USUAL = {"learning_rate": "auto", "optimizer": "auto", "standardize": "True", "shuffle": "True", "loss": "squared"}
NAME = re.compile(r"[a-z][a-z0-9_]*")  # of an option or a setting
QUOTED = re.compile(r"""\$'(?:\\.|[^'\\])*'|'[^']*'|"'\"""")  # as ``shell_word`` quotes
BARE = re.compile(r"[A-Za-z0-9_@%+=:,./ -]*")  # what it leaves unquoted, which no shell acts on
VALUES = ("X", "y", "f", "x0", "inf", "nan", "check", "sample_weight", "offset", "array", "float32", "dtype")
LITERALS = (
    ast.Expression, ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.UnaryOp, ast.USub, ast.UAdd, ast.Load, ast.keyword,
)  # fmt: skip
PYTHON = re.compile(r"fallline\.(fit|minimize)\((X, y|f, x0)(, .*)?\)")


def remedy(evidence: Evidence, **settings: str) -> str:
    """``fallline fit FILE --target COL --l2 0.1`` or ``fallline.fit(X, y, l2=0.1)``.

    A value that is what a setting is anyway takes away what was named of it. "" where no command can say it: the column to
    be left out is none of the table, or a name holds what no argument of a program can.
    """
    if evidence.source:
        try:
            return _command(evidence, settings)
        except ValueError:
            return ""
    named = dict(evidence.named)
    for name, value in settings.items():
        named.pop(name, None)
        if USUAL.get(name) != value:
            named[name] = _in_python(name, value)
    given = "f, x0" if evidence.link == "none" else "X, y"
    inner = "".join(f", {name}={value}" for name, value in named.items() if NAME.fullmatch(name) and _plain(value))
    return f"fallline.{'minimize' if evidence.link == 'none' else 'fit'}({given}{inner})"


def listed(values: Iterable[str]) -> str:
    r"""Several values of one option as one text, a line each; a line end within a value is written ``\n``.

    >>> print(listed(["a", "b\nc"]))
    a
    b\nc
    """
    return "\n".join(value.replace("\\", "\\\\").replace("\n", "\\n") for value in values)


def unlisted(text: str) -> list[str]:
    r"""The inverse of ``listed``.

    >>> unlisted(listed(["a", "b\nc", "\\n"])) == ["a", "b\nc", "\\n"]
    True
    """
    back = {"\\n": "\n", "\\\\": "\\"}
    return [re.sub(r"\\[n\\]", lambda pair: back[pair[0]], line) for line in text.split("\n")]


def pasteable(told: str) -> bool:
    """Whether a remedy that a model file holds is one that could have been made here: one command of ours, or one call.

    >>> pasteable("fallline fit 'a b.csv' --target y"), pasteable("fallline fit a.csv --target y; rm -r .")
    (True, False)
    >>> pasteable("fallline.fit(X, y, l2=0.1)"), pasteable("fallline.fit(X, y, l2=print(1))")
    (True, False)
    """
    if not told.isprintable():
        return False
    if told.startswith("fallline fit "):
        bare = QUOTED.sub("", told)
        return BARE.fullmatch(bare) is not None and " =" not in bare  # which zsh looks up as a program
    return PYTHON.fullmatch(told) is not None and _plain(f"Call{told[told.index('(') :]}")


def _command(evidence: Evidence, settings: dict[str, str]) -> str:
    options = dict(evidence.named)
    for name, value in settings.items():
        own = OPTIONS.get(name, name)
        before = options.pop(own, None)
        if name == "drop":  # more is left out, not something else; and by the name that it has in the table
            value = listed(dict.fromkeys([*(unlisted(before) if before else []), _column(value, evidence.columns)]))
        if USUAL.get(name) != value:
            options[own] = value
    file = [] if "sql" in options else [shell_path(evidence.source)]  # a query stands for a file
    told = ["fallline fit", *file, _valued("target", evidence.target)]
    return " ".join(told + [_option(name, value) for name, value in options.items() if NAME.fullmatch(name)])


def _column(feature: str, columns: tuple[str, ...] | None) -> str:
    """The column of the table that a column of X was made of; ValueError where none of `columns` alone was.

    >>> _column("a=b=c", ("a", "a=b")), _column("when: month=May", ("when",))
    ('a=b', 'when')
    """
    if columns is None:
        return table_column(feature)
    if feature in columns:
        return feature
    made = [
        name for name in columns
        if feature.startswith(name) and re.match(r"=|#\d+$| is missing$|: ", feature[len(name) :])
    ]  # fmt: skip
    if not made:
        raise ValueError(f"{feature!r} is not made of one column")
    return max(made, key=len)


def _option(name: str, value: str) -> str:
    flag = name.replace("_", "-")
    if value == "True":
        return f"--{flag}"
    if value == "False":
        return f"--no-{flag}" if name in SWITCHES else ""
    return " ".join(_valued(flag, one) for one in (unlisted(value) if name in SEVERAL else [value]))


def _valued(flag: str, value: str) -> str:
    """``--drop 'a b'``; ``--drop=-x`` for a value that would be taken for an option."""
    return f"--{flag}{'=' if value.startswith('-') else ' '}{shell_word(value)}"


def _in_python(name: str, value: str) -> str:
    try:
        float(value)
    except ValueError:
        return repr(value) if name in WORDS else value
    return value


def _plain(value: str) -> bool:
    """Whether Python that is to be pasted holds values and names of ours alone: nothing else is called or looked up."""
    try:
        tree = ast.parse(value, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(isinstance(node, (*LITERALS, ast.Call)) or _ours(node) for node in ast.walk(tree)) and all(
        _ours(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)
    )


def _ours(node: ast.AST) -> bool:
    """A name that a setting may have: ``X``, ``inf``, ``fallline.Momentum``, ``Constant`` (of a rate within a rate)."""
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) and node.value.id == "fallline" and node.attr[:1].isupper()
    return isinstance(node, ast.Name) and (node.id in (*VALUES, "fallline") or node.id[:1].isupper())
