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

    kind: Literal["text", "heading", "item", "code", "doctest"]
    text: str


def blocks(docstring: str) -> list[Block]:
    """Split a docstring, which in this project is plain text with indented formulas, into its blocks."""
    found: list[Block] = []
    for part in re.split(r"\n\s*\n", inspect.cleandoc(docstring)):
        lines = part.rstrip().split("\n")
        if len(lines) > 1 and re.fullmatch(r"-{3,}", lines[1]):
            found.append(Block("heading", lines[0]))
            lines = lines[2:]
            if " : " in lines[0]:
                found.extend(_described(lines))
                continue
        if lines[0].lstrip().startswith(">>>"):
            found.append(Block("doctest", "\n".join(lines)))
        elif all(line.startswith(" ") for line in lines) or any(re.search(r"\S {3,}\S", line) for line in lines):
            found.append(Block("code", _dedent(lines)))
        else:
            found.extend(_paragraphs(lines))
    return _joined_code(found)


def _described(lines: list[str]) -> list[Block]:
    """``name : what it is``, one item each, with the indented lines that go on about it."""
    items: list[str] = []
    for line in lines:
        if line.startswith(" ") and items:
            items[-1] += f" {line.strip()}"
        else:
            name, _, what = line.partition(" : ")
            items.append(f"``{name.strip()}``: {what.strip()}")
    return [Block("item", item) for item in items]


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


def pieces(text: str) -> list[tuple[Literal["plain", "code", "emphasis"], str]]:
    """Split a paragraph into plain words, code (between backticks, a role before them left out) and emphasis."""
    found: list[tuple[Literal["plain", "code", "emphasis"], str]] = []
    marked = re.compile(r"(?::\w+:)?(?:``(.+?)``|`~?([^`]+)`)|(?<![\w|)])\*(\w[^*|]*?)\*(?!\w)")
    end = 0
    for match in marked.finditer(text):
        found.append(("plain", text[end : match.start()]))
        emphasis = match.group(3)
        found.append(("emphasis", emphasis) if emphasis else ("code", match.group(1) or match.group(2)))
        end = match.end()
    found.append(("plain", text[end:]))
    return [(kind, words) for kind, words in found if words]


def restructured(docstring: str) -> list[str]:
    """The docstring as lines of reStructuredText that mean exactly what is written."""
    lines: list[str] = []
    for block in blocks(docstring):
        if block.kind in ("code", "doctest"):
            lines += [".. code-block:: " + ("pycon" if block.kind == "doctest" else "text"), ""]
            lines += [f"   {line}".rstrip() for line in block.text.split("\n")]
        else:
            words = "".join(_marked_up(kind, words) for kind, words in pieces(block.text))
            lines.append({"item": f"- {words}", "heading": f".. rubric:: {words}"}.get(block.kind, words))
        lines.append("")
    return lines


def _marked_up(kind: str, words: str) -> str:
    """One piece in reStructuredText. The escaped blank ends a mark inside a word and prints nothing."""
    plain = re.sub(r"([\\*|_`])", r"\\\1", words)
    return {"code": rf"\ ``{words}``\ ", "emphasis": rf"\ *{plain}*\ "}.get(kind, plain)
