"""
Secrets that are handed out and come back: sessions, authorization codes, refresh tokens, one-time links.

Only their SHA-256 is kept: 256 random bits need no slow hash, and whoever reads the database can use none of them. What came from one
login is one family and can be void together. A one-time secret that comes a second time was stolen by somebody, nobody knows who of
the two is honest, so its whole family ends (RFC 6749, 10.5; RFC 9700, 2.1.1).
"""

from __future__ import annotations

import enum
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec

from roadstead.db.database import Database, Row, Transaction
from roadstead.errors import CredentialInvalid
from roadstead.iam.queries import credentials as queries

SECRET_BYTES = 32
MOST_SECRET_CHARACTERS = 128
MOST_LISTED = 100
PURGED_AT_ONCE, PURGED_BATCHES = 1000, 100
# No access token lives longer (iam/signing.py), so a family that is void for so long is void for ever.
LONGEST_TOKEN_US = 24 * 3600 * 1_000_000

RevokeTokens = Callable[[str, int], Awaitable[None]]
"""Takes a family and until when (microseconds) access tokens of it must be refused."""


class Kind(enum.Enum):
    """
    The value begins the secret, so that a leaked one is recognised by scanners, and is never taken for another kind.

    REFRESH: good at the token endpoint. DOCKER: docker's refresh token, good at the registry's token service.
    """

    CODE = "rsc"
    REFRESH = "rsr"
    DOCKER = "rsd"
    SESSION = "rss"
    LINK = "rsl"
    SECOND_STEP = "rsp"
    RECOVERY = "rsv"


ONE_TIME = frozenset({Kind.CODE, Kind.LINK})


@dataclass(frozen=True, slots=True)
class Credential:
    """member: `user:…`, whose it is. client: the OAuth client it was given to, or "". id: what names it in lists; no secret."""

    kind: Kind
    member: str
    client: str
    family: str
    data: dict[str, str]
    created_at_us: int
    expires_at_us: int
    id: str


class Credentials:
    """revoke_tokens: makes the access tokens of a family void, which no table here knows of."""

    def __init__(self, database: Database, now_us: Callable[[], int], revoke_tokens: RevokeTokens | None = None) -> None:
        self._database = database
        self._now_us = now_us
        self._revoke_tokens = revoke_tokens

    async def issue(self, kind: Kind, member: str, client: str, lifetime_seconds: int, data: Mapping[str, str], family: str = "") -> str:
        """A new secret, `PREFIX_` and 43 characters. family "" begins a new one. It is seen once: here."""
        async with self._database.transaction() as tx:
            return await self.issue_in(tx, kind, member, client, lifetime_seconds, data, family)

    async def issue_in(
        self, tx: Transaction, kind: Kind, member: str, client: str, lifetime_seconds: int, data: Mapping[str, str], family: str = ""
    ) -> str:
        """As issue(), if and only if tx commits."""
        secret = f"{kind.value}_{secrets.token_urlsafe(SECRET_BYTES)}"
        await keep(tx, kind, secret, member, client, self._now_us(), lifetime_seconds, data, family or new_family())
        return secret

    async def look_up(self, secret: str, kind: Kind) -> Credential:
        """What it stands for; it can be used again. Raises CredentialInvalid."""
        row = await self._database.one(queries.GET, {"secret_hash": _hash(secret, kind)})
        if row is None or row[7] is not None:
            raise invalid()
        return self._valid(row, kind)

    async def redeem(self, secret: str, kind: Kind) -> Credential:
        """
        Use a one-time secret up. It stays known as used until it expires.

        Raises CredentialInvalid; at its second use also its family and that family's access tokens are void.
        """
        replayed = ""
        async with self._database.transaction() as tx:
            row = await tx.one(queries.LOCK, {"secret_hash": _hash(secret, kind)})
            if row is not None and row[7] is not None:
                replayed = str(row[3])
                await tx.run(queries.DELETE_FAMILY, {"family_id": replayed})
            elif row is not None and kind in ONE_TIME:
                await tx.run(queries.USE, {"secret_hash": _hash(secret, kind), "now_us": self._now_us()})
        if replayed:
            await self._void(replayed)
        if row is None or replayed:
            raise invalid()
        return self._valid(row, kind)

    async def take(self, secret: str, kind: Kind) -> Credential:
        """Remove it and say what it stood for: of several who come at once one succeeds. Raises CredentialInvalid."""
        key = {"secret_hash": _hash(secret, kind)}
        async with self._database.transaction() as tx:
            row = await tx.one(queries.LOCK, key)
            if row is not None:
                await tx.run(queries.DELETE, key)
        if row is None or row[7] is not None:
            raise invalid()
        return self._valid(row, kind)

    async def extend(self, secret: str, kind: Kind, lifetime_seconds: int) -> None:
        """It lives so long from now on."""
        until_us = self._now_us() + lifetime_seconds * 1_000_000
        async with self._database.transaction() as tx:
            await tx.run(queries.EXTEND, {"secret_hash": _hash(secret, kind), "until_us": until_us})

    async def list(self, member: str, kind: Kind) -> list[Credential]:
        """The newest first, MOST_LISTED at the most."""
        parameters = {"member": member, "kind": kind.value, "now_us": self._now_us(), "most": MOST_LISTED}
        return [_credential(row) for row in await self._database.all(queries.OF_MEMBER, parameters)]

    async def revoke(self, secret: str, kind: Kind) -> None:
        """Nothing happens when there is none."""
        async with self._database.transaction() as tx:
            await tx.run(queries.DELETE, {"secret_hash": _hash(secret, kind)})

    async def revoke_family(self, family: str) -> None:
        """All that came from one login, access tokens too."""
        async with self._database.transaction() as tx:
            await tx.run(queries.DELETE_FAMILY, {"family_id": family})
        await self._void(family)

    async def revoke_member(self, member: str, kind: Kind | None = None) -> None:
        """All that the member holds (of one kind). Access tokens end by the account's valid_from_us, see People."""
        async with self._database.transaction() as tx:
            if kind is None:
                await tx.run(queries.DELETE_ALL_OF_MEMBER, {"whose": member})
            else:
                await tx.run(queries.DELETE_KIND_OF_MEMBER, {"whose": member, "what": kind.value})

    async def purge(self) -> int:
        """Remove what expired, in short transactions; how many that was."""
        removed = 0
        for _ in range(PURGED_BATCHES):
            async with self._database.transaction() as tx:
                batch = await tx.run(queries.DELETE_EXPIRED, {"until_us": self._now_us(), "most": PURGED_AT_ONCE})
            removed += batch
            if batch < PURGED_AT_ONCE:
                break
        return removed

    async def _void(self, family: str) -> None:
        if self._revoke_tokens is not None:
            await self._revoke_tokens(family, self._now_us() + LONGEST_TOKEN_US)

    def _valid(self, row: Row, kind: Kind) -> Credential:
        found = _credential(row)
        if found.kind is not kind or found.expires_at_us <= self._now_us():
            raise invalid()
        return found


async def keep(
    tx: Transaction,
    kind: Kind,
    secret: str,
    member: str,
    client: str,
    now_us: int,
    lifetime_seconds: int,
    data: Mapping[str, str],
    family: str,
) -> None:
    """A secret made elsewhere, if tx commits."""
    row = {
        "hash": _hash(secret, kind),
        "kind": kind.value,
        "member": member,
        "client": client,
        "family": family,
        "data": msgspec.json.encode(dict(data)).decode(),
        "created_at_us": now_us,
        "expires_at_us": now_us + lifetime_seconds * 1_000_000,
    }
    await tx.run(queries.ADD, row)


def new_family() -> str:
    return secrets.token_hex(16)


def invalid() -> CredentialInvalid:
    return CredentialInvalid("this secret is unknown, expired or used up: sign in again")


def _hash(secret: str, kind: Kind) -> str:
    """Raises CredentialInvalid for what cannot be of the kind, without a look at the database."""
    if len(secret) > MOST_SECRET_CHARACTERS or not secret.isascii() or not secret.startswith(f"{kind.value}_"):
        raise invalid()
    return hashlib.sha256(secret.encode()).hexdigest()


def _credential(row: Row) -> Credential:
    kind, member, client, family, data, created_at_us, expires_at_us, _, hashed = row
    decoded = msgspec.json.decode(data, type=dict[str, str])
    return Credential(Kind(kind), member, client, family, decoded, int(created_at_us), int(expires_at_us), str(hashed))
