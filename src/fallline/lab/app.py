"""The lab's server: a page, the ground it stands on, and each run as a stream of events (server-sent events)."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from fallline.errors import FalllineError, SettingError
from fallline.lab.problems import Problem
from fallline.lab.running import Asked, Running, ground, told
from fallline.optimizers import as_optimizer, optimizers

HOSTS = ("127.0.0.1", "localhost")
MOST_PASSES = 5000.0
MOST_AT_ONCE = 8  # runs


def make_app(problems: dict[str, Problem], token: str) -> Starlette:
    """The application; only requests with the token, to this machine by its own name, are answered."""
    running: set[Running] = set()

    def refused(request: Request) -> Response | None:
        host = (request.headers.get("host") or "").rsplit(":", 1)[0]
        if host not in HOSTS or not secrets.compare_digest(request.query_params.get("token", ""), token):
            return PlainTextResponse("Open the address that `fallline lab` printed.", 403)
        return None

    async def page(request: Request) -> Response:
        if (no := refused(request)) is not None:
            return no
        return HTMLResponse(_page(problems, token))

    async def floor(request: Request) -> Response:
        if (no := refused(request)) is not None:
            return no
        query = request.query_params
        problem = problems.get(query.get("problem", ""))
        if problem is None:
            return PlainTextResponse("There is no such table.", 404)
        made = await run_in_threadpool(ground, problem, query.get("standardize") != "no")
        return JSONResponse(made)

    async def run(request: Request) -> Response:
        if (no := refused(request)) is not None:
            return no
        problem = problems.get(request.query_params.get("problem", ""))
        try:
            if problem is None:
                raise SettingError("There is no such table.")
            if len(running) >= MOST_AT_ONCE:
                raise SettingError(f"{MOST_AT_ONCE} runs go on already; stop one.")
            asked = _asked(dict(request.query_params), problem)
        except FalllineError as error:
            return StreamingResponse(_once({"kind": "refused", "sentence": str(error)}), media_type="text/event-stream")
        one = Running(problem, asked)
        running.add(one)

        async def stream() -> AsyncIterator[str]:
            messages = one.messages()
            try:
                while True:
                    message = await run_in_threadpool(next, messages, False)
                    if message is False or await request.is_disconnected():
                        return
                    yield ": nothing new\n\n" if message is None else _event(message)
            finally:  # also when the page was closed: then this is cancelled
                one.stop()
                running.discard(one)

        return StreamingResponse(stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def count(request: Request) -> Response:
        return refused(request) or JSONResponse({"running": len(running)})

    return Starlette(routes=[Route("/", page), Route("/ground", floor), Route("/run", run), Route("/running", count)])


def _event(message: Any) -> str:
    return f"data: {json.dumps(message, separators=(',', ':'), allow_nan=False)}\n\n"


async def _once(message: dict[str, Any]) -> AsyncIterator[str]:
    yield _event(message)
    await asyncio.sleep(0)


def _asked(query: dict[str, str], problem: Problem) -> Asked:
    """The knobs of the page, each checked: what arrives may be anybody's."""
    name = query.get("optimizer", "auto")
    if name != "auto":
        as_optimizer(name)
    try:
        rate = query.get("rate", "auto")
        batch = int(query.get("batch", "0"))
        return Asked(
            name, rate if rate == "auto" else float(rate), batch if 0 < batch < problem.rows else None,
            min(max(float(query.get("passes", "200")), 1.0), MOST_PASSES), query.get("standardize") != "no",
            min(max(float(query.get("pause", "0")), 0.0), 1.0), min(max(int(query.get("seed", "0")), 0), 2**31),
        )  # fmt: skip
    except ValueError:
        raise SettingError("A knob has no number.") from None


def _page(problems: dict[str, Problem], token: str) -> str:
    folder = files("fallline.lab")
    page = (folder / "page.html").read_text(encoding="utf-8")
    known = {
        "token": token, "problems": {key: told(problem) for key, problem in problems.items()},
        "optimizers": {"auto": "fallline's own choice", **{key: kind.summary for key, kind in optimizers().items()}},
    }  # fmt: skip
    style = (files("fallline.report.page") / "style.css").read_text(encoding="utf-8")
    script = (folder / "script.js").read_text(encoding="utf-8")
    data = json.dumps(known).replace("<", "\\u003c")
    return page.replace("/*style*/", style).replace("/*data*/", data).replace("/*script*/", script)
