"""What every handler of the distribution edge is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roadstead.api.forwarded import Network, believe, origin
from roadstead.api.messages import Request, Response
from roadstead.errors import PaginationInvalid
from roadstead.oci.reference import Repository
from roadstead.registry.blobs import Blobs
from roadstead.registry.listing import Listing
from roadstead.registry.manifests import Manifests
from roadstead.registry.referrers import Referrers
from roadstead.registry.repositories import Catalog
from roadstead.registry.tags import Tags
from roadstead.registry.uploads import Uploads

if TYPE_CHECKING:
    # A server without accounts does not load them.
    from roadstead.api.distribution.gate import Gate
    from roadstead.api.distribution.token_service import TokenService

MAX_PAGE = 100_000


@dataclass(frozen=True, slots=True)
class Registry:
    """
    The domain's services. hosts maps the names that clients give as a mount's origin to locations. gate: None where there are no accounts.
    token_service: what /v2/token answers with. oci_hosts: names of the server under which a manifest is deleted with its tags (config.py).
    """

    blobs: Blobs
    catalog: Catalog
    listing: Listing
    manifests: Manifests
    referrers: Referrers
    tags: Tags
    uploads: Uploads
    hosts: dict[str, str]
    gate: Gate | None = None
    token_service: TokenService | None = None
    oci_hosts: frozenset[str] = frozenset()
    public_url: str = ""
    proxies: Sequence[Network] = ()

    def origin(self, request: Request) -> str:
        """The server's base address, as the client wrote it."""
        believe(request, self.proxies)
        return origin(request, self.public_url)


@dataclass(slots=True)
class Context:
    """last is the path's last part: a reference, digest or upload."""

    registry: Registry
    request: Request
    _repository: Repository | None
    last: str

    @property
    def repository(self) -> Repository:
        assert self._repository is not None
        return self._repository


Handler = Callable[[Context], Awaitable[Response]]


def page_size(request: Request, default: int) -> int:
    """
    `n` of a listing, at most MAX_PAGE: a larger page is answered with a smaller one and a Link.

    Raises PaginationInvalid.
    """
    text = request.parameter("n")
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise PaginationInvalid("n must be a number of entries, 0 or more", {"n": text[:100]})
    return min(int(text), MAX_PAGE) if len(text) < 10 else MAX_PAGE
