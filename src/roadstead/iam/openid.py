"""
Signing in with an OpenID provider: authorization code, PKCE, state and nonce.

What cannot be checked is refused, and says what it was. An account is found by the provider's issuer and subject; an e-mail address alone
leads to an account that is here already only where the operator trusts the provider with addresses (trust_email), or its owner is signed
in. Groups of the claims replace those of the login before.

Spec: OpenID Connect Core 1.0, 3.1; Discovery 1.0; RFC 7636; RFC 9207.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, urlencode, urlsplit

import msgspec

from roadstead.errors import AlreadyExists, CredentialInvalid, FieldInvalid, MemberInvalid, StateForbids
from roadstead.iam import jws
from roadstead.iam.fetch import Fetch
from roadstead.iam.groups import Groups
from roadstead.iam.issuers import ALGORITHMS, Issuers
from roadstead.iam.members import parse_member
from roadstead.iam.oauth import challenge_of
from roadstead.iam.people import MOST_NAME_CHARACTERS, People, Person, canonical_email

if TYPE_CHECKING:
    import httpx

ANSWER_SECONDS = 10.0
MOST_ANSWER_BYTES = 256 * 1024
CONFIGURATION_US = 3600 * 1_000_000
LEEWAY_SECONDS = 60
# An ID token is used the moment it is issued.
OLDEST_SECONDS = 600
MOST_GROUPS = 1000
_LOCAL = "!#$&'*+/=^_`{|}~.-"


EVERY_DOMAIN = "*"


@dataclass(frozen=True, slots=True)
class Provider:
    """
    name: as in addresses of this server and after the @ of groups that are no e-mail addresses. label: on the button, "" for the name.

    client_secret: "" for a public client. domains: whose addresses may sign in; `*` is everybody whom the provider knows.
    trust_email: the provider's addresses are right even where it does not say email_verified, and lead to accounts that are here already.
    """

    name: str
    issuer: str
    client_id: str
    client_secret: str = ""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    groups_claim: str = "groups"
    domains: tuple[str, ...] = ()
    label: str = ""
    trust_email: bool = False

    def takes(self, domain: str) -> bool:
        return domain in self.domains or EVERY_DOMAIN in self.domains

    @property
    def called(self) -> str:
        return self.label or self.name


@dataclass(frozen=True, slots=True)
class Begun:
    """address: where the browser goes. The rest stays in that browser, and is asked for when it comes back."""

    address: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the provider says, checked. groups are addresses."""

    subject: str
    email: str
    name: str
    groups: frozenset[str]


class _Configuration(msgspec.Struct):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: list[str] = msgspec.field(default_factory=lambda: ["client_secret_basic"])
    authorization_response_iss_parameter_supported: bool = False


class _Answer(msgspec.Struct):
    id_token: str
    access_token: str = ""


class OpenIDLogin:
    """One provider. issuers: its keys; fetch: for its configuration, may reach the issuer's host."""

    def __init__(
        self, provider: Provider, issuers: Issuers, fetch: Fetch, people: People, groups: Groups, now_us: Callable[[], int]
    ) -> None:
        self.provider = provider
        self._issuers = issuers
        self._fetch = fetch
        self._people = people
        self._groups = groups
        self._now_us = now_us
        self._configuration: _Configuration | None = None
        self._configured_at_us = 0

    async def begin(self, redirect_uri: str) -> Begun:
        """redirect_uri: the callback of this server, as the provider has it registered. Raises CredentialInvalid."""
        configuration = await self._discovered()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        parameters = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(dict.fromkeys(("openid", *self.provider.scopes))),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        separator = "&" if "?" in configuration.authorization_endpoint else "?"
        return Begun(f"{configuration.authorization_endpoint}{separator}{urlencode(parameters)}", state, nonce, verifier)

    async def finish(self, code: str, issuer: str, redirect_uri: str, nonce: str, verifier: str, signed_in: Person | None) -> Person:
        """
        Who came back. issuer: the answer's parameter iss, "" where it has none. signed_in: whose session the browser has, if any.

        Makes the account at the first login. Raises CredentialInvalid.
        """
        configuration = await self._discovered()
        if issuer != self.provider.issuer and (issuer or configuration.authorization_response_iss_parameter_supported):
            raise CredentialInvalid("the answer is of another provider than the one that was asked (RFC 9207)")
        answer = await self._redeem(configuration, code, redirect_uri, verifier)
        claims = await self._checked(answer.id_token, nonce)
        if answer.access_token and configuration.userinfo_endpoint and not {"email", self.provider.groups_claim} <= claims.keys():
            claims = {**await self._userinfo(configuration, answer.access_token, claims["sub"]), **claims}
        claimed = self._claimed(claims)
        person = await self._person(claimed, signed_in)
        await self._groups.claimed(person.member, self.provider.issuer, claimed.groups)
        return person

    async def _person(self, claimed: Claimed, signed_in: Person | None) -> Person:
        issuer = self.provider.issuer
        person = await self._people.of_subject(issuer, claimed.subject)
        if person is None:
            try:
                person = await self._people.create(claimed.email, claimed.name, None, issuer, claimed.subject)
            except AlreadyExists:
                person = await self._linked(claimed, signed_in)
        if person.disabled:
            raise CredentialInvalid("this account is disabled")
        return person

    async def _linked(self, claimed: Claimed, signed_in: Person | None) -> Person:
        if not self.provider.trust_email and (signed_in is None or signed_in.email != claimed.email):
            raise CredentialInvalid(
                f"there is an account for {claimed.email} here that does not belong to this provider yet: "
                "sign in to it first, then come here again, and it will"
            )
        try:
            await self._people.link(claimed.email, self.provider.issuer, claimed.subject)
        except (AlreadyExists, StateForbids) as error:
            raise CredentialInvalid(error.message) from error
        return await self._people.get(claimed.email)

    async def _discovered(self) -> _Configuration:
        now_us = self._now_us()
        if self._configuration is not None and now_us - self._configured_at_us < CONFIGURATION_US:
            return self._configuration
        content = await self._fetch(f"{self.provider.issuer.rstrip('/')}/.well-known/openid-configuration")
        try:
            found = msgspec.json.decode(content, type=_Configuration)
        except (msgspec.DecodeError, RecursionError) as error:
            raise CredentialInvalid(f"{self.provider.issuer} has no OpenID configuration that this server understands") from error
        if found.issuer != self.provider.issuer:
            raise CredentialInvalid(f"{self.provider.issuer} says that it is {found.issuer[:300]} (Discovery, 4.3)")
        own = urlsplit(self.provider.issuer).scheme
        for address in (found.authorization_endpoint, found.token_endpoint, found.userinfo_endpoint):
            # Where the issuer is asked over TLS, nothing of it is asked without.
            if address and urlsplit(address).scheme not in ("https", own):
                raise CredentialInvalid(f"{self.provider.issuer} has an endpoint without TLS")
        self._configuration, self._configured_at_us = found, now_us
        return found

    async def _redeem(self, configuration: _Configuration, code: str, redirect_uri: str, verifier: str) -> _Answer:
        provider = self.provider
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
        headers = {"accept": "application/json"}
        if provider.client_secret and "client_secret_basic" in configuration.token_endpoint_auth_methods_supported:
            # RFC 6749, 2.3.1: both are form-encoded first.
            pair = f"{quote_plus(provider.client_id)}:{quote_plus(provider.client_secret)}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = provider.client_id
            form |= {"client_secret": provider.client_secret} if provider.client_secret else {}
        content = await self._asked("POST", configuration.token_endpoint, headers, form)
        try:
            return msgspec.json.decode(content, type=_Answer)
        except (msgspec.DecodeError, RecursionError) as error:
            raise CredentialInvalid("the provider's answer has no ID token") from error

    async def _userinfo(self, configuration: _Configuration, access_token: str, subject: object) -> dict[str, object]:
        """OpenID Connect Core, 5.3: it counts only if it is about the same subject."""
        content = await self._asked("GET", configuration.userinfo_endpoint, {"authorization": f"Bearer {access_token}"}, None)
        try:
            found = msgspec.json.decode(content, type=dict[str, object])
        except (msgspec.DecodeError, RecursionError) as error:
            raise CredentialInvalid("the provider's userinfo is not JSON") from error
        if found.get("sub") != subject:
            raise CredentialInvalid("the provider's userinfo is about somebody else")
        return found

    async def _asked(self, method: str, address: str, headers: dict[str, str], form: dict[str, str] | None) -> bytes:
        """Raises CredentialInvalid. Redirects are not followed: the form holds the code and the client's secret."""
        # Slow to import, and most servers never ask anybody.
        import httpx

        try:
            async with (
                asyncio.timeout(ANSWER_SECONDS),
                httpx.AsyncClient(verify=self._fetch.verification(), trust_env=False, timeout=ANSWER_SECONDS) as client,
                client.stream(method, address, headers=headers, data=form) as response,
            ):
                content = await _limited(response)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
            raise CredentialInvalid(f"the provider could not be asked ({type(error).__name__})") from error
        if response.status_code != 200:
            raise CredentialInvalid(f"the provider refused the login with status {response.status_code}{_reason(content)}")
        return content

    async def _checked(self, token: str, nonce: str) -> dict[str, object]:
        """OpenID Connect Core, 3.1.3.7. Raises CredentialInvalid."""
        algorithm, kid = jws.foreign_header(token, ALGORITHMS)
        key = await self._issuers.key(self.provider.issuer, kid, algorithm)
        claims = jws.verified(token, key, algorithm)
        audience, ours = claims.get("aud"), self.provider.client_id
        audiences = audience if isinstance(audience, list) else [audience]
        now = self._now_us() // 1_000_000
        subject = claims.get("sub")
        problem = ""
        if claims.get("iss") != self.provider.issuer:
            problem = "it is of another issuer"
        elif ours not in audiences:
            problem = "it is meant for another program"
        elif claims.get("azp", ours) != ours or (len(audiences) > 1 and "azp" not in claims):
            problem = "it was given to another program"
        elif jws.seconds(claims, "exp") <= now - LEEWAY_SECONDS:
            problem = "it has expired"
        elif not now - OLDEST_SECONDS <= jws.seconds(claims, "iat") <= now + LEEWAY_SECONDS:
            problem = "it was not made just now: is a clock wrong?"
        elif not nonce or claims.get("nonce") != nonce:
            problem = "it is the answer to another login"
        elif not isinstance(subject, str) or not 0 < len(subject) <= 255:
            problem = "it does not say who signed in"
        if problem:
            raise CredentialInvalid(f"the provider's ID token is refused: {problem}")
        return claims

    def _claimed(self, claims: dict[str, object]) -> Claimed:
        """Raises CredentialInvalid."""
        provider, address = self.provider, claims.get("email")
        if not isinstance(address, str) or not address:
            raise CredentialInvalid("the provider did not say the e-mail address: its scope must be among those that are asked for")
        try:
            email = canonical_email(address)
        except FieldInvalid as error:
            raise CredentialInvalid("what the provider says is the e-mail address is none") from error
        verified = claims.get("email_verified", provider.trust_email)
        if verified not in (True, "true"):
            raise CredentialInvalid("the provider has not verified the e-mail address")
        if not provider.takes(email.rpartition("@")[2]):
            raise CredentialInvalid(f"addresses of {email.rpartition('@')[2]} may not sign in here")
        name = claims.get("name")
        plain = "".join(each for each in name if each.isprintable())[:MOST_NAME_CHARACTERS].strip() if isinstance(name, str) else ""
        return Claimed(str(claims["sub"]), email, plain, self._addresses(claims.get(provider.groups_claim)))

    def _addresses(self, value: object) -> frozenset[str]:
        names: Sequence[object] = value if isinstance(value, list) else [value]
        found = (group_address(name, self.provider) for name in names[:MOST_GROUPS] if isinstance(name, str))
        return frozenset(filter(None, found))


def group_address(name: str, provider: Provider) -> str:
    """
    `dev@example.com` is itself, if its domain is written among the provider's, for which `*` is not enough: else what anybody calls a group
    at the provider would be any group that policies name. `/dev` is `dev@corp` of the provider corp, so
    that no two providers can mean the same one. "" for what cannot be an address.
    """
    _, at, domain = name.rpartition("@")
    if at and domain.lower() not in provider.domains:
        return ""
    address = name if at else f"{quote(name.strip('/'), safe=_LOCAL)}@{provider.name}"
    try:
        return parse_member(f"group:{address}").removeprefix("group:")
    except MemberInvalid:
        return ""


async def _limited(response: httpx.Response) -> bytes:
    pieces: list[bytes] = []
    size_bytes = 0
    async for piece in response.aiter_bytes():
        pieces.append(piece)
        size_bytes += len(piece)
        if size_bytes > MOST_ANSWER_BYTES:
            raise CredentialInvalid("the provider's answer is too large")
    return b"".join(pieces)


def _reason(content: bytes) -> str:
    """RFC 6749, 5.2: the code of the error alone; descriptions are anybody's text."""
    try:
        code = msgspec.json.decode(content, type=dict[str, object]).get("error")
    except (msgspec.DecodeError, RecursionError):
        return ""
    return f" ({code})" if isinstance(code, str) and code.isascii() and code.replace("_", "").isalpha() and len(code) < 60 else ""
