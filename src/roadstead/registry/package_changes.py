"""What Artifact Registry changes in a package: tags by their own names, versions, and the whole package (packages.py for what it reads)."""

from __future__ import annotations

import asyncio

from roadstead.db.database import Database
from roadstead.errors import AlreadyExists, ManifestUnknown
from roadstead.oci.digest import Digest
from roadstead.oci.reference import Repository, Tag
from roadstead.registry import package_queries, queries
from roadstead.registry.blobs import Clock
from roadstead.registry.manifests import check_in_no_index, check_untagged, remove, unknown
from roadstead.registry.repositories import lock

BATCH = 50


class PackageChanges:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def point(self, repository: Repository, tag: Tag, digest: Digest, *, new: bool) -> None:
        """
        Point a tag, which must be new or else must be there, at a manifest of the repository.

        Raises NameUnknown, ManifestUnknown, AlreadyExists.
        """
        async with self._database.transaction() as tx:
            repository_id = await lock(tx, repository)
            manifest = await tx.one(queries.MANIFEST_ID, {"repository_id": repository_id, "digest": digest})
            if manifest is None:
                raise unknown(repository, digest)
            there = await tx.one(queries.TAGGED_DIGEST, {"repository_id": repository_id, "tag": tag})
            if new and there is not None:
                raise AlreadyExists(f"{repository.name} has a tag {tag} already: change that, or delete it first", {"tag": tag})
            if not new and there is None:
                raise unknown(repository, tag)
            values = {"repository_id": repository_id, "tag": tag, "manifest_id": manifest[0], "now_us": self._clock()}
            await tx.run(queries.PUT_TAG, values)

    async def delete_tag(self, repository: Repository, tag: Tag) -> None:
        """The version stays. Raises NameUnknown, ManifestUnknown."""
        async with self._database.transaction() as tx:
            repository_id = await lock(tx, repository)
            if await tx.run(queries.DELETE_TAG, {"repository_id": repository_id, "tag": tag}) == 0:
                raise ManifestUnknown(f"{repository.name} has no tag {tag}", {"tag": tag})

    async def delete_version(self, repository: Repository, digest: Digest, *, with_tags: bool) -> None:
        """
        What an index names stays in any case.

        Raises NameUnknown, ManifestUnknown, ManifestTagged, ManifestInIndex.
        """
        async with self._database.transaction() as tx:
            repository_id = await lock(tx, repository)
            manifest = await tx.one(queries.MANIFEST_ID, {"repository_id": repository_id, "digest": digest})
            if manifest is None:
                raise unknown(repository, digest)
            if not with_tags:
                await check_untagged(tx, int(manifest[0]), digest)
            await check_in_no_index(tx, repository_id, digest)
            await remove(tx, repository, repository_id, digest, int(manifest[0]), self._clock())

    async def delete_package(self, repository: Repository) -> None:
        """
        All versions and tags, once through the digests and in short transactions: whatever is pushed meanwhile may stay.

        Raises NameUnknown.
        """
        where: dict[str, object] = {"location": repository.location, "name": repository.name, "after": "", "most": BATCH}
        while True:
            async with self._database.transaction() as tx:
                repository_id = await lock(tx, repository)
                rows = await tx.all(package_queries.VERSIONS, where)
                for manifest_id, _, digest, *_ in rows:
                    await remove(tx, repository, repository_id, Digest(digest), int(manifest_id), self._clock())
            if len(rows) < BATCH:
                return
            where["after"] = rows[-1][2]
            await asyncio.sleep(0.005)  # let pushes in
