"""scanning/on_demand.py: a scan is matched once, as often as its job runs, and is forgotten after two days."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadstead.db.database import Database
from roadstead.errors import FieldInvalid, ResourceUnknown, StateForbids, TooManyRequests
from roadstead.jobs import queue
from roadstead.jobs.kinds import SCAN_PACKAGES
from roadstead.scanning import on_demand
from roadstead.scanning.on_demand import BATCH, KEPT_US, MOST_PACKAGES, MOST_WAITING, Given, OnDemand, State
from roadstead.scanning.tidy import Tidy
from tests.kit import scanned
from tests.kit.catalogue import Catalogue
from tests.kit.clock import Clock

pytestmark = pytest.mark.anyio

ALPINE = "cpe:/o:alpine:alpine_linux:3.18"
OPENSSL = Given("", "openssl", "3.1.2-r0", ALPINE)


@pytest.fixture
async def scans(database: Database, clock: Clock, tmp_path: Path) -> OnDemand:
    fixes = {"openssl": {"3.1.4-r0": [f"CVE-2026-{number:04}" for number in range(BATCH + 100)]}}
    await Catalogue(database, clock).load("secdb", scanned.secdb(tmp_path, "3.18", fixes))
    return OnDemand(database, clock)


async def ran(scans: OnDemand, *packages: Given) -> str:
    """The name of a scan whose job has run."""
    begun = await scans.start("p", "image", packages)
    await scans.run(begun.name.encode())
    return begun.name


async def test_a_scan_waits_for_its_job(scans: OnDemand, database: Database) -> None:
    begun = await scans.start("p", "image", [OPENSSL])

    assert State.PENDING is begun.state is (await scans.get("p", begun.name)).state
    assert [SCAN_PACKAGES] == [each.kind for each in await queue.waiting(database) if each.kind == SCAN_PACKAGES]
    with pytest.raises(StateForbids, match="not done"):
        await scans.vulnerabilities("p", begun.name, 0, 10)


async def test_all_of_many_findings_are_kept_in_order(scans: OnDemand) -> None:
    """More than go in one transaction."""
    name = await ran(scans, OPENSSL)

    found = await scans.vulnerabilities("p", name, 0, 2 * BATCH)

    assert [f"CVE-2026-{number:04}" for number in range(BATCH + 100)] == [each.note[1] for _, each in found]
    assert list(range(1, BATCH + 101)) == [number for number, _ in found]
    assert found[10:12] == await scans.vulnerabilities("p", name, 10, 2)
    assert BATCH + 100 == len({each.name for _, each in found})


async def test_a_job_that_runs_again_changes_nothing(scans: OnDemand, clock: Clock) -> None:
    name = await ran(scans, OPENSSL)
    before = await scans.get("p", name), await scans.vulnerabilities("p", name, 0, 2 * BATCH)

    clock.go(60)
    await scans.run(name.encode())
    await scans.run(b"nothing")

    assert before == (await scans.get("p", name), await scans.vulnerabilities("p", name, 0, 2 * BATCH))


async def test_a_job_that_was_ended_in_the_middle_is_done_by_the_next(
    scans: OnDemand, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a worker is killed: some findings are written, and the scan still waits."""
    begun = await scans.start("p", "image", [OPENSSL])
    with monkeypatch.context() as patched:
        patched.setattr(OnDemand, "_end", None)
        with pytest.raises(TypeError):
            await scans.run(begun.name.encode())
    assert State.PENDING is (await scans.get("p", begun.name)).state

    await scans.run(begun.name.encode())

    assert BATCH + 100 == len(await scans.vulnerabilities("p", begun.name, 0, 2 * BATCH))


async def test_more_vulnerabilities_than_are_kept_are_a_failure(scans: OnDemand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_demand, "MOST_FINDINGS", 100)

    scan = await scans.get("p", await ran(scans, OPENSSL))

    assert State.FAILED is scan.state
    assert "more than 100 vulnerabilities" in scan.error


async def test_a_scan_is_forgotten_after_two_days(scans: OnDemand, database: Database, clock: Clock) -> None:
    """With what it has found; one that is younger stays."""
    old = await ran(scans, OPENSSL)
    clock.go(3600)
    young = await ran(scans, OPENSSL)
    tidy = Tidy(database, [], clock)

    clock.go(KEPT_US / 1e6 - 3600)
    await tidy.run()
    assert State.FINISHED is (await scans.get("p", old)).state
    clock.go(1)
    await tidy.run()

    with pytest.raises(ResourceUnknown):
        await scans.get("p", old)
    assert BATCH + 100 == len(await scans.vulnerabilities("p", young, 0, 2 * BATCH))


async def test_a_scan_is_not_another_project_s(scans: OnDemand) -> None:
    name = await ran(scans, OPENSSL)

    with pytest.raises(ResourceUnknown):
        await scans.get("q", name)
    with pytest.raises(ResourceUnknown):
        await scans.vulnerabilities("q", name, 0, 10)


async def test_what_waits_at_once_has_a_limit(scans: OnDemand) -> None:
    """Of each project by itself; what is done does not count."""
    first = await scans.start("p", "image", [])
    for _ in range(MOST_WAITING - 1):
        await scans.start("p", "image", [])

    with pytest.raises(TooManyRequests):
        await scans.start("p", "image", [])
    await scans.start("q", "image", [])
    await scans.run(first.name.encode())
    await scans.start("p", "image", [])


async def test_packages_have_a_limit(scans: OnDemand) -> None:
    with pytest.raises(FieldInvalid, match=str(MOST_PACKAGES)):
        await scans.start("p", "image", [OPENSSL] * (MOST_PACKAGES + 1))
