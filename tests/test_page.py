"""The HTML report: one file, whole without scripts, and in a browser a descent that equals Python's."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline
from fallline.report.page import MOST_BYTES, page

VOID = {"meta", "input", "br"}
EVIL = "</script><b>'\"&\u00e9"


def rows(m: int = 300, n: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((m, n)) @ (np.eye(n) + 0.4)
    return X * 10.0 ** np.arange(n), X @ np.arange(1.0, n + 1.0) + rng.standard_normal(m)


@pytest.fixture(scope="module")
def run() -> fallline.Result:
    X, y = rows()
    return fallline.fit(
        X, y, optimizer="descent", learning_rate=0.3, max_passes=40, check=0.2, feature_names=["rooms", "age", EVIL],
        target_name="price",
    )  # fmt: skip


class Checker(HTMLParser):
    """Tags that are opened are closed; what is asked of a page is collected."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    assert checker.open == []
    return checker


def many_runs() -> dict[str, fallline.Result]:
    X, y = rows()
    label, several = (y > 0).astype(int), np.digitize(y, [-1.0, 1.0])
    return {
        "auto": fallline.fit(X, y),
        "check, errors": fallline.fit(X, y, check=0.2, inference=True),
        "logistic": fallline.fit(X, label, loss="logistic", check=0.3),
        "separated": fallline.fit(X, X[:, 0] > 0, loss="logistic"),
        "softmax": fallline.fit(X, several, loss="softmax", l2=0.1, check=0.2),
        "poisson": fallline.fit(X / 100.0, np.exp(np.clip(y / 10.0, -2.0, 2.0)).round(), loss="poisson"),
        "lasso": fallline.fit(X, y, l1=0.5),
        "quantile": fallline.fit(X, y, loss="quantile"),
        "mini-batches": fallline.fit(X, y, batch_size=10, max_passes=5),
        "diverged": fallline.fit(X, y, optimizer="descent", learning_rate=10.0),
        "no steps": fallline.fit(X, y, max_passes=0),
        "one column": fallline.fit(X[:, :1], y, fit_intercept=False, optimizer="descent"),
        "no columns": fallline.fit(np.empty((5, 0)), [1.0, 2.0, 3.0, 4.0, 6.0]),
        "wide": fallline.fit(np.random.default_rng(0).standard_normal((40, 300)), np.arange(40.0), l2=1.0),
        "function": fallline.minimize(lambda x: float(x @ x), [1.0, 2.0], grad=lambda x: 2 * x),
        "one number": fallline.minimize(lambda x: float((x - 1) ** 2), 3.0, grad=lambda x: 2 * (x - 1)),
    }


def test_every_kind_of_run_has_a_page(tmp_path: Path) -> None:
    for name, result in many_runs().items():
        html = page({name: result})
        checker = checked(html)
        headings = re.findall(r"<h2>(\d+) ", html)
        assert headings == [str(k) for k in range(1, 14)], name
        assert "nan" not in re.sub(r"<script.*?</script>|<style.*?</style>", "", html, flags=re.S).lower().replace(
            "finance", ""
        ), name
        images = [attrs for tag, attrs in checker.tags if tag == "svg"]
        assert all(
            attrs.get("role") == "img" and (attrs.get("aria-labelledby") or "") for attrs in images if "id" in attrs
        ), name
        saved = fallline.load(result.save(tmp_path / "run.fall"))
        assert page({name: saved}) == html, name  # a saved run says the same


def test_it_needs_no_network_and_names_cannot_break_out(run: fallline.Result, tmp_path: Path) -> None:
    html = run.report(tmp_path / "run.html").read_text(encoding="utf-8")
    checker = checked(html)
    assert len(html.encode()) < MOST_BYTES
    assert not [
        a
        for _, a in checker.tags
        if any(str(v).startswith(("http", "//")) for k, v in a.items() if k in ("src", "href"))
    ]
    assert EVIL not in html and "&lt;/script&gt;&lt;b&gt;" in html
    assert "default-src 'none'" in html and '<html lang="en">' in html
    ids = [a["id"] for _, a in checker.tags if "id" in a]
    assert len(ids) == len(set(ids))
    targets = [str(a["href"])[1:] for tag, a in checker.tags if tag == "a"]
    assert len(targets) == 13 and set(targets) <= set(ids)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_large_model_stays_below_the_limit() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 60))
    run = fallline.fit(
        X, X @ rng.standard_normal(60) + rng.standard_normal(2000), optimizer="adam", learning_rate=0.01, check=0.1
    )
    assert run.bowl is not None and run.bowl.exact
    assert len(page({"a": run, "b": run, "c": run}).encode()) < MOST_BYTES


def test_runs_are_compared(run: fallline.Result) -> None:
    X, y = rows()
    html = page({"slow": run, "auto": fallline.fit(X, y)})
    section = html.partition('id="compared"')[2].partition('id="again-how"')[0]
    assert ">slow<" in section and ">auto<" in section and "<svg" in section and "accelerated" not in section


# In a browser


def opened(browser: Any, file: Path, **settings: Any) -> tuple[Any, list[str]]:
    errors: list[str] = []
    tab = browser.new_page(**settings)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    tab.on("request", lambda request: errors.append(request.url) if not request.url.startswith("file:") else None)
    tab.goto(file.as_uri())
    return tab, errors


@pytest.mark.slow
def test_the_browser_descends_as_python_does(run: fallline.Result, browser: Any, tmp_path: Path) -> None:
    X, y = rows()
    for name, data in {"plain": X, "narrow": X @ (np.ones((3, 3)) + 0.05 * np.eye(3))}.items():
        model = fallline.fit(data, y, optimizer="descent", max_passes=30)
        tab, errors = opened(browser, model.report(tmp_path / f"{name}.html"))
        for lr in (0.01, 0.2, 0.45):
            same = fallline.fit(data, y, optimizer="descent", learning_rate=lr, max_passes=200, tol=0.0)
            losses = np.array(tab.evaluate(f"fallline.descend({lr}, 200).losses"))
            exact = same.history.full_loss[: len(losses)]
            np.testing.assert_allclose(losses[: len(exact)], exact, rtol=1e-9, err_msg=f"{name} {lr}")
            assert model.bowl is not None
            np.testing.assert_allclose(losses, model.bowl.descend(lr, 200), rtol=1e-12)
        assert errors == []
        tab.close()


@pytest.mark.slow
def test_sliders_stepper_and_keyboard(run: fallline.Result, browser: Any, tmp_path: Path) -> None:
    tab, errors = opened(browser, run.report(tmp_path / "run.html"), viewport={"width": 900, "height": 800})
    before = tab.inner_text("#rate-told")
    tab.focus("#rate")
    for _ in range(30):
        tab.keyboard.press("ArrowLeft")
    assert tab.inner_text("#rate-told") != before
    tab.evaluate("(e => { e.value = e.max; e.dispatchEvent(new Event('input')); })(document.getElementById('rate'))")
    assert "diverge" in tab.inner_text("#again-told")
    tab.evaluate(
        "(e => { e.value = Math.log10(0.3); e.dispatchEvent(new Event('input')); })(document.getElementById('rate'))"
    )
    tab.focus("#update")
    tab.keyboard.press("ArrowRight")
    assert tab.inner_text("#step-told").startswith("update 2:")
    cells = [row.split("\t") for row in tab.inner_text("#arithmetic").splitlines()]
    assert len(cells) == 4 and any(EVIL in row[0] for row in cells)
    for _, theta, product, after in cells:
        rate, g = (float(part) for part in product.split("\u00d7"))
        assert float(theta) - rate * g == pytest.approx(float(after), rel=1e-3, abs=1e-3)
    tab.focus("#curve1")
    tab.keyboard.press("ArrowRight")
    assert tab.is_checked("#curve2") and tab.locator("#curve .pane >> nth=1").is_visible()
    assert errors == []
    tab.close()


@pytest.mark.slow
def test_without_scripts_in_the_dark_narrow_and_printed(run: fallline.Result, browser: Any, tmp_path: Path) -> None:
    file = run.report(tmp_path / "run.html")
    for settings in (
        {"java_script_enabled": False},
        {"color_scheme": "dark"},
        {"viewport": {"width": 360, "height": 700}},
    ):
        tab, errors = opened(browser, file, **settings)
        assert tab.locator("section").count() == 13 and tab.locator("svg >> visible=true").count() >= 4
        assert (
            tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")
            if "viewport" in settings
            else True
        )
        assert errors == []
        tab.close()
    tab, _ = opened(browser, file, java_script_enabled=False)
    assert tab.locator(".still table").is_visible() and not tab.locator("#rate").is_visible()
    assert tab.pdf()[:4] == b"%PDF"
    tab.close()


def test_the_quadratic_is_the_loss(run: fallline.Result) -> None:
    bowl = run.bowl
    assert bowl is not None and bowl.exact and bowl.whole
    losses = bowl.descend(0.3, 40)
    np.testing.assert_allclose(losses, run.history.full_loss, rtol=1e-10)
    theta, lowest = bowl.bottom
    X, y = rows()
    best = fallline.fit(X, y, tol=1e-13, check=0.2)
    assert lowest == pytest.approx(best.best_loss, rel=1e-9) and bowl.value(theta) == pytest.approx(lowest)
    d = np.random.default_rng(1).standard_normal(4)
    slope = (bowl.value(theta + 1e-4 * d) - bowl.value(theta - 1e-4 * d)) / 2e-4
    assert slope == pytest.approx(float(bowl.gradient(theta) @ d), abs=1e-6)
    assert json.loads(re.findall(r'id="bowl">(.*?)</script>', page({"a": run}))[0])["L"] == pytest.approx(bowl.largest)


def test_rates_are_reported(run: fallline.Result) -> None:
    report = run.rate_report()
    assert run.bowl is not None and report.limit == pytest.approx(2.0 / run.bowl.largest, rel=0.05)
    assert report.in_use == 0.3 and report.span is not None and report.best is not None
    assert report.best < report.limit and report.span[0] <= report.best <= report.span[1]
    above = report.losses[report.rates > 1.5 * report.limit]
    assert (above > report.losses.min()).all() and "stable below 2/L" in str(report)
    adam = run.rate_report("adam")
    assert adam.limit is None and adam.optimizer == "adam" and "range test of adam" in str(adam)
    assert fallline.fit(*rows()).rate_report().in_use is None


@pytest.mark.parametrize("kind", ["plot_gap", "plot_path", "plot_rates", "plot"])
def test_figures_have_labels_and_go_into_a_vector_file(run: fallline.Result, kind: str, tmp_path: Path) -> None:
    axes = getattr(run, kind)()
    assert axes.get_xlabel() and axes.get_ylabel()
    axes.figure.savefig(tmp_path / "figure.pdf")
    assert (tmp_path / "figure.pdf").read_bytes()[:4] == b"%PDF"
    if kind == "plot_path":
        chosen = run.plot_path(axes=("age", "rooms"))
        assert chosen.get_xlabel().startswith("age") and chosen.get_ylabel().startswith("rooms")
        with pytest.raises(fallline.SettingError, match="'rooms'"):
            run.plot_path(axes=("room", "age"))


def test_a_way_that_was_not_kept_is_refused_in_words() -> None:
    X, y = rows(100, 70)
    with pytest.raises(fallline.SettingError, match="2 to 61 unknowns"):
        fallline.fit(X / 10.0 ** np.arange(70), y, l2=0.1).plot_path()
