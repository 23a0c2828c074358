"""The laws of the house: a light import, small files, families that find their members, nothing left lying about."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src" / "fallline").rglob("*.py"))
HEAVY = ("numba", "matplotlib", "torch", "jax", "polars", "sklearn", "rich", "scipy", "pandas", "pyarrow", "click")
MOST_LINES = 400

NEW_LOSS = '''
"""A loss that exists for one test."""

from dataclasses import dataclass

from fallline.losses.squared import Squared


@dataclass(frozen=True)
class Newcomer(Squared):
    """phi(y, z) = (z - y)^2 / 2, under another name."""

    name = "newcomer loss"
    summary = "a loss that exists for one test"
'''

NEW_RULE = '''
"""A rule that exists for one test."""

from dataclasses import dataclass

from fallline.optimizers.momentum import Momentum


@dataclass(frozen=True)
class Newcomer(Momentum):
    """Momentum, under another name."""

    name = "newcomer rule"
    summary = "a rule that exists for one test"
'''

# Runs in a process of its own, so that nothing has been imported before the new files are in their folders.
JOIN = """
import sys
import fallline.losses, fallline.optimizers

fallline.losses.__path__.append(sys.argv[1])
fallline.optimizers.__path__.append(sys.argv[2])
"""


def python(code: str, *arguments: str) -> str:
    """Run `code` in a fresh interpreter and return what it prints."""
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=300, cwd=ROOT
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture
def newcomers(tmp_path: Path) -> tuple[str, str]:
    """Two folders, one with a new loss and one with a new update rule."""
    folders = []
    for family, text in (("losses", NEW_LOSS), ("optimizers", NEW_RULE)):
        folder = tmp_path / family
        folder.mkdir()
        (folder / "newcomer.py").write_text(text, encoding="utf-8")
        folders.append(str(folder))
    return folders[0], folders[1]


def text_files() -> Iterator[tuple[str, str]]:
    """Every text file of the project, with its contents; what tools make is left out."""
    made = {"_build", "__pycache__", "_generated"}
    tops = [p for p in ROOT.iterdir() if p.is_file() and p.name not in (".coverage", ".git")]
    folders = ("src", "tests", "docs", "examples", "benchmarks", ".ci")
    below = [p for name in folders for p in (ROOT / name).rglob("*") if p.is_file() and not made & set(p.parts)]
    for path in sorted(tops + below):
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def test_import_is_light() -> None:
    loaded = python("import sys, fallline; print(*{name.partition('.')[0] for name in sys.modules})").split()
    assert "fallline" in loaded
    assert not set(HEAVY) & set(loaded)


def test_files_are_small() -> None:
    assert len(SOURCES) > 20
    lines = {p.relative_to(ROOT).as_posix(): len(p.read_text(encoding="utf-8").splitlines()) for p in SOURCES}
    assert {name: n for name, n in lines.items() if n > MOST_LINES} == {}


@pytest.mark.parametrize("family", ["losses", "optimizers", "penalties", "rates", "symptoms"])
def test_every_file_of_a_family_holds_a_member(family: str) -> None:
    package = importlib.import_module(f"fallline.{family}")
    found = {kind.__module__.rpartition(".")[2] for kind in getattr(package, family)().values()}
    files = {p.stem for p in (ROOT / "src" / "fallline" / family).glob("*.py") if not p.name.startswith("_")}
    assert files == found
    assert files


def test_a_new_file_is_found_by_name(newcomers: tuple[str, str]) -> None:
    ask = """
print(*fallline.losses.losses(), *fallline.optimizers.optimizers(), sep="\\n")
print(fallline.losses.as_loss("newcomer loss"), fallline.optimizers.as_optimizer("newcomer_rule"), sep="\\n")
"""
    names = python(JOIN + ask, *newcomers).splitlines()
    assert {"newcomer loss", "newcomer rule", "squared", "momentum"} <= set(names)
    assert [name for name in names if name.startswith("Newcomer(")] == names[-2:]


def test_a_new_file_trains(newcomers: tuple[str, str]) -> None:
    ask = """
import fallline
X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
result = fallline.fit(X, y, loss="newcomer loss", optimizer="newcomer rule")
print(abs(result.coef[0] - 2) < 0.1, abs(result.intercept - 1) < 0.2)
"""
    assert python(JOIN + ask, *newcomers).split() == ["True", "True"]


def test_a_new_file_is_a_choice_of_the_command_line(newcomers: tuple[str, str]) -> None:
    ask = """
from click.testing import CliRunner
from fallline.cli import main
print(" ".join(CliRunner().invoke(main, ["fit", "--help"]).output.split()))
"""
    words = python(JOIN + ask, *newcomers)
    assert "newcomer loss" in words and "newcomer rule" in words
    assert "squared" in words and "momentum" in words


def test_a_new_file_is_in_the_tables_of_the_docs(newcomers: tuple[str, str]) -> None:
    ask = """
sys.path.insert(0, "docs/_ext")
import tables
print(*[row[0] for row in tables.table("losses").rows + tables.table("optimizers").rows], sep="\\n")
"""
    assert {"newcomer loss", "newcomer rule", "squared", "momentum"} <= set(python(JOIN + ask, *newcomers).splitlines())


# Spelt so that this file does not match itself.
@pytest.mark.parametrize("pattern", ["/(ho)me/", "/(ro)ot/", "/(wo)rk/", "\\b(TO)DO\\b", "\\b(FIX)ME\\b"])
def test_nothing_is_left_lying_about(pattern: str) -> None:
    files = dict(text_files())
    assert {"README.md", "pyproject.toml", ".ci/run", "src/fallline/family.py", "tests/test_house.py"} <= set(files)
    found = {name: re.search(pattern, text) for name, text in files.items()}
    assert [f"{name}: {match.group()}" for name, match in found.items() if match] == []


def test_source_suppresses_no_check() -> None:
    silenced = re.compile(r"#\s*(noqa|type:\s*ignore|pragma)")
    assert [p.relative_to(ROOT).as_posix() for p in SOURCES if silenced.search(p.read_text(encoding="utf-8"))] == []


def test_the_version_is_written_once_and_changed_with_a_note() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert python("import fallline; print(fallline.__version__)").strip() == project["version"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_dependency_has_its_paragraph_in_the_decisions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [re.split(r"[<>=]", word)[0] for word in project["dependencies"]]
    decisions = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8").lower()
    assert [name for name in wanted if f"**{name}**" not in decisions] == []


def test_every_lower_bound_is_what_the_oldest_environment_has() -> None:
    """Of the dependencies and of every extra that users have, but torch; and each of them has a lower bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    extras = re.search(r"^oldest_extras=(\S+)$", ci, re.M)
    assert extras is not None
    named = extras[1].split(",")
    assert set(project["optional-dependencies"]) - set(named) == {"torch", "dev", "oracles", "docs"}
    told = subprocess.run(
        [sys.executable, ROOT / ".ci" / "lower_bounds.py", *named],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()
    assert {"polars==1.37", "scikit-learn==1.6.1", "duckdb==1.2", "pytest==8.3.2"} <= set(told)
    words = [*project["dependencies"], *(word for name in named for word in project["optional-dependencies"][name])]
    assert {re.split(r"[\[<>=]", word)[0] for word in words} == {line.partition("==")[0] for line in told}


def test_the_demo_data_is_what_its_note_says() -> None:
    import hashlib

    folder = ROOT / "src" / "fallline" / "data"
    digest = hashlib.sha256((folder / "flights.parquet").read_bytes()).hexdigest()
    assert f"begins `{digest[:12]}`" in (folder / "README.md").read_text(encoding="utf-8")
