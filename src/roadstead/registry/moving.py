"""
A running installation copied to another (`roadstead copy-to`), whatever engines the two stand on.

Passes compare all tables key by key and copy what differs (db/copy.py); a blob's bytes come before its row. While the source is
written to, each pass has less left to do. Then the source refuses writes, a pass copies the last changes, and a pass that finds
nothing to do proves that both sides are the same. Until then the target refuses writes too.

Not copied: uploads under way, which clients begin anew, and removals of bytes, which mean the source's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from roadstead.blobs.store import BlobStore
from roadstead.db import schema
from roadstead.db.copy import Differences, Key, TableCopy, Whole, is_empty
from roadstead.db.database import READ_ONLY_SINCE, UNSET_READ_ONLY, Database, Row
from roadstead.errors import ConfigurationError, StorageBroken
from roadstead.oci.digest import Digest
from roadstead.registry import keep, queries
from roadstead.registry.blobs import REMOVE_BYTES, Clock
from roadstead.registry.transfers import TRIES, copy, grouped, is_damaged, together, unreadable

COMING_FROM = "coming_from"
FEW_ROWS = 2000
FEW_BYTES = 256 * 1024 * 1024
MOST_LIVE_PASSES = 8
MOST_LAST_PASSES = 5
MOST_LAST_ROWS = 50_000
NOT_COPIED = (schema.uploads, schema.upload_segments)


@dataclass(frozen=True, slots=True)
class Side:
    database: Database
    stores: Mapping[str, BlobStore]


@dataclass(slots=True)
class Progress:
    """phase is copying, last changes or verifying; all_… is what the source had when the pass began. rows: compared so far."""

    phase: str = "copying"
    blobs: int = 0
    size_bytes: int = 0
    all_blobs: int = 0
    all_bytes: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Damaged:
    """What the source itself has no right bytes of; the target knows of it, without bytes, so that a push heals it."""

    what: str
    name: str


@dataclass(frozen=True, slots=True)
class Moved:
    """
    rows: how many each table has, on both sides. copied_…: what this run copied, others than runs before it.
    read_only_seconds: from the source's last write to the end.
    """

    rows: dict[str, int]
    size_bytes: int
    copied_blobs: int
    copied_bytes: int
    read_only_seconds: float
    damaged: list[Damaged]


@dataclass(slots=True)
class _Pass:
    rows: int = 0
    size_bytes: int = 0

    @property
    def is_small(self) -> bool:
        return self.rows <= FEW_ROWS and self.size_bytes <= FEW_BYTES


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Keys of a table, all of them by itself. differences: how many there were at the last look."""

    table: TableCopy
    after: Key | None = None
    until: Key | None = None
    differences: int = 0


class Move:
    def __init__(self, source: Side, target: Side, clock: Clock, progress: Callable[[Progress], None]) -> None:
        self._source = source
        self._target = target
        self._clock = clock
        self._tell = progress
        self._progress = Progress()
        self._frozen = False
        self._damaged: dict[tuple[str, int], Damaged] = {}
        self._tables = [self._table(table) for table in schema.metadata.sorted_tables if table not in NOT_COPIED]
        self._copied_blobs = self._copied_bytes = 0

    async def run(self) -> Moved:
        """
        In the end the target is the source's equal and takes writes, and the source takes none. A run that was ended in any way
        is gone on with by the next; the source goes on taking writes, unless it was killed in the last moments.

        Raises ConfigurationError when the target is in use, StorageError when an engine fails.
        """
        await self._claim_target()
        await self._copy_live()
        since_us = self._clock()
        try:
            await self._source.database.freeze(since_us)
            rows = await self._copy_last()
            size_bytes = await self._verify_bytes()
            await self._target.database.number_on()
            await self._open_target()
        except BaseException:
            await self._source.database.thaw()
            raise
        seconds = (self._clock() - since_us) / 1e6
        return Moved(rows, size_bytes, self._copied_blobs, self._copied_bytes, seconds, list(self._damaged.values()))

    async def _claim_target(self) -> None:
        """Mark an empty target as ours. Raises ConfigurationError."""
        identity = await _setting(self._source.database, "upload_key")
        coming_from = await _setting(self._target.database, COMING_FROM)
        if coming_from is None and await _setting(self._target.database, "upload_key") == identity:
            raise ConfigurationError("the target is this server itself, or a finished copy of it: there is nothing to do")
        if coming_from is None:
            await self._check_empty()
        elif coming_from != identity:
            raise ConfigurationError("the target holds an unfinished copy of another server: give an empty database and storage")
        await self._check_locations()
        await self._target.database.freeze(self._clock())
        async with self._target.database.transaction(although_read_only=True) as tx:
            await tx.run(queries.PUT_SETTING, {"name": COMING_FROM, "value": identity})

    async def _check_empty(self) -> None:
        if not (await is_empty(self._target.database, schema.repositories) and await is_empty(self._target.database, schema.blobs)):
            raise ConfigurationError("the target has images already: give an empty database, so that nothing can be mixed up")
        for location, store in self._target.stores.items():
            async for stored in store.stored():
                raise ConfigurationError(
                    f"the target's storage for {location} is not empty ({stored[0].key}): give another folder, bucket or prefix"
                )

    async def _check_locations(self) -> None:
        missing = [name for (name,) in await self._source.database.all(queries.LOCATIONS, {}) if name not in self._target.stores]
        if missing:
            raise ConfigurationError(f"the target's settings lack the location {', '.join(missing)}, of which the source has images")

    async def _copy_live(self) -> None:
        before: _Pass | None = None
        for _ in range(MOST_LIVE_PASSES):
            done = await self._pass()
            if done.is_small or (before is not None and done.rows >= before.rows and done.size_bytes >= before.size_bytes):
                return
            before = done

    async def _copy_last(self) -> dict[str, int]:
        """
        How many rows each table has, on both sides. All is read once; where something was not alike it is copied and read again.

        Raises StorageBroken if the two sides do not become the same.
        """
        self._frozen = True
        self._progress.phase = "last changes"
        stretches = [_Stretch(table) for table in self._tables]
        rows = dict.fromkeys((table.table.name for table in self._tables), 0)
        for _ in range(MOST_LAST_PASSES):
            if sum(stretch.differences for stretch in stretches) > MOST_LAST_ROWS:
                await self._pass()
            stretches = await self._copy_stretches(stretches, rows)
            if not stretches:
                return rows
        names = ", ".join(sorted({stretch.table.table.name for stretch in stretches}))
        raise StorageBroken(
            f"source and target still differ ({names}) although nobody writes to the source: does somebody write to the target?"
        )

    async def _copy_stretches(self, stretches: Sequence[_Stretch], rows: dict[str, int]) -> list[_Stretch]:
        """Compare these, copy what differs, and return what is to be compared once more. rows: those alike are added to it."""
        await self._count_all()
        left: list[tuple[TableCopy, Differences]] = []
        for stretch in stretches:
            table = stretch.table
            async for found in table.differences(self._source.database, self._target.database, stretch.after, stretch.until):
                self._count_rows(found)
                if found.count and not self._only_damaged(table, found):
                    left.append((table, found))
                else:
                    rows[table.table.name] += found.same + found.count
        for table, found in reversed(left):
            await table.clear(self._target.database, found)
        for table, found in left:
            await self._put(table, found)
        return [_Stretch(table, found.after, found.end, found.count) for table, found in left]

    def _only_damaged(self, table: TableCopy, found: Differences) -> bool:
        """What the source has no right bytes of can not become alike; it is enough that the target knows of it."""
        keys = {table.key(row) for row in found.changed}
        return not found.gone and keys <= found.otherwise and all((table.table.name, key[0]) in self._damaged for key in keys)

    async def _count_all(self) -> None:
        here = await self._source.database.one(queries.STORED_TOTALS, {})
        there = await self._target.database.one(queries.STORED_TOTALS, {})
        assert here is not None
        assert there is not None
        self._progress.all_blobs, self._progress.all_bytes = int(here[0]), int(here[1])
        self._progress.blobs, self._progress.size_bytes = int(there[0]), int(there[1])

    def _count_rows(self, found: Differences) -> None:
        self._progress.rows += found.same + len(found.changed)
        self._tell(self._progress)

    async def _pass(self) -> _Pass:
        await self._count_all()
        done = _Pass()
        for table in reversed(self._tables):
            done.rows += await self._clear(table)
        for table in self._tables:
            async for found in table.differences(self._source.database, self._target.database):
                self._count_rows(found)
                done.rows += len(found.changed)
                done.size_bytes += await self._put(table, found)
        return done

    async def _clear(self, table: TableCopy) -> int:
        if await is_empty(self._target.database, table.table):
            return 0
        rows = 0
        async for found in table.differences(self._source.database, self._target.database):
            if found.gone or found.renamed:
                await table.clear(self._target.database, found)
                rows += len(found.gone)
        return rows

    async def _put(self, table: TableCopy, found: Differences) -> int:
        """Returns the bytes copied into stores."""
        before_bytes = self._copied_bytes

        async def prepared(row: Row) -> Whole | None:
            whole = await table.whole(self._source.database, row)
            if whole is None or table.table not in (schema.blobs, schema.manifests):
                return whole
            return await self._manifest(whole) if table.table is schema.manifests else await self._blob(whole, found)

        for group in grouped(found.changed, lambda row: 0 if table.is_compared_whole else int(table.value(row, "size_bytes"))):
            rows = await together(prepared, group)
            await table.put(self._target.database, [row for row in rows if row is not None])
        return self._copied_bytes - before_bytes

    async def _manifest(self, whole: Whole) -> Whole | None:
        """As it is to be on the target; None when it is left for another pass."""
        if not whole["payload"] or Digest.of(whole["payload"], Digest.parse(whole["digest"]).algorithm) == whole["digest"]:
            return whole
        return self._without_bytes(Damaged("manifest", whole["digest"]), whole, payload=b"")

    async def _blob(self, whole: Whole, found: Differences) -> Whole | None:
        digest = Digest.parse(whole["digest"])
        if whole["content"] is not None and Digest.of(whole["content"], digest.algorithm) != digest:
            return self._without_bytes(Damaged("blob", whole["digest"]), whole, content=None)
        if whole["storage_key"] is None:
            return whole
        known = await self._target.database.one(queries.KEY_OF, _identity(whole)) if (whole["id"],) in found.otherwise else None
        key = known[0] if known is not None and known[0] is not None else await self._bytes(digest, whole)
        if key is None:
            return self._without_bytes(Damaged("blob", whole["digest"]), whole, storage_key=None)
        return {**whole, "storage_key": key}

    async def _bytes(self, digest: Digest, whole: Whole) -> str | None:
        source, target = self._source.stores.get(whole["location"]), self._target.stores.get(whole["location"])
        if target is None:
            await self._check_locations()
        if source is None or target is None:
            return None
        size_bytes = int(whole["size_bytes"])
        for _ in range(TRIES):
            key = await copy(source.stream(whole["storage_key"], 0, size_bytes), digest, size_bytes, target)
            if key is not None or await is_damaged(source, whole["storage_key"], digest, size_bytes):
                break
        else:
            raise unreadable(digest)
        if key is not None:
            self._copied_blobs += 1
            self._copied_bytes += size_bytes
        self._progress.blobs += 1
        self._progress.size_bytes += size_bytes
        self._tell(self._progress)
        return key

    def _without_bytes(self, damaged: Damaged, whole: Whole, **emptied: object) -> Whole | None:
        """While the source is written to, bytes may only just have gone together with their row: then a later pass decides."""
        if not self._frozen:
            return None
        self._damaged[f"{damaged.what}s", whole["id"]] = damaged
        return {**whole, **emptied}

    async def _verify_bytes(self) -> int:
        """
        Is an object or file of the right size there for every row? Those that only runs killed before have left are removed.

        Returns the sum of the sizes. Raises StorageBroken.
        """
        self._progress.phase = "verifying"
        self._tell(self._progress)
        found = found_bytes = 0
        for location, store in self._target.stores.items():
            async for stored in store.stored():
                keys = [each.key for each in stored]
                between = {"location": location, "first": min(keys, default=""), "last": max(keys, default="")}
                sizes = {row[0]: row[1] for row in await self._target.database.all(queries.KEY_SIZES_BETWEEN, between)}
                for each in stored:
                    if each.key not in sizes:
                        await store.remove(each.key)
                    elif sizes[each.key] == each.size_bytes:
                        found, found_bytes = found + 1, found_bytes + each.size_bytes
        row = await self._target.database.one(queries.STORED_TOTALS, {})
        if row is None or (int(row[0]), int(row[1])) != (found, found_bytes):
            raise StorageBroken(
                f"the target's storage has {found} of {row and row[0]} blobs in their right size: does somebody else use it?"
            )
        return found_bytes

    async def _open_target(self) -> None:
        async with self._target.database.transaction(although_read_only=True) as tx:
            await tx.run(queries.DELETE_SETTING, {"name": COMING_FROM})
            await tx.run(UNSET_READ_ONLY, {})

    def _table(self, table: Any) -> TableCopy:
        if table is schema.settings:
            name = table.c.name
            own = (name != READ_ONLY_SINCE) & (name != COMING_FROM) & name.not_like(f"{keep.setting('')}%")
            return TableCopy(table, only=own)
        if table is schema.jobs:
            return TableCopy(table, only=table.c.kind != REMOVE_BYTES)
        if table is schema.blobs:
            return TableCopy(table, by_length=("content",), by_presence=("storage_key",))
        if table is schema.manifests:
            return TableCopy(table, by_length=("payload",))
        return TableCopy(table)


def _identity(blob: Whole) -> dict[str, Any]:
    return {"blob_id": blob["id"], "location": blob["location"], "digest": blob["digest"]}


async def thaw(database: Database) -> bool:
    """Allow writes again; False if they were allowed. Raises ConfigurationError for the target of an unfinished copy."""
    if await _setting(database, COMING_FROM) is not None:
        raise ConfigurationError("this is an unfinished copy of another server: run `roadstead copy-to` again, which goes on with it")
    if await _setting(database, READ_ONLY_SINCE) is None:
        return False
    await database.thaw()
    return True


async def _setting(database: Database, name: str) -> bytes | None:
    row = await database.one(queries.SETTING, {"name": name})
    return None if row is None else bytes(row[0])
