"""Referrers: manifests that name another as their subject (distribution-spec, Listing Referrers)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from roadstead.db.database import Database
from roadstead.oci.digest import Digest
from roadstead.oci.reference import Repository
from roadstead.registry import queries


@dataclass(frozen=True, slots=True)
class Referrer:
    digest: str
    media_type: str
    size_bytes: int
    artifact_type: str
    annotations: dict[str, str]


class Referrers:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, repository: Repository, subject: Digest, artifact_type: str, last: str, most: int) -> list[Referrer]:
        """In order of digest, after last. An unknown repository or subject has none. artifact_type "" takes all."""
        rows = await self._database.all(
            queries.REFERRERS,
            {
                "location": repository.location,
                "name": repository.name,
                "subject": subject,
                "artifact_type": artifact_type,
                "last": queries.place(last),
                "most": most,
            },
        )
        return [
            Referrer(digest, media_type, size_bytes, artifact_type, json.loads(annotations))
            for digest, media_type, size_bytes, artifact_type, annotations in rows
        ]
