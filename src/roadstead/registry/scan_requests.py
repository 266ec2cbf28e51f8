"""Pushes that are to be scanned: a row and a job in the transaction of the push, so that none is forgotten."""

from __future__ import annotations

from collections.abc import Mapping

from roadstead.db.database import Transaction
from roadstead.jobs import queue
from roadstead.jobs.kinds import SCAN_IMAGE
from roadstead.oci import mediatype
from roadstead.oci.digest import Digest
from roadstead.oci.manifest import Manifest
from roadstead.oci.projects import split_name
from roadstead.oci.reference import Repository
from roadstead.registry import scan_queries


class ScanRequests:
    def __init__(self, hosts: Mapping[str, str]) -> None:
        """hosts: location → the name that its images have in occurrences."""
        self._hosts = hosts

    async def add(self, tx: Transaction, repository: Repository, digest: Digest, parsed: Manifest, now_us: int) -> None:
        """Where the project wants its pushes scanned, and this is an image that was not asked for yet. One statement else."""
        if not mediatype.is_runnable(parsed.media_type, parsed.artifact_type):
            return
        added = await tx.one(
            scan_queries.ADD,
            {
                "location": repository.location,
                "project": split_name(repository.name)[0],
                "name": repository.name,
                "digest": digest,
                "resource": f"{self._hosts[repository.location]}/{repository.name}@{digest}",
                "now_us": now_us,
            },
        )
        if added is not None:
            await queue.enqueue(tx, SCAN_IMAGE, str(added[0]).encode(), now_us)


async def forget(tx: Transaction, repository: Repository, digest: Digest) -> None:
    """What was found in it goes with a manifest."""
    await tx.run(scan_queries.FORGET, {"location": repository.location, "name": repository.name, "digest": digest})


async def forget_all(tx: Transaction, repository_id: int) -> None:
    """Before the repository's row goes."""
    await tx.run(scan_queries.FORGET_ALL, {"repository_id": repository_id})
