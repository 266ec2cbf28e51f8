"""A registry to read from that behaves as badly as a test says, and writes down what it was asked."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.kit.push import Document, digest

Handler = http.server.BaseHTTPRequestHandler
Behaviour = Callable[[Handler], bool]
"""Answers a request and says so, or leaves it alone."""


class OddRegistry:
    """
    One image of one layer in project/web:v1. odd is asked first about each request.

    asked: method, path, and the headers that matter. tls: a folder with tls.pem and tls.key, for HTTPS.
    """

    def __init__(
        self, document: Document, blobs: dict[str, bytes], odd: Behaviour = lambda request: False, tls: Path | None = None
    ) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        registry = self

        class Serving(Handler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                registry.asked.append((self.command, self.path, headers))
                if odd(self):
                    return
                name = self.path.rsplit("/", 1)[1]
                if "/manifests/" in self.path and name in ("v1", document.digest):
                    answer(self, 200, document.payload, {"Content-Type": document.media_type, "Docker-Content-Digest": document.digest})
                elif "/blobs/" in self.path and name in blobs:
                    answer(self, 200, blobs[name])
                else:
                    answer(self, 404, json.dumps({"errors": [{"code": "NOT_FOUND", "message": "it is not here"}]}).encode())

            do_HEAD = do_POST = do_GET

            def log_message(self, format: str, *arguments: Any) -> None:
                """Nothing on the test's output."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Serving)
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls / "tls.pem", tls / "tls.key")
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def answer(request: Handler, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> bool:
    request.send_response(status)
    for name, value in (headers or {}).items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)
    return True


def blobs_of(*contents: bytes) -> dict[str, bytes]:
    return {digest(content): content for content in contents}
