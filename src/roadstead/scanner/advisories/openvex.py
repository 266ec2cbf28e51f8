"""
OpenVEX documents as Canonical publishes them for Ubuntu: what it says of each source package of each release.

They only refine what other feeds say: they know why something will not be fixed, and what is not affected. A statement lists
every binary package too, which is most of the bytes and is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import msgspec

from roadstead.errors import FeedInvalid
from roadstead.scanner.advisories import fields
from roadstead.scanner.advisories.advisory import Advisory, Form, State
from roadstead.scanner.advisories.tally import Tally
from roadstead.scanner.releases import release_of_codename


class _Vulnerability(msgspec.Struct):
    name: str
    description: str | None = None
    aliases: list[str] | None = None


class _Product(msgspec.Struct):
    id: str = msgspec.field(name="@id", default="")


class _Statement(msgspec.Struct):
    vulnerability: _Vulnerability
    status: str
    products: list[_Product] = []
    timestamp: Any = None
    action_statement: str | None = None
    impact_statement: str | None = None


class _Document(msgspec.Struct):
    statements: list[msgspec.Raw]
    id: str = msgspec.field(name="@id", default="")
    metadata: dict[str, Any] | None = None


_documents = msgspec.json.Decoder(_Document)
_statements = msgspec.json.Decoder(_Statement)

# esm-infra/jammy, trusty/esm … are Ubuntu Pro's, which has packages of its own.
_SOURCE = re.compile(r"pkg:deb/ubuntu/([^@?]+)@([^?]+)\?arch=source&distro=([a-z]+)")
_LATER = ("deferred", "low priority", "postponed")


def read(document: bytes, feed: str, tally: Tally) -> Iterator[Advisory]:
    """Raises FeedInvalid for anything else; broken statements are counted in tally, those about no Ubuntu source passed over."""
    try:
        statements = _documents.decode(document).statements
    except fields.BROKEN as error:
        raise FeedInvalid(f"not an OpenVEX document: {error}") from None
    found: dict[tuple[str, ...], Advisory] = {}
    for raw in statements:
        try:
            statement = _statements.decode(raw)
        except fields.BROKEN as error:
            tally.skip("an OpenVEX statement", f"{error}")
            continue
        # Of two statements about the same, the later one holds.
        found |= {advisory.key: advisory for advisory in _statement(statement, feed, tally)}
    tally.records += len(found)
    yield from found.values()


def _statement(statement: _Statement, feed: str, tally: Tally) -> Iterator[Advisory]:
    # Statements under the name of a notice repeat those of its CVEs.
    names = fields.cves(statement.vulnerability.name)
    if not names:
        return
    state = _state(statement)
    if state is None:
        tally.skip(names[0], f"{statement.status[:40]!r} is no status of OpenVEX")
        return
    for product in statement.products:
        match = _SOURCE.fullmatch(product.id)
        release = release_of_codename("ubuntu", match.group(3)) if match else None
        if match is None or release is None:
            continue
        package, version = unquote(match.group(1)), unquote(match.group(2))
        if not (fields.is_package(package) and fields.is_version(version)):
            tally.skip(names[0], f"{product.id[:200]!r} names no package and version")
            continue
        yield Advisory(
            feed=feed,
            form=Form.OPENVEX,
            record=names[0],
            ecosystem="ubuntu",
            release=release,
            package=package,
            id=names[0],
            state=state,
            fixed=version if state is State.FIXED else "",
            note=fields.line(statement.action_statement or statement.impact_statement, fields.MAX_NOTE_LENGTH),
            modified_at=fields.time(statement.timestamp),
        )


def _state(statement: _Statement) -> State | None:
    if statement.status == "affected":
        action = (statement.action_statement or "").lower()
        if "decided to not fix" in action:
            return State.WONT_FIX
        if "no longer supported" in action:
            return State.END_OF_LIFE
        return State.POSTPONED if any(word in action for word in _LATER) else State.AFFECTED
    known = {"fixed": State.FIXED, "not_affected": State.NOT_AFFECTED, "under_investigation": State.UNDETERMINED}
    return known.get(statement.status)
