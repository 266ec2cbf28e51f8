"""Feeds of advisories: what the settings name is fetched when it has changed; files are loaded where there is no network."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from roadstead.db.database import Database, Row
from roadstead.errors import FeedInvalid, FeedShrunk, FeedUnreachable, RoadsteadError
from roadstead.scanner.advisories import feeds
from roadstead.scanner.advisories.advisory import Advisory
from roadstead.scanner.advisories.tally import Tally
from roadstead.scanning import queries
from roadstead.scanning.fetch import Fetched, fetch
from roadstead.scanning.loads import Loaded, Loads, Source

if TYPE_CHECKING:
    import httpx

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Release:
    """ended: the feed does not tell of it any more; what it told last still counts."""

    ecosystem: str
    release: str
    records: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Status:
    """Times are microseconds, 0 for never. error: why the last look failed, "" if it did not. skipped: records that made no sense."""

    name: str
    form: str
    source: str
    revision: int
    records: int
    skipped: int
    error: str
    checked_at_us: int
    loaded_at_us: int
    releases: tuple[Release, ...]


class Feeds:
    def __init__(self, database: Database, loads: Loads, addresses: Mapping[str, Sequence[str]], clock: Callable[[], int]) -> None:
        """addresses: name of a feed → URLs of all its files."""
        self._database = database
        self._loads = loads
        self._addresses = addresses
        self._clock = clock

    async def import_files(self, feed: str, paths: Sequence[Path], lossy: bool = False) -> Loaded:
        """
        What these files and folders hold together takes the place of what the feed held.

        Raises FeedInvalid, FeedShrunk, StorageError.
        """
        for path in paths:
            if not path.exists():
                raise FeedInvalid(f"there is no file or folder {path}")
        tally = Tally()
        source = Source((await asyncio.to_thread(feeds.detect, paths[0])).value, ", ".join(str(path) for path in paths))
        loaded = await self._loads.load(feed, source, _read(feed, paths, tally), lambda: tally.skipped, lossy)
        _log.info("advisories loaded", feed=feed, records=loaded.records, skipped=tally.skipped, problems=tally.problems[:3])
        return loaded

    async def update(self, names: Iterable[str] = (), lossy: bool = False) -> dict[str, Loaded | str | None]:
        """
        Fetch feeds that the settings name, all without names. By feed: what was loaded, None where nothing has changed, or a sentence why
        it could not be: the others are loaded all the same.

        Raises FeedInvalid for a name that the settings do not have, StorageError.
        """
        wanted = list(names) or list(self._addresses)
        for name in wanted:
            if name not in self._addresses:
                raise FeedInvalid(f"the settings name no feed {name}: {', '.join(self._addresses) or 'none'}")
        done: dict[str, Loaded | str | None] = {}
        for name in wanted:
            try:
                done[name] = await self._update(name, lossy)
            except (FeedUnreachable, FeedInvalid, FeedShrunk) as error:
                _log.warning("advisories not loaded", feed=name, error=error.message)
                await self._failed(name, error)
                done[name] = error.message
        return done

    async def _failed(self, name: str, error: RoadsteadError) -> None:
        async with self._database.transaction() as tx:
            failed = {"feed": name, "new_error": error.message[:1000], "now_us": self._clock()}
            if not await tx.run(queries.FEED_CHECKED, failed):
                unloaded = {"form": "", "source": "", "etag": "", "last_modified": "", "revision": 0, "records": 0, "skipped": 0}
                times = {"checked_at_us": self._clock(), "loaded_at_us": 0}
                await tx.run(queries.PUT_FEED, {"feed": name, **unloaded, "error": error.message[:1000], **times})

    async def _update(self, name: str, lossy: bool) -> Loaded | None:
        import httpx

        urls = self._addresses[name]
        row = await self._database.one(queries.FEED, {"feed": name})
        before = _validators(row, urls)
        with tempfile.TemporaryDirectory(prefix="roadstead-feed-") as folder:
            async with httpx.AsyncClient(headers={"user-agent": "roadstead"}) as client:
                files = await _fetch_all(client, urls, Path(folder), before)
                if files is None:
                    async with self._database.transaction() as tx:
                        await tx.run(queries.FEED_CHECKED, {"feed": name, "new_error": "", "now_us": self._clock()})
                    return None
            tally = Tally()
            paths = [each.file for each in files if each.file is not None]
            source = Source(
                (await asyncio.to_thread(feeds.detect, paths[0])).value,
                _address(urls),
                msgspec.json.encode([each.etag for each in files]).decode(),
                msgspec.json.encode([each.last_modified for each in files]).decode(),
            )
            return await self._loads.load(name, source, _read(name, paths, tally), lambda: tally.skipped, lossy)

    async def status(self) -> list[Status]:
        """Of all feeds that were loaded, or that the settings name."""
        releases: dict[str, list[Release]] = {}
        for feed, ecosystem, release, records, ended in await self._database.all(queries.ALL_RELEASES, {}):
            releases.setdefault(str(feed), []).append(Release(str(ecosystem), str(release), int(records), bool(ended)))
        rows = {str(row[0]): row for row in await self._database.all(queries.FEEDS, {})}
        names = sorted({*rows, *self._addresses})
        return [_status(name, rows.get(name), tuple(releases.get(name, ()))) for name in names]


def _status(name: str, row: Row | None, releases: tuple[Release, ...]) -> Status:
    if row is None:
        return Status(name, "", "", 0, 0, 0, "", 0, 0, releases)
    _, form, source, _, _, revision, records, skipped, error, checked_at_us, loaded_at_us = row
    return Status(name, form, source, int(revision), int(records), int(skipped), error, int(checked_at_us), int(loaded_at_us), releases)


def _read(feed: str, paths: Sequence[Path], tally: Tally) -> Iterator[Advisory]:
    for path in paths:
        yield from feeds.read(path, feed, tally)


def _address(urls: Sequence[str]) -> str:
    """Short, and another one when a URL is added or changed."""
    return urls[0] if len(urls) == 1 else f"{urls[0]} and {len(urls) - 1} more ({hashlib.sha256(' '.join(urls).encode()).hexdigest()[:12]})"


def _validators(row: Row | None, urls: Sequence[str]) -> list[tuple[str, str]]:
    """ETag and Last-Modified of each URL; empty ones where they are those of other URLs or of a file."""
    unknown = [("", "")] * len(urls)
    if row is None or str(row[2]) != _address(urls) or not row[3]:
        return unknown
    known = list(zip(msgspec.json.decode(row[3], type=list[str]), msgspec.json.decode(row[4], type=list[str]), strict=True))
    return known if len(known) == len(urls) else unknown


async def _fetch_all(
    client: httpx.AsyncClient, urls: Sequence[str], folder: Path, before: Sequence[tuple[str, str]]
) -> list[Fetched] | None:
    """None when all are as before; when one is not, all are needed, because a load replaces everything. Raises FeedUnreachable."""
    found = [
        await fetch(client, url, folder / str(index), *validators) for index, (url, validators) in enumerate(zip(urls, before, strict=True))
    ]
    if all(each.file is None for each in found):
        return None
    return [
        each if each.file is not None else await fetch(client, urls[index], folder / str(index), "", "") for index, each in enumerate(found)
    ]
