"""
Findings are those that hold, whoever loads, scans and matches at the same time, on every database.

A version that a scan brings while advisories change is either matched with what is new, or is among what is matched again. ROADSTEAD_SEEDS
sets how many random histories there are.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from roadstead.db import schema
from roadstead.db.database import Database, Statement, Transaction
from roadstead.db.schema import scanning as tables
from roadstead.oci.reference import Repository
from roadstead.registry.removal import Removal
from roadstead.registry.repositories import ensure_id
from roadstead.scanner.inventory import Distro, Inventory, Package
from roadstead.scanner.severity import Severity
from roadstead.scanning import loads, match, queries, rematch, revision, scan, tidy
from roadstead.scanning.tidy import Tidy
from tests.kit import scanned
from tests.kit.catalogue import Catalogue, alpine, inventory
from tests.kit.clock import Clock

pytestmark = pytest.mark.anyio

NAMES = Statement(select(tables.scanned_images.c.name))
OF_IMAGES = Statement(
    select(tables.scanned_images.c.name, tables.findings.c.vulnerability)
    .select_from(tables.scanned_images)
    .join(tables.inventory_versions, tables.inventory_versions.c.inventory_id == tables.scanned_images.c.inventory_id)
    .join(tables.findings, tables.findings.c.version_id == tables.inventory_versions.c.version_id)
    .order_by(tables.scanned_images.c.name, tables.findings.c.vulnerability)
)
ECOSYSTEMS = Statement(select(tables.inventories.c.ecosystem))
JOBS = Statement(select(schema.jobs.c.kind))
SEEDS = range(int(os.environ.get("ROADSTEAD_SEEDS", "4")))
PACKAGES = [f"package{number}" for number in range(6)]
VECTORS = ["AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H", ""]


@pytest.fixture
def own(database: Database, clock: Clock) -> Catalogue:
    return Catalogue(database, clock)


@pytest.fixture
def other(other_node: Database, clock: Clock) -> Catalogue:
    """Another worker."""
    return Catalogue(other_node, clock)


async def test_a_finding_that_changes_keeps_its_identity(own: Catalogue, clock: Clock, tmp_path: Path) -> None:
    """Its id is in the names of occurrences, and its creation is when it was found first."""
    await own.image("p/web", alpine(openssl="1-r0"))
    await own.load("secdb", scanned.secdb(tmp_path, "3.18", {"openssl": {"2-r0": ["CVE-2026-1001"]}}))
    before = await own.born()
    clock.go(60)

    await own.load("secdb", scanned.secdb(tmp_path, "3.18", {"openssl": {"3-r0": ["CVE-2026-1001"]}}))

    assert before == await own.born()
    assert ["3-r0"] == [each.fixed for each in (await own.found()).values()]


async def test_events_tell_what_changed_and_why(own: Catalogue, tmp_path: Path) -> None:
    """The scan of a new image tells of the image; what advisories change is told by finding, with the feed and its revision."""
    await own.image("p/web", alpine(openssl="1-r0"))
    for fixed, vulnerability in (("2-r0", "CVE-2026-1001"), ("3-r0", "CVE-2026-1001"), ("3-r0", "CVE-2026-1002")):
        await own.load("secdb", scanned.secdb(tmp_path, "3.18", {"openssl": {fixed: [vulnerability]}}))

    scan, *told = await own.events()

    assert "SCAN_FINISHED" == scan["kind"] and scan["image"].startswith("gcr.io/p/web@sha256:")
    assert [
        ("FINDING_NEW", "CVE-2026-1001", "2-r0"),
        ("FINDING_CHANGED", "CVE-2026-1001", "3-r0"),
        ("FINDING_NEW", "CVE-2026-1002", "3-r0"),
        ("FINDING_GONE", "CVE-2026-1001", "3-r0"),
    ] == [(each["kind"], each["vulnerability"], each["fixed"]) for each in told]
    reasons = [each["reason"].split() for each in told]
    assert {"secdb"} == {feed for feed, _ in reasons}
    assert [int(number) for _, number in reasons] == sorted(int(number) for _, number in reasons)
    assert 3 == len({number for _, number in reasons})
    assert {("openssl", "1-r0", "secdb")} == {(each["package"], each["version"], each["feed"]) for each in told}


async def test_what_no_image_has_is_not_matched(own: Catalogue, tmp_path: Path) -> None:
    loaded = await own.load("secdb", scanned.secdb(tmp_path, "3.18", {"openssl": {"2-r0": ["CVE-2026-1001"]}}))

    assert (1, 0) == (loaded.added, loaded.packages)
    await own.image("p/web", alpine(openssl="1-r0"))
    assert 1 == len(await own.found())


async def test_languages_names_are_compared_as_their_index_does(own: Catalogue, tmp_path: Path) -> None:
    package = Package("pypi", "Py_YAML", "5.3", "Py_YAML", "5.3", "", "usr/lib/python3/METADATA")
    await own.image("p/web", Inventory(None, ((package, ""),)))

    await own.load("osv", scanned.osv(tmp_path, scanned.osv_record("CVE-2026-1001", "PyPI", "Py.yaml", "5.4", VECTORS[0])))

    assert [("py-yaml", "5.3", "CVE-2026-1001")] == list(await own.found())


async def test_packages_of_another_system_are_not_the_distribution_s(own: Catalogue, tmp_path: Path) -> None:
    """dpkg's packages in an Alpine are built by somebody else."""
    made = inventory("alpine", "3.18", [{"name": "openssl", "version": "1-r0"}])
    foreign = inventory("debian", "12", [{"name": "openssl", "version": "1"}]).packages
    await own.image("p/web", Inventory(made.distro, (*made.packages, *foreign)))
    await own.load("secdb", scanned.secdb(tmp_path, "3.18", {"openssl": {"2-r0": ["CVE-2026-1001"]}}))

    assert [("openssl", "1-r0", "CVE-2026-1001")] == list(await own.found())


async def test_a_language_is_matched_without_any_feed_of_the_distribution(own: Catalogue, tmp_path: Path) -> None:
    package = Package("npm", "left-pad", "1.0.0", "left-pad", "1.0.0", "", "app/package.json")
    await own.load("osv", scanned.osv(tmp_path, scanned.osv_record("GHSA-aaaa-bbbb-cccc", "npm", "left-pad", "1.3.0", VECTORS[0])))

    await own.image("p/web", Inventory(Distro("alpine", "3.18"), ((package, ""),)))

    assert [("left-pad", Severity.CRITICAL)] == [(key[0], each.severity) for key, each in (await own.found()).items()]


async def test_two_workers_do_the_work_once(own: Catalogue, other: Catalogue, tmp_path: Path) -> None:
    for number in range(3):
        await own.image(f"p/web{number}", alpine(**{name: f"{number}-r0" for name in PACKAGES}))
    fixes = {name: {"5-r0": ["CVE-2026-1001"]} for name in PACKAGES}
    await own.feeds.import_files("secdb", [scanned.secdb(tmp_path, "3.18", fixes)])

    done = await asyncio.gather(own.rematch.all(), other.rematch.all())

    assert 18 == sum(each.new for each in done)
    assert 18 == len(await own.found()) == len([each for each in await own.events() if each["kind"] == "FINDING_NEW"])
    assert 0 == await own.rematch.left()


async def test_a_package_with_many_versions_is_matched_in_parts(own: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rematch, "VERSIONS", 3)
    versions = [{"name": f"b{number}", "source_name": "openssl", "version": f"{number}-r0"} for number in range(10)]
    await own.image("p/web", inventory("alpine", "3.18", versions))

    await own.load("secdb", scanned.secdb(tmp_path, "3.18", {"openssl": {"8-r0": ["CVE-2026-1001"]}}))

    assert {f"{number}-r0" for number in range(8)} == {version for _, version, _ in await own.found()}


async def test_a_load_while_a_package_is_matched_is_not_missed(
    own: Catalogue, other: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before it is not written, or is matched again."""
    await own.image("p/web", alpine(openssl="1-r0"))
    await own.feeds.import_files("secdb", [scanned.secdb(tmp_path, "3.18", {"openssl": {"2-r0": ["CVE-2026-1001"]}})])
    second = scanned.secdb(tmp_path, "3.18", {"openssl": {"2-r0": ["CVE-2026-1002"]}})
    findings, left = match.Matching.findings, 1

    async def interrupted(self: match.Matching, version: match.Version) -> list[match.Found]:
        nonlocal left
        found = await findings(self, version)
        left -= 1
        if left == 0:
            await other.feeds.import_files("secdb", [second])
        return found

    monkeypatch.setattr(match.Matching, "findings", interrupted)
    await own.rematch.all()
    await own.rematch.all()

    assert {("openssl", "1-r0", "CVE-2026-1002")} == set(await own.found())
    assert 0 == await own.rematch.left()


async def test_a_version_that_a_scan_brings_while_a_load_commits_is_matched_with_it(
    own: Catalogue, other: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load comes after the scan has read the advisories and before it writes: the scan begins again."""
    await own.feeds.import_files("secdb", [scanned.secdb(tmp_path, "3.18", {"openssl": {"2-r0": ["CVE-2026-1001"]}})])
    second = scanned.secdb(tmp_path, "3.18", {"openssl": {"2-r0": ["CVE-2026-1002"]}})
    held, tries = revision.held, 0

    async def late(tx: Transaction) -> int:
        nonlocal tries
        tries += 1
        return await held(tx)

    new_findings = scan.Scans._new_findings
    loaded = False

    async def interrupted(self: scan.Scans, versions: Sequence[match.Version]) -> dict[match.Version, list[match.Found] | None]:
        nonlocal loaded
        found = await new_findings(self, versions)
        if not loaded:
            loaded = True
            await other.feeds.import_files("secdb", [second])
        return found

    monkeypatch.setattr(revision, "held", late)
    monkeypatch.setattr(scan.Scans, "_new_findings", interrupted)
    await own.image("p/web", alpine(openssl="1-r0"))

    assert 2 == tries
    assert {("openssl", "1-r0", "CVE-2026-1002")} == set(await own.found())


async def test_what_nothing_needs_is_dropped_and_the_rest_stays(own: Catalogue, database: Database, clock: Clock, tmp_path: Path) -> None:
    await own.load("secdb", scanned.secdb(tmp_path, "3.18", {"openssl": {"2-r0": ["CVE-2026-1001"]}}))
    kept, gone = await own.image("p/kept", alpine(openssl="1-r0")), await own.image("p/gone", alpine(openssl="0-r0", zlib="1-r0"))
    async with database.transaction() as tx:
        await tx.run(queries.FORGET_IMAGE, {"image_id": gone})
    tidy = Tidy(database, ["gcr"], clock)

    await tidy.run()
    young = set(await own.found())
    clock.go(2 * 3600)
    await tidy.run()

    assert {("openssl", "1-r0", "CVE-2026-1001"), ("openssl", "0-r0", "CVE-2026-1001")} == young
    assert {("openssl", "1-r0", "CVE-2026-1001")} == set(await own.found())
    again = await own.image("p/again", alpine(openssl="0-r0", zlib="1-r0"))
    assert 2 == len(await own.found())
    assert again != kept


async def test_the_index_of_a_layer_goes_after_its_blob_wherever_that_was(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as are looked at at once, more and fewer."""
    monkeypatch.setattr(tidy, "BATCH", 2)
    places = {"a": ["gcr"], "b": [], "c": ["us"], "d": ["gcr", "us"], "e": [], "f": [], "g": ["us"]}
    async with database.transaction() as tx:
        for layer, locations in places.items():
            index = {"digest": layer, "analyzer": 1, "content": b"x", "error": "", "now_us": clock()}
            await tx.run(queries.PUT_LAYER, index)
            for location in locations:
                blob = {"location": location, "digest": layer, "size_bytes": 1, "content": b"x", "created_at_us": 1}
                await tx.run(Statement(insert(schema.blobs).values(**blob)), {})
    kept = Statement(select(tables.layer_indexes.c.digest).order_by(tables.layer_indexes.c.digest))

    await Tidy(database, ["gcr", "us"], clock).run()
    young = await database.all(kept, {})
    clock.go(2 * 3600)
    await Tidy(database, ["gcr", "us"], clock).run()

    assert list(places) == [digest for (digest,) in young]
    assert ["a", "c", "d", "g"] == [digest for (digest,) in await database.all(kept, {})]


def feed(source: random.Random, folder: Path) -> list[Path]:
    """Alpine's, of random fixes of random packages."""
    packages = source.sample(PACKAGES, source.randint(1, len(PACKAGES)))
    fixes = {name: {f"{source.randint(1, 4)}-r0": [f"CVE-2026-100{source.randint(1, 3)}"]} for name in packages}
    return [scanned.secdb(folder, "3.18", fixes)]


def scores(source: random.Random, folder: Path) -> list[Path]:
    """Scores, for another distribution, and sometimes Alpine's own records."""
    ecosystem = source.choice(["Ubuntu:22.04:LTS", "Alpine:v3.18"])
    records = [
        scanned.osv_record(f"X-CVE-2026-100{number}", ecosystem, source.choice(PACKAGES), "3-r0", source.choice(VECTORS))
        for number in (1, 2, 3)
    ]
    return [scanned.osv(folder, *source.sample(records, source.randint(1, 3)))]


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_happens_at_once_in_the_end_findings_are_those_of_a_match_from_nothing(
    own: Catalogue, other: Catalogue, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Loads, scans, workers and tidying in random order and beside each other, with transactions so small that all interleave."""
    monkeypatch.setattr(loads, "BATCH", 2)
    monkeypatch.setattr(rematch, "VERSIONS", 2)
    monkeypatch.setattr(rematch, "BATCH", 2)
    source = random.Random(seed)

    async def loading(which: Catalogue) -> None:
        """One operator: two loads of one feed at once are another thing."""
        for _ in range(4):
            await asyncio.sleep(source.random() / 50)
            make, name = source.choice([(feed, "secdb"), (scores, "osv")])
            await which.feeds.import_files(name, make(source, tmp_path), lossy=True)

    async def scanning(which: Catalogue, prefix: str) -> None:
        for number in range(8):
            await asyncio.sleep(source.random() / 50)
            packages = {name: f"{source.randint(0, 4)}-r0" for name in source.sample(PACKAGES, 3)}
            made = await which.image(f"p/{prefix}{number}", alpine(**packages))
            if source.random() < 0.5:
                async with which.database.transaction() as tx:
                    await tx.run(queries.FORGET_IMAGE, {"image_id": made})

    async def tidying(which: Catalogue) -> None:
        for _ in range(8):
            await asyncio.sleep(source.random() / 50)
            await Tidy(which.database, ["gcr"], lambda: clock() + 2 * tidy.AGE_US).run()

    async def matching(which: Catalogue) -> None:
        for _ in range(8):
            await asyncio.sleep(source.random() / 50)
            await which.rematch.all()

    await asyncio.gather(loading(own), scanning(own, "a"), scanning(other, "b"), matching(own), matching(other), tidying(other))
    await own.rematch.all()

    assert await own.from_nothing() == await own.found()
    assert 0 == await own.rematch.left()
    assert len(await own.born()) == len(await own.found())


async def test_two_operators_may_load_one_feed_at_once(own: Catalogue, other: Catalogue, tmp_path: Path) -> None:
    """One of both is what it holds then, after the next load at the latest."""
    await own.image("p/web", alpine(**dict.fromkeys(PACKAGES, "1-r0")))
    files = [scanned.secdb(tmp_path, "3.18", {name: {"2-r0": [f"CVE-2026-{number}"]} for name in PACKAGES}) for number in (1001, 1002)]

    await asyncio.gather(own.feeds.import_files("secdb", [files[0]]), other.feeds.import_files("secdb", [files[1]]))
    await own.rematch.all()
    settled = await own.from_nothing() == await own.found()
    await own.load("secdb", files[1])

    assert settled
    assert {"CVE-2026-1002"} == {key[2] for key in await own.found()}
    assert await own.from_nothing() == await own.found()


async def test_a_load_asks_for_a_worker(own: Catalogue, tmp_path: Path) -> None:
    """In the transaction that changes advisories: if the program dies then, the job is there."""
    await own.image("p/web", alpine(openssl="1-r0"))
    await own.feeds.import_files("secdb", [scanned.secdb(tmp_path, "3.18", {"openssl": {"2-r0": ["CVE-2026-1001"]}})])

    jobs = await own.database.all(JOBS, {})

    assert {"rematch"} == {kind for (kind,) in jobs}
    assert await revision.current(own.database) > 0


async def test_of_repositories_that_are_removed_nothing_is_told(own: Catalogue, database: Database, clock: Clock) -> None:
    """As of a project that is gone for good; others with names that begin alike stay."""
    for name in ("gone/web", "gone/team/api", "gone-not/web"):
        async with database.transaction() as tx:
            await ensure_id(tx, Repository("gcr", name), clock())
        await own.image(name, alpine(openssl="1-r0"))

    for _ in range(2):
        await Removal(database, clock).of_project(b"gone")

    assert ["gone-not/web"] == [row[0] for row in await database.all(NAMES, {})]


async def test_the_platforms_of_an_index_may_differ_in_all(own: Catalogue, database: Database, tmp_path: Path) -> None:
    """One without any distribution, or of another release with the same packages: each is matched as what it is."""
    await own.load(
        "secdb", *(scanned.secdb(tmp_path, f"3.1{number}", {"openssl": {"2-r0": [f"CVE-2026-100{number}"]}}) for number in (7, 8))
    )
    nothing, older, newer = Inventory(None, ()), alpine("3.17", openssl="1-r0"), alpine("3.18", openssl="1-r0")
    for name, platforms in {"p/one": [newer], "p/two": [newer, older], "p/three": [nothing, newer], "p/same": [older, newer]}.items():
        await own.image(name, *platforms)

    found = await database.all(OF_IMAGES, {})

    assert [
        ("p/one", "CVE-2026-1008"),
        ("p/same", "CVE-2026-1007"),
        ("p/same", "CVE-2026-1008"),
        ("p/three", "CVE-2026-1008"),
        ("p/two", "CVE-2026-1007"),
        ("p/two", "CVE-2026-1008"),
    ] == [(row[0], row[1]) for row in found]
    assert {"alpine"} == {row[0] for row in await database.all(ECOSYSTEMS, {})}
