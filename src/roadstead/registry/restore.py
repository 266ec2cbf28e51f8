"""
`roadstead restore`: a backup becomes an installation again. The database comes first, marked as half restored and refusing
writes; then every blob's bytes are put into this installation's stores, hashed on the way, and the rows get their new keys.

It can be ended at any moment and begun again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from roadstead.blobs.backup import BackupFolder, file_sha256
from roadstead.blobs.store import BlobStore
from roadstead.db.database import UNSET_READ_ONLY, Database, Row
from roadstead.errors import ConfigurationError
from roadstead.oci.digest import Digest
from roadstead.registry import queries
from roadstead.registry.backup import FORMAT, Manifest, mark
from roadstead.registry.blobs import Clock
from roadstead.registry.gc import orphans
from roadstead.registry.moving import COMING_FROM
from roadstead.registry.transfers import copy, grouped, together

BATCH = 200
_RESTORED = "restored_blobs_until_id"


@dataclass(slots=True)
class Restored:
    """all_… is what the backup has; the others grow. damaged: digests whose bytes the backup does not have, or not right."""

    blobs: int = 0
    size_bytes: int = 0
    all_blobs: int = 0
    all_bytes: int = 0
    damaged: list[str] = field(default_factory=list)


def read(folder: BackupFolder, engine: str, locations: Sequence[str]) -> Manifest:
    """
    What the folder is a backup of, when it is whole and fits this installation. Reads the database's file.

    Raises ConfigurationError.
    """
    try:
        manifest = msgspec.json.decode(folder.read_manifest(), type=Manifest)
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{folder.root}'s backup.json cannot be understood: {error}") from error
    if manifest.format != FORMAT:
        raise ConfigurationError(f"this backup was made by Roadstead {manifest.program}, which is newer: restore it with that one")
    if manifest.engine != engine:
        raise ConfigurationError(
            f"this is a backup of {manifest.engine}, and the settings are for {engine}: restore it into a database of its own kind, "
            "and take it from there to the other with `roadstead copy-to`"
        )
    missing = set(manifest.locations) - set(locations)
    if missing:
        raise ConfigurationError(f"the settings lack the location {', '.join(sorted(missing))}, of which the backup has images")
    dump = folder.root / manifest.database.file
    if not dump.exists() or dump.stat().st_size != manifest.database.size_bytes or file_sha256(dump) != manifest.database.sha256:
        raise ConfigurationError(f"{dump} is not the file that was backed up: this backup is damaged, take another")
    return manifest


async def is_half_restored(database: Database, manifest: Manifest) -> bool:
    return await database.one(queries.SETTING, {"name": mark(manifest.id)}) is not None


class Restore:
    """database has the dump of manifest in it."""

    def __init__(
        self,
        database: Database,
        stores: Mapping[str, BlobStore],
        folder: BackupFolder,
        manifest: Manifest,
        clock: Clock,
        tell: Callable[[Restored], None],
    ) -> None:
        self._database = database
        self._stores = stores
        self._folder = folder
        self._manifest = manifest
        self._clock = clock
        self._tell = tell
        self.restored = Restored(all_blobs=manifest.stored, all_bytes=manifest.stored_bytes)

    async def run(self) -> Restored:
        """Raises StorageError, and ConfigurationError where the stores have other bytes already."""
        done = await self._database.one(queries.SETTING, {"name": _RESTORED})
        if done is None:
            await self._check_empty()
            await self._begin()
        after = 0 if done is None else int(bytes(done[0]))
        while rows := await self._database.all(queries.BLOBS_AFTER, {"after": after, "most": BATCH}):
            for group in grouped(rows, lambda row: int(row[3]) if row[4] is not None else 0):
                await self._restore(group)
            after = rows[-1][0]
        await self._sweep()
        await self._end()
        return self.restored

    async def _check_empty(self) -> None:
        for location, store in self._stores.items():
            async for stored in store.stored():
                raise ConfigurationError(
                    f"the storage for {location} is not empty ({stored[0].key}): give another folder, bucket or prefix"
                )

    async def _begin(self) -> None:
        """Uploads under way then are not in the backup, and no other backup or copy goes on here."""
        await self._database.freeze(self._clock())
        async with self._database.transaction(although_read_only=True) as tx:
            await tx.run(queries.FORGET_UPLOADS, {})
            for name, _ in await tx.all(queries.KEPT, {}):
                await tx.run(queries.DELETE_SETTING, {"name": name})
            await tx.run(queries.DELETE_SETTING, {"name": COMING_FROM})
            await tx.run(queries.PUT_SETTING, {"name": _RESTORED, "value": b"0"})

    async def _restore(self, rows: Sequence[Row]) -> None:
        stored = [row for row in rows if row[4] is not None]
        keys = await together(self._bytes, stored)
        async with self._database.transaction(although_read_only=True) as tx:
            await tx.run_many(queries.SET_KEY, [{"blob_id": row[0], "storage_key": key} for row, key in zip(stored, keys, strict=True)])
            await tx.run(queries.PUT_SETTING, {"name": _RESTORED, "value": str(rows[-1][0]).encode()})
        self._tell(self.restored)

    async def _bytes(self, row: Row) -> str | None:
        _, location, digest, size_bytes, _, _ = row
        key = await copy(self._folder.stream(Digest.parse(digest)), Digest.parse(digest), size_bytes, self._stores[location])
        if key is None:
            self.restored.damaged.append(digest)
        self.restored.blobs += 1
        self.restored.size_bytes += size_bytes
        return key

    async def _sweep(self) -> None:
        """What a run that was killed had copied and not yet written down."""
        async for location, stored in orphans(self._database, self._stores):
            await self._stores[location].remove(stored.key)

    async def _end(self) -> None:
        async with self._database.transaction(although_read_only=True) as tx:
            for name in (mark(self._manifest.id), _RESTORED):
                await tx.run(queries.DELETE_SETTING, {"name": name})
            await tx.run(UNSET_READ_ONLY, {})
