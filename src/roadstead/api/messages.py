"""Requests and responses as the edges see them: no framework, no sockets."""

from __future__ import annotations

import itertools
import os
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl

from roadstead.errors import RequestInvalid, TooLarge

Headers = list[tuple[str, str]]

UNMATCHED = "unmatched"
_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_OWN_IDS = secrets.token_hex(4)
_numbers = itertools.count(1)


class Body(Protocol):
    def batches(self) -> AsyncIterator[Sequence[bytes]]:
        """
        The body as it arrives, in lists of pieces.

        Raises RequestTimedOut, and ConnectionError when the client is gone before the end.
        """


@dataclass(slots=True)
class Request:
    """
    path is as routed, percent-decoded; query is raw. owner is who asks, as a member of policies ("user:…"), "" for nobody in particular.
    scheme: "https" when it came over TLS, else "http". client: the peer's address. raw_path: as it was sent, where that differs from path.

    length_bytes is the Content-Length, None for a chunked body. route is the template that matched, for counts and logs.
    """

    method: str
    path: str
    query: str
    headers: list[tuple[bytes, bytes]]
    location: str
    body: Body
    length_bytes: int | None
    owner: str = ""
    route: str = UNMATCHED
    scheme: str = "http"
    client: str = ""
    raw_path: str = ""
    _id: str = ""
    _index: dict[bytes, bytes] | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        """The client's X-Request-Id if it is a sane one, else one of ours. Made when it is first asked for: most never are."""
        if not self._id:
            given = self.header(b"x-request-id")
            self._id = given if _SANE_ID.fullmatch(given) else new_request_id()
        return self._id

    def header(self, name: bytes) -> str:
        """The header's value, "" if it is not there. name in lower case; several fields are joined (RFC 9110, 5.3)."""
        if self._index is None:
            self._index = {}
            for key, value in self.headers:
                self._index[key] = self._index[key] + b", " + value if key in self._index else value
        return self._index.get(name, b"").decode("latin-1")

    def parameters(self) -> dict[str, list[str]]:
        """The query. Raises RequestInvalid."""
        if not self.query:
            return {}
        try:
            pairs = parse_qsl(self.query, keep_blank_values=True, max_num_fields=200, encoding="utf-8", errors="strict")
        except ValueError as error:
            raise RequestInvalid("the query string is malformed or has more than 200 parameters") from error
        found: dict[str, list[str]] = {}
        for name, value in pairs:
            found.setdefault(name, []).append(value)
        return found

    def parameter(self, name: str) -> str | None:
        """Its first value, None if it is not there."""
        values = self.parameters().get(name)
        return values[0] if values else None

    async def content(self, max_bytes: int, too_large: TooLarge) -> bytes:
        """The whole body; raises too_large as soon as it is over max_bytes."""
        if self.length_bytes is not None and self.length_bytes > max_bytes:
            raise too_large
        pieces: list[bytes] = []
        size_bytes = 0
        async for batch in self.body.batches():
            pieces.extend(batch)
            size_bytes += sum(map(len, batch))
            if size_bytes > max_bytes:
                raise too_large
        return b"".join(pieces)


def new_request_id() -> str:
    """Unlike those of other processes and other starts."""
    return f"{_OWN_IDS}-{os.getpid():x}-{next(_numbers):06x}"


@dataclass(frozen=True, slots=True)
class FileSlice:
    """Bytes of a file that never changes."""

    path: Path
    start_bytes: int
    length_bytes: int


@dataclass(frozen=True, slots=True)
class StreamSlice:
    """Bytes that come from elsewhere while they are sent. Raises StorageBroken when read."""

    chunks: AsyncIterator[bytes]
    length_bytes: int


Part = bytes | FileSlice | StreamSlice


@dataclass(slots=True)
class Response:
    """
    body is bytes, or parts that are sent one after the other. length_bytes is sent as Content-Length when it is not the
    body's own (HEAD).
    """

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes | tuple[Part, ...] = b""
    length_bytes: int | None = None
    close: bool = False


class Handler(Protocol):
    def __call__(self, request: Request) -> Awaitable[Response]: ...
