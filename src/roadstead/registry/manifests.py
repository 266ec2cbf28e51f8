"""Manifests: stored and served byte for byte, with what they name already present."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from roadstead.db.database import Database, Row, Transaction
from roadstead.errors import (
    DigestMismatch,
    ManifestBlobUnknown,
    ManifestInIndex,
    ManifestTagged,
    ManifestTooLarge,
    ManifestUnknown,
    PermissionDenied,
    PreconditionFailed,
    SizeInvalid,
    StorageError,
)
from roadstead.jobs import queue
from roadstead.oci import manifest as oci
from roadstead.oci.digest import Digest
from roadstead.oci.imageconfig import created_ms
from roadstead.oci.reference import Reference, Repository, Tag
from roadstead.registry import queries
from roadstead.registry.blobs import INLINE_MAX_BYTES, Clock
from roadstead.registry.descriptions import DESCRIBE, Descriptions
from roadstead.registry.repositories import lock, lock_or_make
from roadstead.registry.scan_requests import ScanRequests, forget


@dataclass(frozen=True, slots=True)
class StoredManifest:
    payload: bytes
    media_type: str
    digest: str


@dataclass(frozen=True, slots=True)
class Condition:
    """
    What must hold for a PUT (RFC 9110, 13.1). if_match: the reference has one of these digests, or any for ("*",);
    if_absent: there is no such reference yet. may_move: tags that are there already may be pointed elsewhere.
    """

    if_match: tuple[str, ...] = ()
    if_absent: bool = False
    may_move: bool = True


@dataclass(frozen=True, slots=True)
class Pushed:
    digest: Digest
    subject: Digest | None


class Manifests:
    def __init__(self, database: Database, descriptions: Descriptions, clock: Clock, scans: ScanRequests | None = None) -> None:
        """scans: None where nothing is scanned."""
        self._database = database
        self._scans = scans
        self._descriptions = descriptions
        self._clock = clock

    async def get(self, repository: Repository, reference: Reference) -> StoredManifest:
        """One read. Raises ManifestUnknown."""
        row: Row | None
        if isinstance(reference, Tag):
            row = await self._database.one(
                queries.MANIFEST_BY_TAG, {"location": repository.location, "name": repository.name, "tag": reference}
            )
        else:
            row = await self._database.one(
                queries.MANIFEST_BY_DIGEST, {"location": repository.location, "name": repository.name, "digest": reference}
            )
        # A check with --repair empties what is damaged; the next push fills it again.
        if row is None or not row[0]:
            raise unknown(repository, reference)
        return StoredManifest(*row)

    async def put(
        self,
        repository: Repository,
        reference: Reference,
        tags: Sequence[Tag],
        content_type: str,
        payload: bytes,
        condition: Condition,
    ) -> Pushed:
        """
        Store a manifest and point its tags at it, in one transaction.

        payload is kept byte for byte; its digest is the manifest's identity. tags come on top of a tag in reference.
        Every blob and child it names must already be in this repository (foreign layers and the subject excepted).

        Raises ManifestInvalid, ManifestTooLarge (> 4 MiB), ManifestBlobUnknown (names all that miss), SizeInvalid,
        DigestMismatch, PreconditionFailed. Spec: distribution-spec, Pushing Manifests.
        """
        if len(payload) > oci.MAX_BYTES:
            raise ManifestTooLarge("a manifest has at most 4 MiB")
        parsed = oci.parse(payload, content_type)
        algorithm = reference.algorithm if isinstance(reference, Digest) else "sha256"
        digest = Digest.of(payload, algorithm)
        if isinstance(reference, Digest) and digest != reference:
            raise DigestMismatch("the manifest does not have the digest it was pushed to", {"expected": reference, "received": digest})
        names = [*tags, reference] if isinstance(reference, Tag) else tags
        created_at_ms = await self._created_elsewhere(repository, parsed)

        async with self._database.transaction() as tx:
            now_us = self._clock()
            repository_id = await lock_or_make(tx, repository, now_us)
            await _check(tx, repository_id, reference, condition)
            if not condition.may_move:
                await _check_new(tx, repository_id, names, digest)
            here = {"repository_id": repository_id, "location": repository.location, "name": repository.name}
            known = await tx.one(queries.PUSHED_BEFORE, {**here, "digest": digest, "payload": payload})
            new = _New(digest, parsed, payload, created_at_ms)
            manifest_id = known[0] if known else await _add(tx, repository, repository_id, new, now_us)
            if self._scans is not None:
                await self._scans.add(tx, repository, digest, parsed, now_us, bool(known and known[2]))
            if known and not known[1]:
                await tx.run(queries.HEAL_MANIFEST, {"manifest_id": manifest_id, "payload": payload})
            for tag in names:
                await tx.run(queries.PUT_TAG, {"repository_id": repository_id, "tag": tag, "manifest_id": manifest_id, "now_us": now_us})
        return Pushed(digest, parsed.subject)

    async def _created_elsewhere(self, repository: Repository, parsed: oci.Manifest) -> int | None:
        """When it was created, where that is not in a row that the transaction reads anyway. None: in that row, or not to be read now."""
        if parsed.config is not None and parsed.config.size_bytes <= INLINE_MAX_BYTES:
            return None
        try:
            return await self._descriptions.created_ms(repository, parsed)
        except StorageError:
            return None

    async def delete(self, repository: Repository, digest: Digest, although_named: bool) -> None:
        """
        Delete a manifest; its blobs wait for collection. although_named: with the tags that point at it, and out of any index, as the
        distribution specification has it; else nothing that is named may go, as it was in Container Registry.

        Raises NameUnknown, ManifestUnknown, ManifestTagged, ManifestInIndex.
        """
        async with self._database.transaction() as tx:
            repository_id = await lock(tx, repository)
            known = await tx.one(queries.MANIFEST_ID, {"repository_id": repository_id, "digest": digest})
            if known is None:
                raise unknown(repository, digest)
            if not although_named:
                await check_untagged(tx, int(known[0]), digest)
                await check_in_no_index(tx, repository_id, digest)
            await remove(tx, repository, repository_id, digest, int(known[0]), self._clock())


def unknown(repository: Repository, reference: Reference) -> ManifestUnknown:
    kind = "tag" if isinstance(reference, Tag) else "digest"
    return ManifestUnknown(f"{repository.name} has no manifest with this {kind}", {kind: reference})


async def remove(tx: Transaction, repository: Repository, repository_id: int, digest: Digest, manifest_id: int, now_us: int) -> None:
    """A manifest with its tags and what was found in it, of a repository that tx has locked."""
    this = {"manifest_id": manifest_id}
    blobs = await tx.all(queries.BLOBS_OF, this)
    for statement in (queries.DELETE_TAGS_OF, queries.DELETE_BLOBS_OF, queries.DELETE_CHILDREN_OF, queries.DELETE_MANIFEST):
        await tx.run(statement, this)
    await forget(tx, repository, digest)
    for (blob_id,) in blobs:
        await tx.run(queries.RELEASE_LINK, {"repository_id": repository_id, "blob_id": blob_id, "now_us": now_us})


async def check_untagged(tx: Transaction, manifest_id: int, digest: Digest) -> None:
    """In Container Registry's words, which its clients look for. Raises ManifestTagged."""
    tag = await tx.one(queries.A_TAG_OF, {"manifest_id": manifest_id})
    if tag is not None:
        raise ManifestTagged(f"Manifest is still referenced by tag: {tag[0]}", {"digest": digest, "tag": tag[0]})


async def check_in_no_index(tx: Transaction, repository_id: int, digest: Digest) -> None:
    """Likewise. Raises ManifestInIndex."""
    parent = await tx.one(queries.A_PARENT_OF, {"repository_id": repository_id, "digest": digest})
    if parent is not None:
        raise ManifestInIndex(f"Manifest {digest} is referenced by image {parent[0]}", {"digest": digest, "parent": parent[0]})


async def _check(tx: Transaction, repository_id: int, reference: Reference, condition: Condition) -> None:
    if not condition.if_match and not condition.if_absent:
        return
    if isinstance(reference, Tag):
        row = await tx.one(queries.TAGGED_DIGEST, {"repository_id": repository_id, "tag": reference})
        current = row[0] if row else None
    else:
        row = await tx.one(queries.MANIFEST_ID, {"repository_id": repository_id, "digest": reference})
        current = reference if row else None
    if condition.if_absent and current is not None:
        raise PreconditionFailed(f"{reference} is already there and If-None-Match: * forbids to replace it", {"digest": current})
    if condition.if_match and (current is None or (current not in condition.if_match and "*" not in condition.if_match)):
        raise PreconditionFailed(f"{reference} is not what If-Match expects: read it again and decide anew", {"digest": current})


async def _check_new(tx: Transaction, repository_id: int, names: Sequence[Tag], digest: Digest) -> None:
    """
    In the transaction that writes the tags, so that of many who come at once one is the first (CVE-2026-31801).

    Raises PermissionDenied.
    """
    for tag in names:
        row = await tx.one(queries.TAGGED_DIGEST, {"repository_id": repository_id, "tag": tag})
        if row is not None and row[0] != digest:
            raise PermissionDenied(f"the tag {tag} is there already, and you may not move it: push another tag", {"tag": tag})


@dataclass(frozen=True, slots=True)
class _New:
    """A manifest that is not stored yet. created_at_ms: None where the config is still to be read."""

    digest: Digest
    parsed: oci.Manifest
    payload: bytes
    created_at_ms: int | None


async def _add(tx: Transaction, repository: Repository, repository_id: int, new: _New, now_us: int) -> int:
    parsed = new.parsed
    blob_ids, config = await _present(tx, repository, repository_id, parsed)
    created_at_ms = created_ms(config) if config is not None else new.created_at_ms
    if created_at_ms is None:
        await queue.enqueue(tx, DESCRIBE, b"", now_us)
    added = await tx.one(
        queries.ADD_MANIFEST,
        {
            "repository_id": repository_id,
            "digest": new.digest,
            "media_type": parsed.media_type,
            "artifact_type": parsed.artifact_type,
            "subject": parsed.subject,
            "annotations": json.dumps(parsed.annotations),
            "size_bytes": len(new.payload),
            "payload": new.payload,
            "now_us": now_us,
            "image_size_bytes": parsed.image_size_bytes,
            "created_at_ms": created_at_ms,
        },
    )
    assert added is not None
    manifest_id = int(added[0])
    for blob_id, blob in blob_ids:
        this = {"repository_id": repository_id, "blob_id": blob_id}
        await tx.run(queries.ADD_MANIFEST_BLOB, {"manifest_id": manifest_id, **this})
        if not await tx.run(queries.REFERENCE_LINK, this):
            raise missing([blob])
    for child in parsed.children:
        await tx.run(queries.ADD_MANIFEST_CHILD, {"manifest_id": manifest_id, "child": child.digest, "repository_id": repository_id})
    return manifest_id


def missing(digests: Sequence[Digest]) -> ManifestBlobUnknown:
    return ManifestBlobUnknown(
        "the manifest names content that this repository does not have: push it first", [{"digest": digest} for digest in digests]
    )


async def _present(
    tx: Transaction, repository: Repository, repository_id: int, parsed: oci.Manifest
) -> tuple[list[tuple[int, Digest]], bytes | None]:
    """The ids and digests of the blobs that a manifest names, and a small config's content; all that miss are told at once."""
    found, absent, content = [], [], None
    for descriptor in parsed.blobs:
        statement = queries.LINKED_CONFIG if descriptor is parsed.config else queries.LINKED
        row = await tx.one(statement, {"repository_id": repository_id, "location": repository.location, "digest": descriptor.digest})
        if row is None:
            if not descriptor.foreign:
                absent.append(descriptor.digest)
            continue
        _check_size(descriptor, row[1])
        found.append((int(row[0]), descriptor.digest))
        if descriptor is parsed.config:
            content = row[2]
    for descriptor in parsed.children:
        row = await tx.one(queries.MANIFEST_SIZE, {"repository_id": repository_id, "digest": descriptor.digest})
        if row is None:
            absent.append(descriptor.digest)
        else:
            _check_size(descriptor, row[0])
    if absent:
        raise missing(absent)
    # In one order everywhere, so that two pushes never wait for each other.
    return sorted(found), content


def _check_size(descriptor: oci.Descriptor, size_bytes: int) -> None:
    if descriptor.size_bytes != size_bytes:
        raise SizeInvalid(
            f"the manifest says that {descriptor.digest} has {descriptor.size_bytes} bytes; it has {size_bytes}",
            {"digest": descriptor.digest, "size": size_bytes},
        )
