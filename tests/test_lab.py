"""The lab, end to end: a server on loopback, the page in headless Chromium, and what strangers get."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline
from fallline.errors import SettingError
from fallline.lab import listening
from fallline.lab.problems import Problem, built_in
from fallline.lab.running import Asked, Running, ground

uvicorn = pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

TOKEN = "a-token"
TOLD = Path(fallline.__file__).parent / "lab"
X = np.random.default_rng(0).normal(size=(40, 2))
HOSTILE = Problem(
    "</script>/*script*/\x1b[2J", "/*data*/ <img src=x onerror=alert(1)>", X, X @ [1.0, 2.0],
    names=("/*style*/\u202e", '"><b>'),
)  # fmt: skip


def knobs(**other: Any) -> Asked:
    return Asked(**({
        "optimizer": "descent", "learning_rate": "auto", "batch_size": None, "passes": 200.0, "standardize": True,
        "pause": 0.0, "seed": 0,
    } | other))  # fmt: skip


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    from fallline.lab.app import make_app

    heard = listening(0)
    app = make_app(built_in() | {"hostile": HOSTILE}, TOKEN)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", http="h11", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [heard]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{heard.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    heard.close()


def fetched(address: str, path: str, host: str | None = None, **headers: str) -> tuple[int, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()} | ({"Host": host} if host else {})
    request = urllib.request.Request(address + path, headers=named)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_only_who_has_the_token_and_calls_this_machine_by_its_name_is_answered(address: str) -> None:
    for path in ("/", "/ground?problem=round", "/run?problem=round", "/running", "/?token=guess"):
        assert fetched(address, path)[0] == 403
    assert fetched(address, f"/?token={TOKEN}", host="evil.example:80")[0] == 403
    code, page = fetched(address, f"/?token={TOKEN}")
    assert code == 200 and "fallline lab" in page and "http://" not in page


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1",
        "localhost:1",
        "127.0.0.1.evil.org:{p}",
        "x@127.0.0.1:{p}",
        "127.1:{p}",
        "[::1]:{p}",
    ],
)
def test_another_host_is_refused(address: str, host: str) -> None:
    """Also one that its owner points at this machine, and this machine by another port."""
    assert fetched(address, f"/running?token={TOKEN}", host.format(p=address.rpartition(":")[2]))[0] == 403


@pytest.mark.parametrize(
    ("headers", "code"),
    [({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Sec_Fetch_Site": "cross-site"}, 403),
     ({"Sec_Fetch_Site": "same-site"}, 403), ({"Sec_Fetch_Site": "same-origin"}, 200), ({}, 200)],
)  # fmt: skip
def test_pages_of_others_are_refused_even_with_the_token(address: str, headers: dict[str, str], code: int) -> None:
    assert fetched(address, f"/running?token={TOKEN}", **headers)[0] == code


@pytest.mark.parametrize("token", ["%C3%A9", "%FF", "%00", "a-toke", "a-token2", "", "x&token=a-token", "a" * 5000])
def test_another_token_is_refused(address: str, token: str) -> None:
    assert fetched(address, f"/running?token={token}")[0] == 403
    assert fetched(address, "/running", Cookie=f"fallline-lab-1={TOKEN}")[0] == 403


def test_the_page_has_a_policy_and_a_cookie_and_no_token(address: str) -> None:
    with urllib.request.urlopen(f"{address}/?token={TOKEN}", timeout=20) as answer:
        headers, page = answer.headers, answer.read().decode()
    assert TOKEN not in page
    nonce = re.search(r"script-src 'nonce-([^']+)'", headers["Content-Security-Policy"])
    assert (
        nonce
        and f'<script nonce="{nonce[1]}">' in page
        and "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    )
    port = address.rpartition(":")[2]
    assert headers["Set-Cookie"].startswith(f"fallline-lab-{port}={TOKEN}; HttpOnly; ")
    assert headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "no-referrer"
    assert fetched(address, "/running", Cookie=f"fallline-lab-{port}={TOKEN}")[0] == 200
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address}/", timeout=20)
    with refused.value:
        assert refused.value.headers["X-Content-Type-Options"] == "nosniff"


def test_hostile_names_stay_names_on_the_page(address: str) -> None:
    _, page = fetched(address, f"/?token={TOKEN}")
    assert page.count("</script>") == 2 and page.count("<style>") == 1 and not set("\x1b\u202e") & set(page)
    data = re.search(r'id="data">(.*?)</script>', page, re.S)
    assert data is not None
    assert json.loads(data[1])["problems"]["hostile"]["title"] == HOSTILE.title.replace("\x1b", "\\x1b")
    assert (TOLD / "script.js").read_text(encoding="utf-8") in page
    _, floor = fetched(address, f"/ground?problem=hostile&token={TOKEN}")
    assert json.loads(floor)["names"] == ["/*style*/\\u202e", '"><b>']


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with listening(0) as heard, pytest.raises(SettingError, match=r"--port \d+: the port is in use; give another"):
        listening(heard.getsockname()[1])


def test_readers_that_go_away_at_once_leave_no_run(address: str) -> None:
    port = int(address.rpartition(":")[2])
    asked = f"/run?token={TOKEN}&problem=round&optimizer=descent&rate=1e-6&passes=5000&pause=1"
    for _ in range(12):
        with socket.create_connection(("127.0.0.1", port)) as one:
            one.sendall(f"GET {asked} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # closed without a farewell
    for _ in range(600):  # a minute: a busy machine is slow to notice
        if json.loads(fetched(address, f"/running?token={TOKEN}")[1])["running"] == 0:
            break
        time.sleep(0.1)
    assert json.loads(fetched(address, f"/running?token={TOKEN}")[1])["running"] == 0


def test_every_knob_has_a_sentence(address: str) -> None:
    _, page = fetched(address, f"/?token={TOKEN}")
    knobs_ = re.findall(r'<div class="knob">(.*?)</div>\n', page, re.S)
    assert len(knobs_) == 9
    for knob in knobs_:
        words = re.sub(r"<[^>]+>", "", "".join(re.findall(r"<small[^>]*>(.*?)</small>", knob)))
        assert words.endswith(".") or 'id="problem-told"' in knob
    checker = HTMLParser()
    checker.feed(page)


def test_what_is_asked_for_in_vain_is_refused_in_words(address: str) -> None:
    numbers = ("problem=round&passes=nan", "problem=round&rate=nan", "problem=round&batch=" + "9" * 5000)
    others = ("problem=none", "problem=round&optimizer=adm", "problem=round&rate=fast", "problem=line&rate=-1")
    for query in (*numbers, *others):
        code, body = fetched(address, f"/run?token={TOKEN}&{query}")
        message = json.loads(body.partition("data: ")[2].partition("\n")[0])
        assert code == 200 and message["kind"] == "refused" and message["sentence"], query


@pytest.mark.parametrize("problem", sorted(built_in()))
def test_a_run_tells_what_fit_says(problem: str) -> None:
    one = built_in()[problem]
    messages = [m for m in Running(one, knobs()).messages() if m is not None]
    same = fallline.fit(one.X, one.y, loss=one.loss, optimizer="descent", max_passes=200)
    assert messages[-1]["kind"] == "end" and messages[-1]["verdict"] == str(same.verdict)
    assert messages[-1]["loss"] == same.best_loss and messages[-1]["steps"] == same.steps
    steps = [m for m in messages if m["kind"] == "step"]
    assert [m["exact"] for m in steps] == same.history.full_loss.tolist()
    first, second = steps[0], steps[1]
    for theta, g, after in zip(first["theta"], first["gradient"], second["theta"], strict=False):
        assert after == pytest.approx(theta - first["rate"] * g, rel=1e-12)  # the arithmetic of a step
    floor = ground(one, True)
    assert (not floor["lines"]) == (len(floor["names"]) < 2)


def test_a_rate_that_is_too_large_is_told_of_while_it_runs() -> None:
    one = built_in()["line"]
    messages = [m for m in Running(one, knobs(learning_rate=1e-3, standardize=False)).messages() if m]
    assert messages[-1]["verdict"] == "diverged" and any("D02" in f for m in messages[:-1] for f in m["findings"])
    assert all(np.isfinite(v) for m in messages[:-1] for v in m["theta"] if v is not None)


def turn(tab: Any, knob: str, value: float) -> None:
    """Set a slider, as a hand does."""
    tab.evaluate(
        "([id, value]) => { const e = document.getElementById(id); e.value = value; "
        "e.dispatchEvent(new Event('input', { bubbles: true })); }", [knob, value],
    )  # fmt: skip


@pytest.mark.slow
def test_a_learner_in_a_browser(address: str, browser: Any) -> None:
    tab = browser.new_page(viewport={"width": 1200, "height": 900})
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(f"{address}/?token={TOKEN}")
    tab.select_option("#problem", "valley")
    tab.check("input[value=momentum]")
    tab.uncheck("#auto")
    turn(tab, "rate", -1)
    turn(tab, "pause", 0)
    assert tab.inner_text("#rate-told") == "0.1"
    tab.click("#go")
    tab.locator(".lane .words b").nth(1).wait_for(timeout=30_000)
    words = tab.inner_text("#lanes")
    assert "descent" in words and "momentum" in words and words.count("(") >= 2
    assert tab.locator("#curve polyline").count() == 2 and tab.locator("#surface .ways polyline").count() == 2
    assert tab.locator("#surface .contour").count() > 5
    for row in tab.inner_text("#arithmetic").splitlines():
        _, theta, product, after = row.split("\t")
        rate, g = (float(part) for part in product.split("\u00d7"))
        assert float(theta) - rate * g == pytest.approx(float(after), rel=2e-3, abs=2e-3)
    # closing the page stops the run
    turn(tab, "pause", 300)
    tab.click("#go")
    tab.locator(".lane .words:has-text('step ')").nth(1).wait_for(timeout=30_000)
    assert json.loads(fetched(address, f"/running?token={TOKEN}")[1])["running"] == 2
    assert errors == []
    tab.close()
    for _ in range(100):
        if json.loads(fetched(address, f"/running?token={TOKEN}")[1])["running"] == 0:
            break
        time.sleep(0.1)
    assert json.loads(fetched(address, f"/running?token={TOKEN}")[1])["running"] == 0
