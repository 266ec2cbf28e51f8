"""Feeds from the network: a conditional GET into a file, with limits, because a feed is somebody else's server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from roadstead.errors import FeedUnreachable

if TYPE_CHECKING:
    import httpx

MAX_BYTES = 4 * 1024**3
SECONDS = 60.0
MOST_SECONDS = 3600.0
CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Fetched:
    """file is None when nothing has changed since the validators that were sent."""

    file: Path | None
    etag: str
    last_modified: str


async def fetch(client: httpx.AsyncClient, url: str, into: Path, etag: str, last_modified: str) -> Fetched:
    """
    etag, last_modified: those of the copy that is had already, "" for none (RFC 9110, 13.1).

    Raises FeedUnreachable.
    """
    import httpx

    # Of all that could be taken, gzip unpacks to the least at once.
    headers = {"accept-encoding": "gzip"} | {
        name: value for name, value in (("if-none-match", etag), ("if-modified-since", last_modified)) if value
    }
    try:
        async with (
            asyncio.timeout(MOST_SECONDS),
            client.stream("GET", url, headers=headers, timeout=SECONDS, follow_redirects=True) as response,
        ):
            if url.startswith("https:") and response.url.scheme != "https":
                raise FeedUnreachable(f"{url} leads to {response.url.scheme}, where anybody on the way could change it")
            if response.status_code == 304:
                return Fetched(None, etag, last_modified)
            if response.status_code != 200:
                raise FeedUnreachable(f"{url} answers {response.status_code}")
            await _save(response, url, into)
            return Fetched(into, response.headers.get("etag", "")[:500], response.headers.get("last-modified", "")[:100])
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise FeedUnreachable(f"{url} cannot be fetched: {error or type(error).__name__}") from error


async def _save(response: httpx.Response, url: str, into: Path) -> None:
    size_bytes = 0
    with into.open("wb") as file:
        async for chunk in response.aiter_bytes(CHUNK_BYTES):
            size_bytes += len(chunk)
            if size_bytes > MAX_BYTES:
                raise FeedUnreachable(f"{url} gives more than {MAX_BYTES} bytes, which no feed has")
            file.write(chunk)
