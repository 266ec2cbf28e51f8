"""analysis/scanned.py: what scanners found is listed, filtered and counted as if it were stored, beside what users have said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from roadstead.analysis.kinds import Kind
from roadstead.analysis.occurrences import Occurrence, draft
from roadstead.analysis.room import Analysis
from roadstead.db import schema
from roadstead.db.database import Database, Statement
from roadstead.db.schema import scanning as tables
from roadstead.errors import FieldInvalid, PermissionDenied, ResourceUnknown
from roadstead.scanning.images import State
from tests.kit import scanned
from tests.kit.catalogue import Catalogue, alpine
from tests.kit.clock import Clock

pytestmark = pytest.mark.anyio

PROJECT = "shop"
IMAGE = Statement(select(tables.scanned_images.c.resource).order_by(tables.scanned_images.c.id))
SET = Statement(update(tables.scanned_images).values(state=State.FAILED, error="the layer is damaged"))
CRITICAL = "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


@dataclass(slots=True)
class Shop:
    """Three images of a project, one of another, with two packages: five findings in the project; and what people say."""

    own: Catalogue
    room: Analysis
    resources: list[str]

    async def all(self, filter: str = "", size: int = 1000) -> list[Occurrence]:
        return (await self.room.occurrences.list(PROJECT, filter, "", size)).occurrences  # type: ignore[return-value]

    async def pages(self, filter: str, size: int) -> list[str]:
        """Their ids, page by page; no page but the last is short."""
        found: list[str] = []
        token = ""
        while True:
            page = await self.room.occurrences.list(PROJECT, filter, token, size)
            found += [each.name for each in page.occurrences]
            token = page.next_token
            if not token:
                return found
            assert size == len(page.occurrences)

    async def say(self, number: int) -> None:
        """What a person says of the first image: attestations, and a vulnerability."""
        with_note = {"attestation": {}} if number % 2 else {"vulnerability": {"severity": "HIGH"}}
        name = f"note{number}"
        await self.room.notes.create(PROJECT, name, with_note)
        detail: dict[str, Any] = {"attestation": {"serializedPayload": "e30", "signatures": [{"publicKeyId": "k", "signature": "-_8"}]}}
        if number % 2 == 0:
            detail = {
                "vulnerability": {
                    "packageIssue": [{"affectedCpeUri": "cpe:/o:x", "affectedPackage": "x", "fixedVersion": {"kind": "MAXIMUM"}}]
                }
            }
        body = {"resourceUri": f"https://{self.resources[0]}", "noteName": f"projects/{PROJECT}/notes/{name}", **detail}
        await self.room.occurrences.create(PROJECT, draft(body))


@pytest.fixture
async def shop(database: Database, clock: Clock, tmp_path: Path) -> Shop:
    own = Catalogue(database, clock)
    fixes = {
        "openssl": {"2-r0": ["CVE-2026-1001", "CVE-2026-1002"]},
        "zlib": {"3-r0": ["CVE-2026-1003"]},
        "linux": {"9-r0": ["CVE-2026-1009"]},
    }
    scores = scanned.osv_record("X-CVE-2026-1001", "Ubuntu:22.04:LTS", "openssl", "1", CRITICAL)
    await own.load("secdb", scanned.secdb(tmp_path, "3.18", fixes))
    await own.load("osv", scanned.osv(tmp_path, scores))
    for name, packages in (
        (f"{PROJECT}/web", {"openssl": "1-r0"}),
        (f"{PROJECT}/team/api", {"openssl": "1-r0", "zlib": "1-r0"}),
        (f"{PROJECT}/clean", {"openssl": "9-r0"}),
        ("other/web", {"openssl": "1-r0"}),
    ):
        clock.go(1)
        await own.image(name, alpine(**packages))
    rows = await database.all(IMAGE, {})
    return Shop(own, Analysis.of(database, clock), [str(row[0]) for row in rows])


FILTERS: dict[str, tuple[Callable[[Shop], str], int]] = {
    "all": (lambda shop: "", 8),
    "discoveries": (lambda shop: 'kind="DISCOVERY"', 3),
    "vulnerabilities": (lambda shop: 'kind="VULNERABILITY"', 5),
    "neither": (lambda shop: 'kind="BUILD"', 0),
    "not-discoveries": (lambda shop: 'NOT kind="DISCOVERY"', 5),
    "one-image": (lambda shop: f'resourceUrl="https://{shop.resources[1]}"', 4),
    "without-scheme": (lambda shop: f'resourceUrl="{shop.resources[1]}" AND kind="VULNERABILITY"', 3),
    "two-images": (lambda shop: f'resourceUrl="https://{shop.resources[0]}" OR resourceUrl="https://{shop.resources[2]}"', 4),
    "prefix": (lambda shop: 'has_prefix(resourceUrl, "https://gcr.io/shop/team")', 4),
    "suffix": (lambda shop: f'has_suffix(resourceUrl, "{shop.resources[0][-20:]}")', 3),
    "critical": (lambda shop: "severity=CRITICAL", 2),
    "by-quoted-severity": (lambda shop: 'severity="CRITICAL" AND kind="VULNERABILITY"', 2),
    "at-least": (lambda shop: "severity >= HIGH", 2),
    "a-note": (lambda shop: 'noteId="CVE-2026-1002"', 2),
    "a-note-of-the-server": (lambda shop: 'noteProjectId="goog-vulnz" AND noteId="CVE-2026-1002"', 2),
    "a-note-of-another": (lambda shop: 'noteProjectId="shop" AND noteId="CVE-2026-1002"', 0),
    "discoveries-note": (lambda shop: 'noteProjectId="goog-analysis"', 3),
    "another-project-s-image": (lambda shop: f'resourceUrl="https://{shop.resources[3]}"', 0),
    "mixed": (lambda shop: f'severity=CRITICAL OR (kind="DISCOVERY" AND resourceUrl="{shop.resources[2]}")', 3),
}


@pytest.mark.parametrize("name", FILTERS)
async def test_a_filter_finds_what_it_says(shop: Shop, name: str) -> None:
    make, count = FILTERS[name]

    assert count == len(await shop.all(make(shop)))


async def test_pages_of_any_size_are_the_whole(shop: Shop) -> None:
    """Stored and scanned ones, in one order, none twice and none left out."""
    for number in range(4):
        await shop.say(number)
    for make, _ in FILTERS.values():
        text = make(shop)
        whole = [each.name for each in await shop.all(text)]
        assert len(set(whole)) == len(whole)
        for size in range(1, len(whole) + 2):
            assert whole == await shop.pages(text, size), (text, size)
    assert 12 == len(await shop.all())


async def test_every_one_that_is_listed_can_be_read_by_its_name(shop: Shop) -> None:
    listed = await shop.all()

    assert listed == [await shop.room.occurrences.get(PROJECT, each.name) for each in listed]


@pytest.mark.parametrize("token", ["scanned:1/2", "scanned:x/y/z", "scanned:2/1/99999999999999999999", "scanned:7/0/0", "nonsense"])
async def test_a_page_token_that_is_none_is_refused(shop: Shop, token: str) -> None:
    with pytest.raises(FieldInvalid):
        await shop.room.occurrences.list(PROJECT, "", token, 10)


async def test_one_of_another_project_is_not_there(shop: Shop) -> None:
    for each in await shop.all():
        with pytest.raises(ResourceUnknown):
            await shop.room.occurrences.get("other", each.name)


async def test_what_scanners_found_is_nobody_s_to_change(shop: Shop) -> None:
    """What does not matter is said by an assessment."""
    for each in await shop.all():
        with pytest.raises(PermissionDenied):
            await shop.room.occurrences.delete(PROJECT, each.name)
        with pytest.raises(PermissionDenied):
            await shop.room.occurrences.update(PROJECT, each.name, {each.kind.field: {}})


async def test_summaries_count_by_image_and_severity(shop: Shop) -> None:
    counts = await shop.room.summaries.by_resource(PROJECT)

    assert [
        (shop.resources[1], "CRITICAL", 1, 1),
        (shop.resources[1], "SEVERITY_UNSPECIFIED", 2, 2),
        (shop.resources[0], "CRITICAL", 1, 1),
        (shop.resources[0], "SEVERITY_UNSPECIFIED", 1, 1),
    ] == [(resource.uri, count.severity.name, count.fixable, count.total) for resource, count in counts]


async def test_summaries_count_what_people_say_too(shop: Shop) -> None:
    await shop.say(0)

    counts = await shop.room.summaries.by_resource(PROJECT, f'resourceUrl="https://{shop.resources[0]}"')

    assert [("CRITICAL", 1, 1), ("HIGH", 0, 1), ("SEVERITY_UNSPECIFIED", 1, 1)] == [
        (count.severity.name, count.fixable, count.total) for _, count in counts
    ]


async def test_the_server_s_notes_tell_what_feeds_say(shop: Shop) -> None:
    note = await shop.room.notes.get("goog-vulnz", "CVE-2026-1001")
    discovery = await shop.room.notes.get("goog-analysis", "PACKAGE_VULNERABILITY")

    assert (Kind.VULNERABILITY, Kind.DISCOVERY) == (note.kind, discovery.kind)
    assert {("alpine", "openssl", "2-r0"), ("ubuntu", "openssl", "1")} == {
        (each["vendor"], each["affectedPackage"], each["fixedVersion"]["fullName"]) for each in note.content["vulnerability"]["details"]
    }
    assert ("CRITICAL", 9.8) == (note.content["vulnerability"]["severity"], note.content["vulnerability"]["cvssScore"])
    for project, name in (("goog-vulnz", "CVE-2026-9999"), ("goog-analysis", "OTHER")):
        with pytest.raises(ResourceUnknown):
            await shop.room.notes.get(project, name)


async def test_the_server_s_notes_are_listed_in_pages(shop: Shop) -> None:
    names, token = [], ""
    while True:
        page = await shop.room.notes.list("goog-vulnz", "", token, 3)
        names += [note.name for note in page.notes]
        token = page.next_token
        if not token:
            break

    assert [f"CVE-2026-{number}" for number in (1001, 1002, 1003, 1009)] == names


async def test_a_failed_scan_tells_its_error(shop: Shop, database: Database) -> None:
    async with database.transaction() as tx:
        await tx.run(SET, {})

    (found,) = await shop.all(f'kind="DISCOVERY" AND resourceUrl="{shop.resources[0]}"')

    said = found.content["discovery"]
    assert ("FINISHED_FAILED", "the layer is damaged") == (said["analysisStatus"], said["analysisStatusError"]["message"])


async def test_kernel_headers_are_hidden_where_the_project_says_so(shop: Shop, database: Database) -> None:
    """They are built from the kernel's source, and no kernel runs in an image."""
    await shop.own.image(f"{PROJECT}/headers", alpine(linux="1-r0", zlib="1-r0"))
    text = 'kind="VULNERABILITY" AND has_prefix(resourceUrl, "https://gcr.io/shop/headers")'
    shown = {each.note[1] for each in await shop.all(text)}
    labelled = Statement(schema.projects.insert().values(id=PROJECT, **await _new_project(database), labels='{"kernel-headers":"hidden"}'))
    async with database.transaction() as tx:
        await tx.run(labelled, {})

    assert {"CVE-2026-1009", "CVE-2026-1003"} == shown
    assert {"CVE-2026-1003"} == {each.note[1] for each in await shop.all(text)}
    assert [1] == [count.total for _, count in await shop.room.summaries.by_resource(PROJECT, text)]


async def _new_project(database: Database) -> dict[str, Any]:
    """What else the row of a project needs."""
    values: dict[str, Any] = {}
    for column in schema.projects.c:
        if column.name not in ("id", "labels") and not column.nullable and column.default is None and column.server_default is None:
            values[column.name] = 1 if "INT" in str(column.type).upper() else "ACTIVE" if column.name == "state" else column.name
    return values
