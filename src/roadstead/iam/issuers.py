"""
The public keys of other providers: given in a file, or fetched from the issuer (OpenID Connect Discovery 1.0) and remembered for a while.

A key that is not known is fetched again at most every AGAIN_SECONDS, so that strangers cannot make this server knock on others' doors.
Keys that could not be renewed are not used any longer than FRESH_SECONDS: what cannot be checked is refused.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from roadstead.errors import CredentialInvalid, FieldInvalid

FRESH_SECONDS = 3600
AGAIN_SECONDS = 30
MOST_KEYS = 100
MOST_ISSUERS = 200
LEAST_RSA_BITS = 2048
ALGORITHMS = frozenset({"RS256", "ES256"})

Fetch = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """algorithm: the only one that it is used with."""

    kid: str
    algorithm: str
    key: ECKey | RSAKey


class _Document(msgspec.Struct):
    keys: list[dict[str, object]]


class _Configuration(msgspec.Struct):
    issuer: str
    jwks_uri: str


def read_keys(content: bytes) -> Sequence[IssuerKey]:
    """
    A JSON Web Key Set (RFC 7517). Keys for other purposes and of other kinds are left out.

    Raises FieldInvalid: not a key set, a private key in it, none that can be used.
    """
    try:
        document = msgspec.json.decode(content, type=_Document)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FieldInvalid(f"the keys are not a JSON Web Key Set: {error}") from error
    if len(document.keys) > MOST_KEYS:
        raise FieldInvalid(f"a JSON Web Key Set may have {MOST_KEYS} keys at most")
    if any("d" in each or each.get("kty") == "oct" for each in document.keys):
        raise FieldInvalid("the JSON Web Key Set has a private or secret key in it: only public ones may be given away")
    found = [key for each in document.keys if (key := _read(each)) is not None]
    if not found:
        raise FieldInvalid("the JSON Web Key Set has no key for RS256 (2048 bits or more) or ES256")
    return found


def _read(fields: dict[str, object]) -> IssuerKey | None:
    kid = fields.get("kid", "")
    if not isinstance(kid, str) or fields.get("use", "sig") != "sig":
        return None
    try:
        if fields.get("kty") == "RSA" and fields.get("alg", "RS256") == "RS256":
            if len(str(fields.get("n", ""))) * 6 < LEAST_RSA_BITS:
                return None
            rsa = RSAKey.import_key({name: str(fields.get(name, "")) for name in ("kty", "n", "e")})
            return IssuerKey(kid, "RS256", rsa) if rsa.public_key.key_size >= LEAST_RSA_BITS else None
        if fields.get("kty") == "EC" and fields.get("crv") == "P-256" and fields.get("alg", "ES256") == "ES256":
            return IssuerKey(kid, "ES256", ECKey.import_key({name: str(fields.get(name, "")) for name in ("kty", "crv", "x", "y")}))
    except (JoseError, ValueError):
        return None
    return None


@dataclass(slots=True)
class _Known:
    keys: Sequence[IssuerKey] = ()
    fetched_at_us: int = 0
    tried_at_us: int = 0
    problem: str = ""
    fetching: asyncio.Lock = field(default_factory=asyncio.Lock)


class Issuers:
    def __init__(self, fetch: Fetch, now_us: Callable[[], int]) -> None:
        self._fetch = fetch
        self._now_us = now_us
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def key(self, issuer: str, kid: str, algorithm: str) -> ECKey | RSAKey:
        """
        The issuer's key of this id; "" is the only one there is for the algorithm.

        Raises CredentialInvalid: there is none, or the issuer could not be asked.
        """
        known = self._known.setdefault(issuer, _Known())
        self._known.move_to_end(issuer)
        if len(self._known) > MOST_ISSUERS:
            self._known.popitem(last=False)
        async with known.fetching:
            found = pick(known.keys, kid, algorithm)
            if not self._is_fresh(known) or (found is None and self._may_try(known)):
                await self._renew(issuer, known)
                found = pick(known.keys, kid, algorithm)
        if found is None:
            raise CredentialInvalid(f"the token is signed by a key that its issuer {issuer} does not have for {algorithm}")
        return found

    def _is_fresh(self, known: _Known) -> bool:
        return known.fetched_at_us > 0 and self._now_us() - known.fetched_at_us < FRESH_SECONDS * 1_000_000

    def _may_try(self, known: _Known) -> bool:
        return self._now_us() - known.tried_at_us >= AGAIN_SECONDS * 1_000_000

    async def _renew(self, issuer: str, known: _Known) -> None:
        if known.problem and not self._may_try(known):
            raise CredentialInvalid(known.problem)
        known.tried_at_us = self._now_us()
        try:
            keys = await self._fetched(issuer)
        except CredentialInvalid as error:
            known.problem = error.message
            raise
        known.keys, known.fetched_at_us, known.problem = keys, self._now_us(), ""

    async def _fetched(self, issuer: str) -> Sequence[IssuerKey]:
        content = await self._fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        try:
            configuration = msgspec.json.decode(content, type=_Configuration)
        except (msgspec.DecodeError, RecursionError) as error:
            raise CredentialInvalid(f"the token could not be checked, so it is refused: {issuer} has no OpenID configuration") from error
        if configuration.issuer != issuer:
            raise CredentialInvalid(
                f"the token could not be checked, so it is refused: {issuer} says that it is {configuration.issuer[:300]} (Discovery, 4.3)"
            )
        try:
            return read_keys(await self._fetch(configuration.jwks_uri))
        except FieldInvalid as error:
            raise CredentialInvalid(f"the token could not be checked, so it is refused: of {issuer}, {error.message}") from error


def pick(keys: Sequence[IssuerKey], kid: str, algorithm: str) -> ECKey | RSAKey | None:
    """The key of this id for the algorithm; without an id the only one there is."""
    fitting = [each.key for each in keys if each.algorithm == algorithm and kid in ("", each.kid)]
    return fitting[0] if len(fitting) == 1 else None
