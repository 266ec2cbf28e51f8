"""
`roadstead check`: are all bytes there, and are they the right ones?

Reads every blob and manifest. With repair it removes files nobody needs, puts damaged files into quarantine and marks their
blobs as missing: they are then answered as unknown, never as wrong bytes, and the next push of them heals every image.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from roadstead.blobs.store import BlobStore
from roadstead.db.database import Database, Row
from roadstead.oci.digest import Digest
from roadstead.registry import keep, queries
from roadstead.registry.gc import orphans

BATCH = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """kind is missing, corrupt or orphaned; repaired says whether this run mended it."""

    kind: str
    what: str
    location: str
    name: str
    used_by: str
    repaired: bool


@dataclass(slots=True)
class Checked:
    blobs: int = 0
    manifests: int = 0
    size_bytes: int = 0


class Checker:
    def __init__(self, database: Database, stores: Mapping[str, BlobStore], repair: bool, progress: Callable[[Checked], None]) -> None:
        self._database = database
        self._stores = stores
        self._repair = repair
        self._progress = progress
        self.checked = Checked()

    async def run(self) -> list[Finding]:
        """All that is wrong. Safe beside a running server."""
        return [*await self._blobs(), *await self._manifests(), *await self._orphans()]

    async def _blobs(self) -> list[Finding]:
        findings = []
        after = 0
        while rows := await self._database.all(queries.BLOBS_AFTER, {"after": after, "most": BATCH}):
            for row in rows:
                kind = await self._examine(row)
                if kind is not None and await self._still(row):
                    findings.append(await self._damaged(kind, row))
                self.checked.blobs += 1
                self.checked.size_bytes += row[3]
            after = rows[-1][0]
            self._progress(self.checked)
        return findings

    async def _examine(self, row: Row) -> str | None:
        _, location, digest, size_bytes, storage_key, content = row
        digest = Digest.parse(digest)
        if content is not None:
            return None if Digest.of(content, digest.algorithm) == digest else "corrupt"
        if storage_key is None or location not in self._stores:
            return "missing"
        found = await self._stores[location].digest_of(storage_key, digest.algorithm)
        if found is None:
            return "missing"
        return None if found == (size_bytes, digest) else "corrupt"

    async def _still(self, row: Row) -> bool:
        """Collection may have freed the blob since it was read, or a push have healed it."""
        now = await self._database.one(queries.BLOB_KEY, {"blob_id": row[0]})
        return now is not None and now[0] == row[4]

    async def _damaged(self, kind: str, row: Row) -> Finding:
        blob_id, location, digest, _, storage_key, content = row
        names = [name for (name,) in await self._database.all(queries.REPOSITORIES_OF, {"blob_id": blob_id})]
        if self._repair and (storage_key is not None or content is not None):
            async with self._database.transaction() as tx:
                await tx.run(queries.FORGET_BYTES, {"blob_id": blob_id, "known_key": storage_key})
            if storage_key is not None and kind == "corrupt":
                await self._stores[location].quarantine(storage_key)
        # What misses stays missing until somebody pushes it again.
        return Finding(kind, "blob", location, digest, ", ".join(names), self._repair and kind == "corrupt")

    async def _manifests(self) -> list[Finding]:
        findings = []
        after = 0
        while rows := await self._database.all(queries.MANIFESTS_AFTER, {"after": after, "most": BATCH}):
            for manifest_id, location, name, digest, payload in rows:
                if Digest.of(payload, Digest.parse(digest).algorithm) != digest:
                    kind = "corrupt" if payload else "missing"
                    if self._repair and payload:
                        async with self._database.transaction() as tx:
                            await tx.run(queries.FORGET_PAYLOAD, {"manifest_id": manifest_id})
                    findings.append(Finding(kind, "manifest", location, digest, name, self._repair and kind == "corrupt"))
                self.checked.manifests += 1
            after = rows[-1][0]
            self._progress(self.checked)
        return findings

    async def _orphans(self) -> list[Finding]:
        findings = []
        async for location, stored in orphans(self._database, self._stores):
            old = await self._forgotten(location, stored.key)
            if not old:
                continue
            # A backup under way may still copy it, and then its row is in that backup.
            removed = self._repair and await keep.until_us(self._database) < time.time() * 1e6
            if removed:
                await self._stores[location].remove(stored.key)
            findings.append(Finding("orphaned", "file", location, stored.key, "", removed))
        return findings

    async def _forgotten(self, location: str, key: str) -> bool:
        """Bytes may be a moment ahead of their row: a push beside us is not a finding."""
        this = {"location": location, "first": key, "last": key}
        for _ in range(2):
            # In this order: what an upload lets go is a blob in the same transaction.
            if await self._database.all(queries.SEGMENT_KEYS_BETWEEN, this) or await self._database.all(queries.KEYS_BETWEEN, this):
                return False
            await asyncio.sleep(0.5)
        return await self._stores[location].digest_of(key, "sha256") is not None
