"""
What Container Registry answered beside the tags of a repository, a folder or a project; gcloud and gcrane read it (contract.md, 1.3).

Sizes and times are texts: gcrane decodes no numbers there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from roadstead.api.distribution.services import Context
from roadstead.errors import NameUnknown
from roadstead.iam import resources
from roadstead.oci.reference import Repository
from roadstead.registry.listing import Images, Manifest, Sees

PIECE = 1000


async def whole(context: Context) -> tuple[bytes, Images] | None:
    """
    All that stands before `"tags"` in the answer, and what was found. None where there is too much of it.

    A project that is empty has an empty list. Raises NameUnknown.
    """
    repository, listing = context.repository, context.registry.listing
    missing: NameUnknown | None = None
    try:
        images = await listing.images(repository)
    except NameUnknown as error:
        images, missing = Images(), error
    if images is None:
        return None
    children = await listing.children(repository, await _sees(context))
    if missing is not None and not children and not _is_project(repository):
        raise missing
    manifests = [await _piece(images, start) for start in range(0, len(images.manifests), PIECE)]
    head = b'{"child":%b,"manifest":{%b},"name":%b' % (
        msgspec.json.encode(children),
        b",".join(manifests),
        msgspec.json.encode(repository.name),
    )
    return head, images


async def _sees(context: Context) -> Sees | None:
    gate, request = context.registry.gate, context.request
    if gate is None or await gate.sees_all_below(context.repository):
        return None

    async def sees(repository: Repository) -> bool:
        return await gate.sees(request, repository)

    return sees


def _is_project(repository: Repository) -> bool:
    project, path = resources.split_name(repository.name)
    return not path and not project.endswith(":")


async def _piece(images: Images, start: int) -> bytes:
    if start:
        await asyncio.sleep(0)
    return _members(images.manifests[start : start + PIECE], images.tags_of).encode()


def _members(rows: Sequence[Manifest], tags_of: dict[int, list[str]]) -> str:
    """Of a JSON object. Digests and tags have nothing in them that JSON would write differently; a media type may."""
    types = {media_type: msgspec.json.encode(media_type).decode() for media_type in {row[2] for row in rows}}
    between = '","'
    found = []
    for number, digest, media_type, size_bytes, created_at_ms, pushed_at_us in rows:
        tags = f'"{between.join(tags_of[number])}"' if number in tags_of else ""
        found.append(
            f'"{digest}":{{"imageSizeBytes":"{size_bytes}","layerId":"","mediaType":{types[media_type]},"tag":[{tags}],'
            f'"timeCreatedMs":"{created_at_ms}","timeUploadedMs":"{pushed_at_us // 1000}"}}'
        )
    return ",".join(found)
