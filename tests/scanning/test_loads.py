"""scanning/loads.py: a load replaces what the feed held, writes only the difference, and never takes what looks like an accident."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from roadstead.db.database import Database, Statement
from roadstead.db.schema import scanning as tables
from roadstead.errors import FeedInvalid, FeedShrunk
from roadstead.jobs import queue
from roadstead.scanner.advisories import feeds
from roadstead.scanner.advisories.advisory import Advisory
from roadstead.scanner.advisories.tally import Tally
from roadstead.scanner.match import Finding
from roadstead.scanner.severity import Severity
from roadstead.scanning import loads, revision
from roadstead.scanning.loads import Loads, Source
from tests.kit import scanned
from tests.kit.catalogue import Catalogue, alpine, inventory
from tests.kit.clock import Clock

pytestmark = pytest.mark.anyio

CRITICAL, MEDIUM = "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H"
ROWS = Statement(select(tables.advisories.c.name, tables.advisories.c.key, tables.advisories.c.feed))


@pytest.fixture
async def own(database: Database, clock: Clock) -> AsyncIterator[Catalogue]:
    yield Catalogue(database, clock)


def ids(found: dict[tuple[str, str, str], Finding]) -> set[str]:
    return {vulnerability for _, _, vulnerability in found}


async def test_what_a_feed_holds_now_takes_the_place_of_what_it_held(own: Catalogue, tmp_path: Path) -> None:
    await own.image("p/web", alpine(openssl="3.1.2-r0", zlib="1.2-r0"))
    first = {
        "openssl": {"3.1.4-r0": ["CVE-2026-1001", "CVE-2026-1002"]},
        "zlib": {"1.3-r0": ["CVE-2026-1003"]},
        "other": {"1-r0": ["CVE-2026-1009"]},
    }
    second = {"openssl": {"3.1.4-r0": ["CVE-2026-1001"], "3.1.5-r0": ["CVE-2026-1004"]}, "other": {"2-r0": ["CVE-2026-1009"]}}

    loaded = await own.load("secdb", scanned.secdb(tmp_path, "3.18", first))
    again = await own.load("secdb", scanned.secdb(tmp_path, "3.18", second))

    assert (4, 4, 0, 0, 2) == (loaded.records, loaded.added, loaded.changed, loaded.removed, loaded.packages)
    assert (3, 1, 1, 2, 2) == (again.records, again.added, again.changed, again.removed, again.packages)
    assert {"CVE-2026-1001", "CVE-2026-1004"} == ids(await own.found())
    assert await own.from_nothing() == await own.found()


async def test_the_same_content_changes_nothing(own: Catalogue, tmp_path: Path) -> None:
    """No package is matched, nothing is told, and the revision stays."""
    await own.image("p/web", alpine(openssl="3.1.2-r0"))
    fixes = {"openssl": {"3.1.4-r0": ["CVE-2026-1001"]}}
    await own.load("secdb", scanned.secdb(tmp_path, "3.18", fixes))
    before = await own.events(), await revision.current(own.database)

    again = await own.load("secdb", scanned.secdb(tmp_path, "3.18", fixes))

    assert (0, 0, 0, 0) == (again.added, again.changed, again.removed, again.packages)
    assert before == (await own.events(), await revision.current(own.database))


async def test_feeds_do_not_touch_each_other(own: Catalogue, tmp_path: Path) -> None:
    await own.image("p/web", alpine(openssl="3.1.2-r0", nginx="1-r0"))
    await own.load("main", scanned.secdb(tmp_path, "3.18", {"openssl": {"3.1.4-r0": ["CVE-2026-1001"]}}))
    await own.load("community", scanned.secdb(tmp_path, "3.18", {"nginx": {"2-r0": ["CVE-2026-1002"]}}))

    await own.load("main", scanned.secdb(tmp_path, "3.18", {"openssl": {"3.1.5-r0": ["CVE-2026-1003"]}}))

    assert {"CVE-2026-1002", "CVE-2026-1003"} == ids(await own.found())


async def test_several_files_are_one_feed(own: Catalogue, tmp_path: Path) -> None:
    await own.image("p/web", alpine(openssl="3.1.2-r0", nginx="1-r0"))
    files = [
        scanned.secdb(tmp_path, "3.18", {"openssl": {"3.1.4-r0": ["CVE-2026-1001"]}}),
        scanned.secdb(tmp_path, "3.18", {"nginx": {"2-r0": ["CVE-2026-1002"]}}, "community"),
    ]

    loaded = await own.load("secdb", *files)

    assert (2, {"CVE-2026-1001", "CVE-2026-1002"}) == (loaded.records, ids(await own.found()))


async def test_a_withdrawn_record_is_gone(own: Catalogue, tmp_path: Path) -> None:
    await own.image("p/web", inventory("ubuntu", "22.04", [{"name": "bash", "version": "5.1-1"}]))
    record = scanned.osv_record("UBUNTU-CVE-2026-1001", "Ubuntu:22.04:LTS", "bash", "5.1-2")
    other = scanned.osv_record("UBUNTU-CVE-2026-1002", "Ubuntu:22.04:LTS", "bash", "5.1-3")
    await own.load("osv", scanned.osv(tmp_path, record, other))
    before = ids(await own.found())

    await own.load("osv", scanned.osv(tmp_path, {**record, "withdrawn": "2026-01-03T00:00:00Z"}, other))

    assert ({"CVE-2026-1001", "CVE-2026-1002"}, {"CVE-2026-1002"}) == (before, ids(await own.found()))


async def test_records_that_make_no_sense_are_counted_and_left_out(own: Catalogue, tmp_path: Path) -> None:
    good = scanned.osv_record("UBUNTU-CVE-2026-1001", "Ubuntu:22.04:LTS", "bash", "5.1-2")
    bad: Any = {**good, "id": "UBUNTU-CVE-2026-1002", "affected": "all of it"}

    loaded = await own.load("osv", scanned.osv(tmp_path, good, bad))
    (status,) = await own.feeds.status()

    assert (1, 1, 1, 1) == (loaded.records, loaded.skipped, status.records, status.skipped)


async def test_what_is_no_feed_leaves_the_feed_as_it_was(own: Catalogue, tmp_path: Path) -> None:
    await own.load("secdb", scanned.secdb(tmp_path, "3.18", {"openssl": {"3.1.4-r0": ["CVE-2026-1001"]}}))
    before = await own.database.all(ROWS, {})
    broken = tmp_path / "broken.json"
    broken.write_text("{not json")

    for files in ([broken], [tmp_path / "absent.json"], [scanned.secdb(tmp_path, "3.18", {"zlib": {"2-r0": ["CVE-2026-1002"]}}), broken]):
        with pytest.raises(FeedInvalid):
            await own.load("secdb", *files)

    assert before == await own.database.all(ROWS, {})


def many(number: int, first: int = 1000) -> dict[str, dict[str, list[str]]]:
    return {f"package{each}": {"2-r0": [f"CVE-2026-{each}"]} for each in range(first, first + number)}


async def test_a_feed_that_lost_much_is_refused(own: Catalogue, tmp_path: Path) -> None:
    """A run of a mirror that went wrong would make every image look clean."""
    await own.load("secdb", scanned.secdb(tmp_path, "3.18", many(400)))
    less = scanned.secdb(tmp_path, "3.18", many(299))

    with pytest.raises(FeedShrunk, match="has lost 101 of 400 records"):
        await own.load("secdb", less)
    kept = len(await own.database.all(ROWS, {}))
    accepted = await own.load("secdb", less, lossy=True)

    assert (400, 101) == (kept, accepted.removed)


async def test_a_feed_may_lose_a_little_and_a_small_one_all(own: Catalogue, tmp_path: Path) -> None:
    await own.load("secdb", scanned.secdb(tmp_path, "3.18", many(400)))
    await own.load("small", scanned.secdb(tmp_path, "3.18", many(100, 5000)))

    little = await own.load("secdb", scanned.secdb(tmp_path, "3.18", many(301)))
    small = await own.load("small", scanned.secdb(tmp_path, "3.18", many(1, 5000)))

    assert (99, 99) == (little.removed, small.removed)


async def test_a_release_that_vanished_is_kept_as_ended(own: Catalogue, tmp_path: Path) -> None:
    await own.image("p/web", alpine("3.12", openssl="1-r0"))
    old = scanned.secdb(tmp_path, "3.12", {"openssl": {"2-r0": ["CVE-2026-1001"]}})
    new = scanned.secdb(tmp_path, "3.13", {"openssl": {"2-r0": ["CVE-2026-1002"]}})
    await own.load("secdb", old, new)

    ended = await own.load("secdb", new)
    (status,) = await own.feeds.status()
    came_back = await own.load("secdb", old, new)

    assert ["alpine 3.12"] == ended.ended_releases
    assert [("3.12", True), ("3.13", False)] == [(each.release, each.ended) for each in status.releases]
    assert {"CVE-2026-1001"} == ids(await own.found())
    assert [] == came_back.ended_releases
    assert [False, False] == [each.ended for each in (await own.feeds.status())[0].releases]


async def test_a_feed_that_forgot_most_releases_is_refused(own: Catalogue, tmp_path: Path) -> None:
    """Of each of those it tells of, nothing is lost; but it is not the same feed any more."""
    releases = [scanned.secdb(tmp_path, f"3.1{number}", many(100, 1000 * number)) for number in range(5, 9)]
    await own.load("secdb", *releases)

    with pytest.raises(FeedShrunk, match="tells of 1 of the 4 releases"):
        await own.load("secdb", releases[0])


class Died(BaseException):
    """The process ended here."""


@pytest.mark.parametrize("transactions", [1, 2, 3])
async def test_after_a_load_that_was_killed_the_next_one_writes_the_rest(
    own: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transactions: int
) -> None:
    monkeypatch.setattr(loads, "BATCH", 10)
    await own.image("p/web", alpine(**{f"package{each}": "1-r0" for each in range(1000, 1040)}))
    file = scanned.secdb(tmp_path, "3.18", many(40))
    left = transactions
    enqueue = queue.enqueue

    async def dying(*arguments: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Died
        await enqueue(*arguments)

    monkeypatch.setattr(queue, "enqueue", dying)
    with pytest.raises(Died):
        await own.load("secdb", file)
    assert 10 * transactions == len(await own.database.all(ROWS, {}))
    monkeypatch.setattr(queue, "enqueue", enqueue)

    rest = await own.load("secdb", file)

    assert 40 - 10 * transactions == rest.added
    assert 40 == len(await own.found())
    assert await own.from_nothing() == await own.found()


async def test_when_another_kind_of_feed_decides_the_whole_release_is_matched_again(own: Catalogue, tmp_path: Path) -> None:
    """The tracker says what OSV cannot; both together would say everything twice."""
    await own.image("p/web", inventory("debian", "12", [{"name": "bash", "version": "5.2-1"}, {"name": "zlib", "version": "1.2-1"}]))
    osv = [
        scanned.osv_record("CVE-2026-1001", "Debian:12", "bash", "5.2-2", CRITICAL),
        scanned.osv_record("CVE-2026-1002", "Debian:12", "zlib"),
    ]
    await own.load("osv", scanned.osv(tmp_path, *osv))
    before = await own.found()

    await own.load("debian-tracker", scanned.tracker(tmp_path, {"bash": {"CVE-2026-1001": {"status": "open", "urgency": "low"}}}))

    after = await own.found()
    assert {("bash", "5.2-1", "CVE-2026-1001"), ("zlib", "1.2-1", "CVE-2026-1002")} == set(before)
    assert {("bash", "5.2-1", "CVE-2026-1001")} == set(after)
    assert [(Severity.CRITICAL, "5.2-2"), (Severity.LOW, "")] == [
        (found["bash", "5.2-1", "CVE-2026-1001"].severity, found["bash", "5.2-1", "CVE-2026-1001"].fixed) for found in (before, after)
    ]
    assert await own.from_nothing() == after


async def severity(own: Catalogue) -> str:
    (found,) = (await own.found()).values()
    return found.severity.name


async def test_the_score_may_come_of_another_feed_and_change_there(own: Catalogue, tmp_path: Path) -> None:
    """Also of one about another distribution: it is the same vulnerability."""
    await own.image("p/web", alpine(openssl="3.1.2-r0"))
    await own.load("secdb", scanned.secdb(tmp_path, "3.18", {"openssl": {"3.1.4-r0": ["CVE-2026-1001"]}}))
    seen = [await severity(own)]
    elsewhere = [("UBUNTU-CVE-2026-1001", "Ubuntu:22.04:LTS", "openssl", "3", vector) for vector in (MEDIUM, CRITICAL, "")]
    for record in elsewhere:
        await own.load("osv", scanned.osv(tmp_path, scanned.osv_record(*record)))
        seen.append(await severity(own))

    assert ["SEVERITY_UNSPECIFIED", "MEDIUM", "CRITICAL", "SEVERITY_UNSPECIFIED"] == seen


async def test_a_score_goes_with_the_record_that_had_it(own: Catalogue, tmp_path: Path) -> None:
    await own.image("p/web", alpine(openssl="3.1.2-r0"))
    await own.load("secdb", scanned.secdb(tmp_path, "3.18", {"openssl": {"3.1.4-r0": ["CVE-2026-1001"]}}))
    other = scanned.osv_record("UBUNTU-CVE-2026-1002", "Ubuntu:22.04:LTS", "bash", "3")
    rated = scanned.osv_record("UBUNTU-CVE-2026-1001", "Ubuntu:22.04:LTS", "openssl", "3", CRITICAL)
    await own.load("osv", scanned.osv(tmp_path, rated, other))
    before = await severity(own)

    await own.load("osv", scanned.osv(tmp_path, other))

    assert ["CRITICAL", "SEVERITY_UNSPECIFIED"] == [before, await severity(own)]
    assert await own.from_nothing() == await own.found()


async def test_memory_does_not_hold_the_feed(own: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are taken from the source a page at a time."""
    monkeypatch.setattr(loads, "PAGE", 50)
    waiting, most = 0, 0
    put = loads._staged_row

    def counted(advisories: Iterable[Advisory]) -> Iterator[Advisory]:
        nonlocal waiting, most
        for each in advisories:
            waiting += 1
            most = max(most, waiting)
            yield each

    def staged(advisory: Advisory) -> tuple[Any, ...]:
        nonlocal waiting
        waiting -= 1
        return put(advisory)

    monkeypatch.setattr(loads, "_staged_row", staged)
    file = scanned.secdb(tmp_path, "3.18", many(500))
    loaded = await Loads(own.database, own.clock).load(
        "secdb", Source("alpine", "x"), counted(feeds.read(file, "secdb", Tally())), lambda: 0
    )

    assert (500, 1) == (loaded.records, most)
