"""
How the command line gets tokens: a person's consent in a browser, a code that is pasted, a service account's key.

Spec: RFC 8252 (programs on people's machines), 7636 (PKCE, S256), 7523 (assertions), 6749; iam/oauth.py is the other side.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from roadstead.cli.logins import Kind, Login
from roadstead.cli.output import Failed, note

if TYPE_CHECKING:
    import httpx

CLIENT = "roadstead-cli"
SCOPE = "openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/cloud-platform"
CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"
ASSERTION_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_SECONDS = 3600

_ENDED = ("invalid_grant", "invalid_client")


class Ended(Failed):
    """What tokens were got with is good no more."""


@dataclass(frozen=True, slots=True)
class Granted:
    access_token: str
    expires_at_us: int
    refresh_token: str = ""


@dataclass(frozen=True, slots=True)
class _Asked:
    """verifier proves that whoever has the code also asked for it; state that the answer belongs to the question."""

    redirect_uri: str
    verifier: str
    state: str

    @classmethod
    def now(cls, redirect_uri: str) -> _Asked:
        return cls(redirect_uri, secrets.token_urlsafe(48), secrets.token_urlsafe(24))

    def link(self, server: str) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": CLIENT,
            "redirect_uri": self.redirect_uri,
            "scope": SCOPE,
            "state": self.state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{server}/o/oauth2/auth?{urlencode(query)}"


def in_browser(client: httpx.Client, server: str) -> Granted:
    """Opens a link, and waits for the browser to come back to this machine. Raises Failed."""
    import webbrowser

    from roadstead.cli.browser_answer import Listener

    with Listener() as listener:
        asked = _Asked.now(listener.redirect_uri)
        listener.state = asked.state
        link = asked.link(server)
        note(f"Your browser opens this link, to sign in and to allow it:\n\n    {link}\n\nIf it does not: --no-browser.")
        listener.start()
        if not webbrowser.open(link):
            note("There is no browser here to open: open the link on this machine yourself, or use --no-browser.")
        given = listener.answer()
    if "code" not in given:
        raise Failed(f"it was not allowed: {_described(given, 400)}")
    return _exchange(client, asked, given["code"])


def pasted(client: httpx.Client, server: str) -> Granted:
    """Prints a link for any machine's browser, and asks for the code that it ends with. Raises Failed."""
    asked = _Asked.now(OUT_OF_BAND)
    note(f"Open this link in a browser, on whichever machine:\n\n    {asked.link(server)}\n")
    print("Paste the verification code here: ", end="", file=sys.stderr, flush=True)
    code = sys.stdin.readline().strip()
    if not code:
        raise Failed("no verification code was given")
    return _exchange(client, asked, code)


def renew(client: httpx.Client, login: Login) -> Granted:
    """Raises Ended, Failed."""
    if login.kind is Kind.KEY and login.key is not None:
        return by_key(client, login.key, login.token_uri)
    return _ask(client, "/token", {"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": login.refresh_token})


def by_key(client: httpx.Client, key: Mapping[str, str], token_uri: str) -> Granted:
    """An assertion that is signed with a service account's key, for an access token. Raises Ended, Failed."""
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import RSAKey

    now = int(time.time())
    claims = {
        "iss": key["client_email"],
        "sub": key["client_email"],
        "aud": token_uri,
        "scope": CLOUD_PLATFORM,
        "iat": now,
        "exp": now + ASSERTION_SECONDS,
    }
    header = {"alg": "RS256", "typ": "JWT", "kid": key["private_key_id"]}
    try:
        assertion = jwt.encode(header, claims, RSAKey.import_key(key["private_key"]))
    except (ValueError, JoseError) as error:
        raise Failed("the private key in the key file cannot be used") from error
    return _ask(client, token_uri, {"grant_type": ASSERTION_GRANT, "assertion": assertion})


def about(client: httpx.Client, server: str, access_token: str) -> tuple[str, int]:
    """Whose token it is (an address, or a member without one), and until when, in microseconds. Raises Failed."""
    # In the body: addresses stand in logs.
    response = client.post("/oauth2/v3/tokeninfo", data={"access_token": access_token})
    known = answer(response, server)
    if response.status_code != 200:
        raise Failed(f"{server} does not take this token: it is another server's, it has ended, or it was revoked")
    return str(known.get("email") or known.get("sub", "")), int(known.get("exp", 0)) * 1_000_000


def revoke(client: httpx.Client, server: str, token: str) -> None:
    """Raises Failed."""
    response = client.post("/revoke", data={"token": token})
    if response.status_code != 200:
        raise Failed(f"{server} did not revoke it: {_described(answer(response, server), response.status_code)}")


def answer(response: httpx.Response, server: str) -> dict[str, Any]:
    """The JSON object in it. Raises Failed when there is none: then it is somebody else who answers."""
    try:
        found: object = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        found = None
    if not isinstance(found, dict):
        raise Failed(f"{server} does not answer as a Roadstead server does (HTTP {response.status_code}): is the address right?")
    return found


def _exchange(client: httpx.Client, asked: _Asked, code: str) -> Granted:
    form = {
        "grant_type": "authorization_code",
        "client_id": CLIENT,
        "code": code,
        "redirect_uri": asked.redirect_uri,
        "code_verifier": asked.verifier,
    }
    return _ask(client, "/token", form)


def _ask(client: httpx.Client, path: str, form: Mapping[str, str]) -> Granted:
    response = client.post(path, data=dict(form))
    given = answer(response, str(client.base_url).rstrip("/"))
    if response.status_code != 200:
        described = _described(given, response.status_code)
        raise Ended(described) if given.get("error") in _ENDED else Failed(described)
    expires_at_us = int((time.time() + int(given.get("expires_in", 0))) * 1e6)
    return Granted(str(given.get("access_token", "")), expires_at_us, str(given.get("refresh_token", "")))


def _described(given: Mapping[str, Any], status: int) -> str:
    """RFC 6749, 5.2."""
    return str(given.get("error_description") or given.get("error") or f"HTTP {status}")
