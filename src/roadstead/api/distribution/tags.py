"""Tag lists (distribution-spec, Listing Tags), with what Container Registry told beside (listing.py)."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from roadstead.api.distribution import listing
from roadstead.api.distribution.services import MAX_PAGE, Context, page_size
from roadstead.api.messages import Headers, Response

WHOLE_AT = 1000
"""Who asks for pages of so many, from the first, is told everything at once: gcrane asks for 1,000 or 10,000, and reads no second page."""


async def names(context: Context) -> Response:
    """
    Without n, and on a first page of at least WHOLE_AT, with all that Container Registry told, unless that is more than 100,000 manifests
    or tags. Other pages cost what they show.
    """
    request, repository = context.request, context.repository
    if request.query == "check_usage_only=true":
        return await _usage(context)
    most = page_size(request, MAX_PAGE)
    last = request.parameter("last")
    if last is None and most >= WHOLE_AT:
        found = await listing.whole(context)
        if found is not None:
            head, images = found
            tags = images.tags[:most]
            body = b'%b,"tags":%b}' % (head, msgspec.json.encode(tags))
            return Response(200, _headers(repository.name, most, tags if len(images.tags) > most else []), body)
    tags = await context.registry.tags.names(repository, last or "", most + 1 if most else 0)
    more = len(tags) > most
    tags = tags[:most]
    body = msgspec.json.encode({"name": repository.name, "tags": tags})
    return Response(200, _headers(repository.name, most, tags if more else []), body)


async def _usage(context: Context) -> Response:
    """`gcloud container images list-gcr-usage`: ACTIVE where there are images, here or below, else INACTIVE."""
    used = await context.registry.listing.is_used(context.repository)
    return Response(200, _headers(context.repository.name, 0, []), msgspec.json.encode({"usage": "ACTIVE" if used else "INACTIVE"}))


def _headers(name: str, most: int, page: list[str]) -> Headers:
    """page: the tags after which there are more, if there are."""
    headers: Headers = [("content-type", "application/json")]
    if page:
        headers.append(("link", f'</v2/{name}/tags/list?n={most}&last={quote(page[-1])}>; rel="next"'))
    return headers
