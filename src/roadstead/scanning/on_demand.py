"""
Scans on demand: packages that somebody else's scanner has found, matched once with the advisories as they are then.

Whoever asks gets a scan that a worker matches with a job, because there may be as many packages as in a whole distribution. A scan is
kept for KEPT_US and then forgotten. What cannot be known is not taken for clean: a scan of packages of a release of which no feed tells
has failed.
"""

from __future__ import annotations

import asyncio
import uuid
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from roadstead.analysis import assessments
from roadstead.analysis.assessments import Assessment
from roadstead.analysis.occurrences import Occurrence
from roadstead.analysis.resources import Resource, without_scheme
from roadstead.analysis.scanned import of_finding
from roadstead.db.database import Database, Row
from roadstead.errors import FieldInvalid, ResourceUnknown, ScanFailed, StateForbids, TooManyRequests
from roadstead.jobs import queue
from roadstead.jobs.kinds import SCAN_PACKAGES
from roadstead.scanner.advisories.ecosystems import package_name
from roadstead.scanner.cpe import distro_of
from roadstead.scanning import match
from roadstead.scanning import on_demand_queries as queries
from roadstead.scanning.match import Found, Matching, Version

KEPT_US = 48 * 3_600_000_000
MOST_PACKAGES = 30_000
MOST_FINDINGS = 50_000
MOST_WAITING = 100
"""Of one project at once."""

BATCH = 500
_RETRY_SECONDS = 30
# What is read for matching is held until then.
_VERSIONS_AT_ONCE = 1000
_EXAMPLES = 5


class State(StrEnum):
    PENDING = "PENDING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"


class Given(msgspec.Struct, frozen=True, array_like=True):
    """
    A package as its scanner names it.

    language: pypi, npm, golang, maven or gem; "" for a package of the distribution that cpe names. name and version are those of the
    source package, where the scanner knows them. patched: vulnerabilities that it does not have, whatever its version says.
    """

    language: str
    name: str
    version: str
    cpe: str = ""
    patched: tuple[str, ...] = ()

    def of_version(self) -> Version | None:
        """None where the cpe names no distribution that advisories are of."""
        if self.language:
            return Version(self.language, "", package_name(self.language, self.name), self.version)
        distro = distro_of(self.cpe)
        return Version(distro.id, distro.release, self.name, self.version) if distro is not None else None


@dataclass(frozen=True, slots=True)
class Scan:
    """ended_at_us: 0 while it waits. error: why it has failed."""

    name: str
    resource: str
    state: State
    error: str
    created_at_us: int
    ended_at_us: int


_givens = msgspec.msgpack.Decoder(tuple[Given, ...])


class OnDemand:
    def __init__(self, database: Database, now_us: Callable[[], int]) -> None:
        self._database = database
        self._now_us = now_us

    async def start(self, project: str, resource: str, packages: Sequence[Given]) -> Scan:
        """
        A new scan, of which run() will tell. resource: what the packages are in, as its scanner calls it.

        Raises FieldInvalid, TooManyRequests.
        """
        if len(packages) > MOST_PACKAGES:
            raise FieldInvalid(f"packages may be {MOST_PACKAGES} at most: scan the rest by itself", {"field": "packages"})
        made = Scan(str(uuid.uuid4()), resource, State.PENDING, "", self._now_us(), 0)
        row = {"name": made.name, "project": project, "resource": resource, "state": made.state, "now_us": made.created_at_us}
        packed = await asyncio.to_thread(_packed, packages)
        async with self._database.transaction() as tx:
            waiting = await tx.one(queries.COUNT_WAITING, {"project": project, "state": State.PENDING, "most": MOST_WAITING})
            if waiting is not None and int(waiting[0]) >= MOST_WAITING:
                raise TooManyRequests(f"{MOST_WAITING} scans of {project} wait already: try again when some are done", _RETRY_SECONDS)
            await tx.run(queries.ADD, {**row, "packages": packed})
            await queue.enqueue(tx, SCAN_PACKAGES, made.name.encode(), made.created_at_us)
        return made

    async def get(self, project: str, name: str) -> Scan:
        """Raises ResourceUnknown."""
        return _scan(name, await self._row(project, name))

    async def vulnerabilities(self, project: str, name: str, after: int, most: int) -> list[tuple[int, Occurrence]]:
        """
        What a scan has found, the worst first, each with its number; most at the most, after that number.

        Raises ResourceUnknown, StateForbids for a scan that has not ended well.
        """
        row = await self._row(project, name)
        scan = _scan(name, row)
        if scan.state is State.PENDING:
            raise StateForbids(f"the scan {name} is not done: wait for its operation", {"scan": name})
        if scan.state is State.FAILED:
            raise StateForbids(f"the scan {name} has failed: {scan.error}", {"scan": name})
        rows = await self._database.all(queries.FINDINGS, {"scan_id": row[0], "after": after, "most": most})
        said = await assessments.of_project(self._database, project, self._now_us()) if rows else {}
        return [(int(each[0]), _occurrence(project, scan, each, said)) for each in rows]

    async def run(self, arguments: bytes) -> None:
        """The job SCAN_PACKAGES; arguments: the scan's name. Raises StorageError."""
        row = await self._database.one(queries.PACKAGES, {"name": arguments.decode(), "state": State.PENDING})
        if row is None:
            return
        scan_id, packages = int(row[0]), await asyncio.to_thread(_unpacked, bytes(row[1]))
        try:
            found = await self._matched(packages)
        except ScanFailed as error:
            await self._end(scan_id, State.FAILED, error.message)
            return
        for start in range(0, len(found), BATCH):
            rows = [_values(scan_id, number, *each) for number, each in enumerate(found[start : start + BATCH], start + 1)]
            async with self._database.transaction() as tx:
                if await tx.one(queries.LOCK, {"scan_id": scan_id, "state": State.PENDING}) is None:
                    return
                await tx.run_many(queries.PUT_FINDING, rows)
        await self._end(scan_id, State.FINISHED, "")

    async def _row(self, project: str, name: str) -> Row:
        row = await self._database.one(queries.SCAN, {"name": name, "project": project})
        if row is None:
            raise ResourceUnknown(f"there is no scan {name[:100]}: they are kept for 48 hours", {"scan": name[:100]})
        return row

    async def _matched(self, packages: Sequence[Given]) -> list[tuple[Version, Found]]:
        """The worst first. Others get their turn between any two packages. Raises ScanFailed."""
        patched: dict[Version, set[str]] = {}
        for given in packages:
            version = given.of_version()
            if version is None:
                raise ScanFailed(
                    f"nothing is known of {given.cpe[:100] or 'packages without a cpeUri'}: there are advisories of releases of Debian, "
                    "Ubuntu and Alpine, and of Go, Java, Node, Python and Ruby"
                )
            patched.setdefault(version, set(given.patched)).intersection_update(given.patched)
        await self._require_told({(each.ecosystem, each.release) for each in patched})
        found: list[tuple[Version, Found]] = []
        matching = Matching(self._database)
        for number, version in enumerate(sorted(patched, key=lambda each: each.order)):
            if number % _VERSIONS_AT_ONCE == 0:
                matching = Matching(self._database)
            found += [(version, each) for each in await matching.findings(version) if each.finding.id not in patched[version]]
            if len(found) > MOST_FINDINGS:
                raise ScanFailed(f"there are more than {MOST_FINDINGS} vulnerabilities in it: scan fewer packages at once")
            await asyncio.sleep(0)
        return sorted(found, key=lambda each: (-each[1].finding.severity, each[1].finding.id, each[0].order))

    async def _require_told(self, releases: set[tuple[str, str]]) -> None:
        untold = [place for place in sorted(releases) if place[1] and await match.form_of(self._database, *place) is None]
        if untold:
            named = ", ".join(" ".join(place) for place in untold[:_EXAMPLES])
            raise ScanFailed(f"no advisories of {named} are loaded here, so that nothing is known of its packages")

    async def _end(self, scan_id: int, state: State, error: str) -> None:
        async with self._database.transaction() as tx:
            if await tx.one(queries.LOCK, {"scan_id": scan_id, "state": State.PENDING}) is not None:
                await tx.run(queries.END, {"scan_id": scan_id, "new_state": state, "new_error": error, "now_us": self._now_us()})

    async def forget_old(self) -> None:
        """In short transactions. Raises StorageError."""
        old = {"before_us": self._now_us() - KEPT_US, "most": BATCH}
        while rows := await self._database.all(queries.OLD, old):
            for (scan_id,) in rows:
                await self._forget(int(scan_id))

    async def _forget(self, scan_id: int) -> None:
        while True:
            async with self._database.transaction() as tx:
                if await tx.run(queries.DELETE_FINDINGS, {"scan_id": scan_id, "most": BATCH}) == BATCH:
                    continue
                await tx.run(queries.DELETE, {"scan_id": scan_id})
                return


def _packed(packages: Sequence[Given]) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(packages), 1)


def _unpacked(packed: bytes) -> tuple[Given, ...]:
    return _givens.decode(zlib.decompress(packed))


def _scan(name: str, row: Row) -> Scan:
    return Scan(name, str(row[1]), State(str(row[2])), str(row[3]), int(row[4]), int(row[5] or 0))


def _values(scan_id: int, number: int, version: Version, found: Found) -> dict[str, object]:
    return {
        "scan_id": scan_id,
        "number": number,
        "ecosystem": version.ecosystem,
        "release": version.release,
        "name": version.name,
        "feed": found.finding.feed,
        "advisory": found.advisory,
        "content": msgspec.json.encode(match.kept(found.finding)).decode(),
    }


def _occurrence(project: str, scan: Scan, row: Row, said: Mapping[str, Sequence[Assessment]]) -> Occurrence:
    number, ecosystem, release, content, advisory = row
    uri = without_scheme(scan.resource)
    name, resource = str(uuid.uuid5(uuid.UUID(scan.name), str(number))), Resource(uri, with_scheme=uri != scan.resource)
    return of_finding(project, name, resource, (content, ecosystem, release, advisory), said, scan.ended_at_us, scan.ended_at_us)
