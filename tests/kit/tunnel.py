"""A server with HTTPS, and a way to it under any name: nothing of the machine's own names and ports is changed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.kit.server import Server


class SecureServer(Server):
    """Clients meet it through the tunnel; what the tests themselves ask for goes to the plain address."""

    @property
    def url(self) -> str:
        return (self.data.parent / f"{self.data.name}.ready").read_text().split()[1]


def pair_in(tls: Path) -> list[str]:
    """Options with the certificate and key that `roadstead tls self-signed` left in this folder."""
    return ["--tls-cert", str(tls / "tls.pem"), "--tls-key", str(tls / "tls.key")]


@contextmanager
def serving_securely(data: Path, tls: Path, *options: str, env: dict[str, str] | None = None) -> Iterator[SecureServer]:
    """tls is as in pair_in; server.port is that of HTTPS."""
    server = SecureServer(data, *pair_in(tls), "--listen-http", "127.0.0.1:0", *options, env=env)
    try:
        server.start()
        yield server
    finally:
        server.stop()


class Tunnel:
    """A proxy for CONNECT (RFC 9110, 9.3.6): whatever name and port are asked for, the bytes go to one port of 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.asked: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def environment(self) -> dict[str, str]:
        address = f"http://127.0.0.1:{self.port}"
        return {"HTTPS_PROXY": address, "HTTP_PROXY": address, "NO_PROXY": ""}

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head and (data := client.recv(65536)):
            head += data
        method, target, *_ = head.decode("latin-1").split(" ")
        self.asked.append(f"{method} {target}")
        if method != "CONNECT":
            client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            client.close()
            return
        server = socket.create_connection(("127.0.0.1", self._target))
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        join(client, server)


def join(client: socket.socket, server: socket.socket) -> None:
    """Whatever either says, to the other; until the client has nothing more to say."""
    threading.Thread(target=_pour, args=(server, client), daemon=True).start()
    _pour(client, server)


def _pour(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
