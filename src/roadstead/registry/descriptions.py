"""
What a list tells of a manifest beside its digest: the size of the image, and when it was created, which its config says.

A push writes both into the manifest's row. Rows from before there were such columns, and those whose config could not be read at that
moment, are described by a job; whoever lists them before that describes them as he goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from roadstead.blobs.store import BlobStore
from roadstead.db.database import Database
from roadstead.errors import ManifestInvalid, StorageBroken, StorageError
from roadstead.oci import manifest as oci
from roadstead.oci.imageconfig import MOST_BYTES, NO_TIME_MS, created_ms
from roadstead.oci.manifest import Manifest
from roadstead.oci.reference import Repository
from roadstead.registry import listing_queries as queries
from roadstead.registry.queries import BLOB

DESCRIBE = "describe-manifests"
BATCH = 100


@dataclass(frozen=True, slots=True)
class Description:
    """created_at_ms: since 1970; 0 for an index, which has no time of its own, as Container Registry said it."""

    image_size_bytes: int
    created_at_ms: int


UNREADABLE = Description(0, NO_TIME_MS)


class Descriptions:
    def __init__(self, database: Database, stores: Mapping[str, BlobStore]) -> None:
        self._database = database
        self._stores = stores

    async def created_ms(self, repository: Repository, parsed: Manifest) -> int:
        """Not from inside a transaction: a large config is in the blob store. Raises StorageError."""
        if parsed.config is None or parsed.config.size_bytes > MOST_BYTES:
            return without_config_ms(parsed)
        this = {"location": repository.location, "name": repository.name, "digest": parsed.config.digest}
        row = await self._database.one(BLOB, this)
        # What the manifest says of the size may be a lie that nobody has checked yet.
        if row is None or row[0] > MOST_BYTES:
            return NO_TIME_MS
        size_bytes, content, storage_key, _ = row
        if content is None:
            content = b"".join([chunk async for chunk in self._stores[repository.location].stream(storage_key, 0, size_bytes)])
        return created_ms(content)

    async def of_stored(self, repository: Repository, payload: bytes, media_type: str) -> Description:
        """Raises StorageError."""
        try:
            parsed = oci.parse(payload, media_type)
        except ManifestInvalid:  # `check --repair` has emptied it
            return UNREADABLE
        return Description(parsed.image_size_bytes, await self.created_ms(repository, parsed))

    async def now(self, repository: Repository, manifest_id: int) -> Description:
        """Of a row that the job has not come to yet. What cannot be read at this moment is told as if it did not say when."""
        row = await self._database.one(queries.PAYLOAD, {"manifest_id": manifest_id})
        try:
            return UNREADABLE if row is None else await self.of_stored(repository, *row)
        except StorageError:
            return UNREADABLE

    async def fill(self, arguments: bytes) -> None:
        """The job DESCRIBE: all rows that lack it, in short transactions. Raises StorageBroken when some could not be read."""
        after = unread = 0
        while rows := await self._database.all(queries.UNDESCRIBED, {"after": after, "most": BATCH}):
            found = []
            for manifest_id, location, name, payload, media_type in rows:
                try:
                    description = await self.of_stored(Repository(location, name), payload, media_type)
                except StorageError:
                    unread += 1
                    continue
                found.append({"manifest_id": manifest_id, **asdict(description)})
            async with self._database.transaction() as tx:
                await tx.run_many(queries.DESCRIBE, found)
            after = rows[-1][0]
        if unread:
            raise StorageBroken(f"the configs of {unread} manifests could not be read, so that it is not known when they were created")


def without_config_ms(parsed: Manifest) -> int:
    """When a manifest was created that has no config to say it."""
    return NO_TIME_MS if parsed.blobs else 0
