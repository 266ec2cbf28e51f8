"""What registries answer: something good, a refusal, or nothing that helps, which another try may. And how long to wait for that."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from roadstead.cli.output import Failed
from roadstead.errors import RoadsteadError
from roadstead.oci import manifest
from roadstead.oci.digest import Digest

LONGEST_PAUSE_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.25


class Refusal(Failed):
    """The registry answered with an error. status: of HTTP. codes: of its errors, as in MANIFEST_UNKNOWN."""

    def __init__(self, message: str, status: int, codes: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.status = status
        self.codes = codes


class Unreachable(Failed):
    """There was no whole answer; another try may help. after_seconds: how long the registry asked to wait, 0.0 if it did not."""

    def __init__(self, message: str, after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """A good one, read whole."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest as it was served. digest is of these bytes. media_type: "" where only the bytes say it."""

    payload: bytes
    media_type: str
    digest: Digest

    def read(self) -> manifest.Manifest:
        """Raises Failed."""
        try:
            return manifest.parse(self.payload, self.media_type)
        except RoadsteadError as error:
            raise Failed(f"{self.digest} cannot be copied: {error.message}") from error


class About(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What GCR tells of a manifest. time_created_ms: milliseconds as text, "" where nothing is told."""

    tag: tuple[str, ...] = ()
    time_created_ms: str = ""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """tags/list. child and manifest: as GCR tells, None where a registry has no such answer."""

    tags: tuple[str, ...] | None = None
    child: tuple[str, ...] | None = None
    manifest: dict[str, About] | None = None


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    repositories: tuple[str, ...] | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    digest: str


class Entries(msgspec.Struct, frozen=True, kw_only=True):
    """An index, of which only digests matter."""

    manifests: tuple[Entry, ...] | None = None


async def pause(attempt: int, after_seconds: float = 0.0) -> None:
    """Before the next attempt: what the registry asked for, else twice as long each time, and never over a minute."""
    longer = FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)  # noqa: S311
    await asyncio.sleep(min(max(after_seconds, longer), LONGEST_PAUSE_SECONDS))


def wait_of(retry_after: str) -> float:
    """Seconds of a Retry-After header, which gives them or a date (RFC 9110, 10.2.3); 0.0 for what is neither."""
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after[:9]), LONGEST_PAUSE_SECONDS)
    try:
        until = parsedate_to_datetime(retry_after)
        return max(0.0, min((until - datetime.now(UTC)).total_seconds(), LONGEST_PAUSE_SECONDS))
    except (ValueError, TypeError):
        return 0.0


def address(host: str, text: str) -> SplitResult:
    """Of where a registry leads to, its own addresses and others. Raises Failed for what is none."""
    try:
        return urlsplit(text)
    except ValueError as error:
        raise Failed(f"{host} leads to {text[:200]!r}, which is no address") from error


def said(body: bytes) -> tuple[str, frozenset[str]]:
    """Message and codes of an error (distribution-spec, Error Codes)."""
    try:
        errors = msgspec.json.decode(body, type=dict[str, Any]).get("errors")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "", frozenset()
    entries = [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
    message = "; ".join(str(each.get("message") or each.get("code") or "")[:1000] for each in entries[:10])
    return message.rstrip("."), frozenset(str(each.get("code", "")) for each in entries)
