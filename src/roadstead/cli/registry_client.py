"""
One registry, asked as every client asks it: by the distribution API and by GCR's longer answer of tags/list.

The host of image names and the address that is connected to are two things: a server behind registry.example.com is gcr.io to whoever
says so in the Host header. Requests that meet an overloaded or restarting server are sent again, after what Retry-After says.

Spec: distribution-spec 1.1; distribution, Token Authentication.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec

from roadstead.cli.output import Failed
from roadstead.cli.registry_answers import Answer, Catalog, Document, Entries, Listing, Refusal, Unreachable, address, pause, said, wait_of
from roadstead.errors import RoadsteadError
from roadstead.oci import manifest, mediatype
from roadstead.oci.digest import Digest

if TYPE_CHECKING:
    import httpx

    from roadstead.cli.registry_credentials import Credentials

T = TypeVar("T")

MANIFEST_TYPES = ", ".join(
    (mediatype.OCI_INDEX, mediatype.DOCKER_MANIFEST_LIST, mediatype.OCI_IMAGE, mediatype.DOCKER_MANIFEST, mediatype.OCI_ARTIFACT, "*/*")
)
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""A list of some 200,000 images."""
MAX_PAGES = 10_000
MAX_REDIRECTS = 8
WRITING = {"timeout": {"connect": 15.0, "read": 600.0, "write": 60.0, "pool": None}}
"""Seconds, for the answer to a request with a body."""

_VAGUE = ("application/json", "application/octet-stream", "text/plain")

_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_NEXT = re.compile(r'<([^>]+)>\s*;.*\brel="?next"?')
_NO_HEADERS: Mapping[str, str] = {}


class Registry:
    """
    host: what image names begin with. address: the server's, without a slash at its end. attempts: how often a request is sent at most.
    elsewhere: for where the registry redirects to, such as a bucket; it trusts whom this machine trusts.

    Every method raises Refusal, Unreachable, Failed.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        elsewhere: Callable[[], httpx.AsyncClient],
        host: str,
        address: str,
        credentials: Credentials,
        attempts: int,
    ) -> None:
        self.host, self.address, self.attempts = host, address, attempts
        self._http, self._elsewhere = http, elsewhere
        self._credentials = credentials

    async def listing(self, repository: str) -> Listing:
        """tags/list: as GCR answers where the registry does, else with all pages' tags."""
        found, following = await self._read(f"/v2/{repository}/tags/list", Listing, pull(repository))
        tags = list(found.tags or ())
        for _ in range(MAX_PAGES):
            if not following:
                return Listing(tags=tuple(tags), child=found.child, manifest=found.manifest)
            page, following = await self._read(following, Listing, pull(repository))
            tags += page.tags or ()
        raise Failed(f"{self.host}/{repository} has more pages of tags than can be read")

    async def catalog(self) -> list[str]:
        names: list[str] = []
        following = "/v2/_catalog?n=1000"
        for _ in range(MAX_PAGES):
            page, following = await self._read(following, Catalog, frozenset({"registry:catalog:*"}))
            names += page.repositories or ()
            if not following:
                return names
        raise Failed(f"{self.host} has more pages of repositories than can be read")

    async def manifest(self, repository: str, reference: str) -> Document:
        """Checked against the digest that was asked for, or that the registry says."""
        path = f"/v2/{repository}/manifests/{reference}"
        response = await self.request("GET", path, pull(repository), {"accept": MANIFEST_TYPES}, limit_bytes=manifest.MAX_BYTES)
        media_type = response.headers.get("content-type", "").split(";")[0].strip()
        named = reference if ":" in reference else response.headers.get("docker-content-digest", "")
        try:
            wanted = Digest.parse(named) if named else Digest.of(response.content)
        except RoadsteadError as error:
            raise Failed(f"{self.host} names a manifest of {repository} {named[:100]!r}, which is no digest") from error
        if wanted != Digest.of(response.content, wanted.algorithm):
            raise Failed(f"{self.host} serves other bytes for {repository} {reference} than {wanted} stands for")
        return Document(response.content, "" if media_type in _VAGUE else media_type, wanted)

    async def resolve(self, repository: str, reference: str) -> str:
        """The digest, "" where there is no such manifest."""
        try:
            response = await self.request("HEAD", f"/v2/{repository}/manifests/{reference}", pull(repository), {"accept": MANIFEST_TYPES})
            return response.headers.get("docker-content-digest", "") or (await self.manifest(repository, reference)).digest
        except Refusal as error:
            if error.status == 404:
                return ""
            raise

    async def put(self, repository: str, reference: str, document: Document) -> bool:
        """Whether the registry itself lists it as a referrer, if it has a subject (distribution-spec, Pushing Manifests with Subject)."""
        headers = {"content-type": document.media_type}
        path = f"/v2/{repository}/manifests/{reference}"
        answer = await self.request("PUT", path, push(repository), headers, content=document.payload)
        return "oci-subject" in answer.headers

    async def delete(self, repository: str, reference: str) -> None:
        await self.request("DELETE", f"/v2/{repository}/manifests/{reference}", frozenset({f"repository:{repository}:pull,push,delete"}))

    async def referrers(self, repository: str, digest: str) -> list[Digest]:
        """Digests of the manifests whose subject it is; also from the tag that stands for the list where there is no such API."""
        for path in (f"referrers/{digest}", f"manifests/{digest.replace(':', '-')}"):
            try:
                answer, _ = await self._read(f"/v2/{repository}/{path}", Entries, pull(repository), {"accept": mediatype.OCI_INDEX})
            except Refusal as error:
                if error.status in (400, 404, 405):
                    continue
                raise
            try:
                return [Digest.parse(each.digest) for each in (answer.manifests or ())[: manifest.MAX_DESCRIPTORS]]
            except RoadsteadError as error:
                raise Failed(f"the referrers of {digest} at {self.host} are no list of digests") from error
        return []

    async def _read(self, path: str, form: type[T], scopes: frozenset[str], headers: Mapping[str, str] = _NO_HEADERS) -> tuple[T, str]:
        """What is there, and where the next page is."""
        response = await self.request("GET", path, scopes, headers)
        link = _NEXT.search(response.headers.get("link", ""))
        try:
            return msgspec.json.decode(response.content, type=form), link[1] if link else ""
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Failed(f"Invalid response from server: {self.host} is no registry, or something stands before it ({error})") from error

    async def request(
        self,
        method: str,
        path: str,
        scopes: frozenset[str],
        headers: Mapping[str, str] = _NO_HEADERS,
        content: bytes = b"",
        limit_bytes: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        """Tried again where that may help."""
        for attempt in range(1, self.attempts + 1):
            try:
                return await self.once(method, path, scopes, headers, content, limit_bytes)
            except Unreachable as error:
                if attempt == self.attempts:
                    raise
                await pause(attempt, error.after_seconds)
        raise AssertionError("there is at least one attempt")

    async def once(
        self,
        method: str,
        path: str,
        scopes: frozenset[str],
        headers: Mapping[str, str] = _NO_HEADERS,
        content: bytes = b"",
        limit_bytes: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        async with self.stream(method, path, scopes, headers, content or None) as response:
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > limit_bytes:
                    raise Failed(f"{self.host} answers with more than {limit_bytes} bytes to {method} {path[:200]}")
            return Answer(response.status_code, response.headers, bytes(body))

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        scopes: frozenset[str],
        headers: Mapping[str, str] = _NO_HEADERS,
        content: bytes | AsyncIterator[bytes] | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """One try, of which a good answer's body is still to be read. A body that is a stream is sent once, also where it is refused."""
        import httpx

        try:
            async with AsyncExitStack() as opened:
                response = await self._admitted(opened, method, path, scopes, headers, content)
                await self._check(response)
                yield response
        except httpx.TimeoutException as error:
            raise Unreachable(f"{self.host} did not answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                where = f"the certificate of {self.address} is not one that this machine trusts: give its authority with --ca FILE"
                raise Failed(where) from error
            raise Unreachable(f"{self.host} cannot be reached at {self.address}: {error}") from error

    async def _admitted(
        self,
        opened: AsyncExitStack,
        method: str,
        path: str,
        scopes: frozenset[str],
        headers: Mapping[str, str],
        content: bytes | AsyncIterator[bytes] | None,
    ) -> httpx.Response:
        """After redirects, and with a new token where the first was not good."""
        renewed = False
        for _ in range(MAX_REDIRECTS):
            url, is_own = self._url(path)
            response = await self._send(opened, method, url, await self._own(scopes) if is_own else {}, headers, content)
            if response.status_code == 401 and is_own and not renewed and await self._credentials.renew(response, scopes):
                renewed = True
                if content is not None and not isinstance(content, bytes):
                    raise Unreachable(f"{self.host} wants a new token in the middle of an upload")
            elif method in ("GET", "HEAD") and response.has_redirect_location:
                path = urljoin(url, address(self.host, response.headers["location"]).geturl())
                self._check_way(url, path)
            else:
                return response
        raise Failed(f"{self.host} leads in circles: {method} {path[:200]}")

    async def _own(self, scopes: frozenset[str]) -> dict[str, str]:
        """What only the registry itself gets to know."""
        authorization = await self._credentials.header(scopes)
        return {"host": self.host, **({"authorization": authorization} if authorization else {})}

    async def _send(
        self,
        opened: AsyncExitStack,
        method: str,
        url: str,
        own: Mapping[str, str],
        headers: Mapping[str, str],
        content: bytes | AsyncIterator[bytes] | None,
    ) -> httpx.Response:
        """own: headers of a request to the registry itself; {} for one to elsewhere."""
        http = self._http if own else self._elsewhere()
        # What was sent has to be made durable before it is acknowledged, which takes its time.
        timeout = WRITING if method in ("PUT", "PATCH") else {}
        request = http.build_request(method, url, headers={**headers, **own}, content=content, extensions=timeout)
        response = await http.send(request, stream=True)
        opened.push_async_callback(response.aclose)
        return response

    def _url(self, path: str) -> tuple[str, bool]:
        """An address, and whether it is the registry's own, which alone learns who asks."""
        if path.startswith("/"):
            return self.address + path, True
        parts = address(self.host, path)
        if parts.netloc.lower() in (self.host, urlsplit(self.address).netloc):
            return f"{self.address}{parts.path}{'?' if parts.query else ''}{parts.query}", True
        self._check_way(self.address, path)
        return path, False

    def _check_way(self, here: str, there: str) -> None:
        """Nobody who was met behind a certificate leads to where anybody on the way could read and change what is sent. Raises Failed."""
        if here.startswith("https://") and not there.startswith("https://"):
            raise Failed(f"{self.host} leads to {there[:200]}, which is not encrypted")

    async def _check(self, response: httpx.Response) -> None:
        if response.is_success:
            return
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece[: 65536 - len(body)]
            if len(body) >= 65536:
                break
        if response.status_code in _AGAIN:
            raise Unreachable(f"{self.host} answers HTTP {response.status_code}", wait_of(response.headers.get("retry-after", "")))
        message, codes = said(bytes(body))
        raise Refusal(f"{self.host}: {message or f'HTTP {response.status_code}'}", response.status_code, codes)


def pull(repository: str) -> frozenset[str]:
    """The scopes that a request needs a token for."""
    return frozenset({f"repository:{repository}:pull"})


def push(repository: str) -> frozenset[str]:
    return frozenset({f"repository:{repository}:pull,push"})
