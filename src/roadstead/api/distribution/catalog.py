"""GET /v2/ and the catalog (distribution-spec, Determining Support; Docker Registry HTTP API V2, Catalog)."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from roadstead.api.distribution.services import Context, page_size
from roadstead.api.messages import Headers, Response

DEFAULT_PAGE = 1000

_JSON = ("content-type", "application/json")


async def version(context: Context) -> Response:
    return Response(200, [_JSON], b"{}")


async def repositories(context: Context) -> Response:
    request = context.request
    most = page_size(request, DEFAULT_PAGE)
    last = request.parameter("last") or ""
    names = await context.registry.catalog.names(request.location, last, most + 1) if most else []
    headers: Headers = [_JSON]
    if len(names) > most:
        names = names[:most]
        headers.append(("link", f'</v2/_catalog?n={most}&last={quote(names[-1])}>; rel="next"'))
    return Response(200, headers, msgspec.json.encode({"repositories": names}))
