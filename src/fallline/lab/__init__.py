"""The lab: a page on this machine where a learner turns the knobs of gradient descent and watches the real engine run."""

from __future__ import annotations

import errno
import secrets
import socket
import sys
import tempfile
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from fallline.errors import MissingExtraError, SettingError

if TYPE_CHECKING:
    from fallline.lab.problems import Problem
    from fallline.report.console import Console

LOOPBACK = "127.0.0.1"  # never another: the lab is for who sits at this machine
MOST_BYTES = 16_384  # of the head of a request; ours have a few hundred
PATIENCE = 1  # seconds that runs have to end after Ctrl-C


def serve(problems: dict[str, Problem], console: Console, port: int = 0, show: bool = True) -> None:
    """Serve the lab until Ctrl-C. `port` 0: any that is free.

    Raises MissingExtraError without its web framework, SettingError where the port cannot be had.
    """
    try:
        import uvicorn

        from fallline.lab.app import make_app
    except ImportError:
        raise MissingExtraError("The lab needs its web framework: pip install 'fallline[lab]'.") from None
    token = secrets.token_urlsafe(16)
    with listening(port) as heard, tempfile.TemporaryDirectory(prefix="fallline-lab-") as private:
        address = f"http://{LOOPBACK}:{heard.getsockname()[1]}/?token={token}"
        console.labelled("lab", f"{address}  (only from this machine; Ctrl-C ends it)", always=True)
        if show:
            threading.Timer(0.5, webbrowser.open, [_pointer(Path(private), address).as_uri()]).start()
        config = uvicorn.Config(
            make_app(problems, token), log_level="critical", lifespan="off", ws="none", http="h11",
            h11_max_incomplete_event_size=MOST_BYTES, server_header=False, timeout_graceful_shutdown=PATIENCE,
        )  # fmt: skip
        uvicorn.Server(config).run(sockets=[heard])


def listening(port: int) -> socket.socket:
    """A socket on loopback; raises SettingError where the port is another program's or not ours to take."""
    heard = socket.socket()
    try:
        if sys.platform != "win32":  # where it would let two programs have one port
            heard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        heard.bind((LOOPBACK, port))
        heard.listen()
    except OSError as error:
        heard.close()
        why = "in use" if error.errno == errno.EADDRINUSE else f"not to be had ({error.strerror or error})"
        raise SettingError(
            f"--port {port}: the port is {why}; give another, or none, which takes a free one."
        ) from None
    return heard


def _pointer(private: Path, address: str) -> Path:
    """A file that leads to the address: the command line of the browser, which all users can read, has no token then."""
    page = private / "open.html"  # in a folder that only this user can enter
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><title>fallline lab</title><meta http-equiv="refresh" content="0;url={address}">'
        f'<p><a href="{address}">fallline lab</a></p>',
        encoding="utf-8",
    )
    return page
