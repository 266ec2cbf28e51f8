"""
`roadstead check`: are all bytes there, and are they the right ones?

Reads every blob and manifest. With repair it removes files nobody needs, puts damaged files into quarantine and marks their
blobs as missing: they are then answered as unknown, never as wrong bytes, and the next push of them heals every image.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from roadstead.blobs.filesystem import file_digest
from roadstead.blobs.store import BlobStore
from roadstead.db.database import Database, Row
from roadstead.oci.digest import Digest
from roadstead.registry import queries
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
                kind = await asyncio.to_thread(self._examine, row)
                if kind is not None:
                    findings.append(await self._damaged(kind, row))
                self.checked.blobs += 1
                self.checked.size_bytes += row[3]
            after = rows[-1][0]
            self._progress(self.checked)
        return findings

    def _examine(self, row: Row) -> str | None:
        _, location, digest, size_bytes, storage_key, content = row
        digest = Digest.parse(digest)
        if content is not None:
            return None if Digest.of(content, digest.algorithm) == digest else "corrupt"
        if storage_key is None or location not in self._stores:
            return "missing"
        try:
            fd = os.open(self._stores[location].path(storage_key), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return "missing"
        try:
            whole = os.fstat(fd).st_size == size_bytes and file_digest(fd, digest.algorithm) == digest
            return None if whole else "corrupt"
        except OSError:
            return "corrupt"
        finally:
            os.close(fd)

    async def _damaged(self, kind: str, row: Row) -> Finding:
        blob_id, location, digest, _, storage_key, content = row
        names = [name for (name,) in await self._database.all(queries.REPOSITORIES_OF, {"blob_id": blob_id})]
        if self._repair and (storage_key is not None or content is not None):
            async with self._database.transaction() as tx:
                await tx.run(queries.FORGET_BYTES, {"blob_id": blob_id})
            if storage_key is not None and kind == "corrupt":
                await asyncio.to_thread(self._stores[location].quarantine, storage_key)
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
            if self._repair:
                await asyncio.to_thread(self._stores[location].remove, stored.key)
            findings.append(Finding("orphaned", "file", location, stored.key, "", self._repair))
        return findings

    async def _forgotten(self, location: str, key: str) -> bool:
        """A file may be a moment ahead of its row: a push beside us is not a finding."""
        for _ in range(2):
            digest = key.split("/")[2].split(".", maxsplit=1)[0]
            algorithm = key.split("/", 1)[0]
            rows = await self._database.all(
                queries.KEYS_BETWEEN, {"location": location, "first": f"{algorithm}:{digest}", "end": f"{algorithm}:{digest}g"}
            )
            if any(row[0] == key for row in rows) or not self._stores[location].path(key).exists():
                return False
            await asyncio.sleep(0.5)
        return True
