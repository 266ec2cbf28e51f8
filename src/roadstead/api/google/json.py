"""
Proto3 JSON as Google's clients send and read it: enums by number or name, int64 as text, bytes in either base64, RFC 3339 times.

https://protobuf.dev/programming-guides/json
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from roadstead.errors import FieldInvalid

T = TypeVar("T")


def decode(payload: bytes, kind: type[T]) -> T:
    """A body of type kind (a msgspec.Struct that forbids unknown fields). An empty one is `{}`. Raises FieldInvalid."""
    try:
        return msgspec.json.decode(payload or b"{}", type=kind, strict=True)
    except msgspec.DecodeError as error:
        raise FieldInvalid(f"the request's body is wrong: {error}") from error
    except RecursionError as error:
        raise FieldInvalid("the request's body is nested too deeply") from error


def bytes_of(text: str) -> bytes:
    """gcloud sends the URL-safe alphabet, Python's clients the standard one, both with or without padding. Raises FieldInvalid."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise FieldInvalid("a field of bytes is not base64") from error


def text_of(value: bytes) -> str:
    """Canonical: gcloud sends an etag back decoded and encoded again."""
    return base64.b64encode(value).decode()


def time_of(at_us: int) -> str:
    """`2026-11-25T00:00:00.000000Z`"""
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def without_nothing(fields: Mapping[str, Any]) -> dict[str, Any]:
    """As proto3 JSON leaves out what has its default value: "", empty lists and maps, None, False."""
    return {name: value for name, value in fields.items() if value not in ("", None, False) and value not in ([], {})}
