"""What the browser brings back when somebody has allowed a login: a listener on this machine, for one answer. Spec: RFC 8252, 7.3."""

from __future__ import annotations

import hmac
import http.server
import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

from roadstead.cli.output import Failed

BROWSER_SECONDS = 300

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Roadstead</title>
<body style="font: 1.1rem system-ui; max-width: 32rem; margin: 4rem auto; padding: 0 1rem"><p>{sentence}</p>"""


class Listener(http.server.HTTPServer):
    """On a free port of this machine, for one answer. state: set before it starts."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = ""
        self.parameters: dict[str, str] = {}
        self.arrived = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def redirect_uri(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def start(self) -> None:
        self._thread.start()

    def answer(self) -> dict[str, str]:
        """The parameters that it came with. Raises Failed."""
        came = self.arrived.wait(BROWSER_SECONDS)
        self.shutdown()
        if not came:
            raise Failed(f"nobody came back within {BROWSER_SECONDS // 60} minutes: try again, or use --no-browser")
        return self.parameters


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Listener
    timeout = 10

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        given = {name: values[0] for name, values in parse_qs(parts.query).items()}
        # Any page of the web can make the browser ask here: only the answer to our own question has its state.
        if parts.path != "/" or not hmac.compare_digest(given.get("state", "").encode(), self.server.state.encode()):
            self._say(404, "This is no answer to the login that is under way.")
            return
        self._say(200, "You are logged in: go back to the terminal." if "code" in given else "It was not allowed.")
        self.server.parameters = given
        self.server.arrived.set()

    def _say(self, status: int, sentence: str) -> None:
        page = _PAGE.format(sentence=sentence).encode()
        self.send_response(status)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(page)))
        self.send_header("cache-control", "no-store")
        self.send_header("referrer-policy", "no-referrer")
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing: the terminal is the person's."""
