"""A socket, for what no HTTP library would send."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Reply:
    """headers: names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The first error's code; fails where the body is not of the specification's form."""
        entries: list[dict[str, Any]] = json.loads(self.body)["errors"]
        assert {"code", "message", "detail"} == set(entries[0])
        return str(entries[0]["code"])


class Raw:
    """One connection. Reading takes an answer at a time, as its Content-Length says, and has a limit in time."""

    def __init__(self, port: int, seconds: float = SECONDS) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self._kept = b""

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()

    def send(self, data: bytes) -> Raw:
        self._socket.sendall(data)
        return self

    def send_what_goes(self, data: bytes) -> Raw:
        """The other side may close before it has read all."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)
        return self

    def end(self) -> Raw:
        """No more will be sent; answers can still be read."""
        with suppress(OSError):  # it may be closed already
            self._socket.shutdown(socket.SHUT_WR)
        return self

    def reply(self, method: str = "GET") -> Reply:
        """The next answer; raises ConnectionError when the server closes instead."""
        head = self._until(b"\r\n\r\n").decode("latin-1")
        status_line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        version, status, *_ = status_line.split(" ")
        assert "HTTP/1.1" == version, status_line
        bodiless = method == "HEAD" or status in ("100", "204", "304")
        body = b"" if bodiless else self._exactly(int(headers["content-length"]))
        return Reply(int(status), headers, body)

    def is_closed(self) -> bool:
        """Does the server close, with nothing more to say?"""
        try:
            return not self._kept and self._socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._kept:
            self._more()
        end = self._kept.index(mark) + len(mark)
        taken, self._kept = self._kept[:end], self._kept[end:]
        return taken

    def _exactly(self, size_bytes: int) -> bytes:
        while len(self._kept) < size_bytes:
            self._more()
        taken, self._kept = self._kept[:size_bytes], self._kept[size_bytes:]
        return taken

    def _more(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionResetError(f"closed by the server after {self._kept!r}")
        self._kept += data


def request(method: str, path: str, *headers: str, body: bytes = b"", host: str = "127.0.0.1") -> bytes:
    """The bytes of a request; a Content-Length is added for a body."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
