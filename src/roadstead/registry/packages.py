"""
Repositories as Artifact Registry lists them: packages of a project in one location, each with versions (manifests) and tags.

Every list is in the order of names or digests, begins after the one given, and costs what it returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roadstead.db.database import Database, Row
from roadstead.errors import ResourceUnknown
from roadstead.oci.reference import Repository
from roadstead.registry import package_queries as queries
from roadstead.registry.queries import place

MOST_TAGS = 100
"""Of one version, with the version. Artifact Registry, Version.related_tags."""


@dataclass(frozen=True, slots=True)
class Package:
    """A repository with at least one manifest. name is the whole one, `PROJECT/PATH`."""

    name: str
    created_at_us: int


@dataclass(frozen=True, slots=True)
class Version:
    """
    A manifest. image_size_bytes: of config and layers, 0 for an index; created_at_ms: what the config says; both None until somebody has
    looked into it. tags: MOST_TAGS at most, none where they were not asked for.
    """

    digest: str
    media_type: str
    image_size_bytes: int | None
    created_at_ms: int | None
    pushed_at_us: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tag and what it points at."""

    tag: str
    digest: str


class Packages:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, repository: Repository) -> Package:
        """Raises ResourceUnknown."""
        row = await self._database.one(queries.PACKAGE, _names(repository))
        if row is None:
            raise ResourceUnknown(f"there is no package {repository.name}: push an image to it first", {"package": repository.name})
        return Package(*row)

    async def list(self, location: str, beginning: str, after: str, most: int) -> Sequence[Package]:
        """Those whose names begin with beginning, which ends with a slash; after is a whole name or ""."""
        between = {"location": location, "after": max(place(after), beginning), "end": f"{beginning[:-1]}0", "most": most}
        return [Package(*row) for row in await self._database.all(queries.PACKAGES, between)]

    async def version(self, repository: Repository, digest: str, *, with_tags: bool) -> Version:
        """Raises ResourceUnknown."""
        row = await self._database.one(queries.VERSION, {**_names(repository), "digest": place(digest)})
        if row is None:
            raise ResourceUnknown(f"{repository.name} has no version of this digest", {"version": digest[:100]})
        return await self._version(row, with_tags)

    async def versions(self, repository: Repository, after: str, most: int, *, with_tags: bool) -> Sequence[Version]:
        """Of an unknown repository, none."""
        rows = await self._database.all(queries.VERSIONS, {**_names(repository), "after": place(after), "most": most})
        return [await self._version(row, with_tags) for row in rows]

    async def tag(self, repository: Repository, tag: str) -> Tagged:
        """Raises ResourceUnknown."""
        row = await self._database.one(queries.TAG, {**_names(repository), "tag": place(tag)})
        if row is None:
            raise ResourceUnknown(f"{repository.name} has no tag of this name", {"tag": tag[:100]})
        return Tagged(*row)

    async def tags(self, repository: Repository, after: str, most: int) -> Sequence[Tagged]:
        """Of an unknown repository, none."""
        rows = await self._database.all(queries.TAGS, {**_names(repository), "after": place(after), "most": most})
        return [Tagged(*row) for row in rows]

    async def tags_of(self, repository: Repository, digest: str, after: str, most: int) -> Sequence[Tagged]:
        """Those that point at this manifest."""
        where = {**_names(repository), "digest": place(digest), "after": place(after), "most": most}
        return [Tagged(row[0], digest) for row in await self._database.all(queries.TAGS_OF_VERSION, where)]

    async def _version(self, row: Row, with_tags: bool) -> Version:
        manifest_id, repository_id, digest, media_type, image_size_bytes, created_at_ms, pushed_at_us = row
        tags: Sequence[Row] = ()
        if with_tags:
            where = {"manifest_id": manifest_id, "repository_id": repository_id, "most": MOST_TAGS}
            tags = await self._database.all(queries.TAGS_OF, where)
        return Version(digest, media_type, image_size_bytes, created_at_ms, pushed_at_us, tuple(tag[0] for tag in tags))


def _names(repository: Repository) -> dict[str, str]:
    return {"location": repository.location, "name": repository.name}
