"""Blobs (distribution-spec, Pulling Blobs and Deleting Blobs; ranges as in RFC 9110, 14)."""

from __future__ import annotations

import re
import secrets

from roadstead.api.distribution.manifests import matches
from roadstead.api.distribution.services import Context
from roadstead.api.messages import FileSlice, Headers, Part, Response, StreamSlice
from roadstead.oci.digest import Digest
from roadstead.registry.blobs import Blob

MAX_RANGES = 64
_RANGE = re.compile(r"\s*(\d{0,19})-(\d{0,19})\s*", re.ASCII)
_BINARY = ("content-type", "application/octet-stream")

Span = tuple[int, int]
"""First byte and number of bytes."""


async def get(context: Context) -> Response:
    request = context.request
    blob = await context.registry.blobs.get(context.repository, Digest.parse(context.last))
    etag = f'"{blob.digest}"'
    headers: Headers = [
        ("docker-content-digest", blob.digest),
        ("etag", etag),
        ("accept-ranges", "bytes"),
        # A digest's content never changes.
        ("cache-control", "max-age=31536000, immutable"),
    ]
    if matches(request.header(b"if-none-match"), blob.digest):
        return Response(304, headers, length_bytes=blob.size_bytes)
    if blob.content is None and request.method == "GET":
        elsewhere = await blob.store.url(blob.storage_key)
        if elsewhere is not None:
            # The bucket answers, with ranges and all; every pull comes here first, so the address needs to last for this one only.
            return Response(307, [("docker-content-digest", blob.digest), ("cache-control", "no-store"), ("location", elsewhere)])
    # RFC 9110, 14.2: a range is defined for GET only, and to be ignored with HEAD.
    asked = request.header(b"range") if request.method == "GET" else ""
    if asked and request.header(b"if-range") in ("", etag):
        spans = _spans(asked, blob.size_bytes)
        if spans is not None:
            return _ranges(blob, spans, headers)
    return Response(200, [_BINARY, *headers], _slice(blob, (0, blob.size_bytes)))


async def delete(context: Context) -> Response:
    await context.registry.blobs.delete(context.repository, Digest.parse(context.last))
    return Response(202)


def _slice(blob: Blob, span: Span) -> bytes | tuple[Part, ...]:
    start, length = span
    if blob.content is not None:
        return blob.content[start : start + length]
    path = blob.store.path(blob.storage_key)
    if path is not None:
        return (FileSlice(path, start, length),)
    return (StreamSlice(blob.store.stream(blob.storage_key, start, length), length),)


def _spans(header: str, size_bytes: int) -> list[Span] | None:
    """
    What a Range header asks for: [] if nothing of it is there or it ends before it begins (416), None if it is to be ignored
    (malformed, another unit, or too many ranges).
    """
    unit, _, ranges = header.partition("=")
    if unit.strip().lower() != "bytes":
        return None
    items = ranges.split(",")
    if len(items) > MAX_RANGES:
        return None
    spans: list[Span] = []
    for item in items:
        match = _RANGE.fullmatch(item)
        if match is None or match.group(1) == match.group(2) == "":
            return None
        first, last = match.groups()
        if first == "":
            length = min(int(last), size_bytes)
            span = (size_bytes - length, length)
        elif last and int(last) < int(first):
            # RFC 9110, 14.2 lets a server ignore or refuse this; the conformance suite takes an ignored range for an unsupported one.
            return []
        else:
            end = min(int(last) + 1, size_bytes) if last else size_bytes
            span = (int(first), end - int(first))
        if span[1] > 0:
            spans.append(span)
    return spans


def _ranges(blob: Blob, spans: list[Span], headers: Headers) -> Response:
    if not spans:
        return Response(416, [("content-range", f"bytes */{blob.size_bytes}"), *headers])
    if len(spans) == 1:
        return Response(206, [_BINARY, ("content-range", _content_range(spans[0], blob)), *headers], _slice(blob, spans[0]))
    boundary = secrets.token_hex(16)
    parts: list[Part] = []
    for span in spans:
        parts.append(
            f"\r\n--{boundary}\r\ncontent-type: application/octet-stream\r\ncontent-range: {_content_range(span, blob)}\r\n\r\n".encode()
        )
        piece = _slice(blob, span)
        parts.extend(piece if isinstance(piece, tuple) else (piece,))
    parts.append(f"\r\n--{boundary}--\r\n".encode())
    return Response(206, [("content-type", f"multipart/byteranges; boundary={boundary}"), *headers], tuple(parts))


def _content_range(span: Span, blob: Blob) -> str:
    return f"bytes {span[0]}-{span[0] + span[1] - 1}/{blob.size_bytes}"
