"""`roadstead proxy` as a process of its own, on a free port."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tests.kit.terminal import Terminal

STOP_SECONDS = 20


class Proxied:
    """address: what goes into HTTPS_PROXY. said: its first line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        self.process = process
        self.said = process.stdout.readline()
        assert self.said, process.communicate()[1]
        self.address = self.said.split()[0]
        self.port = int(self.address.rpartition(":")[2])

    @property
    def environment(self) -> dict[str, str]:
        return {"HTTPS_PROXY": self.address, "HTTP_PROXY": self.address, "NO_PROXY": ""}

    def stop(self) -> tuple[int, str]:
        """By SIGTERM. The exit code, and what it said on standard error."""
        self.process.terminate()
        try:
            _, problem = self.process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, problem


@contextmanager
def proxied(terminal: Terminal, *options: str) -> Iterator[Proxied]:
    process = subprocess.Popen(
        [sys.executable, "-m", "roadstead", "proxy", "--listen", "127.0.0.1:0", *options],
        env=terminal.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running = Proxied(process)
    try:
        yield running
    finally:
        if process.poll() is None:
            running.stop()


def trusting(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=folder / "ca.pem")


def through(proxy: Proxied, folder: Path, name: str = "gcr.io") -> httpx.Client:
    """Somebody who believes that the server is at `name`, and checks its certificate."""
    return httpx.Client(base_url=f"https://{name}", proxy=proxy.address, verify=trusting(folder), trust_env=False)


def tunnel(port: int) -> socket.socket:
    """To gcr.io, open."""
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.sendall(b"CONNECT gcr.io:443 HTTP/1.1\r\n\r\n")
    assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    return client


def to_the_end(client: socket.socket) -> bytes:
    """All that is still said."""
    said = b""
    with suppress(ConnectionError):
        while data := client.recv(65536):
            said += data
    return said
