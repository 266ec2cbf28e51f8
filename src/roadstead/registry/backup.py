"""
`roadstead backup`: the database of one moment, then the bytes that it names, from a running server.

Bytes that have lost their row since are still there, because a lease keeps them (keep.py). What the folder has already from an
earlier backup is not copied again.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec

from roadstead import __version__
from roadstead.blobs.backup import BackupFolder, file_sha256
from roadstead.blobs.store import BlobStore
from roadstead.db.database import Database
from roadstead.db.migrate import HEAD
from roadstead.errors import ConfigurationError
from roadstead.oci.digest import Digest
from roadstead.registry import queries
from roadstead.registry.blobs import Clock
from roadstead.registry.keep import bytes_kept
from roadstead.registry.transfers import GROUP_ROWS, TRIES, Checked, is_damaged, together, unreadable

FORMAT = 1
_MARK = "backup/"


class DumpFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    file: str
    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """
    backup.json. engine is sqlite or postgresql: the database goes back into the same only. rows: how many each table has;
    stored: how many blobs have their bytes in files here, and damaged the digests of those of which the server had no right bytes.
    """

    format: int
    id: str
    program: str
    schema: str
    engine: str
    began_at: str
    ended_at: str
    database: DumpFile
    locations: list[str]
    rows: dict[str, int]
    stored: int
    stored_bytes: int
    damaged: list[str]


@dataclass(slots=True)
class Progress:
    blobs: int = 0
    size_bytes: int = 0
    copied_blobs: int = 0
    copied_bytes: int = 0
    all_blobs: int = 0
    all_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Dumper:
    """How this installation's database is dumped: the engine's name, and what writes file and listing and counts the rows."""

    engine: str
    dump: Callable[[Path, Path], Awaitable[dict[str, int]]]


@dataclass(frozen=True, slots=True)
class _Stored:
    location: str
    digest: Digest
    size_bytes: int
    storage_key: str


class Backup:
    def __init__(
        self,
        database: Database,
        stores: Mapping[str, BlobStore],
        dumper: Dumper,
        folder: BackupFolder,
        clock: Clock,
        tell: Callable[[Progress], None],
    ) -> None:
        self._database = database
        self._stores = stores
        self._dumper = dumper
        self._folder = folder
        self._clock = clock
        self._tell = tell
        self._id = secrets.token_hex(8)
        self._damaged: set[str] = set()
        self.progress = Progress()

    async def run(self) -> Manifest:
        """
        Everything that was acknowledged before it began is in the backup, on the disk, when it returns.

        Raises ConfigurationError, StorageError; an earlier backup in the folder is then as good as before.
        """
        self._folder.open()
        try:
            began = self._now()
            async with bytes_kept(self._database, self._id, self._clock):
                dump, listing = self._folder.root / f"database-{self._id}.{self._dumper.engine}", self._folder.root / f".listing-{self._id}"
                rows = await self._dump(dump, listing)
                locations = await self._copy(listing)
            manifest = await asyncio.to_thread(self._manifest, began, dump, rows, locations)
            self._folder.write_manifest(msgspec.json.format(msgspec.json.encode(manifest)))
            self._folder.prune(dump.name, {stored.digest for stored in _listed(listing)})
            return manifest
        finally:
            self._folder.close()

    async def _dump(self, dump: Path, listing: Path) -> dict[str, int]:
        """The dump bears a mark by which a restore knows it again. The server has it only while there is no whole backup of it."""
        async with self._database.transaction(although_read_only=True) as tx:
            await tx.run(queries.PUT_SETTING, {"name": mark(self._id), "value": b""})
        try:
            return await self._dumper.dump(dump, listing)
        finally:
            async with self._database.transaction(although_read_only=True) as tx:
                await tx.run(queries.DELETE_SETTING, {"name": mark(self._id)})

    async def _copy(self, listing: Path) -> set[str]:
        """Returns the locations whose bytes these are."""
        for stored in _listed(listing):
            self.progress.all_blobs += 1
            self.progress.all_bytes += stored.size_bytes
        locations = set()
        waiting = _listed(listing)
        while group := list(islice(waiting, GROUP_ROWS)):
            locations |= {stored.location for stored in group}
            # Two locations may have the same bytes; one copy is enough.
            await together(self._one, list({stored.digest: stored for stored in group}.values()))
            await self._folder.settle()
            self.progress.blobs += len(group)
            self.progress.size_bytes += sum(stored.size_bytes for stored in group)
            self._tell(self.progress)
        return locations

    async def _one(self, stored: _Stored) -> None:
        if self._folder.has(stored.digest, stored.size_bytes):
            return
        store = self._stores.get(stored.location)
        if store is None:
            raise ConfigurationError(f"the settings lack the location {stored.location}, of which the server has images")
        for _ in range(TRIES):
            checked = Checked(store.stream(stored.storage_key, 0, stored.size_bytes), stored.digest, stored.size_bytes)
            staged = await self._folder.write(stored.digest, checked.batches())
            if checked.right:
                self._folder.accept(staged, stored.digest)
                self._damaged.discard(stored.digest)
                self.progress.copied_blobs += 1
                self.progress.copied_bytes += stored.size_bytes
                return
            staged.unlink()
            if await is_damaged(store, stored.storage_key, stored.digest, stored.size_bytes):
                self._damaged.add(str(stored.digest))
                return
        raise unreadable(stored.digest)

    def _manifest(self, began: str, dump: Path, rows: dict[str, int], locations: set[str]) -> Manifest:
        return Manifest(
            format=FORMAT,
            id=self._id,
            program=__version__,
            schema=HEAD,
            engine=self._dumper.engine,
            began_at=began,
            ended_at=self._now(),
            database=DumpFile(file=dump.name, size_bytes=dump.stat().st_size, sha256=file_sha256(dump)),
            locations=sorted(locations),
            rows=rows,
            stored=self.progress.all_blobs,
            stored_bytes=self.progress.all_bytes,
            damaged=sorted(self._damaged),
        )

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock() / 1e6, UTC).isoformat(timespec="seconds")


def mark(backup: str) -> str:
    """The setting that a dump has, and nothing else."""
    return f"{_MARK}{backup}"


def _listed(listing: Path) -> Iterator[_Stored]:
    with listing.open() as lines:
        for line in lines:
            location, digest, size_bytes, storage_key = line.rstrip("\n").split("\t")
            yield _Stored(location, Digest.parse(digest), int(size_bytes), storage_key)
