"""
Tokens that are void before their end, because somebody signed out or says so (RFC 7009). Asked from memory at every request.

No token lives longer than a day (signing.LONGEST_LIFE_SECONDS), so what is remembered is what was revoked within one.
"""

from __future__ import annotations

from roadstead.db.database import Database, Transaction
from roadstead.iam.generation import Generation
from roadstead.iam.queries import revocation as queries
from roadstead.iam.signing import LONGEST_LIFE_SECONDS, Clock
from roadstead.iam.tokens import Claims

KEY_FAMILY = "key:"
"""Before a service account's key's id: the family of what was made with it. Only what is older than its revocation is void."""

_US = 1_000_000


class Revocations:
    def __init__(self, database: Database, generation: Generation, now_us: Clock) -> None:
        self._database = database
        self._generation = generation
        self._now_us = now_us
        self._until_us: dict[str, int] = {}
        self._known_as_of = -1

    async def revoke(self, token_id_or_family: str, expires_at_us: int | None = None) -> None:
        """
        From now on, here at once. Until the token's end, which without expires_at_us is the longest that any can have: right for a family,
        whose tokens have different ends. To revoke one twice is to revoke it until the later end.
        """
        now_us = self._now_us()
        until_us = now_us + LONGEST_LIFE_SECONDS * _US if expires_at_us is None else expires_at_us
        if not token_id_or_family or until_us <= now_us:
            return
        async with self._generation.change() as tx:
            await tx.run(queries.ADD, {"id": token_id_or_family, "expires_at_us": until_us})

    async def is_revoked(self, claims: Claims) -> bool:
        """The token or its family. Queries once after each change of accounts or rights, else never."""
        if self._known_as_of != self._generation.value:
            await self._read()
        now_us, until_us = self._now_us(), self._until_us.get(claims.family, 0) if claims.family else 0
        if claims.family.startswith(KEY_FAMILY):
            # A key that is enabled again makes good tokens.
            ends_us = claims.issued_at_us + LONGEST_LIFE_SECONDS * _US
            return self._until_us.get(claims.token_id, 0) > now_us or until_us >= ends_us
        return self._until_us.get(claims.token_id, 0) > now_us or until_us > now_us

    async def purge(self) -> None:
        """Forget those that have ended anyway. A worker calls it now and then."""
        async with self._database.transaction() as tx:
            await tx.run(queries.DELETE_EXPIRED, {"now_us": self._now_us()})

    async def _read(self) -> None:
        # What is read belongs to the number from before: a change meanwhile is read again.
        as_of = self._generation.value
        rows = await self._database.all(queries.ALL, {"now_us": self._now_us()})
        self._until_us, self._known_as_of = {str(row[0]): int(row[1]) for row in rows}, as_of


async def revoke_key(tx: Transaction, key_id: str, now_us: int) -> None:
    """What was made with it up to now, in the transaction of whoever changes the key, who bumps the generation."""
    await tx.run(queries.ADD, {"id": KEY_FAMILY + key_id, "expires_at_us": now_us + LONGEST_LIFE_SECONDS * _US})
