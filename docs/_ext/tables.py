"""What the families declare, as plain tables and plain text. No Sphinx here, so that a test can ask too."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import dataclass
from typing import Any, Literal

# What each family shows: heading, and the attribute that its members declare.
COLUMNS: dict[str, list[tuple[str, str]]] = {
    "losses": [
        ("name", "name"),
        ("class", "__name__"),
        ("what it is", "summary"),
        ("targets", "targets"),
        ("task", "task"),
        ("link", "link"),
        ("smooth", "smooth"),
    ],
    "optimizers": [
        ("name", "name"),
        ("class", "__name__"),
        ("what it is", "summary"),
        ("convention", "convention"),
        ("default rate", "default_lr"),
        ("own step size", "adaptive"),
    ],
    "penalties": [("name", "name"), ("class", "__name__"), ("what it is", "summary")],
    "rates": [("name", "name"), ("class", "__name__"), ("what it is", "summary")],
    "symptoms": [("code", "name"), ("title", "summary")],
}
WORDS = {True: "yes", False: "no", None: "none"}


@dataclass(frozen=True)
class Table:
    """Headings and rows of words."""

    headings: list[str]
    rows: list[list[str]]


def family(name: str) -> dict[str, type[Any]]:
    """The members of the family `name`, by name."""
    members: dict[str, type[Any]] = getattr(importlib.import_module(f"fallline.{name}"), name)()
    return members


def table(name: str) -> Table:
    """The table of the family `name`: one row per member, nothing written twice."""
    columns = COLUMNS[name]
    rows = []
    for member in family(name).values():
        values = [_declared(member, attribute) for _, attribute in columns]
        rows.append([WORDS[v] if v is None or isinstance(v, bool) else str(v) for v in values])
    return Table([heading for heading, _ in columns], rows)


def _declared(member: type[Any], attribute: str) -> Any:
    """What a member declares; where it depends on the settings, what it is for the default ones."""
    value = getattr(member, attribute)
    return getattr(member(), attribute) if isinstance(value, property) else value


@dataclass(frozen=True)
class Block:
    """One paragraph, list item or block of code of a docstring."""

    kind: Literal["text", "item", "code", "doctest"]
    text: str


def blocks(docstring: str) -> list[Block]:
    """Split a docstring, which in this project is plain text with indented formulas, into its blocks."""
    found: list[Block] = []
    for part in re.split(r"\n\s*\n", inspect.cleandoc(docstring)):
        lines = part.rstrip().split("\n")
        if lines[0].lstrip().startswith(">>>"):
            found.append(Block("doctest", inspect.cleandoc(part)))
        elif all(line.startswith(" ") for line in lines) or any(re.search(r"\S {3,}\S", line) for line in lines):
            found.append(Block("code", _dedent(lines)))
        else:
            found.extend(_paragraphs(lines))
    return _joined_code(found)


def _paragraphs(lines: list[str]) -> list[Block]:
    """A part that begins at the margin: paragraphs, list items with their continuation lines, and indented formulas."""
    found: list[Block] = []
    for line in lines:
        last = found[-1] if found else None
        words = line.strip()
        if re.match(r"[-*] ", line):
            found.append(Block("item", words[2:]))
        elif line.startswith(" ") and last is not None and last.kind != "item":
            code = f"{last.text}\n{line}" if last.kind == "code" else line
            found[-1:] = [Block("code", code)] if last.kind == "code" else [last, Block("code", code)]
        elif last is not None and (last.kind == "text" or line.startswith(" ")):
            found[-1] = Block(last.kind, f"{last.text} {words}")
        else:
            found.append(Block("text", words))
    return [Block(b.kind, _dedent(b.text.split("\n"))) if b.kind == "code" else b for b in found]


def _dedent(lines: list[str]) -> str:
    """The lines without the margin that they share."""
    margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return "\n".join(line[margin:].rstrip() for line in lines)


def _joined_code(found: list[Block]) -> list[Block]:
    """Blocks of code that follow each other are one; the double colon of reStructuredText is a colon."""
    joined: list[Block] = []
    for block in found:
        if joined and block.kind == joined[-1].kind == "code":
            joined[-1] = Block("code", f"{joined[-1].text}\n\n{block.text}")
        elif block.kind == "text":
            text = re.sub(r"::$", ":", block.text)
            joined.extend([Block("text", text)] if text != ":" else [])
        else:
            joined.append(block)
    return joined


def pieces(text: str) -> list[tuple[bool, str]]:
    """Split a paragraph into plain words and code: ``True`` for what stands between backticks."""
    parts = re.split(r"``(.+?)``|`([^`]+)`", text)
    return [(i % 3 > 0, part) for i, part in enumerate(parts) if part]


def restructured(docstring: str) -> list[str]:
    """The docstring as lines of reStructuredText that mean exactly what is written."""
    lines: list[str] = []
    for block in blocks(docstring):
        if block.kind in ("code", "doctest"):
            lines += [".. code-block:: " + ("pycon" if block.kind == "doctest" else "text"), ""]
            lines += [f"   {line}".rstrip() for line in block.text.split("\n")]
        else:
            words = "".join(f"``{w}``" if code else re.sub(r"([\\*|_`])", r"\\\1", w) for code, w in pieces(block.text))
            lines.append(f"- {words}" if block.kind == "item" else words)
        lines.append("")
    return lines
