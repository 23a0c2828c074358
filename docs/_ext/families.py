"""Directives that write the reference pages from what the code declares, each time the site is built.

``family-table NAME``     the table of a family: losses, optimizers, penalties, rates, symptoms
``family-texts NAME``     one section per member, with its docstring
``command-help [NAME]``   the help text of a command of ``fallline``
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import tables


def inline(text: str) -> list[nodes.Node]:
    """A line of text with its code marked."""
    marks = {"code": nodes.literal, "emphasis": nodes.emphasis}
    return [marks[kind](words, words) if kind in marks else nodes.Text(words) for kind, words in tables.pieces(text)]


def paragraph(text: str) -> nodes.paragraph:
    """A paragraph with its code marked."""
    return nodes.paragraph(text, "", *inline(text))


def body(docstring: str) -> list[nodes.Node]:
    """A docstring as document nodes."""
    made: list[nodes.Node] = []
    for block in tables.blocks(docstring):
        if block.kind == "heading":
            made.append(nodes.rubric(block.text, block.text))
        elif block.kind == "text":
            made.append(paragraph(block.text))
        elif block.kind == "item":
            if not (made and isinstance(made[-1], nodes.bullet_list)):
                made.append(nodes.bullet_list(bullet="-"))
            made[-1] += nodes.list_item("", paragraph(block.text))
        else:
            language = "pycon" if block.kind == "doctest" else "text"
            made.append(nodes.literal_block(block.text, block.text, language=language))
    return made


class FamilyTable(SphinxDirective):
    """The table of a family."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        shown = tables.table(self.arguments[0])
        group = nodes.tgroup(cols=len(shown.headings))
        group += [nodes.colspec(colwidth=1) for _ in shown.headings]
        head = nodes.row("", *[nodes.entry("", nodes.paragraph("", words)) for words in shown.headings])
        rows = [nodes.row("", *[nodes.entry("", paragraph(words)) for words in row]) for row in shown.rows]
        group += [nodes.thead("", head), nodes.tbody("", *rows)]
        return [nodes.table("", group, classes=["colwidths-auto"])]


class FamilyTexts(SphinxDirective):
    """One section per member of a family, with its docstring."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        sections: list[nodes.Node] = []
        for name, member in tables.family(self.arguments[0]).items():
            title = f"{name}: {member.summary}" if self.arguments[0] == "symptoms" else name  # a code says nothing
            section = nodes.section(ids=[nodes.make_id(name)], names=[nodes.fully_normalize_name(name)])
            section += [nodes.title(title, title), *body(member.__doc__ or "")]
            sections.append(section)
        return sections


class CommandHelp(SphinxDirective):
    """The help text of a command, as the terminal shows it."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        from click.testing import CliRunner

        from fallline.cli import main

        shown = CliRunner().invoke(main, [*self.arguments, "--help"], prog_name="fallline", terminal_width=100)
        if shown.exit_code != 0:
            raise self.error(f"fallline {' '.join(self.arguments)} --help failed: {shown.output}")
        return [nodes.literal_block(shown.output, shown.output, language="text")]


def plain_docstrings(app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    """Docstrings here are plain text; say so to autodoc, which takes them for reStructuredText."""
    said = "\n".join(lines)
    lines[:] = [] if said.startswith("Alias for field number") else tables.restructured(said)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("family-table", FamilyTable)
    app.add_directive("family-texts", FamilyTexts)
    app.add_directive("command-help", CommandHelp)
    app.connect("autodoc-process-docstring", plain_docstrings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
