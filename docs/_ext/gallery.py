"""``gallery``: the scripts of examples/gallery, run while the site is built: text, source, what it prints, its picture.

A script that fails fails the build. Its docstring is the heading and the text; a ``figure.png`` that it leaves is shown.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from families import inline, paragraph

SCRIPTS = Path(__file__).resolve().parents[2] / "examples" / "gallery"
LONGEST = 300  # seconds
AT_ONCE = 2


class Shown(NamedTuple):
    """A script that ran."""

    title: str
    text: str
    source: str
    printed: str
    error: str
    figure: bytes | None


def ran(script: Path) -> Shown:
    """Run a script in a folder of its own."""
    source = script.read_text(encoding="utf-8")
    title, _, text = (ast.get_docstring(ast.parse(source)) or "").partition("\n")
    body = source.split('"""', 2)[2].strip()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-W", "error::UserWarning", str(script)],
            capture_output=True, text=True, check=False, timeout=LONGEST, cwd=folder,
            env={**os.environ, "MPLBACKEND": "Agg"},
        )  # fmt: skip
        figure = Path(folder) / "figure.png"
        picture = figure.read_bytes() if figure.exists() else None
    return Shown(title.strip(), text.strip(), body, done.stdout, done.stderr if done.returncode else "", picture)


class Gallery(SphinxDirective):
    """One section a script."""

    def run(self) -> list[nodes.Node]:
        scripts = sorted(SCRIPTS.glob("[0-9]*.py"))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            shown = list(pool.map(ran, scripts))
        sections: list[nodes.Node] = []
        for script, made in zip(scripts, shown, strict=True):
            self.env.note_dependency(str(script))
            if made.error:
                raise self.error(f"{script.name} failed:\n{made.error}")
            name = nodes.make_id(script.stem)
            section = nodes.section(ids=[name], names=[nodes.fully_normalize_name(made.title)])
            section += nodes.title(made.title, "", *inline(made.title))
            section += [paragraph(part.replace("\n", " ")) for part in made.text.split("\n\n")]
            section += nodes.literal_block(made.source, made.source, language="python")
            section += nodes.literal_block(made.printed, made.printed.rstrip(), language="text")
            if made.figure is not None:
                folder = Path(self.env.srcdir) / "_gallery"
                folder.mkdir(exist_ok=True)
                (folder / f"{script.stem}.png").write_bytes(made.figure)
                section += nodes.image(uri=f"_gallery/{script.stem}.png", alt=made.title, width="80%")
            sections.append(section)
        return sections


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("gallery", Gallery)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
