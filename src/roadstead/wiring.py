"""The composition root: Settings become a database, blob stores and services. No container, no globals."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from roadstead.api.app import Application
from roadstead.api.distribution.routes import Router
from roadstead.api.distribution.services import Registry
from roadstead.blobs.filesystem import FilesystemBlobStore, fsync_folder
from roadstead.config import DEFAULT_LOCATION, Settings
from roadstead.db.migrate import migrate_sqlite
from roadstead.db.sqlite import SQLiteDatabase, problems
from roadstead.registry import queries
from roadstead.registry.blobs import Blobs
from roadstead.registry.gc import Collector
from roadstead.registry.manifests import Manifests
from roadstead.registry.referrers import Referrers
from roadstead.registry.repositories import Catalog
from roadstead.registry.tags import Tags
from roadstead.registry.uploads import Uploads

TRANSFER_THREADS = 8


def now_us() -> int:
    return time.time_ns() // 1000


def database_file(settings: Settings) -> Path:
    return settings.data / "registry.sqlite"


def prepare(settings: Settings) -> None:
    """Folder and schema, durable. Raises ConfigurationError."""
    settings.data.mkdir(parents=True, exist_ok=True)
    migrate_sqlite(database_file(settings))
    for store in stores(settings).values():
        fsync_folder(store.root)
    fsync_folder(settings.data / "blobs")
    fsync_folder(settings.data)


def database_problems(settings: Settings) -> list[str]:
    """What is wrong with the database file itself."""
    return problems(database_file(settings))


def stores(settings: Settings) -> dict[str, FilesystemBlobStore]:
    return {name: FilesystemBlobStore(settings.data / "blobs" / name) for name in settings.locations}


@dataclass(frozen=True, slots=True)
class Parts:
    """One process's share: use it from one event loop."""

    database: SQLiteDatabase
    stores: dict[str, FilesystemBlobStore]
    collector: Collector


def parts(settings: Settings) -> Parts:
    database = SQLiteDatabase(database_file(settings))
    kept = stores(settings)
    grace_us, expiry_us = int(settings.gc_grace_seconds * 1e6), int(settings.upload_expiry_seconds * 1e6)
    return Parts(database, kept, Collector(database, kept, grace_us, expiry_us, now_us))


async def application(settings: Settings, own: Parts) -> Application:
    key = await own.database.one(queries.SETTING, {"name": "upload_key"})
    assert key is not None
    hosts = settings.hosts()
    blobs = Blobs(own.database, own.stores, int(settings.gc_grace_seconds * 1e6), now_us)
    threads = ThreadPoolExecutor(TRANSFER_THREADS, thread_name_prefix="transfer")
    registry = Registry(
        blobs=blobs,
        catalog=Catalog(own.database),
        manifests=Manifests(own.database, now_us),
        referrers=Referrers(own.database),
        tags=Tags(own.database),
        uploads=Uploads(blobs, own.stores, key[0], settings.max_blob_bytes, threads),
        hosts=hosts,
    )
    return Application(Router(registry), hosts, DEFAULT_LOCATION)
