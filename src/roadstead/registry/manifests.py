"""Manifests: stored and served byte for byte, with what they name already present."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from roadstead.db.database import Database, Row, Transaction
from roadstead.errors import (
    DigestMismatch,
    ManifestBlobUnknown,
    ManifestTooLarge,
    ManifestUnknown,
    PermissionDenied,
    PreconditionFailed,
    SizeInvalid,
)
from roadstead.oci import manifest as oci
from roadstead.oci.digest import Digest
from roadstead.oci.reference import Reference, Repository, Tag
from roadstead.registry import queries
from roadstead.registry.blobs import Clock
from roadstead.registry.repositories import lock, lock_or_make


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
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
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

        async with self._database.transaction() as tx:
            now_us = self._clock()
            repository_id = await lock_or_make(tx, repository, now_us)
            await _check(tx, repository_id, reference, condition)
            if not condition.may_move:
                await _check_new(tx, repository_id, names, digest)
            known = await tx.one(queries.PUSHED_BEFORE, {"repository_id": repository_id, "digest": digest, "payload": payload})
            manifest_id = known[0] if known else await _add(tx, repository, repository_id, digest, parsed, payload, now_us)
            if known and not known[1]:
                await tx.run(queries.HEAL_MANIFEST, {"manifest_id": manifest_id, "payload": payload})
            for tag in names:
                await tx.run(queries.PUT_TAG, {"repository_id": repository_id, "tag": tag, "manifest_id": manifest_id, "now_us": now_us})
        return Pushed(digest, parsed.subject)

    async def delete(self, repository: Repository, digest: Digest) -> None:
        """
        Delete a manifest and the tags that point at it; its blobs wait for collection.

        Raises NameUnknown, ManifestUnknown.
        """
        async with self._database.transaction() as tx:
            repository_id = await lock(tx, repository)
            known = await tx.one(queries.MANIFEST_ID, {"repository_id": repository_id, "digest": digest})
            if known is None:
                raise unknown(repository, digest)
            this = {"manifest_id": known[0]}
            blobs = await tx.all(queries.BLOBS_OF, this)
            for statement in (queries.DELETE_TAGS_OF, queries.DELETE_BLOBS_OF, queries.DELETE_CHILDREN_OF, queries.DELETE_MANIFEST):
                await tx.run(statement, this)
            for (blob_id,) in blobs:
                await tx.run(queries.RELEASE_LINK, {"repository_id": repository_id, "blob_id": blob_id, "now_us": self._clock()})


def unknown(repository: Repository, reference: Reference) -> ManifestUnknown:
    kind = "tag" if isinstance(reference, Tag) else "digest"
    return ManifestUnknown(f"{repository.name} has no manifest with this {kind}", {kind: reference})


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


async def _add(
    tx: Transaction, repository: Repository, repository_id: int, digest: Digest, parsed: oci.Manifest, payload: bytes, now_us: int
) -> int:
    blob_ids = await _present(tx, repository, repository_id, parsed)
    added = await tx.one(
        queries.ADD_MANIFEST,
        {
            "repository_id": repository_id,
            "digest": digest,
            "media_type": parsed.media_type,
            "artifact_type": parsed.artifact_type,
            "subject": parsed.subject,
            "annotations": json.dumps(parsed.annotations),
            "size_bytes": len(payload),
            "payload": payload,
            "now_us": now_us,
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


async def _present(tx: Transaction, repository: Repository, repository_id: int, parsed: oci.Manifest) -> list[tuple[int, Digest]]:
    """The ids and digests of the blobs that a manifest names; all that miss are told at once."""
    found, absent = [], []
    for descriptor in parsed.blobs:
        row = await tx.one(queries.LINKED, {"repository_id": repository_id, "location": repository.location, "digest": descriptor.digest})
        if row is None:
            if not descriptor.foreign:
                absent.append(descriptor.digest)
            continue
        _check_size(descriptor, row[1])
        found.append((int(row[0]), descriptor.digest))
    for descriptor in parsed.children:
        row = await tx.one(queries.MANIFEST_SIZE, {"repository_id": repository_id, "digest": descriptor.digest})
        if row is None:
            absent.append(descriptor.digest)
        else:
            _check_size(descriptor, row[0])
    if absent:
        raise missing(absent)
    # In one order everywhere, so that two pushes never wait for each other.
    return sorted(found)


def _check_size(descriptor: oci.Descriptor, size_bytes: int) -> None:
    if descriptor.size_bytes != size_bytes:
        raise SizeInvalid(
            f"the manifest says that {descriptor.digest} has {descriptor.size_bytes} bytes; it has {size_bytes}",
            {"digest": descriptor.digest, "size": size_bytes},
        )
