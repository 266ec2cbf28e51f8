"""
Removing all repositories of a project that is gone: in short transactions, beside pushes of others.

Manifests and tags go first, then the links; a blob that no repository has any more loses its row in the transaction of its last link, and
its bytes go with the job that every freed blob has.
"""

from __future__ import annotations

import asyncio

from roadstead.db.database import Database, Transaction
from roadstead.registry import queries
from roadstead.registry.blobs import Clock, free_if_unlinked
from roadstead.registry.scan_requests import forget_all

BATCH = 50


class Removal:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def of_project(self, arguments: bytes) -> None:
        """
        A job; arguments: what the names of the project's repositories begin with, without the `/`. It may run again and again.

        Nobody may push to them any more: what is pushed all the same, at this moment, is left where it is.
        """
        prefix = arguments.decode()
        for (location,) in await self._database.all(queries.LOCATIONS, {}):
            # From before the gate refused it, an image may be at the project's own name.
            for (repository_id,) in await self._database.all(queries.REPOSITORY_ID, {"location": location, "name": prefix}):
                await self._remove(int(repository_id))
            # A `0` follows the `/`: what is between begins with the one and is before the other.
            between = {"location": location, "first": prefix + "/", "end": prefix + "0", "most": BATCH}
            while rows := await self._database.all(queries.REPOSITORIES_BETWEEN, between):
                for repository_id, _ in rows:
                    await self._remove(int(repository_id))
                between["first"] = rows[-1][1]

    async def _remove(self, repository_id: int) -> None:
        for step in (self._drop_manifests, self._drop_links):
            while True:
                async with self._database.transaction() as tx:
                    here = await tx.one(queries.LOCK_BY_ID, {"repository_id": repository_id})
                    done = await step(tx, repository_id) if here is not None else 0
                if done < BATCH:
                    break
                await asyncio.sleep(0.005)  # let pushes in
        async with self._database.transaction() as tx:
            await forget_all(tx, repository_id)
            await tx.run(queries.DELETE_REPOSITORY, {"repository_id": repository_id})

    async def _drop_manifests(self, tx: Transaction, repository_id: int) -> int:
        rows = await tx.all(queries.MANIFESTS_OF, {"repository_id": repository_id, "most": BATCH})
        for (manifest_id,) in rows:
            for statement in (queries.DELETE_TAGS_OF, queries.DELETE_BLOBS_OF, queries.DELETE_CHILDREN_OF, queries.DELETE_MANIFEST):
                await tx.run(statement, {"manifest_id": manifest_id})
        return len(rows)

    async def _drop_links(self, tx: Transaction, repository_id: int) -> int:
        rows = await tx.all(queries.LINKS_OF, {"repository_id": repository_id, "most": BATCH})
        for (blob_id,) in rows:
            await tx.run(queries.DELETE_LINK, {"repository_id": repository_id, "blob_id": blob_id})
            await free_if_unlinked(tx, blob_id, self._clock())
        return len(rows)
