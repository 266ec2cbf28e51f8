"""GET /v2/ and the catalog (distribution-spec, Determining Support; Docker Registry HTTP API V2, Catalog)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Set
from urllib.parse import quote

import msgspec

from roadstead.api.distribution.services import Context, page_size
from roadstead.api.messages import Headers, Response
from roadstead.iam import resources
from roadstead.oci.reference import Repository

DEFAULT_PAGE = 1000
STEP = 1000
LEAST_STEP = 100
MOST_IN_VAIN = 5000
"""Names looked at in one request that its caller may not read; what is beyond them is on the next page."""
VAIN_STEP = 50
"""What a step counts as that finds nothing to look at."""

_JSON = ("content-type", "application/json")


async def version(context: Context) -> Response:
    return Response(200, [_JSON], b"{}")


async def repositories(context: Context) -> Response:
    request = context.request
    most = page_size(request, DEFAULT_PAGE)
    last = request.parameter("last") or ""
    names, beyond = await _names(context, last, most) if most else ([], "")
    headers: Headers = [_JSON]
    if beyond:
        # Container Registry's own client resolves no relative address.
        headers.append(("link", f'<{context.registry.origin(request)}/v2/_catalog?n={most}&last={quote(beyond)}>; rel="next"'))
    return Response(200, headers, msgspec.json.encode({"repositories": names}))


async def _names(context: Context, last: str, most: int) -> tuple[list[str], str]:
    """
    After last, those that the caller may read; and where the next page begins, "" if there is none.

    What no policy can give to it is jumped over, however much there is.
    """
    request, gate, catalog = context.request, context.registry.gate, context.registry.catalog
    found: list[str] = []
    if gate is None:
        found = await catalog.names(request.location, last, most + 1)
        return found[:most], found[most - 1] if len(found) > most else ""
    places = await gate.readable_places(request)
    everywhere = resources.ORGANIZATION in places
    starts = [] if everywhere else _starts(places, request.location)
    if not everywhere and not starts:
        return [], ""
    step, in_vain = max(LEAST_STEP, min(most + 1, STEP)), 0
    while in_vain < MOST_IN_VAIN:
        batch = await catalog.names(request.location, last, step)
        before = len(found)
        for name in batch:
            if name <= last:
                continue
            if not everywhere and places.isdisjoint(resources.chain(resources.of_name(request.location, name))):
                following = bisect_right(starts, name)
                if following == len(starts):
                    return found, ""
                last = starts[following]
            elif not await gate.may_read(request, Repository(request.location, name)):
                last = name
                in_vain += 1
            elif len(found) == most:
                return found, found[-1]
            else:
                last = name
                found.append(name)
        if len(batch) < step:
            return found, ""
        in_vain += VAIN_STEP if len(found) == before else 0
    return found, last


def _starts(places: Set[str], location: str) -> list[str]:
    """Where in the order of names the repositories of each place begin: right before the first."""
    starts = set()
    for place in places:
        head, _, path = place.partition("/repositories/")
        project, _, where = head.removeprefix("projects/").partition("/locations/")
        if where not in ("", location):
            continue
        name = f"{resources.name_prefix(project)}/{path}"
        # Itself is one of them; nothing in a name is behind \x7f.
        starts.add(f"{name[:-1]}{chr(ord(name[-1]) - 1)}\x7f" if path else name)
    return sorted(starts)
