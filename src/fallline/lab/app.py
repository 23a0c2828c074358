"""The lab's server: a page, the ground it stands on, and each run as a stream of events (server-sent events)."""

from __future__ import annotations

import asyncio
import json
import math
import re
import secrets
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from fallline.errors import FalllineError, SettingError
from fallline.lab.guard import Guard, cookie
from fallline.lab.problems import Problem
from fallline.lab.running import Asked, Running, ground, told
from fallline.optimizers import as_optimizer, optimizers
from fallline.visible import visible

MOST_PASSES = 5000.0
MOST_AT_ONCE = 8  # runs
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{}'; connect-src 'self'; img-src data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def make_app(problems: dict[str, Problem], token: str) -> Guard:
    """The application; only requests with the token, to this machine by its own name, are answered."""
    running: set[Running] = set()
    grounds: dict[tuple[str, bool], asyncio.Task[Any]] = {}  # each is a fit, so it is made once

    async def page(request: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        answer = HTMLResponse(_page(problems, nonce), headers={"Content-Security-Policy": POLICY.format(nonce)})
        answer.set_cookie(cookie(request), token, httponly=True, samesite="lax")
        return answer

    async def floor(request: Request) -> Response:
        query = request.query_params
        key, standardize = query.get("problem", ""), query.get("standardize") != "no"
        if key not in problems:
            return PlainTextResponse("There is no such table.", 404)
        if (key, standardize) not in grounds:
            made = run_in_threadpool(ground, problems[key], standardize)
            grounds[key, standardize] = asyncio.create_task(made)
        try:
            return _answer(await asyncio.shield(grounds[key, standardize]))
        except FalllineError as error:
            return PlainTextResponse(str(error), 422)

    async def run(request: Request) -> Response:
        return StreamingResponse(stream(request), media_type="text/event-stream")

    async def stream(request: Request) -> AsyncIterator[str]:
        one: Running | None = None
        try:
            if len(running) >= MOST_AT_ONCE:
                raise SettingError(f"{MOST_AT_ONCE} runs go on already; stop one.")
            one = _running(dict(request.query_params), problems)
            running.add(one)  # here, not before: this is not begun where the reader has gone away already
            messages = one.messages()
            while True:
                message = await run_in_threadpool(next, messages, False)
                if message is False or await request.is_disconnected():
                    return
                yield ": nothing new\n\n" if message is None else _event(message)
        except FalllineError as error:
            yield _event({"kind": "refused", "sentence": str(error)})
        finally:  # also when the page was closed: then this is cancelled
            if one is not None:
                one.stop()
                running.discard(one)

    async def count(request: Request) -> Response:
        return _answer({"running": len(running)})

    routes = [Route("/", page), Route("/ground", floor), Route("/run", run), Route("/running", count)]
    return Guard(Starlette(routes=routes), token)


def _json(value: Any) -> str:
    """Numbers that JSON has not as null; names, which may be anybody's, as they are shown."""
    return json.dumps(_clean(value), separators=(",", ":"), allow_nan=False)


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return visible(value) if isinstance(value, str) else value


def _answer(value: Any) -> Response:
    return Response(_json(value), media_type="application/json")


def _event(message: Any) -> str:
    return f"data: {_json(message)}\n\n"


def _running(query: dict[str, str], problems: dict[str, Problem]) -> Running:
    """The run that is asked for; each knob is checked, for what arrives may be anybody's."""
    problem = problems.get(query.get("problem", ""))
    if problem is None:
        raise SettingError("There is no such table.")
    name = query.get("optimizer", "auto")
    if name != "auto":
        as_optimizer(name)
    try:
        rate = query.get("rate", "auto")
        batch = int(query.get("batch", "0"))
        return Running(problem, Asked(
            name, rate if rate == "auto" else _number(rate), batch if 0 < batch < problem.rows else None,
            min(max(_number(query.get("passes", "200")), 1.0), MOST_PASSES), query.get("standardize") != "no",
            min(max(_number(query.get("pause", "0")), 0.0), 1.0), min(max(int(query.get("seed", "0")), 0), 2**31),
        ))  # fmt: skip
    except ValueError:
        raise SettingError("A knob has no number.") from None


def _number(text: str) -> float:
    value = float(text)
    if math.isnan(value):
        raise ValueError("not a number")
    return value


def _page(problems: dict[str, Problem], nonce: str) -> str:
    folder = files("fallline.lab")
    known = {
        "problems": {key: told(problem) for key, problem in problems.items()},
        "optimizers": {"auto": "fallline's own choice", **{key: kind.summary for key, kind in optimizers().items()}},
    }  # fmt: skip
    parts = {
        "style": (files("fallline.report.page") / "style.css").read_text(encoding="utf-8"),
        "script": (folder / "script.js").read_text(encoding="utf-8"),
        "data": _json(known).replace("<", "\\u003c"),
        "nonce": nonce,
    }
    page = (folder / "page.html").read_text(encoding="utf-8")
    # At once: what is put in is not looked through again, so a name such as "/*script*/" stays a name.
    return re.sub(r"/\*(style|script|data|nonce)\*/", lambda place: parts[place[1]], page)
