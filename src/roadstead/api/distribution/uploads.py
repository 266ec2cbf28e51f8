"""Uploads (distribution-spec, Pushing Blobs and Mounting)."""

from __future__ import annotations

import re

from roadstead.api.distribution.services import Context
from roadstead.api.hosts import location_of
from roadstead.api.messages import Headers, Request, Response
from roadstead.errors import NameInvalid, UploadInvalid
from roadstead.oci.digest import ALGORITHMS, Digest
from roadstead.oci.reference import Repository
from roadstead.registry.uploads import Chunk

_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?(\d{1,19})-(\d{1,19})(?:/(?:\d{1,19}|\*))?", re.ASCII)


async def begin(context: Context) -> Response:
    """A mount, a whole blob, or the beginning of an upload; a mount that is not possible becomes the latter."""
    request, repository = context.request, context.repository
    mount, digest = request.parameter("mount"), request.parameter("digest")
    if mount is not None:
        wanted = Digest.parse(mount)
        source = _source(context, request.parameter("from"), request.parameter("origin"))
        if source != _NOWHERE and await _may_mount(context, source) and await context.registry.blobs.mount(repository, wanted, source):
            return _created(repository, wanted)
    elif digest is not None:
        wanted = Digest.parse(digest)
        await context.registry.uploads.whole(repository, request.owner, wanted, _chunk(request))
        return _created(repository, wanted)
    algorithm = request.parameter("digest-algorithm")
    if algorithm is not None and algorithm not in ALGORITHMS:
        raise UploadInvalid(f"digest-algorithm must be one of {', '.join(ALGORITHMS)}")
    upload = await context.registry.uploads.begin(repository, request.owner)
    return Response(202, _state(repository, upload, 0))


async def state(context: Context) -> Response:
    repository, upload = context.repository, context.last
    offset_bytes = await context.registry.uploads.offset(repository, context.request.owner, upload)
    return Response(204, _state(repository, upload, offset_bytes))


async def append(context: Context) -> Response:
    repository, upload = context.repository, context.last
    chunk = _chunk(context.request)
    offset_bytes = await context.registry.uploads.append(repository, context.request.owner, upload, chunk)
    return Response(202, _state(repository, upload, offset_bytes))


async def finish(context: Context) -> Response:
    """docker ends with an empty PUT, containerd sends the whole blob in it: both must finish."""
    request, repository, upload = context.request, context.repository, context.last
    digest = request.parameter("digest")
    if digest is None:
        raise UploadInvalid("the last request of an upload must give the digest: PUT …?digest=sha256:…")
    wanted = Digest.parse(digest)
    await context.registry.uploads.finish(repository, request.owner, upload, wanted, _chunk(request))
    return _created(repository, wanted)


async def cancel(context: Context) -> Response:
    await context.registry.uploads.cancel(context.repository, context.request.owner, context.last)
    return Response(204)


_NOWHERE = Repository("", "")


def _source(context: Context, name: str | None, origin: str | None) -> Repository | None:
    """
    The repository to mount from: None for "whichever has it", _NOWHERE when a mount is not possible.

    gcrane sends origin=HOST when it copies between hosts; bytes of another location cannot be linked.
    """
    location = context.request.location
    if origin is not None and (location_of(context.registry.hosts, origin.split(":")[0]) or location) != location:
        return _NOWHERE
    if not name:
        return None
    try:
        return Repository.parse(location, name)
    except NameInvalid:
        return _NOWHERE


async def _may_mount(context: Context, source: Repository | None) -> bool:
    """Where there are accounts, whoever has it is nobody in particular, so nothing is mounted from there (CVE-2024-39897)."""
    gate = context.registry.gate
    return gate is None or (source is not None and await gate.may_mount_from(context.request, source))


def _chunk(request: Request) -> Chunk:
    """Raises UploadInvalid for a Content-Range that is none or does not fit the Content-Length."""
    header = request.header(b"content-range").strip()
    if not header:
        return Chunk(request.body.batches(), length_bytes=request.length_bytes)
    match = _CONTENT_RANGE.fullmatch(header)
    if match is None:
        raise UploadInvalid("Content-Range must be FIRST-LAST, the numbers of the chunk's first and last byte")
    first, last = int(match.group(1)), int(match.group(2))
    length_bytes = last - first + 1
    if length_bytes <= 0 or request.length_bytes not in (None, length_bytes):
        raise UploadInvalid(f"Content-Range {first}-{last} does not fit the {request.length_bytes} bytes of the request")
    return Chunk(request.body.batches(), first, length_bytes)


def _state(repository: Repository, upload: str, offset_bytes: int) -> Headers:
    """Range's end is inclusive, so 0-0 stands for nothing and for one byte (distribution-spec, Pushing a blob in chunks)."""
    return [
        ("location", f"/v2/{repository.name}/blobs/uploads/{upload}"),
        ("range", f"0-{max(0, offset_bytes - 1)}"),
        ("docker-upload-uuid", upload),
    ]


def _created(repository: Repository, digest: Digest) -> Response:
    return Response(
        201,
        [("location", f"/v2/{repository.name}/blobs/{digest}"), ("docker-content-digest", digest)],
    )
