"""The report of one or several runs as one HTML file: no network, no script needed to read it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallline.atomic_write import write_whole
from fallline.report.page.content import content
from fallline.visible import visible

if TYPE_CHECKING:
    from fallline.result import Result

MOST_BYTES = 400_000


def page(results: dict[str, Result]) -> str:
    """The HTML. The first result is what the page is about; the others are compared with it, under their names."""
    from jinja2 import Environment, StrictUndefined

    folder = files("fallline.report.page")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((folder / "page.html.j2").read_text(encoding="utf-8"))
    parts: dict[str, Any] = content(results)
    parts |= {
        name: (folder / f"{name}.{kind}").read_text(encoding="utf-8")
        for name, kind in (("style", "css"), ("script", "js"))
    }
    parts["made"] = datetime.date.today().isoformat()
    return visible(template.render(parts), lines=True)


def write_page(results: dict[str, Result], path: str | Path) -> Path:
    """Write the page to `path`: an old file is replaced only when the new one is complete."""
    write_whole(path, page(results).encode("utf-8", "replace"))
    return Path(path)


def named(paths: Sequence[Path], results: Sequence[Result]) -> dict[str, Result]:
    """Results by the names of their files; by the whole paths where names are the same."""
    stems = [path.stem for path in paths]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
    return dict(zip(names, results, strict=True))
