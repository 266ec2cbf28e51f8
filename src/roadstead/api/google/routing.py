"""
The edge of Google's APIs as tables: method, template, handler, permission, and the resource that the permission is asked on.

Templates are those of google.api.http: `{name}` is one segment, `{name=**}` takes the rest, a `:verb` may follow. One place
authenticates, asks for the permission and turns errors into google.rpc.Status; a handler runs only after that.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote

import msgspec
import structlog

from roadstead.api.auth import NOBODY, Authenticator, Identity
from roadstead.api.errors import google_error, google_internal_error, storage_error
from roadstead.api.google import json
from roadstead.api.google.services import Services
from roadstead.api.messages import Request, Response
from roadstead.errors import (
    FieldInvalid,
    MethodUnsupported,
    NotFound,
    PermissionDenied,
    ResourceUnknown,
    RoadsteadError,
    StorageError,
    TooLarge,
)
from roadstead.iam import resources
from roadstead.iam.audit import Entry, Outcome
from roadstead.iam.members import Principal
from roadstead.iam.service_accounts import ANY_PROJECT

PUBLIC = "public"
"""A permission that everybody has: the handler asks for what it needs by itself, or nothing is told."""

AUTHENTICATED = "authenticated"
"""A permission of everybody who says who they are; what is answered is limited to what they may see."""

MAX_BODY_BYTES = 1024 * 1024
MAX_PAGE = 1000

# One segment each, also when they were sent with %2F in them.
_NAMES = ("project", "account", "key", "role", "service", "bucket", "location", "repository", "organization", "note", "occurrence")
_VARIABLE = re.compile(r"\{(\w+)(=\*\*)?\}")
_log = structlog.get_logger()
T = TypeVar("T")

Variables = Mapping[str, str]

# Verbs that only read, although they are POSTs.
_READING = re.compile(r":(?:get|test|query|search|list)[A-Z]?\w*$|/v1/introspect$")


class Page(NamedTuple):
    """size: at most so many; token: where the last page ended, "" for the first."""

    size: int
    token: str


@dataclass(slots=True)
class Call:
    """
    A request that has been allowed. principal is ANONYMOUS only where the permission is PUBLIC.

    resource: what was asked on, also where the permission is PUBLIC or AUTHENTICATED and the template names a resource.
    """

    request: Request
    variables: dict[str, str]
    identity: Identity
    services: Services
    resource: str
    details: dict[str, Any]
    """What the audit log tells of it beside the route; no secrets."""

    @property
    def principal(self) -> Principal:
        return self.identity.principal

    async def body(self, kind: type[T]) -> T:
        """Raises FieldInvalid, TooLarge."""
        return json.decode(await self.content(), kind)

    async def content(self, most_bytes: int = MAX_BODY_BYTES) -> bytes:
        return await self.request.content(most_bytes, TooLarge(f"a request's body may have {most_bytes} bytes"))

    def parameter(self, name: str) -> str:
        """A query parameter in camelCase; snake_case is taken too, as Google does."""
        snake = re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)
        return self.request.parameter(name) or self.request.parameter(snake) or ""

    def page(self, default: int = 100, most: int = MAX_PAGE) -> Page:
        """Raises FieldInvalid. A larger page than most is answered with a smaller one (AIP-158)."""
        text = self.parameter("pageSize")
        if text and not (text.isascii() and text.isdigit() and len(text) < 10):
            raise FieldInvalid("pageSize must be a number, 0 or more")
        try:
            token = json.bytes_of(self.parameter("pageToken")).decode()
        except UnicodeDecodeError as error:
            raise FieldInvalid("pageToken must be the nextPageToken of the page before") from error
        if "\0" in token:
            # PostgreSQL takes none, and no name has one.
            raise FieldInvalid("pageToken must be the nextPageToken of the page before")
        return Page(min(int(text or 0) or default, most), token)

    async def require(self, permission: str, resource: str, asked_for: str = "") -> None:
        """For what the route's own permission does not say. Raises PermissionDenied."""
        await self.services.authorizer.require(self.principal, permission, resource, asked_for)


def page_token(last: str) -> str:
    return json.text_of(last.encode()) if last else ""


def listed(field: str, found: Sequence[T], page: Page, name: Callable[[T], str], shown: Callable[[T], object]) -> dict[str, Any]:
    """
    A page of a list (AIP-158). found: what comes after page.token in the order of names, one more than page.size if there is more.
    """
    part = found[: page.size]
    token = page_token(name(part[-1])) if len(found) > page.size else ""
    return json.without_nothing({field: [shown(each) for each in part], "nextPageToken": token})


Handler = Callable[[Call], Awaitable[Any]]
"""Gives something for JSON (dict, list, Struct), or a Response."""


def of_project(variables: Variables) -> str:
    return resources.project(variables["project"]) if "project" in variables else ""


def of_organization(variables: Variables) -> str:
    """There is one; another number is a resource on which only this one's own rights count, for whom it is not found."""
    number = variables.get("organization", resources.ORGANIZATION_ID)
    return resources.ORGANIZATION if number == resources.ORGANIZATION_ID else f"organizations/{number}"


@dataclass(frozen=True, slots=True)
class Route:
    """
    permission: PUBLIC, AUTHENTICATED or a permission of IAM; resource: what it is asked on, from the template's variables.

    audited: written down although it only reads. of_client: its Authorization header is an OAuth client's, who is nobody in particular.
    scopes: OAuth scopes of a token that do here as well as cloud-platform. open_in: projects of the server itself, in which everybody who
    says who they are may do this.
    """

    method: str
    template: str
    handler: Handler
    permission: str
    resource: Callable[[Variables], str] = of_project
    audited: bool = False
    of_client: bool = False
    scopes: frozenset[str] = frozenset()
    open_in: frozenset[str] = frozenset()

    @property
    def reads(self) -> bool:
        return self.method == "GET" or _READING.search(self.template) is not None


class Table:
    """Routes by pattern. Raises NotFound, MethodUnsupported when asked for what there is none."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._by_head: dict[tuple[str, str], list[tuple[re.Pattern[str], Route]]] = {}
        # A verb is not the end of a name: `repositories/gcr.io:getIamPolicy`.
        for route in sorted(routes, key=lambda route: ":" not in route.template.rpartition("}")[2]):
            parts = route.template.split("/")
            self._by_head.setdefault((parts[1], parts[2] if len(parts) > 2 else ""), []).append((_pattern(route.template), route))

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]]:
        parts = raw_path.split("/")
        candidates = self._by_head.get((parts[1], parts[2] if len(parts) > 2 else ""), [])
        if len(parts) > 2:
            candidates = candidates + self._by_head.get((parts[1], "*"), [])
        found = [(route, match) for pattern, route in candidates if (match := pattern.fullmatch(raw_path)) is not None]
        for route, match in found:
            if route.method == method:
                return route, {name: unquote(value) for name, value in match.groupdict().items()}
        if found:
            raise MethodUnsupported(f"{method} is not possible here", tuple(sorted({route.method for route, _ in found})))
        raise NotFound("there is no such method in the APIs of this server: see docs/apis.md for those that there are")


def _pattern(template: str) -> re.Pattern[str]:
    pieces, at = [], 0
    for match in _VARIABLE.finditer(template):
        pieces.append(re.escape(template[at : match.start()]))
        # A colon in a project's or member's own name is written %3A where a verb follows; `example.com:p` is taken as it is.
        pieces.append(f"(?P<{match[1]}>.+)" if match[2] else f"(?P<{match[1]}>[^/]+)")
        at = match.end()
    pieces.append(re.escape(template[at:]))
    return re.compile("".join(pieces))


class Edge:
    """Answers every path of the tables' APIs."""

    def __init__(self, services: Services, authenticator: Authenticator, routes: Sequence[Route]) -> None:
        self._services = services
        self._authenticator = authenticator
        self._table = Table(routes)

    async def handle(self, request: Request) -> Response:
        """Never raises but when the connection is broken."""
        record = _Record(self._services)
        try:
            response = await self._answer(request, record)
        except StorageError as error:
            _log.error("storage failed", request_id=request.id, path=request.path, error=str(error), cause=repr(error.__cause__))
            response = _refusal(request, error)
        except RoadsteadError as error:
            response = _refusal(request, error)
        except ConnectionError:
            raise
        except Exception:
            _log.exception("request failed", request_id=request.id, path=request.path)
            response = google_internal_error()
        try:
            await record.write(request, response.status)
        except StorageError as error:
            _log.error("the audit log cannot be written", request_id=request.id, path=request.path, cause=repr(error))
            return _refusal(request, error)
        return response

    async def _answer(self, request: Request, record: _Record) -> Response:
        route, variables = self._table.find(request.method, request.raw_path or request.path)
        request.route, record.route = route.template, route
        identity = NOBODY if route.of_client else await self._authenticator.of_request(request)
        record.member = request.owner = identity.principal.member
        asked_for = route.resource(variables)
        await self._name(variables)
        resource = route.resource(variables)
        record.resource = resource or request.path
        if not identity.may_call(writes=not route.reads) and route.scopes.isdisjoint(identity.scopes or ()):
            raise PermissionDenied(
                "Request had insufficient authentication scopes: the token needs https://www.googleapis.com/auth/cloud-platform"
            )
        if route.permission == AUTHENTICATED or variables.get("project") in route.open_in:
            self._services.authorizer.require_somebody(identity.principal)
        elif route.permission != PUBLIC:
            await self._services.authorizer.require(identity.principal, route.permission, resource, asked_for)
        call = Call(request, variables, identity, self._services, resource, record.details)
        answer = await route.handler(call)
        if isinstance(answer, Response):
            return answer
        return Response(200, [("content-type", "application/json; charset=UTF-8")], msgspec.json.encode(answer))

    async def _name(self, variables: dict[str, str]) -> None:
        """
        Names in place of numbers, and the account's own project in place of `-`, because rights are kept under names.

        What is not there stays as it was sent: nobody has rights on that, so it is answered like what is forbidden. So does the number of
        an account of another project than the path's: the answer must not say whose it is.
        """
        if any("/" in variables.get(name, "") for name in _NAMES):
            raise NotFound("a name in the path has a slash")
        if any("\0" in value for value in variables.values()):
            raise NotFound("no name has a NUL")
        account = variables.get("account", "")
        with suppress(ResourceUnknown):
            if variables.get("project") == ANY_PROJECT and account:
                variables["project"] = await self._services.service_accounts.project_of(account)
        project = variables.get("project", "")
        if project.isascii() and project.isdigit() and len(project) < 19:
            with suppress(ResourceUnknown):
                variables["project"] = await self._services.projects.id_of_number(int(project))
        if account.isdigit():
            with suppress(ResourceUnknown):
                variables["account"] = (await self._services.service_accounts.get(account, variables.get("project") or ANY_PROJECT)).email


def _refusal(request: Request, error: RoadsteadError) -> Response:
    return storage_error(error) if request.path.startswith("/storage/") else google_error(error)


class _Record:
    """What the audit log will say of a request: every write, and everything that was refused."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.route: Route | None = None
        self.member = ""
        self.resource = ""
        self.details: dict[str, Any] = {}

    async def write(self, request: Request, status: int) -> None:
        route = self.route
        # Of what only reads, refusals count, unless the row says more.
        if route is None or (route.reads and not route.audited and status not in (401, 403)):
            return
        outcome = Outcome.OK if status < 400 else Outcome.DENIED if status in (401, 403) else Outcome.FAILED
        entry = Entry(
            at_us=self._services.now_us(),
            # Of workload identity: whom the token that was made is for.
            member=self.member or str(self.details.get("principal", "")),
            method=f"{request.method} {route.template}",
            project=resources.project_of(self.resource),
            resource=self.resource,
            outcome=outcome,
            status=status,
            address=request.client,
            agent=request.header(b"user-agent"),
            request_id=request.id,
            details=self.details,
        )
        if outcome is Outcome.OK:
            await self._services.audit.record_now(entry)
        else:
            self._services.audit.record(entry)
