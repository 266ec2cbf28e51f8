"""Manifests (distribution-spec, Pulling, Pushing and Deleting Manifests)."""

from __future__ import annotations

import re
from dataclasses import replace

from roadstead.api.distribution.services import Context
from roadstead.api.hosts import name_in
from roadstead.api.messages import Headers, Request, Response
from roadstead.errors import ManifestTooLarge, RequestInvalid
from roadstead.oci.digest import Digest
from roadstead.oci.manifest import MAX_BYTES
from roadstead.oci.reference import Tag, parse_reference
from roadstead.registry.manifests import Condition

MAX_TAGS = 100
_ENTITY_TAGS = re.compile(r'\s*(?:W/)?"([^"]*)"\s*(?:,|$)')


async def get(context: Context) -> Response:
    """
    The stored manifest whatever Accept says: clients check what they get, and some send no Accept at all.
    """
    manifest = await context.registry.manifests.get(context.repository, parse_reference(context.last))
    etag = f'"{manifest.digest}"'
    headers: Headers = [
        ("content-type", manifest.media_type),
        ("docker-content-digest", manifest.digest),
        ("etag", etag),
    ]
    if matches(context.request.header(b"if-none-match"), manifest.digest):
        return Response(304, headers, length_bytes=len(manifest.payload))
    return Response(200, headers, manifest.payload)


async def put(context: Context) -> Response:
    request, repository = context.request, context.repository
    reference = parse_reference(context.last)
    tags = [Tag.parse(value) for value in request.parameters().get("tag", [])]
    if len(tags) > MAX_TAGS:
        raise RequestInvalid(f"at most {MAX_TAGS} tags can be given with one manifest")
    condition = _condition(request)
    gate = context.registry.gate
    if gate is not None and not await gate.may_overwrite(request, repository):
        condition = replace(condition, may_move=False)
    payload = await request.content(MAX_BYTES, ManifestTooLarge("a manifest has at most 4 MiB"))
    pushed = await context.registry.manifests.put(repository, reference, tags, request.header(b"content-type"), payload, condition)
    headers: Headers = [
        ("location", f"/v2/{repository.name}/manifests/{pushed.digest}"),
        ("docker-content-digest", pushed.digest),
        ("etag", f'"{pushed.digest}"'),
    ]
    if pushed.subject is not None:
        headers.append(("oci-subject", pushed.subject))
    headers += [("oci-tag", tag) for tag in tags]
    return Response(201, headers)


async def delete(context: Context) -> Response:
    """
    A tag, and only the tag; or a manifest, which must have none and be in no index, unless the client came by a name in `oci_hosts`.
    """
    reference = parse_reference(context.last)
    if isinstance(reference, Digest):
        although_named = name_in(context.request.header(b"host")) in context.registry.oci_hosts
        await context.registry.manifests.delete(context.repository, reference, although_named)
    else:
        await context.registry.tags.delete(context.repository, reference)
    return Response(202)


def matches(header: str, digest: str) -> bool:
    """If-None-Match for a GET (RFC 9110, 13.1.2)."""
    if not header:
        return False
    return header.strip() == "*" or digest in _ENTITY_TAGS.findall(header)


def _condition(request: Request) -> Condition:
    """
    `If-Match: "DIGEST"` moves a tag only from there; `If-None-Match: *` writes it only once.

    Raises RequestInvalid.
    """
    if_match, if_none_match = request.header(b"if-match").strip(), request.header(b"if-none-match").strip()
    if if_none_match not in ("", "*"):
        raise RequestInvalid("If-None-Match on a PUT must be *")
    if not if_match:
        return Condition(if_absent=bool(if_none_match))
    expected = ("*",) if if_match == "*" else tuple(_ENTITY_TAGS.findall(if_match))
    if not expected:
        raise RequestInvalid('If-Match must be * or a list of quoted digests, as in "sha256:…"')
    return Condition(if_match=expected, if_absent=bool(if_none_match))
