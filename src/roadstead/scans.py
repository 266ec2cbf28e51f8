"""Scanning put together: what the worker does of it, and what commands on the server's own machine do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roadstead.blobs.store import BlobStore
from roadstead.config import Settings
from roadstead.db.database import Database
from roadstead.jobs.kinds import REMATCH, SCAN_IMAGE, SCAN_PACKAGES, SCAN_PROJECT
from roadstead.registry.blobs import Blobs
from roadstead.registry.manifests import Manifests
from roadstead.scanning.feeds import Feeds
from roadstead.scanning.layers import Layers
from roadstead.scanning.loads import Loads
from roadstead.scanning.on_demand import OnDemand
from roadstead.scanning.rematch import Rematch
from roadstead.scanning.scan import Scans
from roadstead.scanning.tidy import Tidy

if TYPE_CHECKING:
    from roadstead.jobs.worker import Handler


@dataclass(frozen=True, slots=True)
class Scanning:
    feeds: Feeds
    layers: Layers
    on_demand: OnDemand
    rematch: Rematch
    scans: Scans
    tidy: Tidy

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By kind of job."""
        return {
            SCAN_IMAGE: self.scans.scan,
            SCAN_PROJECT: self.scans.scan_project,
            SCAN_PACKAGES: self.on_demand.run,
            REMATCH: self.rematch.run,
        }

    async def look_after(self) -> None:
        """What a worker does now and then: scan again what an older program has read, drop what nothing needs."""
        await self.scans.refresh()
        await self.tidy.run()


def scanning(
    settings: Settings, database: Database, stores: Mapping[str, BlobStore], manifests: Manifests, now_us: Callable[[], int]
) -> Scanning:
    blobs = Blobs(database, stores, int(settings.gc_grace_seconds * 1e6), now_us)
    layers = Layers(database, blobs, settings.scan_processes, now_us)
    return Scanning(
        feeds=Feeds(database, Loads(database, now_us), {name: feed.urls for name, feed in settings.feeds.items()}, now_us),
        layers=layers,
        on_demand=OnDemand(database, now_us),
        rematch=Rematch(database, now_us),
        scans=Scans(database, manifests, layers, settings.canonical_hosts(), now_us),
        tidy=Tidy(database, list(stores), now_us),
    )
