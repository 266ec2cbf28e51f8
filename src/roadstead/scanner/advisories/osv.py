"""
OSV records (ossf.github.io/osv-schema): one vulnerability or one notice each, with the affected ranges in many ecosystems.

`versions` is not read: it lists what the ranges already say, and is most of the bytes. A record of the tracker and the notices
that mend it (USN, DSA …) name the same CVE: all become advisories of that CVE, so that nothing counts twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from roadstead.errors import FeedInvalid, VersionInvalid
from roadstead.scanner import cvss, versions
from roadstead.scanner.advisories import fields
from roadstead.scanner.advisories.advisory import Advisory, Cvss, Form, State
from roadstead.scanner.advisories.ecosystems import Place, package_name, place_of
from roadstead.scanner.advisories.spans import EVERYTHING, Span, spans
from roadstead.scanner.advisories.tally import Tally

_MAX_RANGES = 1000


class _Severity(msgspec.Struct):
    type: str = ""
    score: str = ""


class _Event(msgspec.Struct):
    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None


class _Range(msgspec.Struct):
    type: str = ""
    events: list[_Event] = []


class _Package(msgspec.Struct):
    ecosystem: str = ""
    name: str = ""


class _Mapped(msgspec.Struct):
    id: str = ""
    severity: list[_Severity] | None = None


class _Map(msgspec.Struct):
    cves: list[_Mapped] = []


class _Specific(msgspec.Struct):
    """What Ubuntu, Debian and GitHub add to the schema."""

    urgency: Any = None
    ubuntu_priority: Any = None
    availability: Any = None
    severity: Any = None
    cves_map: _Map | None = None


class _Affected(msgspec.Struct):
    package: _Package | None = None
    ranges: list[_Range] | None = None
    severity: list[_Severity] | None = None
    ecosystem_specific: _Specific | None = None
    database_specific: _Specific | None = None


class _Reference(msgspec.Struct):
    url: str = ""


class _Record(msgspec.Struct):
    id: str
    modified: str = ""
    withdrawn: str | None = None
    summary: str | None = None
    details: str | None = None
    aliases: list[str] | None = None
    upstream: list[str] | None = None
    related: list[str] | None = None
    severity: list[_Severity] | None = None
    affected: list[_Affected] | None = None
    references: list[_Reference] | None = None
    database_specific: _Specific | None = None


_records = msgspec.json.Decoder(_Record)
_lists = msgspec.json.Decoder(list[msgspec.Raw])


def read(document: bytes, feed: str, tally: Tally) -> Iterator[Advisory]:
    """One record or a list of records. Raises FeedInvalid for what is no JSON; records that make no sense are counted in tally."""
    if document.lstrip()[:1] != b"[":
        yield from _read_one(document, feed, tally)
        return
    try:
        raws = _lists.decode(document)
    except fields.BROKEN as error:
        raise FeedInvalid(f"not a list of OSV records: {error}") from None
    for raw in raws:
        yield from _read_one(raw, feed, tally)


def _read_one(document: bytes | msgspec.Raw, feed: str, tally: Tally) -> Iterator[Advisory]:
    try:
        record = _records.decode(document)
    except fields.BROKEN as error:
        tally.skip("an OSV record", f"{error}")
        return
    if not fields.is_identifier(record.id):
        tally.skip("an OSV record", "its id is no identifier")
    elif record.withdrawn:
        tally.withdrawn.add(record.id)
    elif not record.id.startswith("LSN-"):  # Livepatches mend running kernels, not packages.
        yield from _advisories(record, feed, tally)


def _advisories(record: _Record, feed: str, tally: Tally) -> Iterator[Advisory]:
    affected = [(entry, place) for entry in record.affected or () if entry.package and (place := place_of(entry.package.ecosystem))]
    if not affected:
        return
    free: set[tuple[Place, str]] = set()
    if any(place.subscription for _, place in affected):
        free = {(place, entry.package.name) for entry, place in affected if entry.package and not place.subscription}
    names = _names(record)
    common = Advisory(
        feed=feed,
        form=Form.OSV,
        record=record.id,
        ecosystem="",
        release="",
        package="",
        id="",
        state=State.AFFECTED,
        aliases=fields.aliases((record.id, *(record.aliases or ()))),
        cvss=_vectors(record.severity),
        priority=_priority(record),
        summary=fields.line(record.summary, fields.MAX_SUMMARY_LENGTH),
        description=fields.paragraphs(record.details),
        urls=fields.urls(reference.url for reference in record.references or ()),
        modified_at=fields.time(record.modified),
    )
    found: dict[tuple[str, ...], Advisory] = {}
    for entry, place in affected:
        assert entry.package is not None
        if not fields.is_package(entry.package.name):
            tally.skip(record.id, f"{entry.package.name[:100]!r} is not the name of a package")
            continue
        # What only Ubuntu Pro mends stays open for everybody else, whom the feed does not mention then.
        if place.subscription and (Place(place.ecosystem, place.release), entry.package.name) in free:
            continue
        for advisory in _entry(common, entry, place, names, tally):
            before = found.get(advisory.key)
            found[advisory.key] = advisory if before is None else _wider(before, advisory)
    tally.records += len(found)
    yield from found.values()


def _wider(first: Advisory, second: Advisory) -> Advisory:
    """Of two that begin alike, the one that ends later: a record may list a package more than once."""
    if not first.fixed or not second.fixed or not versions.ordered(first.ecosystem):
        return first if not first.fixed else second
    try:
        return max(first, second, key=lambda advisory: versions.key(advisory.ecosystem, advisory.fixed))
    except VersionInvalid:
        return first


def _entry(common: Advisory, entry: _Affected, place: Place, names: dict[str, tuple[str, ...]], tally: Tally) -> list[Advisory]:
    assert entry.package is not None
    mapped = _mapped(entry)
    own_priority = _specific_priority(entry)
    found: list[Advisory] = []
    for span in _spans(entry, place.ecosystem, common.record, tally):
        state, note = _state(span, entry, place, own_priority)
        bounds = EVERYTHING if state is State.NOT_AFFECTED else span
        for name in mapped or names:
            severity = mapped.get(name) if mapped else entry.severity
            found.append(
                Advisory(
                    feed=common.feed,
                    form=Form.OSV,
                    record=common.record,
                    ecosystem=place.ecosystem,
                    release=place.release,
                    package=package_name(place.ecosystem, entry.package.name),
                    id=name,
                    state=state,
                    aliases=names.get(name, common.aliases),
                    introduced=bounds.introduced,
                    fixed=bounds.fixed,
                    last_affected=bounds.last_affected,
                    priority=_word(severity) or own_priority or common.priority,
                    cvss=_vectors(severity) or common.cvss,
                    note=note,
                    summary=common.summary,
                    description=common.description,
                    urls=common.urls,
                    modified_at=common.modified_at,
                )
            )
    return found


def _state(span: Span, entry: _Affected, place: Place, priority: str) -> tuple[State, str]:
    """With the note that says why."""
    if span.fixed == "0":
        return State.NOT_AFFECTED, ""  # not "fixed since for ever": trackers say so of what never was in the release
    availability = entry.ecosystem_specific.availability if entry.ecosystem_specific else None
    subscription = place.subscription or (isinstance(availability, str) and availability.startswith("Available with Ubuntu Pro"))
    if subscription:
        return State.AFFECTED, f"fixed in {span.fixed} with Ubuntu Pro only" if span.fixed else ""
    if span.fixed:
        return State.FIXED, ""
    return State.END_OF_LIFE if priority == "end-of-life" else State.AFFECTED, ""


def _names(record: _Record) -> dict[str, tuple[str, ...]]:
    """
    The vulnerabilities that the record is about, each with its other names.

    A record that is itself a CVE's is about that one. Aliases are names of one vulnerability; upstream, and in records of
    notices of older editions related, are the vulnerabilities that one notice is about.
    """
    aliases = record.aliases or []
    names = fields.cves(record.id)[:1] or _all_cves(aliases)[:1]
    names = names or _all_cves(record.upstream or []) or _all_cves(record.related or []) or [record.id]
    return {name: fields.aliases((record.id, *aliases), name) for name in names}


def _all_cves(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(number for name in names for number in fields.cves(name)))


def _mapped(entry: _Affected) -> dict[str, list[_Severity] | None]:
    """Which of a notice's CVEs this package of this release had, where the notice tells."""
    mapping = entry.database_specific.cves_map if entry.database_specific else None
    return {number: cve.severity for cve in mapping.cves for number in fields.cves(cve.id)} if mapping else {}


def _spans(entry: _Affected, ecosystem: str, record: str, tally: Tally) -> Iterator[Span]:
    """The affected stretches, in order: each from an `introduced` to the `fixed` or `last_affected` that follows."""
    for stretch in (entry.ranges or [])[:_MAX_RANGES]:
        if stretch.type not in ("ECOSYSTEM", "SEMVER"):
            continue
        events = [known for event in stretch.events[:_MAX_RANGES] if (known := _event(event))[0]]
        for _, version in events:
            if not fields.is_version(version):
                tally.skip(record, "an event of a range has no version")
                break
        else:
            yield from spans(events, ecosystem)


def _event(event: _Event) -> tuple[str, str]:
    if event.introduced is not None:
        return "introduced", event.introduced
    if event.fixed is not None:
        return "fixed", event.fixed
    return ("last_affected", event.last_affected) if event.last_affected is not None else ("", "")


def _vectors(severities: list[_Severity] | None) -> tuple[Cvss, ...]:
    if not severities:
        return ()
    found = [cvss.parse(severity.score) for severity in severities if severity.type.startswith("CVSS_")]
    return tuple(dict.fromkeys(vector for vector in found if vector is not None))


def _word(severities: list[_Severity] | None) -> str:
    """The priority of a distribution, which stands beside the vectors: `{"type": "Ubuntu", "score": "medium"}`."""
    for severity in severities or ():
        if not severity.type.startswith("CVSS_"):
            return fields.word(severity.score)
    return ""


def _specific_priority(entry: _Affected) -> str:
    specific = entry.ecosystem_specific
    said = (specific.ubuntu_priority or specific.urgency) if specific else None
    return fields.word(said) if isinstance(said, str) else ""


def _priority(record: _Record) -> str:
    """Of a database that is no distribution's it counts only where there is no score."""
    if word := _word(record.severity):
        return word
    said = record.database_specific.severity if record.database_specific and not record.severity else None
    return fields.word(said) if isinstance(said, str) else ""
