"""
The first phase: an image that was pushed is read and matched, once.

A push adds a row of scanned_images and a job in its own transaction, so none is forgotten whatever is killed when. Everything here may
run twice: layers and package versions that are known already cost a look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import count

import msgspec
import structlog

from roadstead.db.database import Database, Reader, Transaction
from roadstead.errors import BlobUnknown, Invalid, ManifestUnknown, ScanFailed
from roadstead.iam import resources
from roadstead.jobs import queue
from roadstead.jobs.kinds import SCAN_LATER
from roadstead.oci import mediatype
from roadstead.oci.digest import Digest
from roadstead.oci.reference import Repository
from roadstead.registry.manifests import Manifests
from roadstead.registry.scan_requests import ScanRequests
from roadstead.scanner.inventory import ANALYZER_VERSION, Inventory
from roadstead.scanner.releases import ecosystem_of
from roadstead.scanning import match, queries, revision
from roadstead.scanning.events import Event, record
from roadstead.scanning.images import State, content
from roadstead.scanning.layers import Layers
from roadstead.scanning.match import Found, Version

MAX_CHILDREN = 100
MAX_PACKAGES = 50_000
"""Of an image, which are written in one transaction that others wait for."""
BATCH = 100
TRIES = 3

_log = structlog.get_logger()


class Scans:
    def __init__(
        self, database: Database, manifests: Manifests, layers: Layers, hosts: Mapping[str, str], clock: Callable[[], int]
    ) -> None:
        """hosts: location → the name that its images have in occurrences."""
        self._database = database
        self._manifests = manifests
        self._layers = layers
        self._hosts = hosts
        self._requests = ScanRequests(hosts)
        self._clock = clock

    async def scan(self, arguments: bytes) -> None:
        """The jobs SCAN_IMAGE and SCAN_LATER. Raises StorageError."""
        image_id = int(arguments)
        row = await self._database.one(queries.IMAGE, {"image_id": image_id})
        if row is None:
            return
        repository, digest = Repository(str(row[0]), str(row[1])), Digest.parse(str(row[2]))
        async with self._database.transaction() as tx:
            await tx.run(queries.SET_STATE, {"image_id": image_id, "new_state": State.SCANNING})
        try:
            inventories = await self._inventories(repository, digest)
            if sum(len(each.packages) for each in inventories) > MAX_PACKAGES:
                raise ScanFailed(f"the image has more than {MAX_PACKAGES} packages")
        except (ScanFailed, BlobUnknown, Invalid) as error:
            await self._fail(image_id, repository, digest, error.message)
            return
        except ManifestUnknown:
            inventories = []
        if inventories:
            await self.publish(image_id, self._requests.resource(repository, digest), inventories)
        else:
            # It is gone, or no image after all.
            async with self._database.transaction() as tx:
                await tx.run(queries.FORGET_IMAGE, {"image_id": image_id})

    async def _inventories(self, repository: Repository, digest: Digest) -> list[Inventory]:
        """Of the image, or of each image of the index. Raises ScanFailed, BlobUnknown, ManifestUnknown, StorageError."""
        found = content((await self._manifests.get(repository, digest)).payload)
        if len(found.children) > MAX_CHILDREN:
            raise ScanFailed(f"the index has more than {MAX_CHILDREN} manifests")
        if not found.children:
            return [await self._layers.inventory(repository, found.layers)] if found.layers else []
        inventories = []
        for child in found.children:
            try:
                layers = content((await self._manifests.get(repository, child)).payload).layers
            except ManifestUnknown as error:
                raise ScanFailed(f"the index names {child}, which is not there any more") from error
            if layers:
                inventories.append(await self._layers.inventory(repository, layers))
        return inventories

    async def _fail(self, image_id: int, repository: Repository, digest: Digest, message: str) -> None:
        _log.warning("an image cannot be scanned", image=self._requests.resource(repository, digest), error=message)
        async with self._database.transaction() as tx:
            this = {"image_id": image_id, "named": self._requests.resource(repository, digest), "new_analyzer": ANALYZER_VERSION}
            await tx.run(queries.FAILED, {**this, "new_state": State.FAILED, "new_error": message[:1000]})
            event = Event(kind="SCAN_FAILED", image=self._requests.resource(repository, digest), error=message[:1000])
            await record(tx, event, self._clock(), image_id=image_id)

    async def publish(self, image_id: int, name: str, inventories: Sequence[Inventory]) -> None:
        """
        In one transaction: the inventory, versions that are new with their findings, and the image as scanned. When advisories were
        loaded since they were read, it begins again; after TRIES, a load waits for it.
        """
        kept = together(inventories)
        versions = sorted({version for each in inventories for version in match.versions_of(each)}, key=lambda each: each.order)
        # With the versions: the same packages may be of other releases on the platforms of another index.
        hashed = hashlib.sha256(msgspec.msgpack.encode((kept, [each.order for each in versions]))).hexdigest()
        for left in count(TRIES - 1, -1):
            seen = await revision.current(self._database)
            found = await self._new_findings(versions)
            async with self._database.transaction() as tx:
                if await revision.held(tx) != seen:
                    if left > 0:
                        continue
                    found = await self._new_findings(versions, tx)
                inventory_id = await self._inventory_id(tx, hashed, kept, found)
                await tx.run(
                    queries.SCANNED,
                    {
                        "image_id": image_id,
                        "named": name,
                        "new_state": State.FINISHED,
                        "new_analyzer": ANALYZER_VERSION,
                        "new_inventory_id": inventory_id,
                        "now_us": self._clock(),
                    },
                )
                await record(tx, Event(kind="SCAN_FINISHED", image=name), self._clock(), image_id=image_id)
            return

    async def _new_findings(self, versions: Sequence[Version], tx: Transaction | None = None) -> dict[Version, list[Found] | None]:
        """None for versions that are known already: their findings are as true as they can be."""
        found: dict[Version, list[Found] | None] = {}
        reader: Reader = tx or self._database
        matching = match.Matching(reader)
        for version in versions:
            known = await reader.one(queries.VERSION_ID, version.parameters)
            found[version] = None if known is not None else await matching.findings(version)
        return found

    async def _inventory_id(self, tx: Transaction, hashed: str, kept: Inventory, found: Mapping[Version, list[Found] | None]) -> int:
        row = await tx.one(queries.INVENTORY_ID, {"hash": hashed})
        if row is not None and await tx.one(queries.HOLD_INVENTORY, {"inventory_id": row[0]}) is not None:
            return int(row[0])
        now_us = self._clock()
        distro = kept.distro
        added = await tx.one(
            queries.ADD_INVENTORY,
            {
                "hash": hashed,
                "ecosystem": distro.id if distro else "",
                "release": distro.release if distro else "",
                "content": kept.encode(),
                "now_us": now_us,
            },
        )
        if added is None:
            row = await tx.one(queries.INVENTORY_ID, {"hash": hashed})
            assert row is not None
            return int(row[0])
        inventory_id = int(added[0])
        for version, findings in found.items():
            version_id = await self._version_id(tx, version, findings, now_us)
            await tx.run(queries.ADD_INVENTORY_VERSION, {"inventory_id": inventory_id, "version_id": version_id})
        return inventory_id

    async def _version_id(self, tx: Transaction, version: Version, findings: list[Found] | None, now_us: int) -> int:
        row = await tx.one(queries.HOLD_VERSION, version.parameters)
        if row is None:
            row = await tx.one(queries.ADD_VERSION, version.parameters)
            if row is not None:
                # Tidying may have taken one that was known a moment ago.
                wanted = findings if findings is not None else await match.Matching(tx).findings(version)
                await match.replace(tx, int(row[0]), wanted, "", now_us)
            else:
                row = await tx.one(queries.HOLD_VERSION, version.parameters)
        assert row is not None
        return int(row[0])

    async def scan_project(self, arguments: bytes) -> None:
        """The job SCAN_PROJECT: of a project that wants its pushes scanned from now on, what was pushed before. Raises StorageError."""
        project = arguments.decode()
        if await self._database.one(queries.WANTS, {"project": project}) is None:
            return
        for location in self._hosts:
            await self._scan_names(location, project)

    async def _scan_names(self, location: str, project: str) -> None:
        prefix = resources.name_prefix(project) + "/"
        place = {"location": location, "first": prefix, "end": prefix[:-1] + "0", "after_name": "", "after_digest": ""}
        while rows := await self._database.all(queries.MANIFESTS_BETWEEN, {**place, "most": BATCH}):
            async with self._database.transaction() as tx:
                for name, digest, media_type, artifact_type in rows:
                    if mediatype.is_runnable(media_type, artifact_type):
                        await self._requests.ask(tx, Repository(location, str(name)), Digest.parse(str(digest)), self._clock(), SCAN_LATER)
            place |= {"after_name": rows[-1][0], "after_digest": rows[-1][1]}

    async def refresh(self) -> None:
        """Scan again what an earlier version of this program has read. Raises StorageError."""
        after = 0
        while rows := await self._database.all(queries.OUTDATED, {"analyzer": ANALYZER_VERSION, "after": after, "most": BATCH}):
            async with self._database.transaction() as tx:
                for (image_id,) in rows:
                    await tx.run(queries.BEING_REFRESHED, {"image_id": image_id})
                    await queue.enqueue(tx, SCAN_LATER, str(image_id).encode(), self._clock())
            after = int(rows[-1][0])


def together(inventories: Sequence[Inventory]) -> Inventory:
    """
    One inventory of all, without layers: what two images have in common is then the same. Its distribution is the first of which there
    can be advisories.
    """
    packages = dict.fromkeys(package for each in inventories for package, _ in each.packages)
    ordered = sorted(packages, key=lambda each: (each.kind, each.name, each.version, each.architecture, each.path))
    notes = tuple(dict.fromkeys(note for each in inventories for note in each.notes))
    distros = [each.distro for each in inventories if each.distro is not None]
    known = [each for each in distros if ecosystem_of(each) is not None]
    return Inventory(next(iter(known or distros), None), tuple((package, "") for package in ordered), notes)
