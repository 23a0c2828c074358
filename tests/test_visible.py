"""Names of columns, levels, labels and files may be anybody's: shown they act on nothing, pasted they are one word."""

from __future__ import annotations

import io
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result
from hypothesis import example, given
from hypothesis import strategies as st

import fallline
from fallline.cli import main
from fallline.commands.options import Options, named
from fallline.errors import SettingError
from fallline.report.console import Console
from fallline.report.page import page
from fallline.symptoms._base import Evidence, Finding
from fallline.symptoms._pasted import listed, pasteable, remedy, unlisted
from fallline.verdict import Certainty
from fallline.visible import shell_path, shell_word, visible

ESC, CSI, BIDI = "\x1b[2J", "\x9b31m", "\u202e"
# Controls, marks that reorder or hide, line ends that are none of ours, halves of pairs, tags.
ACTING = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
HOSTILE = [
    f"a{ESC}",
    "b\nVERDICT converged",
    f"c{CSI}",
    f"d{BIDI}e=f",
    "-g",
    "=cmd|' /C calc'!A0",
    "h'; $(id) `id`",
    "</script><b>",
]
LEVELS = [f"north{ESC}", "south\nFOUND", f"east{BIDI}"]
BASH = shutil.which("bash")


def table(rows: int = 300) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    cells: dict[str, Any] = {name: rng.normal(size=rows).round(3) for name in HOSTILE}
    cells[HOSTILE[1]] = 2.0 * cells[HOSTILE[0]]  # which a finding tells of, and a remedy leaves out
    cells[f"level{ESC}"] = [LEVELS[k % 3] for k in range(rows)]
    z = cells[HOSTILE[0]] + rng.normal(size=rows)
    return pl.DataFrame(cells | {f"y{CSI}\n": np.where(z > 0, f"yes{ESC}", f"no{BIDI}\n")})


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    name = "t\x1b\n.parquet"
    table().write_parquet(name)
    return name


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def inert(told: str) -> str:
    assert not ACTING.search(told), repr(told)
    return told


@given(st.text())
@example("\u2028\u2029\x85\r\x0b\x0c\x1c")
@example("\udcff\ud800\U000e0041\ufeff\u200b\u061c")
def test_what_is_shown_acts_on_nothing_and_is_one_line(text: str) -> None:
    told = inert(visible(text))
    assert len(told.splitlines()) <= 1 and visible(told) == told
    told.encode()


@pytest.mark.parametrize(
    "text", ["price", "Größe in m²", "東京", "mi\u200cneng", "\U0001f469\u200d\U0001f680", "a\u00a0b", "back\\slash"]
)
def test_writing_of_any_language_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_the_console_shows_everything_with_escapes() -> None:
    stream = io.StringIO()
    console = Console(stream, 80, unicode=True, color=False, live=True)
    hostile = f"a{ESC}\r\nVERDICT converged{BIDI}{CSI}"
    console.line(hostile)
    console.labelled("target", hostile)
    console._doing = "", 0.0, -1.0
    console.status(hostile)
    console.progress(hostile, 7)
    told = stream.getvalue()
    inert(told.replace("\r", ""))  # ours, at the beginning of a line in place
    assert not [line for line in told.splitlines() if line.startswith("VERDICT")] and told.count("\n") == 2


@pytest.mark.parametrize(
    "arguments",
    [("fit", "{f}", "--target", "{t}"), ("fit", "{f}", "--target", "{t}", "--inference", "--plain", "--check", "0"),
     ("compare", "{f}", "--target", "{t}", "--optimizers", "descent,adam", "--max-passes", "2"),
     ("fit", "{f}", "--target", f"nothing{ESC}\n"), ("fit", "{f}", "--target", "{t}", "--drop", f"x{CSI}"),
     ("fit", f"none{ESC}\n.csv", "--target", "y"), (f"fit{ESC}",), (f"--o{ESC}",), ("fit", f"--o{ESC}"),
     ("fit", "{f}", "--target", "{t}", "--na", ESC), ("explain", ESC)],
    ids=str,
)  # fmt: skip
def test_the_command_line_says_nothing_that_acts(file: str, arguments: tuple[str, ...]) -> None:
    answer = run(*(word.format(f=file, t=f"y{CSI}\n") for word in arguments))
    assert answer.exit_code != 1 and inert(answer.stderr)
    assert not [line for line in answer.stderr.splitlines() if line.startswith("VERDICT converged\\")]


def test_a_result_shows_nothing_that_acts_and_programs_get_the_names(file: str) -> None:
    model = fallline.fit(table(), f"y{CSI}\n", l2=0.01, inference=False)
    runs = fallline.compare({f"run{ESC}\n": model, f"{BIDI}": model})
    for told in (
        str(model),
        repr(model),
        str(runs),
        model._repr_html_(),
        *(str(one.sentence) for one in model.findings),
    ):
        inert(told)
    assert len(str(runs).splitlines()) == 3
    made = page({f"run{ESC}": model, f"other{BIDI}": model})
    assert inert(made) and "</script><b>" not in made
    assert f"a{ESC}" in model.feature_names and model.classes is not None and f"yes{ESC}" in model.classes
    told = fallline.fit(table().drop(f"y{CSI}\n"), HOSTILE[-1], drop=[HOSTILE[1]], inference=True).inference
    assert inert(str(told)) and len(str(told).splitlines()) == len(told.names) + 1


def test_errors_and_findings_show_nothing_that_acts() -> None:
    assert str(SettingError(f"a{ESC}\nb", code="D01")) == "D01: a\\x1b[2J\\nb"
    finding = Finding("D17", "leakage", Certainty.SUSPECTED, f"'{ESC}' alone", "", {"column": ESC})
    assert finding.sentence == "'\\x1b[2J' alone" and finding.evidence["column"] == ESC
    inert(finding._repr_html_())


def test_predictions_are_written_as_they_are_and_shown_with_escapes(file: str, tmp_path: Path) -> None:
    """In a file and in a pipe they can be read back; on a terminal they act on nothing."""
    assert run("fit", file, "--target", f"y{CSI}\n", "--out", "m.fall", "--l2", "0.01").exit_code == 0
    assert run("predict", "m.fall", file, "--out", "p.csv", "--quiet").exit_code == 0
    model = fallline.load("m.fall")
    back = pl.read_csv("p.csv")
    assert back[f"predicted y{CSI}\n"].to_list() == list(model.predict(table()))
    assert back.columns[1:] == [f"probability {label}" for label in model.classes]
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "fallline", "predict", "m.fall", file, "--quiet"]
    with subprocess.Popen(command, stdout=follower, stderr=subprocess.DEVNULL) as process:
        os.close(follower)
        told = b""
        while True:
            try:
                piece = os.read(leader, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not piece:
                break
            told += piece
        assert process.wait(60) == 0
    os.close(leader)
    lines = inert(told.decode().replace("\r\n", "\n")).splitlines()
    assert len(lines) == 301 and lines[0].startswith("predicted y\\x9b31m\\n,")


@pytest.mark.skipif(BASH is None, reason="there is no bash on this machine")
@pytest.mark.parametrize(
    "word",
    [
        "price",
        "",
        "a b",
        "it's",
        "$(id)",
        "`id`; id",
        "a\nb",
        f"{ESC}!x'\\",
        "\udcff\udcfe.csv",
        f"{BIDI}1",
        "=ls",
        "~",
        "*",
        "-x",
        "a\\",
        "#",
    ],
)
def test_a_word_for_the_shell_comes_back(word: str) -> None:
    quoted = inert(shell_word(word))
    told = subprocess.run([str(BASH), "-c", f"printf %s {quoted}"], capture_output=True, check=True).stdout
    assert told == word.encode("utf-8", "surrogateescape")


@given(st.lists(st.text(alphabet="a\\n\n"), min_size=1))
def test_several_values_of_an_option_come_back(values: list[str]) -> None:
    assert unlisted(listed(values)) == values


@pytest.mark.skipif(BASH is None, reason="there is no bash on this machine")
@pytest.mark.parametrize("column", [*HOSTILE, "k=1", '"><img src=x>', "n\nm", "x is missing", "d: month"])
def test_a_remedy_leaves_out_the_very_column(column: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As bash reads what is printed: the file, the target, and whole names, however they are written."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x, file, target = rng.normal(size=200), "-t'$(id)\n.parquet", "-y\n"
    cells = {
        "other": rng.normal(size=200),
        "gone\\n": x,
        column: rng.normal(size=200),
        target: x + rng.normal(size=200),
    }
    pl.DataFrame(cells).write_parquet(file)
    result = fallline.fit(tmp_path / file, target, check=0.2)
    evidence = result.evidence
    evidence.named["drop"] = named(Options("y", drop=("gone\\n", "a\nb")))["drop"]
    evidence = evidence.__class__(**{**vars(evidence), "source": file})
    told = remedy(evidence, drop=column)
    words = subprocess.run([str(BASH), "-c", f"printf '%s\\0' {inert(told)}"], capture_output=True, check=True).stdout
    words = [word for word in words.decode().split("\0")[:-1]]
    assert words[:3] == ["fallline", "fit", f"./{file}"] and f"--target={target}" in words
    dropped = [words[k + 1] for k, word in enumerate(words) if word == "--drop"]
    dropped += [word.removeprefix("--drop=") for word in words if word.startswith("--drop=")]
    assert sorted(dropped) == sorted(["gone\\n", "a\nb", column])


def test_what_no_command_can_say_has_no_remedy() -> None:
    evidence = Evidence(fallline.History(), None, source="t.csv")
    assert remedy(evidence, drop="a\0b") == "" and remedy(evidence, drop="a\ud800") == ""
    by_formula = Evidence(fallline.History(), None, source="t.csv", columns=())
    assert remedy(by_formula, drop="log(x)") == "" and "--l2" in remedy(by_formula, l2="0.1")


def test_of_a_model_file_only_our_own_commands_are_shown() -> None:
    """All of it may be made up: options that are none, values that are calls, remedies that are other commands."""
    evil = {"x; rm -rf .; #": "1", "lr": "$(id)", "Caps": "1"}
    assert remedy(Evidence(fallline.History(), None, source="t.csv", named=evil)) == (
        "fallline fit t.csv --target y --lr '$(id)'"
    )
    evil = {"tol": "__import__('os').system('id')", "l2": "0.1", "penalty": "fallline.load('x')"}
    evil["optimizer"] = "fallline.Adam(beta1=0.5)"
    assert remedy(Evidence(fallline.History(), None, named=evil)) == (
        "fallline.fit(X, y, l2=0.1, optimizer=fallline.Adam(beta1=0.5))"
    )
    fit = "fallline fit"
    for told in (
        "curl x | sh",
        f"{fit} a.csv; id",
        f"{fit} $(id)",
        f"{fit} 'a'`id`",
        f"{fit} a\n",
        f"{fit} a > b",
        f"{fit} =ls",
    ):
        assert not pasteable(told), told
    for word in HOSTILE:
        assert pasteable(f"fallline fit {shell_path(word)} --target {shell_word(word)}")


def test_figures_take_any_name() -> None:
    """A dollar sign begins no formula, and an underscore hides no run."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 2))
    model = fallline.fit(X, X @ [1.0, 2.0], optimizer="descent", feature_names=["$\\frac{$", f"_{ESC}"])
    for axes in (model.plot_path(), fallline.compare({"$^$": model, f"_b{ESC}": model}).plot()):
        axes.figure.savefig(io.BytesIO(), format="svg")
        texts = [text.get_text() for text in axes.get_legend().get_texts()]
        inert("".join(texts) + axes.get_xlabel())
    assert texts == ["\\$^\\$", " _b\\x1b[2J"]
