"""
Security Token Service: a token of another provider for one of ours, and what one of ours says.

Requests come as forms (google-auth) or JSON (generated clients); errors are OAuth's. Nobody is signed in here: the token in the body is
what proves. gcloud names itself as an OAuth client by Basic, which anybody can, so that is not looked at. Spec: RFC 8693; RFC 7662; https://cloud.google.com/iam/docs/reference/sts/rest
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from roadstead.api import forms
from roadstead.api.errors import oauth_error
from roadstead.api.google.routing import PUBLIC, Call, Route
from roadstead.api.messages import Response
from roadstead.errors import CredentialInvalid, GrantRefused
from roadstead.iam.tokens import Kind, audience

_HEADERS = [("content-type", "application/json; charset=UTF-8"), ("cache-control", "no-store"), ("pragma", "no-cache")]


async def _token(call: Call) -> Response:
    try:
        form = await _form(call)
        call.details["audience"] = form.get("audience", "")[:300]
        grant = await call.services.federation.grant(form, call.services.tokens, call.services.installation)
    except GrantRefused as error:
        call.details["error"] = error.code
        return oauth_error(error)
    call.details["principal"], call.details["issuer"] = grant.federated.member, grant.federated.issuer
    return Response(200, list(_HEADERS), msgspec.json.encode(grant.answer()))


async def _introspect(call: Call) -> Response:
    """RFC 7662, as gcloud asks who a federated token is for. A token that is not good for anything is only said to be inactive."""
    try:
        form = await _form(call)
    except GrantRefused as error:
        return oauth_error(error)
    return Response(200, list(_HEADERS), msgspec.json.encode(await _about(call, form.get("token", ""))))


async def _about(call: Call, token: str) -> Mapping[str, Any]:
    try:
        claims = await call.services.tokens.verify(token, Kind.ACCESS, audience(call.services.installation))
        await call.services.principals.load(claims.member, claims.issued_at_us, claims.attributes)
    except CredentialInvalid:
        return {"active": False}
    if await call.services.revocations.is_revoked(claims):
        return {"active": False}
    return {
        "active": True,
        "username": claims.member,
        "scope": claims.scope,
        "token_type": "Bearer",
        "iat": claims.issued_at_us // 1_000_000,
        "exp": claims.expires_at_us // 1_000_000,
        "iss": "https://sts.googleapis.com/",
    }


async def _form(call: Call) -> dict[str, str]:
    """Its parameters in snake_case, from a form or JSON in camelCase. Raises GrantRefused: a parameter occurs once (RFC 6749, 3.2)."""
    content = await call.content()
    try:
        if call.request.header(b"content-type").partition(";")[0].strip().lower() == "application/json":
            given = msgspec.json.decode(content or b"{}", type=dict[str, str])
            return {re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name): value for name, value in given.items()}
        return forms.once(content.decode("ascii"))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise GrantRefused("invalid_request", "the body must be a form, or a JSON object of texts") from error


ROUTES: Sequence[Route] = (
    Route("POST", "/v1/token", _token, PUBLIC, of_client=True),
    Route("POST", "/v1/introspect", _introspect, PUBLIC, of_client=True),
)
