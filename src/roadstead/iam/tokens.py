"""
Tokens that this server signs and reads: JSON Web Tokens (RFC 7519), verified without a query.

ACCESS is for every API (RFC 9068), REGISTRY is what docker gets for some repositories (distribution's token specification), IDENTITY says
who somebody is (OpenID Connect). Each has a `typ` of its own, so that none passes for another (RFC 8725, section 3.11).
"""

from __future__ import annotations

import enum
import secrets
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from roadstead.errors import CredentialInvalid, FieldInvalid
from roadstead.iam import jws
from roadstead.iam.signing import ALGORITHM, LONGEST_LIFE_SECONDS, Clock, SigningKeys

# Clocks of nodes differ a little. The end of a token is exact.
LEEWAY_SECONDS = 60

CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
"""The scope of ACCESS tokens that are good for everything."""

_US = 1_000_000
_RESERVED = frozenset({"iss", "sub", "aud", "iat", "iat_us", "exp", "nbf", "jti", "scope", "access", "family"})


class Kind(enum.Enum):
    """The value is the token's `typ`."""

    ACCESS = "at+jwt"
    REGISTRY = "registry+jwt"
    IDENTITY = "JWT"


class Access(NamedTuple):
    """name: a repository, or "" for what concerns none (the catalog)."""

    location: str
    name: str
    actions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Claims:
    """
    member is "" for somebody anonymous; scope are OAuth scopes, separated by blanks; family is what came from the same login, "" where that
    is nothing. access is None except in REGISTRY tokens. attributes: the principalSet:// members that a federated identity belongs to.
    """

    kind: Kind
    member: str
    token_id: str
    family: str
    issued_at_us: int
    expires_at_us: int
    audience: str
    scope: str
    access: tuple[Access, ...] | None
    attributes: frozenset[str] = frozenset()


def issuer(installation: str) -> str:
    """`iss`; of a name that no server can have (RFC 2606), because an installation answers to several."""
    return f"https://roadstead.invalid/{installation}"


def audience(installation: str) -> str:
    """`aud` of ACCESS tokens."""
    return f"roadstead:{installation}"


class Tokens:
    def __init__(self, keys: SigningKeys, now_us: Clock, issuer: str) -> None:
        self._keys = keys
        self._now_us = now_us
        self._issuer = issuer

    async def issue(
        self,
        kind: Kind,
        member: str,
        audience: str,
        lifetime_seconds: int,
        *,
        scope: str = "",
        access: tuple[Access, ...] | None = None,
        family: str = "",
        extra: dict[str, object] | None = None,
    ) -> str:
        """
        A signed token. extra are claims beside those that every token has (an IDENTITY token's email).

        Raises FieldInvalid for a lifetime that is not 1 second to 24 hours, or extra claims that have a meaning of their own here.
        """
        if not 0 < lifetime_seconds <= LONGEST_LIFE_SECONDS:
            raise FieldInvalid("a token lives 1 second to 24 hours", {"lifetime": lifetime_seconds})
        if extra and not _RESERVED.isdisjoint(extra):
            raise FieldInvalid(f"these claims are set by the server: {', '.join(sorted(_RESERVED & extra.keys()))}")
        now_us = self._now_us()
        claims: dict[str, object] = {
            **(extra or {}),
            "iss": self._issuer,
            "sub": member,
            "aud": audience,
            # Rights can end within a second, and iat has no parts of one.
            "iat_us": now_us,
            "iat": now_us // _US,
            "nbf": now_us // _US,
            "exp": now_us // _US + lifetime_seconds,
            "jti": secrets.token_urlsafe(16),
        }
        if scope:
            claims["scope"] = scope
        if family:
            claims["family"] = family
        if kind is Kind.REGISTRY:
            claims["access"] = [_written(each) for each in access or ()]
        key = await self._keys.current()
        token = jws.sign({"kid": key.kid, "typ": kind.value}, claims, key.private, ALGORITHM)
        if len(token) > jws.MOST_BYTES:
            raise FieldInvalid("a token cannot name so many repositories and scopes: ask for fewer")
        return token

    async def verify(self, token: str, kind: Kind, audience: str) -> Claims:
        """
        What a token of ours says. Nothing of it is believed before its signature is verified by one of our own keys.

        Raises CredentialInvalid.
        """
        kid, typ = jws.header(token, ALGORITHM)
        if typ != kind.value:
            raise CredentialInvalid("this is a token for another purpose")
        key = await self._keys.find(kid)
        if key is None:
            raise CredentialInvalid("the token is not signed by a key of this server")
        claims = jws.verified(token, key.public, ALGORITHM)
        if claims.get("iss") != self._issuer:
            raise CredentialInvalid("the token was issued by another server")
        if claims.get("aud") != audience:
            raise CredentialInvalid("the token is meant for somebody else")
        self._check_times(claims)
        return Claims(
            kind=kind,
            member=jws.text(claims, "sub"),
            token_id=jws.text(claims, "jti"),
            family=jws.text(claims, "family"),
            issued_at_us=jws.integer(claims, "iat_us"),
            expires_at_us=jws.seconds(claims, "exp") * _US,
            audience=audience,
            scope=jws.text(claims, "scope"),
            access=_access(claims.get("access")) if kind is Kind.REGISTRY else None,
            attributes=_attributes(claims.get("attributes")),
        )

    def _check_times(self, claims: dict[str, object]) -> None:
        now_us = self._now_us()
        if jws.seconds(claims, "exp") * _US <= now_us:
            raise CredentialInvalid("the token has expired")
        latest_us = now_us + LEEWAY_SECONDS * _US
        if jws.seconds(claims, "nbf") * _US > latest_us or jws.integer(claims, "iat_us") > latest_us:
            raise CredentialInvalid("the token is not valid yet: is a clock wrong?")


def _written(access: Access) -> dict[str, object]:
    return {"type": "repository", "location": access.location, "name": access.name, "actions": sorted(access.actions)}


def _attributes(value: object) -> frozenset[str]:
    return frozenset(str(each) for each in value) if isinstance(value, list) else frozenset()


class _Written(msgspec.Struct, frozen=True):
    location: str
    name: str
    actions: frozenset[str]


def _access(value: object) -> tuple[Access, ...]:
    try:
        written = msgspec.convert(value, list[_Written])
    except msgspec.ValidationError as error:
        raise CredentialInvalid("the token does not say what it gives access to") from error
    return tuple(Access(each.location, each.name, each.actions) for each in written)
