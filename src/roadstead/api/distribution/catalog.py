"""GET /v2/ and the catalog (distribution-spec, Determining Support; Docker Registry HTTP API V2, Catalog)."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from roadstead.api.distribution.gate import past_project
from roadstead.api.distribution.services import Context, page_size
from roadstead.api.messages import Headers, Response
from roadstead.oci.reference import Repository

DEFAULT_PAGE = 1000
STEP = 1000
MOST_STEPS = 10_000

_JSON = ("content-type", "application/json")


async def version(context: Context) -> Response:
    return Response(200, [_JSON], b"{}")


async def repositories(context: Context) -> Response:
    request = context.request
    most = page_size(request, DEFAULT_PAGE)
    last = request.parameter("last") or ""
    names = await _names(context, last, most + 1) if most else []
    headers: Headers = [_JSON]
    if len(names) > most:
        names = names[:most]
        headers.append(("link", f'</v2/_catalog?n={most}&last={quote(names[-1])}>; rel="next"'))
    return Response(200, headers, msgspec.json.encode({"repositories": names}))


async def _names(context: Context, last: str, most: int) -> list[str]:
    """After last, those that the caller may read. A project of which it may read nothing costs one step, however many images it has."""
    request, gate = context.request, context.registry.gate
    catalog = context.registry.catalog
    if gate is None:
        return await catalog.names(request.location, last, most)
    found: list[str] = []
    for _ in range(MOST_STEPS):
        batch = await catalog.names(request.location, last, min(most, STEP))
        for name in batch:
            repository = Repository(request.location, name)
            last = name
            if await gate.may_read(request, repository):
                found.append(name)
                if len(found) == most:
                    return found
            elif await gate.reads_nothing_of_project(request, repository):
                last = past_project(name)
                break
        else:
            if len(batch) < min(most, STEP):
                return found
    return found
