"""Bills of materials of scanned images: made of the stored inventory, and attached to the image as a referrer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from roadstead import __version__
from roadstead.blobs.store import BlobStore
from roadstead.db.database import Database
from roadstead.errors import ResourceUnknown
from roadstead.oci import mediatype
from roadstead.oci.digest import Digest
from roadstead.oci.reference import Repository
from roadstead.registry.blobs import INLINE_MAX_BYTES, Blobs, NewBytes
from roadstead.registry.manifests import Condition, Manifests
from roadstead.scanner import sbom
from roadstead.scanner.inventory import Inventory
from roadstead.scanner.sbom import Format, Subject
from roadstead.scanning import queries

EMPTY_TYPE, EMPTY = "application/vnd.oci.empty.v1+json", b"{}"
_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Attached:
    """manifest: of the artifact whose subject the image is; blob: the bill's bytes, in the same repository."""

    manifest: Digest
    blob: Digest
    media_type: str


class Sboms:
    def __init__(
        self, database: Database, blobs: Blobs, stores: Mapping[str, BlobStore], manifests: Manifests, hosts: Mapping[str, str]
    ) -> None:
        """hosts: location → the name that its images have."""
        self._database = database
        self._blobs = blobs
        self._stores = stores
        self._manifests = manifests
        self._hosts = hosts

    async def render(self, repository: Repository, digest: Digest, form: Format) -> bytes:
        """Raises ResourceUnknown for an image that was not scanned (yet)."""
        where = {"location": repository.location, "name": repository.name, "digest": digest}
        row = await self._database.one(queries.SCANNED_INVENTORY, where)
        if row is None:
            raise ResourceUnknown(
                f"{repository.name}@{digest} has not been scanned: enable the Container Scanning API, or wait for the scan"
            )
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(row[1]) / 1e6))
        subject = Subject(f"{self._hosts[repository.location]}/{repository.name}", str(digest), at, __version__)
        return await asyncio.to_thread(lambda: sbom.render(Inventory.decode(bytes(row[0])), subject, form))

    async def attach(self, repository: Repository, digest: Digest, form: Format) -> Attached:
        """
        The same bill is attached once, however often this is called.

        Raises ResourceUnknown, ManifestUnknown, StorageError.
        """
        image = await self._manifests.get(repository, digest)
        content = await self.render(repository, digest, form)
        media_type, blob = sbom.media_type(form), await self._add(repository, content)
        document = {
            "schemaVersion": 2,
            "mediaType": mediatype.OCI_IMAGE,
            "artifactType": media_type,
            "config": {"mediaType": EMPTY_TYPE, "digest": await self._add(repository, EMPTY), "size": len(EMPTY)},
            "layers": [{"mediaType": media_type, "digest": blob, "size": len(content)}],
            "subject": {"mediaType": image.media_type, "digest": digest, "size": len(image.payload)},
        }
        payload = msgspec.json.encode(document, enc_hook=str)
        pushed = await self._manifests.put(repository, Digest.of(payload), (), mediatype.OCI_IMAGE, payload, Condition())
        return Attached(pushed.digest, blob, media_type)

    async def _add(self, repository: Repository, content: bytes) -> Digest:
        digest = Digest.of(content)
        if await self._blobs.in_location(repository.location, digest) and await self._blobs.link_existing(repository, digest, None):
            return digest
        if len(content) <= INLINE_MAX_BYTES:
            await self._blobs.add(repository, NewBytes(digest, len(content), content=content))
            return digest
        key = await self._stores[repository.location].copy_in(digest, _pieces(content))
        await self._blobs.add(repository, NewBytes(digest, len(content), storage_key=key))
        return digest


async def _pieces(content: bytes) -> AsyncIterator[Sequence[bytes]]:
    for start in range(0, len(content), _PIECE):
        yield [content[start : start + _PIECE]]
