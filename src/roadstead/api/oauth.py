"""
The endpoints that programs log in at: tokens for codes, refresh tokens and assertions; revocation; who a token is of.

Google's own paths, so that its clients need nothing but the address. Spec: RFC 6749, 7009, 7517; contract.md, section 3.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import unquote_plus

import msgspec
import structlog

from roadstead.api import forms
from roadstead.api.errors import oauth_error
from roadstead.api.messages import Request, Response
from roadstead.api.signin.routing import Permission, Route, Table
from roadstead.errors import CredentialInvalid, GrantRefused, RoadsteadError, StorageError, TooLarge
from roadstead.iam import oauth
from roadstead.iam.oauth import Answer, Granted, OAuth

MOST_BYTES = 64 * 1024

Exchange = Callable[[Mapping[str, str]], Awaitable[Granted]]
"""RFC 8693: takes the form, gives the answer. Raises GrantRefused."""
Record = Callable[[Request, str, str, bool], None]
"""Takes the request, the member ("" where unknown), a method such as `oauth.token`, and whether it succeeded."""


_log = structlog.get_logger()


class OAuthEndpoints:
    """
    public_url: this server's address, without a slash at its end; "" for what the request says. keys: the public JWK set.

    exchange: workload identity federation, None where there is none. record: for the audit log.
    """

    def __init__(
        self,
        rules: OAuth,
        keys: Callable[[], Awaitable[Mapping[str, object]]],
        public_url: str = "",
        exchange: Exchange | None = None,
        record: Record | None = None,
    ) -> None:
        self.rules = rules
        self.keys = keys
        self.public_url = public_url
        self.exchange = exchange
        self.record = record
        self._table = Table(ROUTES)

    async def handle(self, request: Request) -> Response:
        """Always answers, but when the connection is broken."""
        try:
            return await self._table.find(request).handler(self, request)
        except RoadsteadError as error:
            if isinstance(error, StorageError):
                _log.error("storage failed", request_id=request.id, path=request.path, error=str(error), cause=repr(error.__cause__))
            return oauth_error(error)

    def audiences(self, request: Request) -> tuple[frozenset[str], frozenset[str]]:
        """Of this server's token endpoint: those that are certain, and those that the request says."""
        if self.public_url:
            return oauth.own_audiences(self.public_url), frozenset()
        return frozenset(), oauth.own_audiences(f"{request.scheme}://{request.header(b'host')}")


async def token(endpoints: OAuthEndpoints, request: Request) -> Response:
    form = await _form(request)
    grant = form.get("grant_type", "")
    try:
        granted = await _granted(endpoints, request, grant, form)
    except GrantRefused:
        _note(endpoints, request, "", f"oauth.token.{_short(grant)}", False)
        raise
    _note(endpoints, request, granted.member, f"oauth.token.{_short(grant)}", True)
    return _json(granted.answer)


async def _granted(endpoints: OAuthEndpoints, request: Request, grant: str, form: Mapping[str, str]) -> Granted:
    if grant == oauth.CODE_GRANT:
        return await endpoints.rules.exchange_code(form)
    if grant == oauth.REFRESH_GRANT:
        return await endpoints.rules.refresh(form)
    if grant == oauth.ASSERTION_GRANT:
        return await endpoints.rules.exchange_assertion(form, *endpoints.audiences(request))
    if grant == oauth.EXCHANGE_GRANT and endpoints.exchange is not None:
        return await endpoints.exchange(form)
    if not grant:
        raise GrantRefused("invalid_request", "grant_type is missing")
    raise GrantRefused("unsupported_grant_type", f"this server does not know the grant_type {grant[:100]}")


async def revoke(endpoints: OAuthEndpoints, request: Request) -> Response:
    """RFC 7009, 2.2: a token that is void already is no error. Google's clients put it into the query or the form."""
    form = await _form(request)
    given = form.get("token") or request.parameter("token")
    if not given:
        raise GrantRefused("invalid_request", "token is missing")
    member = await endpoints.rules.revoke(given)
    _note(endpoints, request, member, "oauth.revoke", True)
    return _json({})


async def userinfo(endpoints: OAuthEndpoints, request: Request) -> Response:
    try:
        return _json(await endpoints.rules.about(_bearer(request)))
    except CredentialInvalid as error:
        # RFC 6750, 3.1
        headers = [*_HEADERS, ("www-authenticate", 'Bearer error="invalid_token"')]
        return Response(401, headers, msgspec.json.encode({"error": "invalid_token", "error_description": error.message}))


async def tokeninfo(endpoints: OAuthEndpoints, request: Request) -> Response:
    form = await _form(request) if request.method == "POST" else {}
    given = form.get("access_token") or request.parameter("access_token") or ""
    try:
        claims = await endpoints.rules.claims(given)
    except CredentialInvalid as error:
        raise GrantRefused("invalid_token", "Invalid Value") from error
    left_seconds = max(0, claims.expires_at_us - endpoints.rules.now_us()) // 1_000_000
    known: Answer = {
        "sub": claims.member,
        "aud": claims.audience,
        "scope": claims.scope,
        "exp": str(claims.expires_at_us // 1_000_000),
        "expires_in": str(left_seconds),
    }
    email = claims.member.partition(":")[2]
    if claims.member.startswith(("user:", "serviceAccount:")):
        known |= {"email": email, "email_verified": "true"}
    return _json(known)


async def certs(endpoints: OAuthEndpoints, _: Request) -> Response:
    """RFC 7517. May be kept for as long as the next key is known before it signs."""
    headers = [("content-type", "application/json"), ("cache-control", "public, max-age=900")]
    return Response(200, headers, msgspec.json.encode(await endpoints.keys()))


ROUTES: Sequence[Route[OAuthEndpoints, Request]] = (
    Route("POST", "/token", Permission.PUBLIC, token),
    Route("POST", "/oauth2/v4/token", Permission.PUBLIC, token),
    Route("POST", "/revoke", Permission.PUBLIC, revoke),
    Route("POST", "/o/oauth2/revoke", Permission.PUBLIC, revoke),
    Route("GET", "/oauth2/v3/userinfo", Permission.PUBLIC, userinfo),
    Route("POST", "/oauth2/v3/userinfo", Permission.PUBLIC, userinfo),
    Route("GET", "/oauth2/v3/tokeninfo", Permission.PUBLIC, tokeninfo),
    Route("POST", "/oauth2/v3/tokeninfo", Permission.PUBLIC, tokeninfo),
    Route("GET", "/oauth2/v3/certs", Permission.PUBLIC, certs),
)

_HEADERS = [("content-type", "application/json"), ("cache-control", "no-store"), ("pragma", "no-cache")]


def _json(answer: Mapping[str, object]) -> Response:
    """RFC 6749, 5.1: never kept by anybody on the way."""
    return Response(200, list(_HEADERS), msgspec.json.encode(answer))


async def _form(request: Request) -> dict[str, str]:
    """
    Each field at most once (RFC 6749, 3.2); a client's name may stand in Authorization (2.3.1).

    Raises GrantRefused, TooLarge.
    """
    body = await request.content(MOST_BYTES, TooLarge(f"a form has at most {MOST_BYTES} bytes"))
    kind = request.header(b"content-type").partition(";")[0].strip().lower()
    if body and kind != "application/x-www-form-urlencoded":
        raise GrantRefused("invalid_request", "the body must be application/x-www-form-urlencoded")
    try:
        form = forms.once(body.decode("ascii"))
    except ValueError as error:
        raise GrantRefused("invalid_request", "the form is malformed") from error
    named = _basic(request)
    if named and form.setdefault("client_id", named) != named:
        raise GrantRefused("invalid_request", "the form and Authorization name two clients")
    return form


def _basic(request: Request) -> str:
    """The client that Authorization names, "" for none. Its secret proves nothing, see iam/oauth.py. Raises GrantRefused."""
    scheme, _, given = request.header(b"authorization").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return unquote_plus(base64.b64decode(given, validate=True).decode("ascii").partition(":")[0])
    except (binascii.Error, ValueError) as error:
        raise GrantRefused("invalid_client", "Authorization is malformed") from error


def _bearer(request: Request) -> str:
    """Raises CredentialInvalid."""
    scheme, _, given = request.header(b"authorization").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise CredentialInvalid("send an access token: Authorization: Bearer TOKEN")
    return given.strip()


def _note(endpoints: OAuthEndpoints, request: Request, member: str, method: str, ok: bool) -> None:
    if endpoints.record is not None:
        endpoints.record(request, member, method, ok)


def _short(grant: str) -> str:
    known = {oauth.CODE_GRANT: "code", oauth.REFRESH_GRANT: "refresh", oauth.ASSERTION_GRANT: "assertion", oauth.EXCHANGE_GRANT: "exchange"}
    return known.get(grant, "other")
