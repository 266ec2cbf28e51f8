"""
Images from one registry or repository to another: manifests after all that they name, tags last, so that nobody ever sees half of one.

Within one server blobs are mounted, which moves no bytes; what the target has already is not sent again, so that a copy that was
interrupted goes on where it was when it is run once more.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import msgspec

from roadstead.cli.copying_blobs import Download, Upload, has, mount
from roadstead.cli.image_names import Name
from roadstead.cli.output import Failed
from roadstead.cli.registry_answers import Document, Listing, Refusal
from roadstead.cli.registry_client import Registry, push
from roadstead.errors import RoadsteadError
from roadstead.oci.digest import Digest
from roadstead.oci.manifest import Descriptor, Manifest
from roadstead.oci.mediatype import OCI_INDEX
from roadstead.oci.reference import Repository, parse_reference

T = TypeVar("T")

MOST_DEPTH = 8
"""Of indexes in indexes, and of referrers of referrers."""

EMPTY_INDEX = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}'

_COSIGN = ("sig", "att", "sbom")
"""Tags by which cosign finds what is about an image, where it does not use the subject."""


@dataclass(slots=True)
class Moved:
    """
    Blobs, by how they came to be at the target, and the bytes that were sent for it.

    all_blobs: with those that are still to come. all_bytes: of those that were or are being sent.
    """

    mounted: int = 0
    there: int = 0
    sent: int = 0
    bytes_sent: int = 0
    all_bytes: int = 0
    all_blobs: int = 0


@dataclass(frozen=True, slots=True)
class Copied:
    """is_new: the target's name stood for something else before, or for nothing. moved: for this image alone."""

    source: Name
    target: Name
    digest: str
    is_new: bool
    moved: Moved


@dataclass(slots=True)
class _Image:
    """What one image's copy needs on its way."""

    source: str
    target: str
    moved: Moved = field(default_factory=Moved)
    done: set[str] = field(default_factory=set)


class Copier:
    """
    Between two registries, jobs blobs at once. watch is told whenever something has moved; total is all of it.

    Every method raises Failed.
    """

    def __init__(self, source: Registry, target: Registry, jobs: int, watch: Callable[[Moved], None], *, with_referrers: bool) -> None:
        self.total = Moved()
        self._source, self._target, self._jobs, self._watch, self._with_referrers = source, target, jobs, watch, with_referrers
        self._is_one_server = source.address == target.address
        self._slots = asyncio.Semaphore(jobs)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._places: dict[str, str] = {}
        """A repository of the target that has the blob."""
        self._present: set[tuple[str, str]] = set()

    async def copy(self, source: Name, target: Name) -> Copied:
        """source and target name one manifest each. A target without tag gets the manifest by its digest only."""
        document = await self._source.manifest(source.repository, source.reference)
        target = target if target.tag else target.at(document.digest)
        if target.digest not in ("", document.digest):
            raise Failed(f"{source} is {document.digest}: it cannot be {target}")
        image = _Image(source.repository, target.repository)
        before = await self._target.resolve(target.repository, target.reference)
        if before != document.digest:
            await self._manifest(image, document, target.reference)
        if self._with_referrers:
            await self._referrers(image, document.digest, 0)
        return Copied(source, target, document.digest, before != document.digest, image.moved)

    async def _manifest(self, image: _Image, document: Document, reference: str, depth: int = 0) -> None:
        """With all that it names, unless the target has it already under its digest."""
        if depth > MOST_DEPTH:
            raise Failed(f"{document.digest} is an index of indexes, more than {MOST_DEPTH} deep")
        named = document.read()
        document = replace(document, media_type=named.media_type)
        if not await self._target.resolve(image.target, document.digest):
            await each(named.children, lambda child: self._child(image, child, depth + 1), self._jobs)
            blobs = {blob.digest: blob for blob in named.blobs if not blob.foreign}
            self._count(image, all_blobs=len(blobs))
            await each(blobs.values(), lambda blob: self._blob(image, blob), self._jobs)
        is_listed = await self._target.put(image.target, reference, document)
        if named.subject and not is_listed:
            await self._list(image.target, named.subject, document, named)
        image.done.add(document.digest)

    async def _child(self, image: _Image, child: Descriptor, depth: int) -> None:
        if child.digest in image.done or await self._target.resolve(image.target, child.digest):
            return
        await self._manifest(image, await self._source.manifest(image.source, child.digest), child.digest, depth)

    async def _referrers(self, image: _Image, digest: str, depth: int) -> None:
        """Signatures, attestations, lists of packages: whatever says that it is about this manifest, and what is about that."""
        if depth > MOST_DEPTH:
            return
        for tag in (f"{digest.replace(':', '-')}.{kind}" for kind in _COSIGN):
            if depth == 0 and await self._source.resolve(image.source, tag):
                await self._manifest(image, await self._source.manifest(image.source, tag), tag)
        for referrer in await self._source.referrers(image.source, digest):
            if referrer not in image.done:
                image.done.add(referrer)
                if not await self._target.resolve(image.target, referrer):
                    await self._manifest(image, await self._source.manifest(image.source, referrer), referrer)
                await self._referrers(image, referrer, depth + 1)

    async def _list(self, repository: str, subject: Digest, document: Document, named: Manifest) -> None:
        """
        As a referrer, where the registry does not do so by itself.

        Spec: distribution-spec, Referrers Tag Schema.
        """
        tag = subject.replace(":", "-")
        async with self._locks[tag]:
            before = await self._target.resolve(repository, tag)
            payload = (await self._target.manifest(repository, tag)).payload if before else EMPTY_INDEX
            try:
                index = msgspec.json.decode(payload, type=dict[str, Any])
                listed: list[Any] = index["manifests"]
                if any(each["digest"] == document.digest for each in listed):
                    return
            except (msgspec.DecodeError, KeyError, TypeError) as error:
                raise Failed(f"the tag {tag} of {repository} is no list of referrers") from error
            about = {"mediaType": document.media_type, "digest": str(document.digest), "size": len(document.payload)}
            listed.append({**about, "artifactType": named.artifact_type, "annotations": named.annotations})
            payload = msgspec.json.encode(index)
            await self._target.put(repository, tag, Document(payload, OCI_INDEX, Digest.of(payload)))

    async def _blob(self, image: _Image, blob: Descriptor) -> None:
        # The second image that has the blob waits, and then finds or mounts it.
        async with self._locks[blob.digest], self._slots:
            if (image.target, blob.digest) in self._present:
                self._count(image, there=1)
                return
            await self._bring(image, blob)
            self._present.add((image.target, blob.digest))
            self._places[blob.digest] = image.target

    async def _bring(self, image: _Image, blob: Descriptor) -> None:
        scopes = push(image.target)
        place, origin = (image.source, self._source.host) if self._is_one_server else ("", "")
        if blob.digest in self._places and self._source.host != self._target.host:
            # It was brought for another image already.
            place, origin = self._places[blob.digest], self._target.host
        may_mount = place and place != image.target
        if not (may_mount and origin == self._target.host) and await has(self._target, image.target, blob.digest, scopes):
            self._count(image, there=1)
            return
        location: str | None = ""
        if may_mount:
            location = await mount(self._target, image.target, blob.digest, place, origin, scopes)
            if location is None:
                self._count(image, mounted=1)
                return
        self._count(image, all_bytes=blob.size_bytes)
        download = Download(self._source, image.source, blob, lambda moved: self._count(image, bytes_sent=moved))
        await Upload(self._target, image.target, scopes, location or "").send(blob, download)
        self._count(image, sent=1)

    def _count(self, image: _Image, **more: int) -> None:
        """more: by Moved's fields."""
        for counted in (image.moved, self.total):
            for name, number in more.items():
                setattr(counted, name, getattr(counted, name) + number)
        self._watch(self.total)


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]], at_once: int) -> None:
    """work(item) for all of them, not more than so many at a time. The first failure ends the others, and is raised alone."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(worker())
    except BaseExceptionGroup as failures:
        raise _first(failures.exceptions) from failures


def _first(errors: Sequence[BaseException]) -> BaseException:
    found = errors[0]
    return _first(found.exceptions) if isinstance(found, BaseExceptionGroup) else found


async def below(registry: Registry, folder: Name) -> list[str]:
    """Names of the repositories in a folder, itself among them. Raises Failed."""
    found: list[str] = []
    waiting = [folder.repository]
    while waiting:
        name = waiting.pop()
        try:
            listing = await registry.listing(name)
        except Refusal as error:
            # Only Google's way of listing knows folders.
            if found or error.status not in (400, 404):
                raise
            listing = Listing()
        if listing.child is None:
            return [_checked(each) for each in await registry.catalog() if each == name or each.startswith(f"{name}/")]
        if listing.tags or listing.manifest:
            found.append(name)
        waiting += [_checked(f"{name}/{child}") for child in sorted(listing.child, reverse=True)]
    return found


async def references(registry: Registry, repository: str, *, untagged: bool) -> list[str]:
    """Its tags, and where the registry tells of them the digests of manifests without one. Raises Failed."""
    listing = await registry.listing(repository)
    found = [*(listing.tags or ()), *(digest for digest, about in (listing.manifest or {}).items() if untagged and not about.tag)]
    return [checked_reference(each) for each in found]


def checked_reference(text: str) -> str:
    """What a stranger's registry lists becomes part of requests, also to others. Raises Failed."""
    try:
        return parse_reference(text)
    except RoadsteadError as error:
        raise Failed(f"a registry lists something that is no tag: {error.message}") from error


def _checked(name: str) -> str:
    try:
        return Repository.parse("", name).name
    except RoadsteadError as error:
        raise Failed(f"a registry lists something that is no repository: {error.message}") from error
