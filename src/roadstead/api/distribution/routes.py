"""
The distribution edge as one table: method, template, handler, permission.

A path is matched from its end, because repository names have any number of parts. The permission stands here and nowhere
else, and is asked for before the handler runs (gate.py); without accounts (and then only on loopback) everyone has all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roadstead.api.distribution import blobs, catalog, manifests, referrers, tags, token, uploads
from roadstead.api.distribution.permissions import Asked, Permission, asked
from roadstead.api.distribution.services import Context, Handler, Registry
from roadstead.api.errors import distribution_error
from roadstead.api.messages import Request, Response
from roadstead.errors import MethodUnsupported, NotFound, RoadsteadError, Unauthenticated
from roadstead.oci.reference import Repository

if TYPE_CHECKING:
    from roadstead.api.distribution.gate import Gate

REMEMBERED_PATHS, REMEMBERED_LENGTH = 4096, 512


@dataclass(frozen=True, slots=True)
class Route:
    """audited: when it succeeds, or fails, the audit log says so. What is refused for want of rights is always there."""

    method: str
    template: str
    handler: Handler
    permission: Permission
    audited: bool = False


ROUTES: Sequence[Route] = (
    Route("GET", "/v2/", catalog.version, Permission.PING),
    Route("HEAD", "/v2/", catalog.version, Permission.PING),
    Route("GET", "/v2/token", token.get, Permission.PUBLIC),
    Route("POST", "/v2/token", token.post, Permission.PUBLIC),
    Route("GET", "/v2/_catalog", catalog.repositories, Permission.CATALOG),
    Route("GET", "/v2/<name>/tags/list", tags.names, Permission.PULL),
    Route("GET", "/v2/<name>/manifests/<reference>", manifests.get, Permission.PULL),
    Route("HEAD", "/v2/<name>/manifests/<reference>", manifests.get, Permission.PULL),
    Route("PUT", "/v2/<name>/manifests/<reference>", manifests.put, Permission.PUSH, audited=True),
    Route("DELETE", "/v2/<name>/manifests/<reference>", manifests.delete, Permission.DELETE, audited=True),
    Route("GET", "/v2/<name>/blobs/<digest>", blobs.get, Permission.PULL),
    Route("HEAD", "/v2/<name>/blobs/<digest>", blobs.get, Permission.PULL),
    Route("DELETE", "/v2/<name>/blobs/<digest>", blobs.delete, Permission.DELETE, audited=True),
    Route("GET", "/v2/<name>/referrers/<digest>", referrers.of, Permission.PULL),
    Route("POST", "/v2/<name>/blobs/uploads/", uploads.begin, Permission.PUSH, audited=True),
    Route("GET", "/v2/<name>/blobs/uploads/<upload>", uploads.state, Permission.PUSH),
    Route("PATCH", "/v2/<name>/blobs/uploads/<upload>", uploads.append, Permission.PUSH),
    Route("PUT", "/v2/<name>/blobs/uploads/<upload>", uploads.finish, Permission.PUSH, audited=True),
    Route("DELETE", "/v2/<name>/blobs/uploads/<upload>", uploads.cancel, Permission.PUSH, audited=True),
)


class Router:
    def __init__(self, registry: Registry, routes: Sequence[Route] = ROUTES) -> None:
        self._registry = registry
        self._gate = registry.gate
        self._by_kind: dict[str, dict[str, Route]] = {}
        for route in routes:
            self._by_kind.setdefault(_kind(route.template), {})[route.method] = route
        self._remembered: dict[tuple[str, str, str], tuple[Route, Repository | None, str, Asked]] = {}

    async def handle(self, request: Request) -> Response:
        """Raises RoadsteadError, but not Unauthenticated, which is an answer here."""
        target = (request.method, request.location, request.path)
        # The same few paths are asked for again and again, and taking one apart costs as much as reading its row.
        found = self._remembered.get(target)
        if found is None:
            found = self._find(request)
            if len(request.path) < REMEMBERED_LENGTH:
                if len(self._remembered) >= REMEMBERED_PATHS:
                    self._remembered.clear()
                self._remembered[target] = found
        route, repository, last, question = found
        request.route = route.template
        context = Context(self._registry, request, repository, last)
        gate = self._gate
        if gate is None:
            return await route.handler(context)
        try:
            if not gate.is_admitted(request, question):
                await gate.admit(request, route.permission, repository, question)
            if route.audited:
                return await _audited(gate, route, context, repository)
            return await route.handler(context)
        except Unauthenticated as error:
            response = distribution_error(error)
            response.headers += [
                ("www-authenticate", gate.challenge(request, error, repository, route.permission)),
                ("x-request-id", request.id),
            ]
            return response

    def _find(self, request: Request) -> tuple[Route, Repository | None, str, Asked]:
        """
        The row, the repository if its template has a name, the path's last part, and what to ask the gate.

        Raises NotFound, MethodUnsupported, NameInvalid.
        """
        kind, name, last = _split(request.path)
        methods = self._by_kind.get(kind)
        if methods is None:
            raise NotFound(
                "there is nothing at this path: /v2/NAME/ is followed by manifests/REF, blobs/DIGEST, tags/list or referrers/DIGEST"
            )
        route = methods.get(request.method)
        if route is None:
            raise MethodUnsupported(f"{request.method} is not possible here", tuple(sorted(methods)))
        parse = Repository.parse_place if kind == "tags/list" else Repository.parse
        repository = None if kind.startswith("/") else parse(request.location, name)
        return route, repository, last, asked(route.permission, request.location, repository)


async def _audited(gate: Gate, route: Route, context: Context, repository: Repository | None) -> Response:
    try:
        response = await route.handler(context)
    except RoadsteadError as error:
        gate.note(context.request, repository, error)
        raise
    # An upload's beginning and middle are no change that anybody sees.
    if response.status != 202 or route.method == "DELETE":
        gate.note(context.request, repository, status=response.status)
    return response


def _kind(template: str) -> str:
    """`/v2/<name>/blobs/uploads/<upload>` → `blobs/uploads/*`, `/v2/_catalog` → itself: what _split makes of such a path."""
    tail = template.removeprefix("/v2/<name>/")
    return "/".join("*" if part.startswith("<") else part for part in tail.split("/"))


def _split(path: str) -> tuple[str, str, str]:
    """(kind, repository name, last part). A kind that begins with a slash has no repository; a name is not checked yet."""
    parts = path.split("/")
    if len(parts) > 4 and parts[1] == "v2":
        collection, last = parts[-2], parts[-1]
        if collection in ("manifests", "blobs", "referrers"):
            # `uploads` without its slash, as some clients send it
            kind = f"{collection}/uploads/" if (collection, last) == ("blobs", "uploads") else f"{collection}/*"
            return kind, "/".join(parts[2:-2]), last
        if collection == "uploads" and parts[-3] == "blobs":
            return ("blobs/uploads/*" if last else "blobs/uploads/"), "/".join(parts[2:-3]), last
        if (collection, last) == ("tags", "list"):
            return "tags/list", "/".join(parts[2:-2]), ""
    return ("/v2/" if path == "/v2" else path), "", ""
