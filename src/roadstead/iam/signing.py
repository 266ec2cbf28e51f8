"""
The keys that this server signs its tokens with: ECDSA on P-256 (ES256), in the database, so that every process and node has the same.

A key signs for a week; what it signed is good until a day later, which is longer than any token lives. The next key is made an hour before
it is needed, so that everybody knows it before the first token that it signs.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from joserfc.jwk import ECKey

from roadstead.db.database import Database, Transaction
from roadstead.errors import ReadOnly, StorageBroken
from roadstead.iam.queries import signing as queries

ALGORITHM = "ES256"
SIGNS_SECONDS = 7 * 24 * 3600
LONGEST_LIFE_SECONDS = 24 * 3600
"""A token that is signed at a key's last moment can still be verified for this long."""
AHEAD_SECONDS = 3600
INSTALLATION = "installation"

_US = 1_000_000
# What a stranger's made-up kid may cost: one query in this time.
_LOOK_AGAIN_US = 1 * _US

Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Key:
    """private signs, public verifies. Tokens of a key that is past retires_at_us are void."""

    kid: str
    private: ECKey
    public: ECKey
    signs_until_us: int
    retires_at_us: int


class SigningKeys:
    """
    One process's view of the keys. Looked up in memory; the database is asked when a key is due, and for an unknown kid at most once a
    second, whoever asks.
    """

    def __init__(self, database: Database, now_us: Clock) -> None:
        self._database = database
        self._now_us = now_us
        self._keys: dict[str, Key] = {}
        self._read_at_us = 0
        self._reading = asyncio.Lock()
        self._making = asyncio.Lock()

    async def current(self) -> Key:
        """
        The key to sign with. Makes one when none is there, and the next one in time; nodes that do so at the same moment get the same.
        A server that takes no writes goes on with the key it has, as long as that verifies.

        Raises ReadOnly when there is none at all, StorageError.
        """
        signing = self._signing()
        if signing and not self._next_is_due(self._keys.values()):
            return signing
        async with self._making:
            if self._next_is_due(self._keys.values()):
                await self._provide_next()
        found = self._signing() or self._last()
        if found is None:
            raise StorageBroken("the key to sign tokens with is not there, although it was just made")
        return found

    async def find(self, kid: str) -> Key | None:
        """Of our own keys only, and only while it verifies. No query when the kid is known."""
        if kid not in self._keys:
            await self._look_again()
        key = self._keys.get(kid)
        return key if key is not None and key.retires_at_us > self._now_us() else None

    async def public(self) -> dict[str, object]:
        """The public keys of all that verify, as a JSON Web Key Set (RFC 7517)."""
        await self._look_again()
        return {"keys": [{**key.public.as_dict(private=False), "kid": key.kid, "use": "sig", "alg": ALGORITHM} for key in self._live()]}

    def _live(self) -> list[Key]:
        now_us = self._now_us()
        return sorted((key for key in self._keys.values() if key.retires_at_us > now_us), key=lambda key: (key.signs_until_us, key.kid))

    def _signing(self) -> Key | None:
        now_us = self._now_us()
        return next((key for key in self._live() if key.signs_until_us > now_us), None)

    def _next_is_due(self, keys: Iterable[Key]) -> bool:
        return max((key.signs_until_us for key in keys), default=0) - self._now_us() < AHEAD_SECONDS * _US

    async def _provide_next(self) -> None:
        try:
            async with self._database.transaction() as tx:
                await _lock_installation(tx)
                known = [_key(row) for row in await tx.all(queries.KEYS, {"now_us": self._now_us()})]
                if self._next_is_due(known):
                    await self._make(tx, known)
        except ReadOnly:
            await self._read()
            if self._last() is None:
                raise
        else:
            # Only what is committed signs.
            await self._read()

    async def _look_again(self) -> None:
        async with self._reading:
            # Also when the clock was set back.
            if not 0 <= self._now_us() - self._read_at_us < _LOOK_AGAIN_US:
                await self._read()

    def _last(self) -> Key | None:
        live = self._live()
        return live[-1] if live else None

    async def _make(self, tx: Transaction, known: list[Key]) -> None:
        now_us = self._now_us()
        key = ECKey.generate_key("P-256", private=True)
        last_us = max((each.signs_until_us for each in known), default=0)
        signs_until_us = max(now_us, last_us) + SIGNS_SECONDS * _US
        await tx.run(
            queries.ADD_KEY,
            {
                "id": key.thumbprint(),
                "private_key": key.as_pem(private=True).decode(),
                "now_us": now_us,
                "signs_until_us": signs_until_us,
                "retires_at_us": signs_until_us + LONGEST_LIFE_SECONDS * _US,
            },
        )
        await tx.run(queries.DELETE_RETIRED, {"before_us": now_us})

    async def _read(self) -> None:
        now_us = self._now_us()
        rows = await self._database.all(queries.KEYS, {"now_us": now_us})
        self._read_at_us = now_us
        self._keys = {str(row[0]): self._keys.get(str(row[0])) or _key(row) for row in rows}


def _key(row: Sequence[object]) -> Key:
    kid, pem, signs_until_us, retires_at_us = row
    private = ECKey.import_key(str(pem))
    return Key(str(kid), private, ECKey.import_key(private.as_pem(private=False)), int(str(signs_until_us)), int(str(retires_at_us)))


async def installation(database: Database) -> str:
    """
    The random name of this installation, the same for every process and node, made when it is first asked for. It is in the issuer and
    the audience of tokens, so that those of one installation are nothing to another.

    Raises ReadOnly when there is none yet on a server that takes no writes.
    """
    row = await database.one(queries.INSTALLATION, {"name": INSTALLATION})
    if row is None:
        async with database.transaction() as tx:
            return await _lock_installation(tx)
    return bytes(row[0]).decode()


async def _lock_installation(tx: Transaction) -> str:
    await tx.run(queries.ADD_INSTALLATION, {"name": INSTALLATION, "value": secrets.token_hex(16).encode()})
    row = await tx.one(queries.LOCK_INSTALLATION, {"name": INSTALLATION})
    if row is None:
        raise StorageBroken("the name of this installation is not there, although it was just written")
    return bytes(row[0]).decode()
