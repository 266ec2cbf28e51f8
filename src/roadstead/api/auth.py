"""
Who makes a request: the Authorization header becomes an Identity. Every API asks here, and nowhere else.

Known ways (contract.md, 1.1 and 4.3): a Bearer token of ours; a JWT that a service account signed itself, as Google's clients send it;
Basic with the user names of GCR: `_json_key` and `_json_key_base64` with a key file, `oauth2accesstoken` and its like with an access
token, and a person's own address with an access token or the password.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import os
import re
import secrets
import weakref
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from roadstead.api.messages import Request
from roadstead.errors import CredentialInvalid, RequestInvalid
from roadstead.iam import jws
from roadstead.iam.generation import Generation
from roadstead.iam.keys import Keys
from roadstead.iam.members import ANONYMOUS, Principal
from roadstead.iam.people import People
from roadstead.iam.principals import Principals
from roadstead.iam.revocation import KEY_FAMILY, Revocations
from roadstead.iam.throttle import Throttle
from roadstead.iam.tokens import CLOUD_PLATFORM, Access, Claims, Kind, Tokens, audience

MAX_CREDENTIAL_BYTES = 16 * 1024
# How long a password or key that was right is not looked at again. A change of the account ends it at once.
REMEMBERED_US = 60_000_000
REMEMBERED = 4096
TOKEN_NAMES = re.compile(r"oauth2accesstoken|_token|_dcgcloud_token|_dcgcr_[0-9A-Za-z_.]+_token|_oauth2_token")

_CLOUD = "https://www.googleapis.com/auth/"
_WRITES = frozenset({CLOUD_PLATFORM})
_READS = _WRITES | {_CLOUD + "cloud-platform.read-only"}
_STORAGE_WRITES = _WRITES | {_CLOUD + "devstorage.read_write", _CLOUD + "devstorage.full_control"}
_STORAGE_READS = _STORAGE_WRITES | _READS | {_CLOUD + "devstorage.read_only"}


@dataclass(frozen=True, slots=True)
class Identity:
    """
    access: what a registry token is limited to; None for all that the principal may. scopes: OAuth's, which limit an access token; None for
    no limit. expires_at_us: until when this holds. way: how it was shown: `token`, `registry-token`, `self-signed`, `key`, `password`, "".
    family: by what tokens that are made of it can be revoked with it: its login, its key or itself.
    """

    principal: Principal
    way: str = ""
    expires_at_us: int = 0
    access: tuple[Access, ...] | None = None
    scopes: frozenset[str] | None = None
    family: str = ""

    def may_call(self, writes: bool) -> bool:
        """Whether the token's scopes are for Google's APIs."""
        return self.scopes is None or not self.scopes.isdisjoint(_WRITES if writes else _READS)

    def may_use_registry(self, writes: bool) -> bool:
        return self.scopes is None or not self.scopes.isdisjoint(_STORAGE_WRITES if writes else _STORAGE_READS)


NOBODY = Identity(ANONYMOUS)


class _KeyFile(msgspec.Struct):
    client_email: str
    private_key_id: str
    private_key: str
    type: str = ""


@dataclass(frozen=True, slots=True)
class _Proved:
    """A password or key that was right: whose, when that was seen, until when that is good, and the family of what is made of it."""

    member: str
    way: str
    at_us: int
    ends_at_us: int
    family: str = ""


class Authenticator:
    """Fast for what it has seen lately, within one process. What was revoked, disabled or expired does not pass."""

    def __init__(
        self,
        tokens: Tokens,
        keys: Keys,
        principals: Principals,
        people: People,
        throttle: Throttle,
        revocations: Revocations,
        generation: Generation,
        installation: str,
        now_us: Callable[[], int],
    ) -> None:
        self._tokens = tokens
        self._keys = keys
        self._principals = principals
        self._people = people
        self._throttle = throttle
        self._revocations = revocations
        self._generation = generation
        self._audience = audience(installation)
        self._now_us = now_us
        self._proved: OrderedDict[bytes, _Proved] = OrderedDict()
        self._proved_at = -1
        self._proving: weakref.WeakValueDictionary[bytes, asyncio.Lock] = weakref.WeakValueDictionary()
        self._salt = b""

    async def of_request(self, request: Request) -> Identity:
        """
        For Google's APIs: a Bearer token or nothing. Raises CredentialInvalid, RequestInvalid.
        """
        header = authorization(request)
        if header is None:
            return NOBODY
        scheme, credential = split(header)
        if scheme != "bearer":
            raise CredentialInvalid("send an access token: `Authorization: Bearer TOKEN`")
        return await self.of_token(credential)

    async def of_registry(self, request: Request, header: bytes, location: str) -> Identity:
        """For /v2/: also a registry token of this location, and Basic. Raises CredentialInvalid, TooManyRequests."""
        scheme, credential = split(header)
        if scheme == "bearer":
            if jws.typ(credential) == Kind.REGISTRY.value:
                return await self._of_registry_token(credential, location)
            return await self.of_token(credential)
        if scheme != "basic":
            raise CredentialInvalid("the Authorization header must be Bearer or Basic")
        name, password = _basic(credential)
        return await self.of_password(request, name, password)

    async def of_token(self, token: str) -> Identity:
        """An access token of ours, or one that a service account signed itself. Raises CredentialInvalid."""
        typ = jws.typ(token)
        if typ == Kind.ACCESS.value:
            claims = await self._tokens.verify(token, Kind.ACCESS, self._audience)
            await self._not_revoked(claims)
            principal = await self._principals.load(claims.member, claims.issued_at_us, claims.attributes)
            scopes = frozenset(claims.scope.split()) if claims.scope else None
            return Identity(principal, "token", claims.expires_at_us, scopes=scopes, family=claims.family or claims.token_id)
        if typ == Kind.REGISTRY.value:
            raise CredentialInvalid("this token is for the registry only: get an access token")
        assertion = await self._keys.verify_bearer(token)
        principal = await self._principals.load(assertion.member, assertion.issued_at_us)
        text = assertion.claims.get("scope")
        return Identity(
            principal,
            "self-signed",
            assertion.ends_at_us,
            scopes=frozenset(str(text).split()) if text else None,
            family=KEY_FAMILY + assertion.key_id,
        )

    async def of_password(self, request: Request, name: str, password: str) -> Identity:
        """What comes as Basic, at the registry and at its token service. Raises CredentialInvalid, TooManyRequests."""
        if TOKEN_NAMES.fullmatch(name) is not None:
            return await self.of_token(password)
        if name == "_json_key":
            return await self._remembered(name, password, lambda: self._of_key_file(password.encode()))
        if name == "_json_key_base64":
            return await self._remembered(name, password, lambda: self._of_key_file(_plain(password)))
        if "@" not in name:
            raise CredentialInvalid(
                "not authorized: the user name must be oauth2accesstoken (the password is an access token), _json_key (a key file), "
                "or your own address"
            )
        if password.startswith("eyJ") and password.count(".") == 2:
            identity = await self.of_token(password)
            if not secrets.compare_digest(identity.principal.email.encode(), name.strip().lower().encode()):
                raise CredentialInvalid("the token is somebody else's than the user name says")
            return identity
        return await self._remembered(name, password, lambda: self._of_person(request.client, name, password))

    async def _of_registry_token(self, token: str, location: str) -> Identity:
        claims = await self._tokens.verify(token, Kind.REGISTRY, registry_audience(self._audience, location))
        await self._not_revoked(claims)
        principal = await self._principals.load(claims.member, claims.issued_at_us, claims.attributes)
        return Identity(principal, "registry-token", claims.expires_at_us, claims.access or (), family=claims.family or claims.token_id)

    async def _not_revoked(self, claims: Claims) -> None:
        if await self._revocations.is_revoked(claims):
            raise CredentialInvalid("the token was revoked: sign in again")

    async def _remembered(self, name: str, password: str, prove: Callable[[], Awaitable[_Proved]]) -> Identity:
        """Looking at a password takes a tenth of a second of CPU on purpose, so one that was right lately is known by its keyed hash."""
        # Made here, not at the import: processes are forked after that.
        self._salt = self._salt or os.urandom(32)
        digest = hashlib.blake2b(f"{name}\0{password}".encode(), key=self._salt, digest_size=32).digest()
        proved = self._lately(digest)
        if proved is None:
            # A client that opens thirty connections at once would be thirty tries, of which the tenth is blocked.
            async with self._proving.setdefault(digest, asyncio.Lock()):
                proved = self._lately(digest) or await self._prove(digest, prove)
        principal = await self._principals.load(proved.member, proved.at_us)
        return Identity(principal, proved.way, proved.ends_at_us, family=proved.family)

    def _lately(self, digest: bytes) -> _Proved | None:
        if self._proved_at != self._generation.value:
            self._proved.clear()
            self._proved_at = self._generation.value
        proved = self._proved.get(digest)
        return proved if proved is not None and proved.ends_at_us > self._now_us() else None

    async def _prove(self, digest: bytes, prove: Callable[[], Awaitable[_Proved]]) -> _Proved:
        generation = self._generation.value
        proved = await prove()
        if generation == self._proved_at:
            self._proved[digest] = proved
            if len(self._proved) > REMEMBERED:
                self._proved.popitem(last=False)
        return proved

    async def _of_person(self, address: str, name: str, password: str) -> _Proved:
        at_us = self._now_us()
        await self._throttle.attempt(address, name)
        person = await self._people.check_password(name, password)
        if person.has_second_factor:
            raise CredentialInvalid("this account has a second factor: log in with an access token as the password")
        await self._throttle.succeeded(address, name)
        return _Proved(person.member, "password", at_us, at_us + REMEMBERED_US)

    async def _of_key_file(self, text: bytes) -> _Proved:
        """Raises CredentialInvalid."""
        at_us = self._now_us()
        try:
            file = msgspec.json.decode(text, type=_KeyFile)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CredentialInvalid("the password must be the whole key file of a service account, in JSON") from error
        key = await self._keys.verify_private_key(file.client_email, file.private_key_id, file.private_key)
        return _Proved(f"serviceAccount:{key.email}", "key", at_us, min(at_us + REMEMBERED_US, key.valid_before_us), KEY_FAMILY + key.id)


def registry_audience(installation_audience: str, location: str) -> str:
    """A registry token is good at one location: the names in it are that location's."""
    return f"{installation_audience}/{location}"


def authorization(request: Request) -> bytes | None:
    """The header, None if there is none. Raises RequestInvalid for several: a proxy may have looked at another one than we."""
    found = [value for name, value in request.headers if name == b"authorization"]
    if len(found) > 1:
        raise RequestInvalid("there must be one Authorization header")
    return found[0] if found else None


def split(header: bytes) -> tuple[str, str]:
    """(scheme in lower case, the rest). Raises CredentialInvalid."""
    if len(header) > MAX_CREDENTIAL_BYTES:
        raise CredentialInvalid(f"a credential may have {MAX_CREDENTIAL_BYTES} bytes")
    scheme, _, rest = header.decode("latin-1").partition(" ")
    return scheme.lower(), rest.strip()


def _basic(credential: str) -> tuple[str, str]:
    """RFC 7617. Raises CredentialInvalid."""
    try:
        name, colon, password = base64.b64decode(credential, validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise CredentialInvalid("Basic must be followed by base64 of NAME:PASSWORD") from error
    if not colon:
        raise CredentialInvalid("Basic must be followed by base64 of NAME:PASSWORD")
    return name, password


def _plain(password: str) -> bytes:
    try:
        return base64.b64decode("".join(password.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise CredentialInvalid("the password must be base64 of the key file") from error
