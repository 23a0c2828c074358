"""A page for each symptom: its text, a run that has it (examples/symptoms.py), what is found, and its picture.

The pages are written into ``docs/symptoms`` when the site is built; a run that does not find its symptom fails the build.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import tables
from families import body

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


class SymptomPage(SphinxDirective):
    """All that a page says of one symptom."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        sys.path.insert(0, str(EXAMPLES))
        try:
            import symptoms as examples
        finally:
            sys.path.remove(str(EXAMPLES))
        code = self.arguments[0]
        make = examples.EXAMPLES[code]
        self.env.note_dependency(str(EXAMPLES / "symptoms.py"))
        findings, axes = make()
        found = {finding.code: finding for finding in findings}
        if code not in found:
            raise self.error(f"the example of {code} does not find it")
        folder = Path(self.env.srcdir) / "symptoms"
        axes.figure.savefig(folder / f"{code.lower()}.svg")
        finding = found[code]
        told = f"{code} ({finding.certainty})  {finding.sentence}"
        told += f"\ndone already: {finding.automatic}" if finding.automatic else ""
        told += f"\n{finding.remedy}" if finding.remedy else ""
        made: list[nodes.Node] = [*body(tables.family("symptoms")[code].__doc__ or "")]
        made.append(nodes.rubric("", "A run that has it"))
        made.append(nodes.image(uri=f"{code.lower()}.svg", alt=f"A run with {code}: {finding.sentence}", width="85%"))
        made.append(nodes.literal_block(told, told, language="text"))
        source = inspect.getsource(make)
        made.append(nodes.literal_block(source, source, language="python"))
        return made


def write_pages(app: Sphinx) -> None:
    """A short file for each symptom, which the directive fills."""
    folder = Path(app.srcdir) / "symptoms"
    folder.mkdir(exist_ok=True)
    for code, kind in tables.family("symptoms").items():
        title = f"{code}: {kind.summary}"
        page = folder / f"{code.lower()}.md"
        text = f"# {title}\n\n```{{symptom}} {code}\n```\n"
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("symptom", SymptomPage)
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
