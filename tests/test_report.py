"""What people see: numbers, the terminal curve, the console's manners, the figure, the notebook."""

from __future__ import annotations

import io
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import fallline
from fallline.history import History
from fallline.report.console import Console
from fallline.report.curve import draw, in_words
from fallline.report.figure import compare_curves, loss_curve, save_png
from fallline.report.losses import curve_in_words, excess_curves
from fallline.report.notebook import curve_svg, repr_html
from fallline.report.numbers import above_best, number, percent
from fallline.report.table import LiveTable


@pytest.fixture(scope="module")
def result() -> fallline.Result:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3)) * [1, 100, 1]
    return fallline.fit(X, X @ [1.0, 0.02, -1] + rng.standard_normal(200), optimizer="descent", check=0.2)


def console(**changes) -> Console:
    return Console(**({"stream": io.StringIO(), "width": 80, "unicode": True, "color": False, "live": False} | changes))


def test_numbers_read_well() -> None:
    assert [number(x) for x in (0.0, 1234567.0, 0.00123, -2.5, 1e12)] == [
        "0",
        "1,235,000",
        "0.00123",
        "-2.5",
        "1.000e+12",
    ]
    assert [percent(x) for x in (0.0213, 1.0, 1e-9, 0.0)] == ["2.1 %", "100 %", "1e-07 %", "0 %"]
    assert above_best(1e-30, 1.0) == "1e-14 %"  # nothing finer than double precision is claimed


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("width", [30, 60, 100])
def test_the_curve_keeps_its_width_and_its_characters(unicode: bool, width: int) -> None:
    steps = np.arange(100)
    lines = draw({"loss": (steps, np.exp(-steps / 10.0))}, width=width, unicode=unicode)
    assert all(len(line) <= width for line in lines) and "log scale" in lines[0]
    assert unicode or all(line.isascii() for line in lines)
    if not unicode:  # it falls: the first mark is in the first row, the last in the last
        assert "*" in lines[1] and "*" in lines[-3] and lines[1].index("*") < lines[-3].index("*")


@pytest.mark.parametrize("losses", [[1.0], [2.0, 2.0], [1.0, np.inf, np.nan, 3.0], [-1.0, 0.0, 1.0], [np.nan]])
def test_awkward_curves_are_drawn_or_said_to_be_empty(losses: list[float]) -> None:
    lines = draw({"loss": (np.arange(len(losses)), losses)}, width=50)
    assert lines and all(isinstance(line, str) for line in lines)
    assert in_words(np.arange(len(losses)), losses).endswith(".")


def test_several_curves_are_told_apart_without_colour() -> None:
    steps = np.arange(30)
    lines = draw({"a": (steps, 0.9**steps), "b": (steps, 0.5**steps)}, width=60)
    assert (
        "* a" in lines[0]
        and "o b" in lines[0]
        and any("o" in line for line in lines[2:])
        and any("*" in line for line in lines[2:])
    )


def test_words_for_a_curve_that_rises() -> None:
    told = in_words([0, 1, 2], [3.0, 1.0, 2.0])
    assert "lowest, 1, at step 1" in told and "rose once" in told


@pytest.mark.parametrize(
    ("environment", "terminal", "color", "expected"),
    [
        ({}, False, None, False), ({}, True, None, True), ({"NO_COLOR": "1"}, True, None, False),
        ({"FORCE_COLOR": "1"}, False, None, True), ({"NO_COLOR": "1"}, True, True, True), ({"TERM": "dumb"}, True, None, False),
        ({}, True, False, False),
    ],
)  # fmt: skip
def test_colour_manners(monkeypatch, environment: dict, terminal: bool, color: bool | None, expected: bool) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM", "CI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr("sys.stderr", stream)
    opened = Console.open(color=color)
    assert opened.color is expected
    opened.labelled("VERDICT", "converged", "good")
    assert ("\x1b[" in stream.getvalue()) is expected and "\r" not in stream.getvalue()


def test_a_curve_does_not_mix_the_losses_of_a_sample_with_those_of_all_rows() -> None:
    """The losses of a sample may well be lower than any that all rows can have."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((150_000, 40))
    y = X @ rng.standard_normal(40) / 6 + rng.logistic(size=150_000) > 0.0
    result = fallline.fit(X, y * 1.0, loss="logistic")
    history, few = result.history, np.isfinite(result.history.sample)
    assert "first" in result.method and few.any() and not few.all() and few[0]
    assert np.isnan(history.full_loss[few][1:]).all() and np.isfinite(history.loss).all()
    assert history.full_loss[0] == pytest.approx(result.baseline_loss, rel=1e-12)  # known over all rows all the same
    assert np.nanmin(history.full_loss) == result.best_loss
    told = curve_in_words(history)
    assert "falling all the way" in told and f"The first {int(few.sum())} steps were made on a sample of" in told
    assert len(loss_curve(result).get_lines()) > len(loss_curve(replace(result, history=exact(history))).get_lines())


def test_the_check_loss_of_a_step_that_was_refused_is_not_drawn() -> None:
    history = History()
    for step, check in enumerate((1.0, 900.0, 0.8)):
        history.append(step=step, loss=check, full_loss=check, check_loss=check, accepted=float(check < 2.0))
    rng = np.random.default_rng(0)
    result = replace(fallline.fit(rng.standard_normal((50, 2)), rng.standard_normal(50)), history=history)
    drawn = {line.get_label(): line.get_ydata() for line in loss_curve(result).get_lines()}
    assert list(drawn["check loss"]) == [1.0, 0.8] and max(drawn["rolled back (at the top: from further up)"]) < 2.0


def exact(history: History) -> History:
    columns = history.to_dict()
    return History.from_dict({name: column[np.isnan(columns["sample"])] for name, column in columns.items()})


def test_lines_hang_and_stay_within_the_width() -> None:
    quiet, wide = console(quiet=True), console(width=60)
    quiet.labelled("data", "unheard")
    quiet.labelled("VERDICT", "heard", always=True)
    assert quiet.stream.getvalue() == "VERDICT      heard\n"
    wide.labelled("data", "word " * 40)
    lines = wide.stream.getvalue().splitlines()
    assert (
        len(lines) > 2
        and all(len(line) <= 60 for line in lines)
        and all(line.startswith(" " * 13) for line in lines[1:])
    )
    ascii_only = console(unicode=False)
    ascii_only.line("caf\u00e9 │")
    assert ascii_only.stream.getvalue().isascii()


def test_the_table_shows_powers_of_two_and_the_bound() -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((100, 3)) @ [[1, 0, 0], [0.99, 0.1, 0], [0, 0, 1]]
    watch = console()
    table = LiveTable(watch)
    result = fallline.fit(X, X @ [1.0, 2.0, 3.0] + rng.standard_normal(100), optimizer="descent", callback=table)
    table.finish(result.gap, result.best_loss)
    rows = [line.split() for line in watch.stream.getvalue().splitlines()[2:]]
    steps = [int(row[0].replace(",", "")) for row in rows]
    assert steps[:6] == [0, 1, 2, 4, 8, 16] and steps[-1] == result.steps and len(rows) <= 15
    assert (
        all("<=" in row for row in rows[1:]) and float(rows[-1][3]) <= 1e-4
    )  # of the best loss, proved on the way already


def test_the_table_marks_steps_that_were_rolled_back() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    y = rng.poisson(np.exp(np.clip(2 * (X @ [1.0, 0.2, 0.4, 0.6]), -20, 8)))
    watch = console()
    history = fallline.fit(X, y, loss="poisson", optimizer="lbfgs", callback=LiveTable(watch)).history
    lines = [line.split() for line in watch.stream.getvalue().splitlines()[2:]]
    assert not history.accepted.all() and any("rolled" in line for line in lines)
    for line in lines:
        assert ("rolled" in line) == (history.accepted[history.step == int(line[0])][-1] == 0.0), line


def test_on_a_terminal_a_line_says_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallline.report.console.REFRESH", 0.0)
    rng = np.random.default_rng(1)
    X = rng.standard_normal((100, 3)) @ [[1, 0, 0], [0.99, 0.1, 0], [0, 0, 1]]
    y = X @ [1.0, 2.0, 3.0] + rng.standard_normal(100)
    for settings, words in (
        ({"optimizer": "descent"}, "at least"),
        ({"batch_size": 10, "max_passes": 30}, "more at most"),
    ):
        watch = console(live=True)
        table = LiveTable(watch, 100, settings.get("max_passes", 1000))
        result = fallline.fit(X, y, callback=table, **settings)
        table.finish(result.gap, result.best_loss)
        drawn = watch.stream.getvalue()
        in_place = [part for part in drawn.split("\r") if part.startswith("pass ")]
        assert any("million rows/s" in part and words in part for part in in_place)
        assert max(map(len, in_place)) <= watch.width and "pass " not in drawn.rsplit("\r", 1)[-1]
        assert all(not line.startswith("pass ") or line.rstrip() == "" for line in drawn.split("\n")[-2:])
    quiet = console(live=False)
    fallline.fit(X, y, callback=LiveTable(quiet, 100))
    assert "\r" not in quiet.stream.getvalue()


def test_the_figure_has_labels_and_is_written_whole(result: fallline.Result, tmp_path: Path) -> None:
    axes = result.plot()
    assert axes.get_xlabel() and "J(theta)" in axes.get_ylabel() and "converged" in axes.get_title(loc="left")
    labels = axes.get_legend_handles_labels()[1]
    assert {"training loss", "check loss", "best"} <= set(labels)
    save_png(axes, tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG" and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(fallline.OutputError, match="no such folder"):
        save_png(axes, tmp_path / "nowhere" / "c.png")
    curves = excess_curves({"descent": result})
    passes, excess = curves["descent"]
    assert len(passes) > 3 and excess[0] == pytest.approx(result.history.loss[0] - (result.best_loss - result.gap))
    assert compare_curves({"descent": result}).get_yscale() == "log"


def test_the_notebook_view_is_well_formed_escaped_and_without_script(result: fallline.Result) -> None:
    import dataclasses

    class Balance(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs) -> None:
            assert tag != "script"
            if tag not in ("path", "polyline"):
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    html = repr_html(dataclasses.replace(result, sentence="<script>alert(1)</script> & more"))
    checker = Balance()
    checker.feed(html.replace("/>", ">"))
    assert checker.open == [] and "<title>Loss curve</title>" in html and "<desc>" in html and "&lt;script&gt;" in html
    assert len(curve_svg(result)) < 20_000 and curve_svg(fallline.fit([[1.0], [2.0]], [1.0, 2.0], max_passes=0)) == ""


def test_print_says_the_verdict_first(result: fallline.Result) -> None:
    told = repr(result)
    assert told.startswith("VERDICT  converged (proved)") and "R2" in told and "weights" in told
    assert max(map(len, told.splitlines())) <= 100
