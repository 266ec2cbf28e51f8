"""
Loading a feed: what it holds now takes the place of what it held before, and only the difference is written.

Records are sorted in a file of their own first, so memory does not grow with the feed; then both are read in one order. A load that was
killed leaves some packages new and some old, each whole; the next load writes the rest.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from roadstead.db.database import Database, Transaction
from roadstead.errors import FeedShrunk
from roadstead.jobs import queue
from roadstead.jobs.kinds import REMATCH
from roadstead.scanner.advisories.advisory import Advisory, Form
from roadstead.scanning import match, queries, revision

BATCH = 500
PAGE = 5000
MAX_LOSS = 0.25
"""The share of the records of the releases that a feed still tells of which may go at once."""
SMALL = 200
"""A feed of no more records may lose as many as it likes."""

Key = tuple[str, str, str, str]
"""ecosystem, release, source package, key; the order of both sides."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a feed's bytes came from. form: how they are read; address: a URL, or the names of files."""

    form: str
    address: str
    etag: str = ""
    last_modified: str = ""


@dataclass(slots=True)
class Loaded:
    """records: what the feed holds now; packages: of how many packages of images the advisories have changed."""

    records: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    skipped: int = 0
    packages: int = 0
    ended_releases: list[str] = field(default_factory=list)


class Loads:
    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock

    async def load(
        self, feed: str, source: Source, advisories: Iterable[Advisory], skipped: Callable[[], int], lossy: bool = False
    ) -> Loaded:
        """
        skipped: asked at the end, how many records could not be read. lossy: let it shrink as it may.

        Raises FeedInvalid (of advisories), FeedShrunk, StorageError.
        """
        with tempfile.TemporaryDirectory(prefix="roadstead-feed-") as folder, closing(_Staged(Path(folder) / "feed.sqlite")) as staged:
            # A feed takes minutes to read, and the worker has leases to renew meanwhile.
            await asyncio.to_thread(staged.add, advisories)
            loaded = Loaded(records=staged.records(), skipped=skipped())
            began_at = await self._revision_of(feed)
            releases = staged.releases()
            if not lossy:
                await self._check_loss(feed, staged, releases)
            number = await self._write(feed, staged, releases, loaded)
            await self._finish(feed, source, releases, loaded, number, began_at)
        return loaded

    async def _revision_of(self, feed: str) -> int:
        row = await self._database.one(queries.FEED, {"feed": feed})
        return int(row[5]) if row is not None else 0

    async def _check_loss(self, feed: str, staged: _Staged, releases: dict[tuple[str, str], int]) -> None:
        """Raises FeedShrunk."""
        before = {
            (str(row[0]), str(row[1])): int(row[2]) for row in await self._database.all(queries.FEED_RELEASES, {"feed": feed}) if not row[3]
        }
        kept = {release: records for release, records in before.items() if release in releases}
        was, lost = sum(kept.values()), sum(max(0, records - releases[release]) for release, records in kept.items())
        if sum(before.values()) > SMALL and (not kept or 2 * len(kept) < len(before)):
            raise FeedShrunk(
                f"the feed {feed} tells of {len(kept)} of the {len(before)} releases that it told of before: what it held is kept. If that "
                "is right, load it with --accept-loss"
            )
        if was > SMALL and lost > MAX_LOSS * was:
            raise FeedShrunk(
                f"the feed {feed} has lost {lost} of {was} records: what it held is kept. If that is right, load it with --accept-loss"
            )

    async def _write(self, feed: str, staged: _Staged, releases: dict[tuple[str, str], int], loaded: Loaded) -> int:
        number = await revision.current(self._database)
        differences = self._differences(feed, staged, releases)
        while part := [each async for each in _some(differences, BATCH)]:
            async with self._database.transaction() as tx:
                number = await revision.grow(tx)
                reason = f"{feed} {number}"
                for each in part:
                    await self._apply(tx, feed, each)
                    loaded.added += each.before is None
                    loaded.changed += each.before is not None and each.now is not None
                    loaded.removed += each.now is None
                why = {"reason": reason, "revision": number}
                for ecosystem, release, name in dict.fromkeys(each.key[:3] for each in part):
                    loaded.packages += await tx.run(queries.MARK_CHANGED, {"ecosystem": ecosystem, "release": release, "name": name, **why})
                for vulnerability in dict.fromkeys(each.rated for each in part if each.rated):
                    await tx.run(queries.MARK_RATED, {"vulnerability": vulnerability, **why})
                await queue.enqueue(tx, REMATCH, b"", self._clock())
        return number

    async def _apply(self, tx: Transaction, feed: str, difference: _Difference) -> None:
        key, now = difference.key, difference.now
        where = {"ecosystem": key[0], "release": key[1], "name": key[2], "feed": feed, "key": key[3]}
        if now is None:
            await tx.run(queries.DELETE_ADVISORY, where)
        else:
            row = {name: getattr(now, name) for name in ("vulnerability", "has_cvss", "hash", "content")}
            await tx.run(queries.PUT_ADVISORY, {**where, **row})

    async def _differences(self, feed: str, staged: _Staged, releases: dict[tuple[str, str], int]) -> AsyncIterator[_Difference]:
        """What is new, different or gone. Of releases that it no longer tells of, all stays."""
        old = self._held(feed)
        before = await anext(old, None)
        for key, row in staged.rows():
            while before is not None and before.key < key:
                if before.key[:2] in releases:
                    yield _Difference(before.key, before, None)
                before = await anext(old, None)
            if before is None or before.key != key:
                yield _Difference(key, None, row)
            else:
                if before.hash != row.hash:
                    yield _Difference(key, before, row)
                before = await anext(old, None)
        while before is not None:
            if before.key[:2] in releases:
                yield _Difference(before.key, before, None)
            before = await anext(old, None)

    async def _held(self, feed: str) -> AsyncIterator[_Held]:
        after: Sequence[Any] = ("", "", "", "")
        while True:
            place = dict(zip(("after_ecosystem", "after_release", "after_name", "after_key"), after, strict=True))
            rows = await self._database.all(queries.HASHES_OF_FEED, {"feed": feed, **place, "most": PAGE})
            for row in rows:
                yield _Held((str(row[0]), str(row[1]), str(row[2]), str(row[3])), bytes(row[4]), str(row[5]), bool(row[6]))
            if len(rows) < PAGE:
                return
            after = rows[-1][:4]

    async def _finish(
        self, feed: str, source: Source, releases: dict[tuple[str, str], int], loaded: Loaded, number: int, began_at: int
    ) -> None:
        now_us = self._clock()
        async with self._database.transaction() as tx:
            deciding = {release: await match.form_of(tx, *release) for release in releases}
            row = await tx.one(queries.LOCK_FEED, {"feed": feed})
            if row is not None and int(row[0]) != began_at:
                # Somebody else has loaded it meanwhile, so what is there may be of both: it must be fetched again.
                source = replace(source, etag="", last_modified="")
            before = await tx.all(queries.FEED_RELEASES, {"feed": feed})
            for ecosystem, release, records, _ in before:
                if (ecosystem, release) not in releases:
                    ended = {"ecosystem": ecosystem, "release": release, "records": records, "ended": True}
                    await tx.run(queries.PUT_RELEASE, {"feed": feed, **ended})
                    loaded.ended_releases.append(f"{ecosystem} {release}".rstrip())
            for (ecosystem, release), records in sorted(releases.items()):
                told = {"ecosystem": ecosystem, "release": release, "records": records, "ended": False}
                await tx.run(queries.PUT_RELEASE, {"feed": feed, **told})
            await tx.run(
                queries.PUT_FEED,
                {
                    "feed": feed,
                    "form": source.form,
                    "source": source.address[:2000],
                    "etag": source.etag,
                    "last_modified": source.last_modified,
                    "revision": number,
                    "records": loaded.records,
                    "skipped": loaded.skipped,
                    "error": "",
                    "checked_at_us": now_us,
                    "loaded_at_us": now_us,
                },
            )
            await self._decide_anew(tx, feed, deciding, number)

    async def _decide_anew(self, tx: Transaction, feed: str, before: Mapping[tuple[str, str], Form | None], number: int) -> None:
        """Of a release for which another kind of feed decides from now on, or the first one, everything is matched again."""
        for (ecosystem, release), form in before.items():
            if await match.form_of(tx, ecosystem, release) is not form:
                number = await revision.grow(tx)
                marked = {"ecosystem": ecosystem, "release": release, "reason": f"{feed} {number}", "revision": number}
                await tx.run(queries.MARK_RELEASE, marked)
                await queue.enqueue(tx, REMATCH, b"", self._clock())


async def _some(source: AsyncIterator[Any], most: int) -> AsyncIterator[Any]:
    for _ in range(most):
        try:
            yield await anext(source)
        except StopAsyncIteration:
            return


@dataclass(frozen=True, slots=True)
class _Row:
    vulnerability: str
    has_cvss: bool
    hash: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class _Held:
    """What the database has of a record."""

    key: Key
    hash: bytes
    vulnerability: str
    has_cvss: bool


@dataclass(frozen=True, slots=True)
class _Difference:
    """before is None of what is new, now of what is gone."""

    key: Key
    before: _Held | None
    now: _Row | None

    @property
    def rated(self) -> str:
        """The vulnerability, where others may take their score from this record, or have done so."""
        return next((each.vulnerability for each in (self.now, self.before) if each is not None and each.has_cvss), "")


class _Staged:
    """The records of a feed in a file, to be read in order; of those with one key the last counts."""

    def __init__(self, file: Path) -> None:
        # Used by one thread after the other.
        self._connection = sqlite3.connect(file, check_same_thread=False)
        self._connection.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE staged (ecosystem, release, name, key, vulnerability, has_cvss, hash, content, "
            "PRIMARY KEY (ecosystem, release, name, key)) WITHOUT ROWID"
        )

    def add(self, advisories: Iterable[Advisory]) -> None:
        rows = (_staged_row(each) for each in advisories)
        while part := list(islice(rows, PAGE)):
            self._connection.executemany("INSERT OR REPLACE INTO staged VALUES (?, ?, ?, ?, ?, ?, ?, ?)", part)

    def records(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM staged").fetchone()[0])

    def releases(self) -> dict[tuple[str, str], int]:
        found = self._connection.execute("SELECT ecosystem, release, count(*) FROM staged GROUP BY 1, 2")
        return {(ecosystem, release): count for ecosystem, release, count in found}

    def rows(self) -> Iterator[tuple[Key, _Row]]:
        found = self._connection.execute("SELECT * FROM staged ORDER BY ecosystem, release, name, key")
        for ecosystem, release, name, key, vulnerability, has_cvss, hashed, content in found:
            yield (ecosystem, release, name, key), _Row(vulnerability, bool(has_cvss), hashed, content)

    def close(self) -> None:
        self._connection.close()


def _staged_row(advisory: Advisory) -> tuple[Any, ...]:
    return (
        advisory.ecosystem,
        advisory.release,
        advisory.package,
        match.key_of(advisory),
        advisory.id,
        bool(advisory.cvss),
        advisory.digest,
        advisory.encode(),
    )
