"""Tag lists (distribution-spec, Listing Tags)."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from roadstead.api.distribution.services import MAX_PAGE, Context, page_size
from roadstead.api.messages import Headers, Response


async def names(context: Context) -> Response:
    request, repository = context.request, context.repository
    most = page_size(request, MAX_PAGE)
    last = request.parameter("last") or ""
    found = await context.registry.tags.names(repository, last, most + 1 if most else 0)
    headers: Headers = [("content-type", "application/json")]
    if len(found) > most:
        found = found[:most]
        headers.append(("link", f'</v2/{repository.name}/tags/list?n={most}&last={quote(found[-1])}>; rel="next"'))
    return Response(200, headers, msgspec.json.encode({"name": repository.name, "tags": found}))
