"""Referrers (distribution-spec, Listing Referrers): an index made on the fly."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from roadstead.api.distribution.services import Context
from roadstead.api.messages import Headers, Response
from roadstead.oci import mediatype
from roadstead.oci.digest import Digest
from roadstead.registry.referrers import Referrer

PAGE = 500


async def of(context: Context) -> Response:
    request, repository = context.request, context.repository
    subject = Digest.parse(context.last)
    artifact_type = request.parameter("artifactType") or ""
    last = request.parameter("last") or ""
    found = await context.registry.referrers.of(repository, subject, artifact_type, last, PAGE + 1)
    headers: Headers = [("content-type", mediatype.OCI_INDEX)]
    if artifact_type:
        headers.append(("oci-filters-applied", "artifactType"))
    if len(found) > PAGE:
        found = found[:PAGE]
        query = f"last={quote(found[-1].digest)}" + (f"&artifactType={quote(artifact_type, safe='')}" if artifact_type else "")
        headers.append(("link", f'</v2/{repository.name}/referrers/{subject}?{query}>; rel="next"'))
    index = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": [_descriptor(referrer) for referrer in found]}
    return Response(200, headers, msgspec.json.encode(index))


def _descriptor(referrer: Referrer) -> dict[str, object]:
    descriptor: dict[str, object] = {
        "mediaType": referrer.media_type,
        "digest": referrer.digest,
        "size": referrer.size_bytes,
    }
    if referrer.artifact_type:
        descriptor["artifactType"] = referrer.artifact_type
    if referrer.annotations:
        descriptor["annotations"] = referrer.annotations
    return descriptor
