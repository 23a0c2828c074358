"""How the site is built: ``sphinx-build -W -b html docs docs/_build/html``."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "fallline"
author = "The fallline developers"
project_copyright = "2026, The fallline developers"
release = version = installed_version("fallline")

extensions = ["myst_parser", "sphinx.ext.autodoc", "families", "gallery", "symptom_pages"]
exclude_patterns = ["_build", "_ext", "performance-table.md", "online-table.md", "trust-table.md"]
myst_heading_anchors = 3
smartquotes = False  # x' in a formula is x prime

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False  # what a base promises is said once, there
add_module_names = False

html_theme = "furo"
html_title = "fallline"
html_show_sourcelink = False
