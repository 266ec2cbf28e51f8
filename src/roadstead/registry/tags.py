"""Tags: movable names of manifests."""

from __future__ import annotations

from roadstead.db.database import Database
from roadstead.errors import ManifestUnknown
from roadstead.oci.reference import Repository, Tag
from roadstead.registry import queries
from roadstead.registry.repositories import existing_id, lock


class Tags:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def names(self, repository: Repository, last: str, most: int) -> list[str]:
        """
        In case-insensitive order after last, most at the most (distribution-spec, Listing Tags). Costs what it returns.

        Raises NameUnknown.
        """
        repository_id = await existing_id(self._database, repository)
        rows = await self._database.all(queries.TAGS, {"repository_id": repository_id, "last": queries.place(last), "most": most})
        return [row[0] for row in rows]

    async def delete(self, repository: Repository, tag: Tag) -> None:
        """The manifest stays. Raises NameUnknown, ManifestUnknown."""
        async with self._database.transaction() as tx:
            repository_id = await lock(tx, repository)
            if await tx.run(queries.DELETE_TAG, {"repository_id": repository_id, "tag": tag}) == 0:
                raise ManifestUnknown(f"{repository.name} has no tag {tag}", {"tag": tag})
