"""The composition root: Settings become a database, blob stores and services. No container, no globals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from roadstead.analysis.removal import Removal as AnalysisRemoval
from roadstead.api.app import Application
from roadstead.api.distribution.routes import Router
from roadstead.api.distribution.services import Registry
from roadstead.api.health import PATHS, Check, Condition, Health
from roadstead.blobs.filesystem import FilesystemBlobStore, fsync_folder
from roadstead.blobs.store import BlobStore
from roadstead.config import DEFAULT_LOCATION, Location, Settings
from roadstead.db.database import Database
from roadstead.db.migrate import migrate_postgres, migrate_sqlite
from roadstead.errors import ConfigurationError, StorageError
from roadstead.jobs import queue
from roadstead.jobs.kinds import REMATCH, REMOVE_ANALYSIS, REMOVE_IMAGES, SCAN_IMAGE, SCAN_LATER, SCAN_PACKAGES, SCAN_PROJECT
from roadstead.jobs.worker import Handler, Worker
from roadstead.metrics import Recorder, Stock
from roadstead.registry import queries, totals
from roadstead.registry.blobs import FREE_BLOB, REMOVE_BYTES, Blobs
from roadstead.registry.descriptions import DESCRIBE, Descriptions
from roadstead.registry.gc import Collector
from roadstead.registry.listing import Listing
from roadstead.registry.manifests import Manifests
from roadstead.registry.referrers import Referrers
from roadstead.registry.removal import Removal
from roadstead.registry.repositories import Catalog
from roadstead.registry.scan_requests import ScanRequests
from roadstead.registry.tags import Tags
from roadstead.registry.uploads import Uploads

if TYPE_CHECKING:
    # All that is needed for accounts alone is loaded where there are any: it takes as long as all the rest.
    from roadstead.accounts import Accounts
    from roadstead.iam.generation import SharedNumber
    from roadstead.registry.backup import Dumper
    from roadstead.scans import Scanning

TRANSFER_THREADS = 8
STOCK_SECONDS = 2.0
WAIT_SECONDS = 1.0

_log = structlog.get_logger()


def now_us() -> int:
    return time.time_ns() // 1000


def database_file(settings: Settings) -> Path:
    return settings.data / "registry.sqlite"


def prepare(settings: Settings) -> None:
    """Folders and schema, durable. Raises ConfigurationError."""
    try:
        migrate(settings)
        folders = [folder(settings, name) for name, location in settings.locations.items() if not location.storage]
        for each in folders:
            FilesystemBlobStore(each, ThreadPoolExecutor(1))
            fsync_folder(each)
        if folders:
            fsync_folder(settings.data / "blobs")
            fsync_folder(settings.data)
    except OSError as error:
        raise ConfigurationError(f"the data folder {settings.data} cannot be used: {error.strerror}; give another with --data") from error


def migrate(settings: Settings) -> str | None:
    """Create or upgrade the schema; returns what it was before. Raises ConfigurationError."""
    if settings.database:
        return asyncio.run(migrate_postgres(settings.database))
    settings.data.mkdir(parents=True, exist_ok=True)
    return migrate_sqlite(database_file(settings))


def folder(settings: Settings, location: str) -> Path:
    return settings.data / "blobs" / location


def load_engines(settings: Settings) -> None:
    """Import what the settings need, so that processes that are forked afterwards share it."""
    if settings.accounts:
        import_module("roadstead.edges")
    import_module("roadstead.db.postgres" if settings.database else "roadstead.db.sqlite")
    if any(location.storage for location in settings.locations.values()):
        import_module("roadstead.blobs.objectstore")


def database(settings: Settings) -> Database:
    """The setting's engine. The other one is not even imported."""
    if settings.database:
        from roadstead.db.postgres import PostgresDatabase

        return PostgresDatabase(settings.database, settings.database_connections)
    from roadstead.db.sqlite import SQLiteDatabase

    return SQLiteDatabase(database_file(settings))


def database_problems(settings: Settings) -> list[str]:
    """What is wrong with the database file itself; PostgreSQL looks after its own."""
    if settings.database:
        return []
    from roadstead.db.sqlite import problems

    return problems(database_file(settings))


def stores(settings: Settings, used: Database) -> dict[str, BlobStore]:
    threads = ThreadPoolExecutor(TRANSFER_THREADS, thread_name_prefix="transfer")
    return {name: _store(settings, name, location, used, threads) for name, location in settings.locations.items()}


def _store(settings: Settings, name: str, location: Location, used: Database, threads: ThreadPoolExecutor) -> BlobStore:
    if not location.storage:
        return FilesystemBlobStore(folder(settings, name), threads)
    from roadstead.blobs.objectstore import ObjectBlobStore
    from roadstead.registry.segments import UploadSegments

    segments = UploadSegments(used, name, now_us)
    return ObjectBlobStore(location.storage, location.options, segments, threads, location.redirect, location.public_endpoint)


@dataclass(frozen=True, slots=True)
class Parts:
    """One process's share: use it from one event loop."""

    database: Database
    stores: dict[str, BlobStore]
    collector: Collector
    counter: totals.Counter
    descriptions: Descriptions
    scanning: Callable[[], Scanning] | None
    """Makes it once, when it is first asked: only workers scan."""
    worker: Worker
    readers: tuple[Worker, Worker]
    """Run the jobs that read layers, which may take long and be many, apart from all others: of pushes, and those that can wait."""


def parts(settings: Settings) -> Parts:
    used = database(settings)
    kept = stores(settings, used)
    grace_us, expiry_us = int(settings.gc_grace_seconds * 1e6), int(settings.upload_expiry_seconds * 1e6)
    collector = Collector(used, kept, grace_us, expiry_us, now_us)
    counter = totals.Counter(used, kept, now_us)
    descriptions = Descriptions(used, kept)
    handlers: dict[str, Handler] = {
        REMOVE_BYTES: collector.remove_bytes,
        FREE_BLOB: collector.free_blob,
        REMOVE_IMAGES: Removal(used, now_us).of_project,
        REMOVE_ANALYSIS: AnalysisRemoval(used, now_us).of_project,
        DESCRIBE: descriptions.fill,
    }
    scanning = _scanning(settings, used, kept, descriptions) if settings.accounts else None
    pushed: dict[str, Handler] = {}
    later: dict[str, Handler] = {}
    if scanning is not None:
        handlers |= {kind: partial(_scan, scanning, kind) for kind in (SCAN_PROJECT, SCAN_PACKAGES, REMATCH)}
        pushed[SCAN_IMAGE] = later[SCAN_LATER] = partial(_scan, scanning, SCAN_IMAGE)
    readers = (Worker(used, pushed, now_us), Worker(used, later, now_us, at_once=1))
    return Parts(used, kept, collector, counter, descriptions, scanning, Worker(used, handlers, now_us), readers)


def _scanning(settings: Settings, used: Database, kept: dict[str, BlobStore], descriptions: Descriptions) -> Callable[[], Scanning]:
    """Only where there are accounts, because else there are no projects that could want it."""

    @cache
    def make() -> Scanning:
        from roadstead import scans

        return scans.scanning(settings, used, kept, Manifests(used, descriptions, now_us), now_us)

    return make


async def _scan(scanning: Callable[[], Scanning], kind: str, arguments: bytes) -> None:
    await scanning().handlers[kind](arguments)


def application(settings: Settings, own: Parts, health: Health, known: Accounts | None) -> Application:
    """known: None where there are no accounts."""

    async def upload_key() -> bytes:
        row = await own.database.one(queries.SETTING, {"name": "upload_key"})
        assert row is not None
        return bytes(row[0])

    hosts = settings.hosts()
    blobs = Blobs(own.database, own.stores, int(settings.gc_grace_seconds * 1e6), now_us)
    manifests = Manifests(own.database, own.descriptions, now_us, ScanRequests(settings.canonical_hosts()) if known else None)
    edges = None
    if known is not None:
        from roadstead.analysis.room import Analysis
        from roadstead.api.google.services import Images
        from roadstead.edges import Edges
        from roadstead.registry.package_changes import PackageChanges
        from roadstead.registry.packages import Packages
        from roadstead.scanning.on_demand import OnDemand
        from roadstead.scanning.sboms import Sboms

        sboms = Sboms(own.database, blobs, own.stores, manifests, settings.canonical_hosts())
        changes = PackageChanges(own.database, now_us)
        on_demand = OnDemand(own.database, now_us)
        images = Images(Analysis.of(own.database, now_us), on_demand, changes, Packages(own.database), sboms)
        edges = Edges.of(settings, known, now_us, images)
    registry = Registry(
        blobs=blobs,
        catalog=Catalog(own.database),
        listing=Listing(own.database, own.descriptions),
        manifests=manifests,
        referrers=Referrers(own.database),
        tags=Tags(own.database),
        uploads=Uploads(blobs, own.stores, upload_key, settings.max_blob_bytes),
        hosts=hosts,
        gate=edges.gate if edges else None,
        token_service=edges.token_service if edges else None,
        oci_hosts=frozenset(host.lower() for host in settings.oci_hosts),
        public_url=settings.public_url.rstrip("/"),
        proxies=settings.proxies(),
    )
    site = {**dict.fromkeys(PATHS, health.handle), **(edges.site if edges else {})}
    return Application(Router(registry), hosts, DEFAULT_LOCATION, site, settings.proxies())


async def accounts(settings: Settings, own: Parts, shared: SharedNumber) -> Accounts | None:
    """None where the settings want none. Waits for a database that is away, as a process that serves already would."""
    if not settings.accounts:
        return None
    from roadstead import accounts as iam

    while True:
        try:
            return await iam.accounts(settings, own.database, shared, now_us)
        except StorageError as error:
            _log.warning("the database does not answer yet", cause=error.message)
            await asyncio.sleep(WAIT_SECONDS)


async def look_after(known: Accounts | None, stop: asyncio.Event) -> None:
    if known is not None:
        await known.look_after(stop)


async def tidy(known: Accounts | None) -> None:
    if known is not None:
        await known.tidy()


async def keys_expiring(known: Accounts | None) -> int:
    """How many keys of service accounts end soon; the log is told once a day."""
    return await known.key_expiry.look() if known is not None else 0


async def first_run(settings: Settings) -> str:
    """The secret of the owner's one-time link, "" when there is none to show."""
    if not settings.accounts:
        return ""
    from roadstead import accounts as iam
    from roadstead.iam.generation import SharedNumber

    used = database(settings)
    try:
        known = await iam.accounts(settings, used, SharedNumber(), now_us)
        return await iam.first_run(known, used, settings.owner)
    finally:
        await used.close()


@asynccontextmanager
async def local_accounts(settings: Settings) -> AsyncIterator[Accounts]:
    """For commands on the server's own machine. Raises ConfigurationError when the settings want no accounts."""
    if not settings.accounts:
        raise ConfigurationError("this server is set to have no accounts: leave `accounts` on")
    from roadstead import accounts as iam
    from roadstead.iam.generation import SharedNumber

    used = database(settings)
    try:
        known = await iam.accounts(settings, used, SharedNumber(), now_us)
        yield known
        await known.audit.flush()
    finally:
        await used.close()


def health_only(health: Health) -> Application:
    """Of a node that only works."""
    return Application(None, {}, DEFAULT_LOCATION, dict.fromkeys(PATHS, health.handle), ())


def health(own: Parts, recorder: Recorder, condition: Condition) -> Health:
    async def database_answers() -> None:
        await own.database.one(queries.SETTING, {"name": "upload_key"})

    checks: dict[str, Check] = {"database": database_answers}
    checks |= {f"location {name}": store.check for name, store in own.stores.items()}
    return Health(checks, _stock(own), recorder, condition)


def _stock(own: Parts) -> Callable[[], Awaitable[Stock]]:
    async def ask() -> Stock:
        try:
            async with asyncio.timeout(STOCK_SECONDS):
                return Stock(True, await queue.waiting(own.database), await totals.latest(own.database), now_us())
        except (StorageError, TimeoutError):
            return Stock()

    return ask


async def prepare_here(settings: Settings) -> None:
    """prepare(), for a command that is in an event loop already."""
    await asyncio.to_thread(prepare, settings)


def engine(settings: Settings) -> str:
    return "postgresql" if settings.database else "sqlite"


def dumper(settings: Settings) -> Dumper:
    from roadstead.db import dump
    from roadstead.registry.backup import Dumper

    async def write(into: Path, listing: Path) -> dict[str, int]:
        if settings.database:
            return await dump.dump_postgres(settings.database, into, listing)
        return await dump.dump_sqlite(database_file(settings), into, listing)

    return Dumper(engine(settings), write)


async def load(settings: Settings, file: Path) -> None:
    """Make the database of a dump. Raises ConfigurationError when there is one with images already."""
    from roadstead.db import dump

    if settings.database:
        await dump.load_postgres(settings.database, file)
    else:
        dump.load_sqlite(file, database_file(settings))


async def has_database(settings: Settings) -> bool:
    if settings.database:
        from roadstead.db import dump

        return await dump.is_used(settings.database)
    return database_file(settings).exists()


def shared_places(one: Settings, other: Settings) -> list[str]:
    """What both have their database or bytes in."""
    places = ["database"] if engine(one) == engine(other) and _database_place(one) == _database_place(other) else []
    return places + [name for name in one.locations if name in other.locations and _place(one, name) == _place(other, name)]


def _database_place(settings: Settings) -> str:
    return settings.database or str(database_file(settings).resolve())


def _place(settings: Settings, name: str) -> tuple[str, str]:
    storage = settings.locations[name].storage
    return (storage, settings.locations[name].options.get("endpoint", "")) if storage else (str(folder(settings, name).resolve()), "")
