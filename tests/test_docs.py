"""The pages say what the code says: docstrings reach the site as they are written, links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

DOCSTRING = """phi(y, z) = |z - y|_1 of ``y`` and :class:`z`, *never* J* or a * b * c.

    value = 2 * a_

Symptoms:

- the first,
  which goes on
- the second

They declare
``name``       what users type

Parameters
----------
l1, l2 : the strengths
    of the penalty

Examples
--------
>>> 1 + 1
2
"""


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    """The module that the site's directives take their words from."""
    spec = importlib.util.spec_from_file_location("docs_tables", ROOT / "docs" / "_ext" / "tables.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_docstring_is_split_into_what_it_is(tables: ModuleType) -> None:
    found = [(block.kind, block.text) for block in tables.blocks(DOCSTRING)]
    assert found == [
        ("text", "phi(y, z) = |z - y|_1 of ``y`` and :class:`z`, *never* J* or a * b * c."),
        ("code", "value = 2 * a_"),
        ("text", "Symptoms:"),
        ("item", "the first, which goes on"),
        ("item", "the second"),
        ("code", "They declare\n``name``       what users type"),
        ("heading", "Parameters"),
        ("item", "``l1, l2``: the strengths of the penalty"),
        ("heading", "Examples"),
        ("doctest", ">>> 1 + 1\n2"),
    ]


def test_a_docstring_means_to_sphinx_what_is_written(tables: ModuleType) -> None:
    lines = tables.restructured(DOCSTRING)
    assert lines[0] == r"phi(y, z) = \|z - y\|\_1 of \ ``y``\  and \ ``z``\ , \ *never*\  J\* or a \* b \* c."
    assert lines[2:5] == [".. code-block:: text", "", "   value = 2 * a_"]


@pytest.mark.parametrize("family", ["losses", "optimizers", "penalties", "rates", "symptoms"])
def test_every_member_has_a_full_row_and_a_docstring(tables: ModuleType, family: str) -> None:
    shown = tables.table(family)
    assert len(shown.rows) == len(tables.family(family)) > 0
    assert [row for row in shown.rows if not all(row)] == []
    assert " object at 0x" not in str(shown.rows)
    assert [name for name, member in tables.family(family).items() if not tables.blocks(member.__doc__ or "")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_included_files_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text) + re.findall(
        r"^```\{(?:literal)?include\} (\S+)", text, re.M
    )
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "quickstart.md"], ids=lambda page: page.name)
def test_python_on_the_pages_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    import fallline

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    names = {"fallline": fallline, "X": X, "y": X @ [1.0, 2.0, 3.0] + rng.normal(size=60)}
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    assert blocks
    for block in blocks:
        exec(compile(block, page.name, "exec"), names)


def test_the_readme_names_two_commands_that_need_only_python() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line.startswith("python3 -m venv .venv && .venv/bin/pip install")]
    assert [command.split()[-1] if "pytest" not in command else "pytest" for command in commands] == ["demo", "pytest"]


def test_every_public_name_that_the_pages_use_exists() -> None:
    import fallline

    examples = sorted((ROOT / "examples").glob("*.py"))
    pages = "\n".join(page.read_text(encoding="utf-8") for page in [*PAGES, *examples])
    named = set(re.findall(r"\bfallline\.([A-Za-z_]+)\(", pages))
    assert {"fit", "gradient_descent", "load"} <= named
    assert named <= set(fallline.__all__)
