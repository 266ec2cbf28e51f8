"""analysis/assessments.py: what a project has decided about vulnerabilities is shown with them; while it holds, they do not count."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from roadstead.analysis.room import Analysis
from roadstead.db.database import Database
from roadstead.errors import FieldInvalid
from tests.kit import scanned
from tests.kit.catalogue import Catalogue, alpine
from tests.kit.clock import Clock

pytestmark = pytest.mark.anyio

PROJECT = "shop"
EVERYTHING = {(image, name) for image in ("web", "web-admin", "web/api") for name in ("openssl 1001", "openssl 1002", "zlib 1001")}


@pytest.fixture
async def room(database: Database, clock: Clock, tmp_path: Path) -> Analysis:
    """Three images with two packages; CVE-2026-1001 is in both."""
    own = Catalogue(database, clock)
    fixes = {"openssl": {"2-r0": ["CVE-2026-1001", "CVE-2026-1002"]}, "zlib": {"3-r0": ["CVE-2026-1001"]}}
    await own.load("secdb", scanned.secdb(tmp_path, "3.18", fixes))
    for name in (f"{PROJECT}/web", f"{PROJECT}/web/api", f"{PROJECT}/web-admin", "other/web"):
        await own.image(name, alpine(openssl="1-r0", zlib="1-r0"))
    return Analysis.of(database, clock)


def said(
    vulnerability: str = "", package: str = "", image: str = "", state: str = "NOT_AFFECTED", expires: str = "", reason: str = "none"
) -> dict[str, Any]:
    product = {"id": f"pkg:deb/debian/{package}" if package else "", "genericUri": f"https://gcr.io/{image}" if image else ""}
    assessment = {"vulnerabilityId": vulnerability, "state": state, "shortDescription": reason}
    body: dict[str, Any] = {
        "vulnerabilityAssessment": {
            "product": {name: value for name, value in product.items() if value},
            "assessment": {name: value for name, value in assessment.items() if value},
        }
    }
    return {**body, "expirationTime": expires} if expires else body


async def marked(room: Analysis, project: str = PROJECT, state: str = "NOT_AFFECTED") -> set[tuple[str, str]]:
    """Which findings have an assessment of this state."""
    page = await room.occurrences.list(project, 'kind="VULNERABILITY"', "", 1000)
    found = set()
    for each in page.occurrences:
        said = each.content["vulnerability"]
        if said.get("vexAssessment", {}).get("state") == state:
            image = each.resource.uri.removeprefix(f"gcr.io/{project}/").partition("@")[0]
            found.add((image, f"{said['packageIssue'][0]['affectedPackage']} {each.note[1].removeprefix('CVE-2026-')}"))
    return found


async def counted(room: Analysis, project: str = PROJECT) -> int:
    return sum(count.total for _, count in await room.summaries.by_resource(project))


SCOPES: dict[str, tuple[dict[str, str], set[tuple[str, str]]]] = {
    "vulnerability": ({"vulnerability": "CVE-2026-1002"}, {(i, n) for i, n in EVERYTHING if n == "openssl 1002"}),
    "package": ({"package": "zlib"}, {(i, n) for i, n in EVERYTHING if n == "zlib 1001"}),
    "vulnerability-of-a-package": (
        {"vulnerability": "CVE-2026-1001", "package": "openssl"},
        {(i, n) for i, n in EVERYTHING if n == "openssl 1001"},
    ),
    "image": ({"vulnerability": "CVE-2026-1002", "image": "shop/web-admin"}, {("web-admin", "openssl 1002")}),
    "prefix": ({"vulnerability": "CVE-2026-1002", "image": "shop/web"}, {("web", "openssl 1002"), ("web/api", "openssl 1002")}),
    "prefix-with-slash": ({"vulnerability": "CVE-2026-1002", "image": "shop/web/"}, {("web", "openssl 1002"), ("web/api", "openssl 1002")}),
    "half-a-name": ({"vulnerability": "CVE-2026-1002", "image": "shop/we"}, set()),
    "another-vulnerability": ({"vulnerability": "CVE-2026-9999"}, set()),
    "wildcards-are-letters": ({"vulnerability": "CVE-2026-1002", "image": "shop/%"}, set()),
}


@pytest.mark.parametrize("name", SCOPES)
async def test_what_an_assessment_is_about(room: Analysis, name: str) -> None:
    """Shown, and not counted; other projects are not touched."""
    scope, expected = SCOPES[name]

    await room.notes.create(PROJECT, "vex", said(**scope))

    assert expected == await marked(room)
    assert len(EVERYTHING) - len(expected) == await counted(room)
    assert (set(), 3) == (await marked(room, "other"), await counted(room, "other"))


async def test_one_digest_may_be_meant(room: Analysis) -> None:
    page = await room.occurrences.list(PROJECT, 'kind="DISCOVERY"', "", 10)
    uri = page.occurrences[0].resource.uri

    await room.notes.create(PROJECT, "vex", said("CVE-2026-1002", image=uri.removeprefix("gcr.io/")))

    assert {(uri.removeprefix("gcr.io/shop/").partition("@")[0], "openssl 1002")} == await marked(room)


@pytest.mark.parametrize(("state", "counts"), [("NOT_AFFECTED", 6), ("FIXED", 6), ("AFFECTED", 9), ("UNDER_INVESTIGATION", 9)])
async def test_only_what_does_not_matter_does_not_count(room: Analysis, state: str, counts: int) -> None:
    await room.notes.create(PROJECT, "vex", said("CVE-2026-1002", state=state))

    assert (3, counts) == (len(await marked(room, state=state)), await counted(room))


async def test_an_assessment_ends_at_its_time(room: Analysis, clock: Clock) -> None:
    at = datetime.fromtimestamp(clock.seconds + 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    await room.notes.create(PROJECT, "vex", said("CVE-2026-1002", expires=at))
    clock.go(59)
    before = len(await marked(room)), await counted(room)
    clock.go(2)

    assert ((3, 6), (0, 9)) == (before, (len(await marked(room)), await counted(room)))


async def test_an_assessment_that_is_changed_or_deleted_is_another_or_none(room: Analysis) -> None:
    await room.notes.create(PROJECT, "vex", said("CVE-2026-1002"))
    await room.notes.update(PROJECT, "vex", said("CVE-2026-1001", "zlib"))
    changed = await marked(room)
    await room.notes.delete(PROJECT, "vex")

    assert {(image, "zlib 1001") for image, _ in EVERYTHING} == changed
    assert (set(), 9) == (await marked(room), await counted(room))


PARTICULAR = {
    "image-over-project": (said("CVE-2026-1002"), said("CVE-2026-1002", image="shop/web-admin", state="AFFECTED")),
    "longer-prefix": (said("CVE-2026-1002", image="shop"), said("CVE-2026-1002", image="shop/web-admin", state="AFFECTED")),
    "vulnerability-over-package": (said(package="openssl"), said("CVE-2026-1002", image="", state="AFFECTED")),
    "both-over-one": (said("CVE-2026-1002"), said("CVE-2026-1002", "openssl", state="AFFECTED")),
}


@pytest.mark.parametrize("order", ["first", "last"])
@pytest.mark.parametrize("name", PARTICULAR)
async def test_the_most_particular_one_decides(room: Analysis, name: str, order: str) -> None:
    """What is shown and what is counted never differ, in whichever order they were written."""
    general, particular = PARTICULAR[name]
    for note, body in [("a", general), ("b", particular)] if order == "last" else [("a", particular), ("b", general)]:
        await room.notes.create(PROJECT, note, body)

    shown = await marked(room, state="AFFECTED")

    assert ("web-admin", "openssl 1002") in shown
    assert len(EVERYTHING) - len(await marked(room)) == await counted(room)


async def test_what_the_assessment_says_is_shown(room: Analysis) -> None:
    body = said("CVE-2026-1002", image="shop/web-admin")
    body["vulnerabilityAssessment"]["assessment"]["justification"] = {
        "justificationType": "VULNERABLE_CODE_NOT_PRESENT",
        "details": "not built in",
    }
    await room.notes.create(PROJECT, "vex", body)

    page = await room.occurrences.list(
        PROJECT, 'noteId="CVE-2026-1002" AND has_prefix(resourceUrl, "https://gcr.io/shop/web-admin@")', "", 10
    )

    assert [
        {
            "noteName": "projects/shop/notes/vex",
            "vulnerabilityId": "CVE-2026-1002",
            "state": "NOT_AFFECTED",
            "justification": {"justificationType": "VULNERABLE_CODE_NOT_PRESENT", "details": "not built in"},
        }
    ] == [each.content["vulnerability"]["vexAssessment"] for each in page.occurrences]


@pytest.mark.parametrize("body", [said(), said(image="shop/web")], ids=["everything", "everything-of-an-image"])
async def test_nobody_says_that_nothing_matters(room: Analysis, body: dict[str, Any]) -> None:
    with pytest.raises(FieldInvalid, match="of a vulnerability, or of a package"):
        await room.notes.create(PROJECT, "vex", body)


async def test_a_package_url_that_is_none_is_refused(room: Analysis) -> None:
    body = said("CVE-2026-1002")
    body["vulnerabilityAssessment"]["product"]["id"] = "pkg:openssl"

    with pytest.raises(FieldInvalid, match="no package URL"):
        await room.notes.create(PROJECT, "vex", body)
