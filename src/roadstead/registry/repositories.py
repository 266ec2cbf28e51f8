"""Repositories come into being with their first blob or manifest."""

from __future__ import annotations

from roadstead.db.database import Database, Reader, Transaction
from roadstead.errors import NameUnknown
from roadstead.oci.reference import Repository
from roadstead.registry import queries


async def existing_id(reader: Reader, repository: Repository) -> int:
    """Raises NameUnknown."""
    row = await reader.one(queries.REPOSITORY_ID, {"location": repository.location, "name": repository.name})
    if row is None:
        raise unknown(repository)
    return int(row[0])


async def lock_or_make(tx: Transaction, repository: Repository, now_us: int) -> int:
    """As lock(), for whoever may also begin the repository; one read where it is there already."""
    try:
        return await lock(tx, repository)
    except NameUnknown:
        await ensure_id(tx, repository, now_us)
        return await lock(tx, repository)


def unknown(repository: Repository) -> NameUnknown:
    return NameUnknown(f"there is no repository {repository.name} here: push an image to it first", {"name": repository.name})


async def ensure_id(tx: Transaction, repository: Repository, now_us: int) -> int:
    """The repository's id; it is created if need be."""
    name = {"location": repository.location, "name": repository.name}
    row = await tx.one(queries.REPOSITORY_ID, name)
    if row is None:
        row = await tx.one(queries.ADD_REPOSITORY, {**name, "now_us": now_us})
    if row is None:
        # Somebody else has made it since we looked.
        row = await tx.one(queries.REPOSITORY_ID, name)
    assert row is not None
    return int(row[0])


async def lock(tx: Transaction, repository: Repository) -> int:
    """The repository's id, and the right to change its manifests and tags until tx ends. Raises NameUnknown."""
    row = await tx.one(queries.LOCK_REPOSITORY, {"location": repository.location, "name": repository.name})
    if row is None:
        raise unknown(repository)
    return int(row[0])


class Catalog:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def names(self, location: str, last: str, most: int) -> list[str]:
        """Names of repositories with at least one manifest, in order, after last."""
        rows = await self._database.all(queries.CATALOG, {"location": location, "last": queries.place(last), "most": most})
        return [row[0] for row in rows]
