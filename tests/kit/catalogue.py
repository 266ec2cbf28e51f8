"""Scanned images without a registry: an inventory that a test gives becomes an image's, as a scan would write it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import bindparam, insert, select

from roadstead.db.database import Database, Statement
from roadstead.db.schema import scanning as tables
from roadstead.scanner.inventory import Distro, Inventory, Package
from roadstead.scanner.match import Finding
from roadstead.scanning import match
from roadstead.scanning.feeds import Feeds
from roadstead.scanning.loads import Loaded, Loads
from roadstead.scanning.rematch import Rematch
from roadstead.scanning.scan import Scans
from tests.kit.clock import Clock

p, f, e = (each.c for each in (tables.package_versions, tables.findings, tables.scan_events))
_VERSIONS = Statement(select(p.id, p.ecosystem, p.release, p.name, p.version).order_by(p.id))
_FINDINGS = Statement(select(f.id, f.version_id, f.content, f.created_at_us).order_by(f.id))
_EVENTS = Statement(select(e.kind, e.content).order_by(e.id))

Found = dict[tuple[str, str, str], Finding]
"""By the package, its version and the vulnerability."""

KINDS = {"alpine": "apk", "debian": "dpkg", "ubuntu": "dpkg"}


_ADD = Statement(
    insert(tables.scanned_images)
    .values(
        **{name: bindparam(name) for name in ("location", "project", "name", "digest", "resource")},
        state="PENDING", error="", analyzer=0, created_at_us=bindparam("now_us"),
    )
    .returning(tables.scanned_images.c.id)
)  # fmt: skip


@dataclass(slots=True)
class Catalogue:
    """One installation's scanning, on a database of its own."""

    database: Database
    clock: Clock

    @property
    def scans(self) -> Scans:
        return Scans(self.database, None, None, {"gcr": "gcr.io"}, self.clock)  # type: ignore[arg-type]

    @property
    def feeds(self) -> Feeds:
        return Feeds(self.database, Loads(self.database, self.clock), {}, self.clock)

    @property
    def rematch(self) -> Rematch:
        return Rematch(self.database, self.clock)

    async def load(self, feed: str, *files: Path, lossy: bool = False) -> Loaded:
        """And match what it is about."""
        loaded = await self.feeds.import_files(feed, files, lossy)
        await self.rematch.all()
        return loaded

    async def found(self) -> Found:
        """What is stored, of all versions of packages."""
        names = {row[0]: row for row in await self.database.all(_VERSIONS, {})}
        findings = [(names[row[1]], msgspec.json.decode(row[2], type=Finding)) for row in await self.database.all(_FINDINGS, {})]
        return {(name[3], name[4], finding.id): finding for name, finding in findings}

    async def from_nothing(self) -> Found:
        """What all versions would be found to have if they were matched now."""
        found: Found = {}
        matching = match.Matching(self.database)
        for _, ecosystem, release, name, version in await self.database.all(_VERSIONS, {}):
            for each in await matching.findings(match.Version(ecosystem, release, name, version)):
                found[name, version, each.finding.id] = match.kept(each.finding)
        return found

    async def born(self) -> dict[tuple[int, str], tuple[int, int]]:
        """By version and vulnerability: the finding's id and when it was made."""
        rows = await self.database.all(_FINDINGS, {})
        return {(row[1], msgspec.json.decode(row[2], type=Finding).id): (row[0], row[3]) for row in rows}

    async def events(self) -> list[dict[str, str]]:
        return [{"kind": row[0], **msgspec.json.decode(row[1])} for row in await self.database.all(_EVENTS, {})]

    async def image(self, name: str, *inventories: Inventory) -> int:
        """The image's id; of an index, the inventories of its platforms."""
        digest = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
        row = {
            "location": "gcr", "project": name.partition("/")[0], "name": name, "digest": digest,
            "resource": f"gcr.io/{name}@{digest}", "now_us": self.clock(),
        }  # fmt: skip
        async with self.database.transaction() as tx:
            added = await tx.one(_ADD, row)
            assert added is not None
        await self.scans.publish(int(added[0]), str(row["resource"]), inventories)
        return int(added[0])


def inventory(distro: str, release: str, packages: Iterable[dict[str, Any]]) -> Inventory:
    """packages: name, version, source_name, source_version, arch."""
    made = [
        Package(
            KINDS[distro],  # type: ignore[arg-type]
            each["name"], each["version"], each.get("source_name") or each["name"],
            each.get("source_version") or each["version"], each.get("arch") or "amd64", "",
        )
        for each in packages
    ]  # fmt: skip
    return Inventory(Distro(distro, release), tuple((each, "") for each in made))


def alpine(release: str = "3.18", **versions: str) -> Inventory:
    """Source package → version."""
    return inventory("alpine", release, [{"name": name, "version": version} for name, version in versions.items()])
