"""
What Container Registry told of a place beside its tags: what is below, and every manifest with its tags, size and times.

Read in pieces, between which others have their turn. Manifests come first and tags after them: a manifest that is told to have no tag
had none when its turn came.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from roadstead.db.database import Database, Row, Statement
from roadstead.oci.reference import Repository
from roadstead.registry import listing_queries as queries
from roadstead.registry.descriptions import Descriptions
from roadstead.registry.queries import REPOSITORY_ID
from roadstead.registry.repositories import existing_id

PIECE = 1000
MOST = 100_000
"""Manifests, tags, or names below, that are told in one answer."""
SKIP = 10_000
MOST_IN_VAIN = 5000
"""Names looked at in one listing that its caller may not see."""

Sees = Callable[[Repository], Awaitable[bool]]
Manifest = Row
"""id, digest, media type, size of the image in bytes, created in ms, pushed in µs: a row as it was read, because there may be so many."""


@dataclass(frozen=True, slots=True)
class Images:
    """
    manifests: in order of their digests. tags: all of them, in the order of a list; tags_of: those of a manifest, by its id.
    """

    manifests: list[Manifest] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    tags_of: dict[int, list[str]] = field(default_factory=dict)


class Listing:
    def __init__(self, database: Database, descriptions: Descriptions) -> None:
        self._database = database
        self._descriptions = descriptions

    async def images(self, repository: Repository) -> Images | None:
        """None for a repository with more than MOST manifests or tags. Raises NameUnknown."""
        repository_id = await existing_id(self._database, repository)
        if await self._is_too_large(queries.MANIFEST_AFTER, repository_id) or await self._is_too_large(queries.TAG_AFTER, repository_id):
            return None
        found = Images()
        last = ""
        while rows := await self._piece(queries.LISTED, repository_id, last):
            last = rows[-1][1]
            found.manifests.extend(rows if all([row[4] is not None for row in rows]) else await self._described(repository, rows))
        tags_of: defaultdict[int, list[str]] = defaultdict(list)
        last = ""
        while rows := await self._piece(queries.LISTED_TAGS, repository_id, last):
            last = rows[-1][0]
            found.tags.extend([name for name, _ in rows])
            for name, manifest_id in rows:
                tags_of[manifest_id].append(name)
        # The specification's order; what differs in case alone stays as it was read.
        found.tags.sort(key=str.lower)
        found.tags_of.update(tags_of)
        return found

    async def _is_too_large(self, statement: Statement, repository_id: int) -> bool:
        """Found out before anything is made of it, in steps that are short for everybody else."""
        last = ""
        for _ in range(MOST // SKIP):
            row = await self._database.one(statement, {"repository_id": repository_id, "last": last, "skip": SKIP - 1})
            if row is None:
                return False
            last = row[0]
            await asyncio.sleep(0)
        return await self._database.one(statement, {"repository_id": repository_id, "last": last, "skip": 0}) is not None

    async def _piece(self, statement: Statement, repository_id: int, last: str) -> Sequence[Row]:
        if last:
            await asyncio.sleep(0)
        return await self._database.all(statement, {"repository_id": repository_id, "last": last, "most": PIECE})

    async def _described(self, repository: Repository, rows: Sequence[Manifest]) -> list[Manifest]:
        """With what no job has written into them yet."""
        found: list[Manifest] = []
        for row in rows:
            if row[4] is not None:
                found.append(row)
                continue
            described = await self._descriptions.now(repository, row[0])
            found.append((*row[:3], described.image_size_bytes, described.created_at_ms, row[5]))
            await asyncio.sleep(0)
        return found

    async def children(self, repository: Repository, sees: Sees | None) -> list[str]:
        """
        The next parts of the names of repositories with manifests below a place, in order, MOST at the most.

        sees: which of them the caller may know of, None for all.
        """
        found: set[str] = set()
        start = f"{repository.name}/"
        # A `0` follows the `/`: what is between begins with the one and is before the other.
        between = {"location": repository.location, "last": start, "end": f"{repository.name}0", "most": PIECE}
        in_vain = 0
        while len(found) < MOST and in_vain < MOST_IN_VAIN:
            rows = await self._database.all(queries.BELOW, between)
            for (name,) in rows:
                part = name[len(start) :].partition("/")[0]
                if part in found:
                    continue
                if sees is None or await sees(Repository(repository.location, name)):
                    found.add(part)
                else:
                    in_vain += 1
            if len(rows) < PIECE:
                break
            # What is known of is jumped over, however much is in it.
            part, inside, _ = rows[-1][0][len(start) :].partition("/")
            between["last"] = f"{start}{part}/\x7f" if inside and part in found else rows[-1][0]
            await asyncio.sleep(0)
        return sorted(found)

    async def is_used(self, repository: Repository) -> bool:
        """Whether there is an image at this place or below it."""
        place = {"location": repository.location, "name": repository.name}
        for (repository_id,) in await self._database.all(REPOSITORY_ID, place):
            if await self._database.all(queries.LISTED, {"repository_id": repository_id, "last": "", "most": 1}):
                return True
        below = {"location": repository.location, "last": f"{repository.name}/", "end": f"{repository.name}0", "most": 1}
        return bool(await self._database.all(queries.BELOW, below))
