"""
Tokens for docker: what somebody asks for, reduced to what they may.

https://distribution.github.io/distribution/spec/auth/token (GET) and …/oauth (POST). A token is never refused for want of rights, so that
nobody learns here what there is; only a project whose API is off is said, to those who may do something in it, in GCR's words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from roadstead.api import forms
from roadstead.api.auth import Authenticator, Identity, registry_audience
from roadstead.api.distribution.gate import ACTIONS, CATALOG_ACTIONS, GRANTS, Gate, held
from roadstead.api.distribution.permissions import Permission
from roadstead.api.errors import oauth_error
from roadstead.api.messages import Request, Response
from roadstead.errors import GrantRefused, NameInvalid, RequestInvalid, TooLarge, TooManyRequests, Unauthenticated
from roadstead.iam.credentials import Credentials, new_family
from roadstead.iam.credentials import Kind as CredentialKind
from roadstead.iam.principals import Principals
from roadstead.iam.tokens import Access, Kind, Tokens, audience
from roadstead.oci.reference import Repository

LIFETIME_SECONDS = 3600
REFRESH_SECONDS = 90 * 86400
MOST_SCOPES = 100
MOST_SCOPES_OF_NOBODY = 20
MOST_SCOPES_BYTES = 8 * 1024
"""With names in base64 and what is said of each, a token of them is still one that is taken (16 KiB)."""
MAX_FORM_BYTES = 64 * 1024
CATALOG_SCOPE = "registry:catalog:*"

_SCOPE = re.compile(r"repository(?:\([a-z0-9]+\))?:(?P<name>[^:]+(?::[0-9]+/[^:]+)?):(?P<actions>[a-z*]+(?:,[a-z*]+)*)")


class TokenService:
    def __init__(
        self,
        gate: Gate,
        authenticator: Authenticator,
        tokens: Tokens,
        credentials: Credentials,
        principals: Principals,
        installation: str,
        now_us: Callable[[], int],
    ) -> None:
        self._gate = gate
        self._authenticator = authenticator
        self._tokens = tokens
        self._credentials = credentials
        self._principals = principals
        self._audience = audience(installation)
        self._now_us = now_us

    async def answer(self, request: Request) -> Response:
        """GET: Basic or Bearer, or nobody. Raises CredentialInvalid, TooManyRequests, ServiceDisabled, RequestInvalid."""
        parameters = request.parameters()
        try:
            # As every request of the same credential: gcloud asks for a token at each of its steps.
            identity = await self._gate.identity(request)
        except (Unauthenticated, TooManyRequests) as error:
            self._gate.note(request, None, error)
            raise
        request.owner = identity.principal.member
        offline = parameters.get("offline_token") == ["true"]
        client = (parameters.get("client_id") or [""])[0]
        return _answer(await self._fields(request, identity, parameters.get("scope", []), offline, client))

    async def grant(self, request: Request) -> Response:
        """POST: OAuth2 form with grant_type refresh_token or password. Errors are OAuth's."""
        try:
            form = _form(await request.content(MAX_FORM_BYTES, TooLarge("the form may have 64 KiB")))
            identity = await self._granted(request, form)
            request.owner = identity.principal.member
            offline = form.get("access_type") == "offline"
            fields = await self._fields(request, identity, form.get("scope", "").split(), offline, form.get("client_id", ""))
            if form.get("grant_type") == "refresh_token":
                fields["refresh_token"] = form["refresh_token"]
            return _answer(fields)
        except GrantRefused as error:
            return oauth_error(error)
        except Unauthenticated as error:
            self._gate.note(request, None, error)
            return oauth_error(GrantRefused("invalid_grant", error.message))
        except TooManyRequests as error:
            self._gate.note(request, None, error)
            raise

    async def _granted(self, request: Request, form: Mapping[str, str]) -> Identity:
        match form.get("grant_type"):
            case "refresh_token":
                kept = await self._credentials.look_up(form.get("refresh_token", ""), CredentialKind.DOCKER)
                if kept.data.get("location") != request.location:
                    # A refresh token of gcloud, say, is good at its own endpoint and not here.
                    raise GrantRefused("invalid_grant", "this refresh token is for something else: log in again")
                principal = await self._principals.load(kept.member, kept.created_at_us)
                return Identity(principal, "refresh", self._now_us() + LIFETIME_SECONDS * 1_000_000, family=kept.family)
            case "password":
                return await self._authenticator.of_password(request, form.get("username", ""), form.get("password", ""))
            case _:
                raise GrantRefused("unsupported_grant_type", "grant_type must be refresh_token or password")

    async def _fields(self, request: Request, identity: Identity, scopes: list[str], offline: bool, client: str) -> dict[str, object]:
        """A refresh token only for a password, which then need not be kept; both are of one login, and end together."""
        if not offline or identity.way != "password":
            return await self._token(request, identity, scopes)
        identity = replace(identity, family=new_family())
        fields = await self._token(request, identity, scopes)
        fields["refresh_token"] = await self._refresh_token(identity, client, request.location)
        return fields

    async def _token(self, request: Request, identity: Identity, texts: list[str]) -> dict[str, object]:
        scopes = list(dict.fromkeys(part for each in texts for part in each.split()))
        most = MOST_SCOPES_OF_NOBODY if identity.principal.is_anonymous else MOST_SCOPES
        if len(scopes) > most:
            raise RequestInvalid(f"a token can be asked for {most} scopes at most")
        if sum(map(len, scopes)) > MOST_SCOPES_BYTES:
            raise RequestInvalid(f"the scopes of a token have {MOST_SCOPES_BYTES} bytes at most: ask for fewer")
        access = [found for text in scopes if (found := await self._access(request, identity, text)) is not None]
        lifetime = LIFETIME_SECONDS
        if identity.way in ("token", "self-signed", "registry-token"):
            # What is made of a token does not outlive it.
            lifetime = max(1, min(lifetime, (identity.expires_at_us - self._now_us()) // 1_000_000))
        token = await self._tokens.issue(
            Kind.REGISTRY,
            identity.principal.member,
            registry_audience(self._audience, request.location),
            lifetime,
            access=tuple(access),
            family=identity.family,
            extra={"attributes": sorted(identity.principal.attributes)} if identity.principal.attributes else None,
        )
        return {"token": token, "access_token": token, "expires_in": lifetime, "issued_at": _time(self._now_us()), "token_type": "Bearer"}

    async def _access(self, request: Request, identity: Identity, text: str) -> Access | None:
        """None for what gives nothing: another type, a name that is none, no rights."""
        if text == CATALOG_SCOPE:
            # All that the principal may read, so only of what is not limited itself.
            lists = identity.access is None and identity.may_use_registry(False)
            return Access(request.location, "", CATALOG_ACTIONS) if lists else None
        match = _SCOPE.fullmatch(text)
        if match is None:
            return None
        # A bare project is asked for by `gcloud container images list`.
        name = match["name"]
        try:
            Repository.parse(request.location, name if "/" in name else f"{name}/x")
        except NameInvalid:
            return None
        repository = Repository(request.location, name)
        asked = frozenset(match["actions"].split(","))
        wanted = [permission for permission, action in ACTIONS.items() if action in asked or "*" in asked]
        given = frozenset([ACTIONS[each] for each in wanted if await self._gives(identity, each, repository)])
        if identity.access is not None:
            given &= held(identity, repository)
        # gcloud asks for push when it deletes (contract.md, 1.1): whoever may delete gets that too.
        if "push" in given and "push" in asked and await self._gate.rights(identity, GRANTS[Permission.DELETE], repository):
            given |= {"delete"} if identity.access is None else frozenset()
        if given:
            await self._gate.check_project(repository)
        return Access(request.location, name, given)

    async def _gives(self, identity: Identity, permission: Permission, repository: Repository) -> bool:
        return identity.may_use_registry(permission is not Permission.PULL) and await self._gate.may(identity, permission, repository)

    async def _refresh_token(self, identity: Identity, client: str, location: str) -> str:
        return await self._credentials.issue(
            CredentialKind.DOCKER,
            identity.principal.member,
            client[:100] or "docker",
            REFRESH_SECONDS,
            {"location": location},
            identity.family,
        )


def _answer(fields: dict[str, object]) -> Response:
    headers = [("content-type", "application/json"), ("cache-control", "no-store")]
    return Response(200, headers, msgspec.json.encode(fields))


def _form(payload: bytes) -> dict[str, str]:
    """Raises GrantRefused."""
    try:
        return forms.once(payload.decode())
    except ValueError as error:
        raise GrantRefused("invalid_request", "the body must be a form (application/x-www-form-urlencoded)") from error


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
