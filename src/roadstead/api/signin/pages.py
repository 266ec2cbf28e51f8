"""All pages as one table, and what every one of them goes through: whose session it is, and whether a form is from a page of ours."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from roadstead.api.messages import Request, Response
from roadstead.api.signin import account, consent, link, openid, signin, static
from roadstead.api.signin.browser import SESSION, Session, Visit, page, read_form, visit
from roadstead.api.signin.routing import Permission, Route, Table
from roadstead.api.signin.services import Services
from roadstead.errors import (
    CredentialInvalid,
    MethodUnsupported,
    NotFound,
    PermissionDenied,
    ResourceUnknown,
    RoadsteadError,
    StorageError,
    TooLarge,
    TooManyRequests,
)
from roadstead.iam.credentials import Kind

ROUTES: Sequence[Route[Services, Visit]] = (
    Route("GET", "/signin", Permission.PUBLIC, signin.form),
    Route("POST", "/signin", Permission.PUBLIC, signin.password),
    Route("POST", "/signin/code", Permission.PUBLIC, signin.code),
    Route("POST", "/signin/out", Permission.SESSION, signin.out),
    Route("GET", "/signin/link", Permission.PUBLIC, link.form),
    Route("POST", "/signin/link", Permission.PUBLIC, link.use),
    Route("GET", "/signin/oidc/<name>", Permission.PUBLIC, openid.begin),
    Route("GET", "/signin/oidc/<name>/callback", Permission.PUBLIC, openid.callback),
    Route("GET", "/o/oauth2/auth", Permission.SESSION, consent.ask),
    Route("POST", "/o/oauth2/auth", Permission.SESSION, consent.answer),
    Route("GET", "/o/oauth2/v2/auth", Permission.SESSION, consent.ask),
    Route("POST", "/o/oauth2/v2/auth", Permission.SESSION, consent.answer),
    Route("GET", "/account", Permission.SESSION, account.show),
    Route("POST", "/account/password", Permission.SESSION, account.change_password),
    Route("POST", "/account/second-factor", Permission.SESSION, account.begin_second_factor),
    Route("POST", "/account/second-factor/confirm", Permission.SESSION, account.confirm_second_factor),
    Route("POST", "/account/second-factor/off", Permission.SESSION, account.turn_second_factor_off),
    Route("POST", "/account/end", Permission.SESSION, account.end_one),
    Route("POST", "/account/end-all", Permission.SESSION, account.end_all),
    Route("GET", "/static/<name>", Permission.PUBLIC, static.get),
)

_STATUSES: dict[type[RoadsteadError], int] = {
    NotFound: 404,
    MethodUnsupported: 405,
    PermissionDenied: 403,
    CredentialInvalid: 403,
    TooLarge: 413,
    TooManyRequests: 429,
    StorageError: 503,
    RoadsteadError: 400,
}


_log = structlog.get_logger()


class Pages:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._table = Table(ROUTES)

    async def handle(self, request: Request) -> Response:
        """Always answers, but when the connection is broken."""
        visited = visit(request, self._services.public_url)
        try:
            return await self._handle(visited)
        except RoadsteadError as error:
            if isinstance(error, StorageError):
                _log.error("storage failed", request_id=request.id, path=request.path, error=str(error), cause=repr(error.__cause__))
            return self.failed(visited, error)

    async def _handle(self, visited: Visit) -> Response:
        route = self._table.find(visited.request)
        for_session = route.permission is Permission.SESSION
        # The stylesheet is asked for with every page and is the same for everybody.
        if route.handler is not static.get:
            visited.session = await self.session(visited)
        if for_session and visited.session is None:
            return signin.first(visited)
        if route.method == "POST":
            visited.form = await read_form(visited.request)
            visited.check_form(for_session)
        return await route.handler(self._services, visited)

    async def session(self, visited: Visit) -> Session | None:
        """Of the browser's cookie, if it is good and its person may still be signed in."""
        secret = visited.cookie(SESSION)
        if not secret:
            return None
        try:
            credential = await self._services.credentials.look_up(secret, Kind.SESSION)
            person = await self._services.people.get(credential.member.removeprefix("user:"))
        except (CredentialInvalid, ResourceUnknown):
            return None
        if person.disabled or person.valid_from_us > credential.created_at_us:
            return None
        return Session(person, credential, secret)

    def failed(self, visited: Visit, error: RoadsteadError) -> Response:
        """A page that says what went wrong."""
        status = next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)
        headers: dict[str, str] = {}
        if isinstance(error, TooManyRequests):
            headers["retry-after"] = str(error.retry_after_seconds)
        if isinstance(error, MethodUnsupported):
            headers["allow"] = ", ".join(error.allowed)
        return page(visited, "problem.html", {"message": error.message}, status, headers=headers)
