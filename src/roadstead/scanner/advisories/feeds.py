"""Any feed in, advisories out: its kind is told by its content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from roadstead.errors import FeedInvalid
from roadstead.scanner.advisories import alpine, debian, fields, openvex, osv
from roadstead.scanner.advisories.advisory import Advisory, Form
from roadstead.scanner.advisories.documents import DEFAULT, Limits, documents
from roadstead.scanner.advisories.tally import Tally

_READERS: dict[Form, Callable[[bytes, str, Tally], Iterator[Advisory]]] = {
    Form.DEBIAN: debian.read,
    Form.ALPINE: alpine.read,
    Form.OSV: osv.read,
    Form.OPENVEX: openvex.read,
}

_KINDS = "the Debian tracker's JSON, Alpine's secdb, OSV records, OpenVEX documents, or an archive of one of these"


_ABSENT = msgspec.Raw()


class _Shape(msgspec.Struct):
    """The top of a document, as far as it tells the kinds apart."""

    id: msgspec.Raw = _ABSENT
    affected: msgspec.Raw = _ABSENT
    schema_version: msgspec.Raw = _ABSENT
    modified: msgspec.Raw = _ABSENT
    packages: msgspec.Raw = _ABSENT
    distroversion: msgspec.Raw = _ABSENT
    context: msgspec.Raw = msgspec.field(name="@context", default=_ABSENT)
    metadata: msgspec.Raw = _ABSENT
    statements: msgspec.Raw = _ABSENT
    document: msgspec.Raw = _ABSENT
    vulnerabilities: msgspec.Raw = _ABSENT


class _Tracked(msgspec.Struct):
    releases: dict[str, msgspec.Raw]


_shapes = msgspec.json.Decoder(_Shape)
_lists = msgspec.json.Decoder(list[msgspec.Raw])
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_tracked = msgspec.json.Decoder(dict[str, _Tracked])


def form_of(document: bytes) -> Form | None:
    """The kind of one document; None for what is none of them."""
    try:
        if document.lstrip()[:1] == b"[":
            items = _lists.decode(document)
            return Form.OSV if items and form_of(bytes(items[0])) is Form.OSV else None
        shape = _shapes.decode(document)
    except fields.BROKEN:
        return None
    if shape.id and (shape.affected or shape.schema_version or shape.modified):
        return Form.OSV
    if shape.packages and shape.distroversion:
        return Form.ALPINE
    if shape.statements and (shape.context or shape.metadata):
        return Form.OPENVEX
    if shape.document and shape.vulnerabilities:
        return Form.CSAF
    return Form.DEBIAN if _is_tracker(document) else None


def _is_tracker(document: bytes) -> bool:
    for content in list(_objects.decode(document).values())[:20]:
        try:
            if _tracked.decode(content):
                return True
        except fields.BROKEN:
            continue
    return False


def detect(path: Path, limits: Limits = DEFAULT) -> Form:
    """The kind of the first document that is one. Raises FeedInvalid if there is none."""
    for _, document in documents(path, limits):
        if (form := form_of(document)) is not None:
            return form
    raise FeedInvalid(f"{path.name} is no feed: it must be {_KINDS}")


def read(path: Path, feed: str, tally: Tally, limits: Limits = DEFAULT) -> Iterator[Advisory]:
    """
    Everything a file, folder or archive says, under the name feed. What came out is counted in tally as it goes.

    Broken records, and documents of an archive that are of another kind, are skipped and counted. Raises FeedInvalid, which may
    be after some advisories, for what is no feed, cannot be unpacked to its end, or has not one record that makes sense:
    take what came only when the iteration has ended.
    """
    form: Form | None = None
    for name, document in documents(path, limits):
        form = form or form_of(document)
        if form is None:
            tally.skip(name, f"none of {_KINDS}")
            continue
        if form not in _READERS:
            raise FeedInvalid(f"{path.name} has CSAF documents: they state exceptions, and are no feed of advisories")
        try:
            yield from _READERS[form](document, feed, tally)
            tally.documents += 1
        except FeedInvalid as error:
            tally.skip(name, error.message)
    if form is None:
        raise FeedInvalid(f"{path.name} is no feed: it must be {_KINDS}")
    if tally.skipped and not tally.records and not tally.withdrawn:
        raise FeedInvalid(f"nothing in {path.name} makes sense: {'; '.join(tally.problems[:3])}")
