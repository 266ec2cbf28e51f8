"""Segments of uploads into object storage, as rows that every node sees (blobs/objectstore.py says what they are)."""

from __future__ import annotations

from collections.abc import Sequence

from roadstead.blobs.objectstore import Segment
from roadstead.blobs.store import unknown_upload
from roadstead.db.database import Database
from roadstead.registry import queries
from roadstead.registry.blobs import Clock


class UploadSegments:
    def __init__(self, database: Database, location: str, clock: Clock) -> None:
        self._database = database
        self._location = location
        self._clock = clock

    async def begin(self, upload: str) -> None:
        async with self._database.transaction() as tx:
            await tx.run(queries.ADD_UPLOAD, {"upload": upload, "location": self._location, "now_us": self._clock()})

    async def of(self, upload: str) -> list[Segment]:
        """An upload without segments has one row of nothing."""
        rows = await self._database.all(queries.SEGMENTS_OF, {"upload": upload, "location": self._location})
        if not rows:
            raise unknown_upload()
        return [Segment(*row) for row in rows if row[0] is not None]

    async def content(self, upload: str, start_bytes: int) -> bytes:
        row = await self._database.one(queries.SEGMENT_CONTENT, {"upload": upload, "start_bytes": start_bytes})
        if row is None:
            raise unknown_upload()
        return bytes(row[0])

    async def add(self, upload: str, segment: Segment, content: bytes | None) -> bool:
        """Two that add at the same place take turns at the upload's row; the second finds its place taken."""
        async with self._database.transaction() as tx:
            touched = await tx.run(queries.TOUCH_UPLOAD, {"upload": upload, "location": self._location, "now_us": self._clock()})
            if not touched:
                return False
            row = {
                "upload": upload,
                "start_bytes": segment.start_bytes,
                "size_bytes": segment.size_bytes,
                "sha256": segment.sha256,
                "storage_key": segment.storage_key,
                "content": content,
            }
            return await tx.run(queries.ADD_SEGMENT, row) == 1

    async def end(self, upload: str) -> bool:
        async with self._database.transaction() as tx:
            return await tx.run(queries.END_UPLOAD, {"upload": upload, "location": self._location}) == 1

    async def expire(self, before_us: int) -> tuple[int, list[str]]:
        async with self._database.transaction() as tx:
            where = {"location": self._location, "before_us": before_us}
            keys = [row[0] for row in await tx.all(queries.KEYS_OF_OLD_UPLOADS, where)]
            return await tx.run(queries.END_OLD_UPLOADS, where), keys

    async def open(self) -> int:
        row = await self._database.one(queries.OPEN_UPLOADS, {"location": self._location})
        return int(row[0]) if row else 0

    async def without_owner(self, keys: Sequence[str]) -> list[str]:
        if not keys:
            return []
        between = {"location": self._location, "first": min(keys), "last": max(keys)}
        owned = {row[0] for row in await self._database.all(queries.SEGMENT_KEYS_BETWEEN, between)}
        return [key for key in keys if key not in owned]
