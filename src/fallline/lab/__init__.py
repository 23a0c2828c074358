"""The lab: a page on this machine where a learner turns the knobs of gradient descent and watches the real engine run."""

from __future__ import annotations

import secrets
import socket
import threading
import webbrowser
from typing import TYPE_CHECKING

from fallline.errors import MissingExtraError

if TYPE_CHECKING:
    from fallline.lab.problems import Problem
    from fallline.report.console import Console

LOOPBACK = "127.0.0.1"  # never another: the lab is for who sits at this machine


def serve(problems: dict[str, Problem], console: Console, port: int = 0, show: bool = True) -> None:
    """Serve the lab until Ctrl-C. `port` 0: any that is free. Raises MissingExtraError without its web framework."""
    try:
        import uvicorn

        from fallline.lab.app import make_app
    except ImportError:
        raise MissingExtraError("The lab needs its web framework: pip install 'fallline[lab]'.") from None
    token = secrets.token_urlsafe(16)
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((LOOPBACK, port))
        address = f"http://{LOOPBACK}:{listening.getsockname()[1]}/?token={token}"
        console.labelled("lab", f"{address}  (only from this machine; Ctrl-C ends it)", always=True)
        if show:
            threading.Timer(0.5, webbrowser.open, [address]).start()
        server = uvicorn.Server(uvicorn.Config(make_app(problems, token), log_level="error", lifespan="off"))
        server.run(sockets=[listening])
