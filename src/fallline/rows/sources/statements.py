"""Whether a query of a database is one statement that reads, as far as its text says.

The database itself is opened so that it cannot be changed; this tells what was given before anything is opened, and keeps
away what read-only SQLite would still do: ``ATTACH`` makes files, a second statement is left out in silence.
"""

from __future__ import annotations

import re

from fallline.errors import SettingError

READS = ("select", "with", "values", "from", "table", "pivot", "unpivot", "describe", "summarize", "show")
OF_SQLITE = ("select", "with", "values")
NOT_ONE = "sql: got {}; a query is one SELECT (or WITH ..., VALUES), which reads and changes nothing."
# What separates no statements: comments, text, names in quotes. SQLite ends a comment that is left open at the end.
_PASSED = re.compile(
    r"--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]", re.DOTALL
)  # fmt: skip


def check_query(query: str, kind: str) -> None:
    """Raise SettingError where `query` is none. `kind`: ``sqlite``, ``duckdb`` or ``postgresql``.

    Statements are counted here for SQLite alone: the others have more ways to quote, and count by themselves.
    """
    if "\0" in query:
        raise SettingError(NOT_ONE.format("a text with a NUL in it"))
    bare = _PASSED.sub(" ", query) if kind == "sqlite" else re.sub(r"--[^\n]*|/\*.*?\*/", " ", query, flags=re.DOTALL)
    found = re.match(r"[\s(]*([a-z]+)", bare, re.IGNORECASE)
    first = found[1].lower() if found else ""
    if first not in (OF_SQLITE if kind == "sqlite" else READS):
        raise SettingError(NOT_ONE.format(f"one that begins with {first.upper()!r}" if first else "one without words"))
    if kind == "sqlite" and ";" in bare.rstrip("; \t\r\n\f"):
        raise SettingError(NOT_ONE.format("several statements"))
