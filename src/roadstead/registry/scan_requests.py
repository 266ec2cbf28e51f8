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

    async def add(self, tx: Transaction, repository: Repository, digest: Digest, parsed: Manifest, now_us: int, has_failed: bool) -> None:
        """With the push of a manifest, if it is an image. has_failed: it was there before and could not be read, which is tried again."""
        if not mediatype.is_runnable(parsed.media_type, parsed.artifact_type):
            return
        if has_failed:
            failed = await tx.one(scan_queries.AGAIN, _image(repository, digest))
            if failed is not None:
                await queue.enqueue(tx, SCAN_IMAGE, str(failed[0]).encode(), now_us)
            return
        await self.ask(tx, repository, digest, now_us, SCAN_IMAGE)

    async def ask(self, tx: Transaction, repository: Repository, digest: Digest, now_us: int, kind: str) -> None:
        """
        Where the project wants its pushes scanned, and it was not asked for yet; one statement else. kind: SCAN_IMAGE or SCAN_LATER.
        """
        new = {**_image(repository, digest), "resource": self.resource(repository, digest), "now_us": now_us}
        added = await tx.one(scan_queries.ADD, new)
        if added is not None:
            await queue.enqueue(tx, kind, str(added[0]).encode(), now_us)

    def resource(self, repository: Repository, digest: str) -> str:
        """What an image is called in occurrences, without https://: `gcr.io/my-project/web@sha256:…`."""
        return f"{self._hosts[repository.location]}/{repository.name}@{digest}"


def _image(repository: Repository, digest: Digest) -> dict[str, str]:
    """What a row of scanned_images is found by, and the project whose it is."""
    project = split_name(repository.name)[0]
    return {"location": repository.location, "project": project, "name": repository.name, "digest": digest}


async def forget(tx: Transaction, repository: Repository, digest: Digest) -> None:
    """What was found in it goes with a manifest."""
    await tx.run(scan_queries.FORGET, {"location": repository.location, "name": repository.name, "digest": digest})


async def forget_all(tx: Transaction, repository_id: int) -> None:
    """Before the repository's row goes."""
    await tx.run(scan_queries.FORGET_ALL, {"repository_id": repository_id})
