"""Signing in with an OpenID provider: there, and back."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from roadstead.api.messages import Response
from roadstead.api.signin.browser import OPENID, Visit, next_path, redirect
from roadstead.api.signin.services import Services
from roadstead.errors import CredentialInvalid, NotFound
from roadstead.iam.openid import OpenIDLogin

WAIT_SECONDS = 600
AGAIN = "this login was not begun in this browser, or too long ago: begin again"


class _Kept(msgspec.Struct, frozen=True):
    """In the browser's own cookie while it is at the provider: whoever has it can finish only their own login."""

    provider: str
    state: str
    nonce: str
    verifier: str
    next: str


@dataclass(frozen=True, slots=True)
class _Asked:
    name: str
    login: OpenIDLogin
    redirect_uri: str


async def begin(services: Services, visited: Visit) -> Response:
    """Raises NotFound, CredentialInvalid (the provider does not answer)."""
    asked = _asked(services, visited)
    begun = await asked.login.begin(asked.redirect_uri)
    kept = _Kept(asked.name, begun.state, begun.nonce, begun.verifier, next_path(visited.parameter("next"), ""))
    visited.set_cookie(OPENID, base64.urlsafe_b64encode(msgspec.json.encode(kept)).decode().rstrip("="), WAIT_SECONDS)
    return redirect(visited, begun.address)


async def callback(services: Services, visited: Visit) -> Response:
    """Raises NotFound, CredentialInvalid."""
    asked = _asked(services, visited)
    kept = _kept(visited)
    visited.set_cookie(OPENID, "", 0)
    if kept.provider != asked.name or not hmac.compare_digest(kept.state.encode(), visited.parameter("state").encode()):
        raise CredentialInvalid(AGAIN)
    try:
        if visited.parameter("error") or not visited.parameter("code"):
            raise CredentialInvalid(f"{asked.login.provider.called} did not sign you in")
        person = await asked.login.finish(
            visited.parameter("code"),
            visited.parameter("iss"),
            asked.redirect_uri,
            kept.nonce,
            kept.verifier,
            visited.session.person if visited.session else None,
        )
    except CredentialInvalid:
        services.note(visited, "", "signin.openid", False)
        raise
    services.note(visited, person.member, "signin.openid", True)
    await services.begin_session(visited, person)
    return redirect(visited, next_path(kept.next, services.home))


def _asked(services: Services, visited: Visit) -> _Asked:
    name = visited.request.path.split("/")[3]
    login = services.openid.get(name)
    if login is None:
        raise NotFound("there is no such provider")
    return _Asked(name, login, f"{visited.origin}/signin/oidc/{quote(name)}/callback")


def _kept(visited: Visit) -> _Kept:
    text = visited.cookie(OPENID)
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_Kept)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise CredentialInvalid(AGAIN) from error
