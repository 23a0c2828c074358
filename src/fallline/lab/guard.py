"""Who is answered by the lab: requests from this machine's own page, with the token that was printed.

Loopback keeps other machines out, not the pages that a browser of this machine has open: a page may send requests to any
address, and a name that its owner points at 127.0.0.1 afterwards makes the answers readable (DNS rebinding). So the Host
must be this server's own, a request from another origin is refused, and the token (128 random bits) must be in the address
or, after the page was opened, in a cookie that scripts cannot read. Jupyter's server does the same.
"""

from __future__ import annotations

import os
import secrets
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAMES = ("127.0.0.1", "localhost")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """An ASGI application around another: it refuses strangers, and puts the headers above on every answer."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; of web sockets there are none."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def answered(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app: Any = self._app if self._knows(Request(scope)) else PlainTextResponse(
            "Open the address that `fallline lab` printed.", 403
        )  # fmt: skip
        try:
            await app(scope, receive, answered)
        except Exception:
            if begun or os.environ.get("FALLLINE_DEBUG"):
                raise
            await PlainTextResponse("Something went wrong inside the lab.", 500)(scope, receive, answered)

    def _knows(self, request: Request) -> bool:
        port = request.scope["server"][1]
        own = [f"{name}:{port}" for name in NAMES] + (list(NAMES) if port == 80 else [])
        hosts = [host.lower() for host in request.headers.getlist("host")]
        if len(hosts) != 1 or hosts[0] not in own:
            return False
        if request.headers.get("origin", f"http://{hosts[0]}") != f"http://{hosts[0]}":
            return False
        opened = request.url.path == "/" and request.headers.get("sec-fetch-mode") in (None, "navigate")
        if not opened and request.headers.get("sec-fetch-site") not in (None, "same-origin", "none"):
            return False
        given = request.query_params.getlist("token") or [request.cookies.get(cookie(request), "")]
        return all(secrets.compare_digest(word.encode("utf-8", "surrogateescape"), self._token) for word in given)


def cookie(request: Request) -> str:
    """The name of the cookie; cookies know no ports, so that of another lab has another name."""
    return f"fallline-lab-{request.scope['server'][1]}"
