"""
The authorization server: whom it gives codes, and what it gives for codes, refresh tokens and signed assertions.

Its clients are programs on people's machines (RFC 8252), whose secrets everybody can read, so that they prove nothing: a code is bound to
the program that asked for it by PKCE (RFC 7636), and goes to that machine's own address or is shown to be pasted.

Spec: RFC 6749, 7009, 7523, 7636, 9700; OpenID Connect Core, 3.1; contract.md, section 3 for what gcloud expects.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from roadstead.errors import CredentialInvalid, GrantRefused, ResourceUnknown
from roadstead.iam.credentials import Credential, Credentials, Kind
from roadstead.iam.people import People, Person
from roadstead.iam.revocation import KEY_FAMILY, Revocations
from roadstead.iam.tokens import Claims, Tokens
from roadstead.iam.tokens import Kind as TokenKind

if TYPE_CHECKING:
    from roadstead.iam.keys import Keys

CODE_SECONDS = 600
REFRESH_SECONDS = 90 * 24 * 3600
# A refresh token that is used lives on; it is written down at most once a day.
REFRESH_TOUCH_US = 24 * 3600 * 1_000_000
ACCESS_SECONDS = 3600
# As Google says it: whoever reckons from when the answer arrived must not use the token too long.
ACCESS_SECONDS_TOLD = ACCESS_SECONDS - 1
MOST_SCOPE_CHARACTERS, MOST_STATE_CHARACTERS = 4096, 2048

CODE_GRANT = "authorization_code"
REFRESH_GRANT = "refresh_token"
ASSERTION_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"

# What Google's libraries write into assertions, whatever token_uri the key file has.
GOOGLE_AUDIENCES = frozenset(
    {"https://oauth2.googleapis.com/token", "https://www.googleapis.com/oauth2/v4/token", "https://accounts.google.com/o/oauth2/token"}
)
TOKEN_PATHS = ("/token", "/oauth2/v4/token")
COPY_THE_CODE = frozenset(
    {
        "urn:ietf:wg:oauth:2.0:oob",
        "https://sdk.cloud.google.com/authcode.html",
        "https://sdk.cloud.google.com/applicationdefaultauthcode.html",
    }
)
"""Redirections to nowhere: the code is shown on a page of ours, and a person pastes it."""

_LOOPBACK = re.compile(r"http://(?:localhost|127\.0\.0\.1|\[::1\])(?::[1-9][0-9]{0,4})?(?:/[A-Za-z0-9._~/-]{0,200})?")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")

Parameters = Mapping[str, str]
Answer = dict[str, object]
Load = Callable[[str, int], Awaitable[object]]
"""Takes a member and when its token was issued (microseconds). Raises CredentialInvalid when the account is gone or disabled since."""


@dataclass(frozen=True, slots=True)
class Granted:
    """member: who got it, for the audit log. answer: the JSON to send."""

    member: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Client:
    id: str
    name: str


CLIENTS = {
    client.id: client
    for client in (
        Client("32555940559.apps.googleusercontent.com", "Google Cloud SDK"),
        Client("764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com", "Google Auth Library"),
        Client("99426463878-o7n0bshgue20tdpm25q4at0vs2mr4utq.apps.googleusercontent.com", "docker-credential-gcr"),
        Client("roadstead-cli", "Roadstead's command line"),
    )
}


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the answer to an authorization request goes; checked, so that it is safe to send somebody there."""

    client: Client
    redirect_uri: str
    state: str

    @property
    def is_copied(self) -> bool:
        """There is no address to go to: show the code."""
        return self.redirect_uri in COPY_THE_CODE

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return "/".join(self.redirect_uri.split("/", 3)[:3])

    def address(self, answer: Parameters) -> str:
        """RFC 6749, 4.1.2 and 4.1.2.1."""
        parameters = {**answer, **({"state": self.state} if self.state else {})}
        return f"{self.redirect_uri}?{urlencode(parameters)}"


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a client asks a person for."""

    destination: Destination
    scope: str
    challenge: str
    nonce: str


def destination(parameters: Parameters) -> Destination:
    """Raises GrantRefused, which must not be sent to the address that was asked for."""
    client = CLIENTS.get(parameters.get("client_id", ""))
    if client is None:
        raise GrantRefused("invalid_client", "this server does not know the program that asks (client_id)")
    redirect_uri = parameters.get("redirect_uri", "")
    if redirect_uri not in COPY_THE_CODE and not _LOOPBACK.fullmatch(redirect_uri):
        raise GrantRefused("invalid_request", "the answer may only go to this machine: redirect_uri must be http://localhost:PORT/")
    return Destination(client, redirect_uri, parameters.get("state", "")[:MOST_STATE_CHARACTERS])


def authorization(parameters: Parameters, to: Destination) -> Authorization:
    """Raises GrantRefused, which is to be sent to the destination."""
    if parameters.get("response_type") != "code":
        raise GrantRefused("unsupported_response_type", "response_type must be code")
    if "none" in parameters.get("prompt", "").split():
        raise GrantRefused("interaction_required", "somebody has to be asked")
    if parameters.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(parameters.get("code_challenge", "")):
        raise GrantRefused("invalid_request", "code_challenge with code_challenge_method S256 is needed (RFC 7636)")
    return Authorization(to, checked_scope(parameters.get("scope", "")), parameters["code_challenge"], parameters.get("nonce", "")[:255])


def checked_scope(text: str) -> str:
    """Each once, in the order given. Raises GrantRefused."""
    if len(text) > MOST_SCOPE_CHARACTERS or not _SCOPE.fullmatch(text):
        raise GrantRefused("invalid_scope", "scope must name what is wanted, separated by blanks")
    return " ".join(dict.fromkeys(text.split(" ")))


class OAuth:
    """
    audience: of access tokens for this installation. load: see Load.
    """

    def __init__(
        self,
        credentials: Credentials,
        people: People,
        tokens: Tokens,
        revocations: Revocations,
        keys: Keys,
        load: Load,
        audience: str,
        now_us: Callable[[], int],
    ) -> None:
        self._credentials = credentials
        self._people = people
        self._tokens = tokens
        self._revocations = revocations
        self._keys = keys
        self._load = load
        self._audience = audience
        self.now_us = now_us

    async def allow(self, asked: Authorization, person: Person) -> str:
        """The person agrees: a code that is good once and for CODE_SECONDS."""
        data = {
            "redirect_uri": asked.destination.redirect_uri,
            "scope": asked.scope,
            "challenge": asked.challenge,
            "nonce": asked.nonce,
        }
        return await self._credentials.issue(Kind.CODE, person.member, asked.destination.client.id, CODE_SECONDS, data)

    async def exchange_code(self, form: Parameters) -> Granted:
        """Raises GrantRefused."""
        client = known_client(form)
        code = await self._redeem(form.get("code", ""))
        if code.client != client.id or code.data["redirect_uri"] != form.get("redirect_uri", ""):
            raise GrantRefused("invalid_grant", "the code was given to another program or for another address")
        if not _proves(form.get("code_verifier", ""), code.data["challenge"]):
            raise GrantRefused("invalid_grant", "code_verifier is not the one that the code was asked for with")
        person = await self._person(code)
        scope = code.data["scope"]
        refresh = await self._credentials.issue(Kind.REFRESH, code.member, client.id, REFRESH_SECONDS, {"scope": scope}, code.family)
        answer = await self._answer(person, client, scope, code.family, code.data["nonce"])
        return Granted(code.member, {**answer, "refresh_token": refresh})

    async def refresh(self, form: Parameters) -> Granted:
        """The refresh token stays the same: several gcloud processes use one at a time. Raises GrantRefused."""
        client = known_client(form)
        secret = form.get("refresh_token", "")
        try:
            kept = await self._credentials.look_up(secret, Kind.REFRESH)
        except CredentialInvalid as error:
            raise GrantRefused("invalid_grant", "the login has ended: sign in again") from error
        if kept.client != client.id:
            raise GrantRefused("invalid_grant", "the refresh token was given to another program")
        scope = kept.data.get("scope")
        if scope is None:
            raise GrantRefused("invalid_grant", "this refresh token is for something else: sign in again")
        if form.get("scope"):
            narrowed = checked_scope(form["scope"])
            if not set(narrowed.split()) <= set(scope.split()):
                raise GrantRefused("invalid_scope", "more was asked for than the login allowed")
            scope = narrowed
        person = await self._person(kept)
        if kept.expires_at_us - self.now_us() < REFRESH_SECONDS * 1_000_000 - REFRESH_TOUCH_US:
            await self._credentials.extend(secret, Kind.REFRESH, REFRESH_SECONDS)
        return Granted(kept.member, await self._answer(person, client, scope, kept.family))

    async def exchange_assertion(
        self, form: Parameters, own_audiences: frozenset[str], said_audiences: frozenset[str] = frozenset()
    ) -> Granted:
        """
        A service account's signed assertion (RFC 7523): an access token, or with the claim target_audience an ID token.

        own_audiences: addresses of this server's token endpoint. said_audiences: what they are if the request's Host is right. Anybody can
        write there the server that an assertion is meant for, so they are for keys that were made here, and for no other server.

        Raises GrantRefused.
        """
        certain = GOOGLE_AUDIENCES | own_audiences
        try:
            assertion = await self._keys.verify_assertion(form.get("assertion", ""), certain | said_audiences)
            if assertion.is_uploaded and assertion.audience not in certain:
                raise CredentialInvalid(
                    "the key was uploaded, so it may be another server's too: the token's aud must be https://oauth2.googleapis.com/token, "
                    "or this server's address, if it has one in its settings (public_url)"
                )
            await self._load(assertion.member, assertion.issued_at_us)
        except CredentialInvalid as error:
            raise GrantRefused("invalid_grant", error.message) from error
        member = assertion.member
        wanted = assertion.claims.get("target_audience")
        if wanted is not None:
            if not isinstance(wanted, str) or not 0 < len(wanted) <= 1000:
                raise GrantRefused("invalid_request", "target_audience must be a text")
            extra: dict[str, object] = {"azp": assertion.email, "email": assertion.email, "email_verified": True}
            return Granted(member, {"id_token": await self._tokens.issue(TokenKind.IDENTITY, member, wanted, ACCESS_SECONDS, extra=extra)})
        scope = assertion.claims.get("scope")
        if not isinstance(scope, str):
            raise GrantRefused("invalid_scope", "the assertion must have a claim scope, or target_audience")
        scope = checked_scope(scope)
        family = KEY_FAMILY + assertion.key_id
        token = await self._tokens.issue(TokenKind.ACCESS, member, self._audience, ACCESS_SECONDS, scope=scope, family=family)
        return Granted(member, {"access_token": token, "expires_in": ACCESS_SECONDS_TOLD, "token_type": "Bearer", "scope": scope})

    async def revoke(self, token: str) -> str:
        """
        A refresh token or an access token; with it all that came from the same login (RFC 7009, 2.1). Unknown ones are void already.

        Whose it was, "" for nobody's.
        """
        for kind in (Kind.REFRESH, Kind.DOCKER):
            if token.startswith(f"{kind.value}_"):
                return await self._revoke_refresh(token, kind)
        try:
            claims = await self._tokens.verify(token, TokenKind.ACCESS, self._audience)
        except CredentialInvalid:
            return ""
        # Others that were made with the same key are no login of this one's.
        if claims.family and not claims.family.startswith(KEY_FAMILY):
            await self._credentials.revoke_family(claims.family)
        await self._revocations.revoke(claims.token_id, claims.expires_at_us)
        return claims.member

    async def claims(self, access_token: str) -> Claims:
        """What a good access token says. Raises CredentialInvalid."""
        claims = await self._tokens.verify(access_token, TokenKind.ACCESS, self._audience)
        if await self._revocations.is_revoked(claims):
            raise CredentialInvalid("the token was revoked")
        if not claims.member:
            raise CredentialInvalid("the token is nobody's")
        await self._load(claims.member, claims.issued_at_us)
        return claims

    async def about(self, access_token: str) -> Answer:
        """OpenID Connect Core, 5.3: who has it. Raises CredentialInvalid."""
        claims = await self.claims(access_token)
        kind, _, email = claims.member.partition(":")
        if kind not in ("user", "serviceAccount") or not email:
            return {"sub": claims.member}
        known: Answer = {"sub": claims.member, "email": email, "email_verified": True}
        if kind == "user":
            person = await self._people.get(email)
            if person.name:
                known["name"] = person.name
        return known

    async def _revoke_refresh(self, token: str, kind: Kind) -> str:
        try:
            kept = await self._credentials.look_up(token, kind)
        except CredentialInvalid:
            return ""
        await self._credentials.revoke_family(kept.family)
        return kept.member

    async def _redeem(self, code: str) -> Credential:
        try:
            return await self._credentials.redeem(code, Kind.CODE)
        except CredentialInvalid as error:
            raise GrantRefused("invalid_grant", "the code is unknown, expired or was used already: ask for a new one") from error

    async def _person(self, kept: Credential) -> Person:
        """Whose it is, if they may still sign in. Raises GrantRefused."""
        try:
            person = await self._people.get(kept.member.removeprefix("user:"))
        except ResourceUnknown as error:
            raise GrantRefused("invalid_grant", "the account is gone") from error
        if person.disabled or person.valid_from_us > kept.created_at_us:
            raise GrantRefused("invalid_grant", "the login has ended: sign in again")
        return person

    async def _answer(self, person: Person, client: Client, scope: str, family: str, nonce: str = "") -> Answer:
        access = await self._tokens.issue(TokenKind.ACCESS, person.member, self._audience, ACCESS_SECONDS, scope=scope, family=family)
        answer: Answer = {"access_token": access, "expires_in": ACCESS_SECONDS_TOLD, "token_type": "Bearer", "scope": scope}
        if "openid" in scope.split():
            extra: dict[str, object] = {"azp": client.id, "email": person.email, "email_verified": True, "at_hash": _half_hash(access)}
            extra |= {"name": person.name} if person.name else {}
            extra |= {"nonce": nonce} if nonce else {}
            answer["id_token"] = await self._tokens.issue(TokenKind.IDENTITY, person.member, client.id, ACCESS_SECONDS, extra=extra)
        return answer


def known_client(form: Parameters) -> Client:
    """Raises GrantRefused."""
    client = CLIENTS.get(form.get("client_id", ""))
    if client is None:
        raise GrantRefused("invalid_client", "this server does not know the program that asks (client_id)")
    return client


def own_audiences(base_url: str) -> frozenset[str]:
    """base_url without a slash at its end."""
    return frozenset(base_url + path for path in TOKEN_PATHS)


def challenge_of(verifier: str) -> str:
    """RFC 7636, 4.2, S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _proves(verifier: str, challenge: str) -> bool:
    return _VERIFIER.fullmatch(verifier) is not None and hmac.compare_digest(challenge_of(verifier), challenge)


def _half_hash(token: str) -> str:
    """OpenID Connect Core, 3.1.3.6."""
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()[:16]).rstrip(b"=").decode()
