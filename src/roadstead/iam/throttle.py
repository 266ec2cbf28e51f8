"""
Failed logins are counted by account and by address; too many block either for a while, which doubles with each further failure.

A try is counted before the password is looked at, so that a thousand tries at once are a thousand. What is counted is what was typed:
an account that does not exist is blocked as one that does, and nobody learns which it is.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable

from roadstead.db.database import Database, Transaction
from roadstead.errors import TooManyRequests
from roadstead.iam.queries import throttle as queries

MOST_FOR_ACCOUNT = 10
MOST_FROM_ADDRESS = 50
WINDOW_US = 15 * 60 * 1_000_000
FIRST_BLOCK_US = 30 * 1_000_000
# Whoever wants somebody else to be locked out gets no more than this.
LONGEST_BLOCK_US = 15 * 60 * 1_000_000
PURGED_AT_ONCE, PURGED_BATCHES = 1000, 100


class Throttle:
    def __init__(self, database: Database, now_us: Callable[[], int]) -> None:
        self._database = database
        self._now_us = now_us

    async def attempt(self, address: str, account: str) -> None:
        """
        Before every look at a password or code: counts as a failure until succeeded() is called.

        Raises TooManyRequests; then nothing was counted.
        """
        now_us = self._now_us()
        blocked_us = 0
        async with self._database.transaction() as tx:
            # Always in this order: two that block each other would wait for ever.
            rows = [(key, most, *await self._locked(tx, key, now_us)) for key, most in _keys(address, account)]
            blocked_us = max(blocked_until_us for *_, blocked_until_us in rows) - now_us
            if blocked_us <= 0:
                for key, most, failures, since_us, _ in rows:
                    await tx.run(queries.PUT, _counted(key, most, failures + 1, since_us, now_us))
        if blocked_us > 0:
            raise blocked(-(-blocked_us // 1_000_000))

    async def succeeded(self, address: str, account: str) -> None:
        """After a complete login: the account starts anew, and the try is not held against the address."""
        now_us = self._now_us()
        (address_key, most), (account_key, _) = _keys(address, account)
        async with self._database.transaction() as tx:
            failures, since_us, _ = await self._locked(tx, address_key, now_us)
            await tx.run(queries.PUT, _counted(address_key, most, max(0, failures - 1), since_us, now_us))
            await tx.run(queries.DELETE, {"of": account_key})

    async def purge(self) -> int:
        """Remove what is over, in short transactions; how many that was."""
        removed = 0
        for _ in range(PURGED_BATCHES):
            async with self._database.transaction() as tx:
                batch = await tx.run(queries.DELETE_OLD, {"until_us": self._now_us() - WINDOW_US, "most": PURGED_AT_ONCE})
            removed += batch
            if batch < PURGED_AT_ONCE:
                break
        return removed

    async def _locked(self, tx: Transaction, key: str, now_us: int) -> tuple[int, int, int]:
        """(failures, since, blocked until); what is WINDOW_US past counts no more."""
        await tx.run(queries.ENSURE, {"key": key, "now_us": now_us})
        row = await tx.one(queries.LOCK, {"of": key})
        assert row is not None
        failures, since_us, blocked_until_us = map(int, row)
        if max(since_us, blocked_until_us) + WINDOW_US < now_us:
            return 0, now_us, 0
        return failures, since_us, blocked_until_us


def blocked(retry_after_seconds: int) -> TooManyRequests:
    return TooManyRequests(f"too many failed logins: try again in {retry_after_seconds} seconds", retry_after_seconds)


def _counted(key: str, most: int, failures: int, since_us: int, now_us: int) -> dict[str, str | int]:
    """The try that is the most-th is still looked at; after it comes the first block."""
    until_us = 0
    if failures >= most:
        until_us = now_us + min(LONGEST_BLOCK_US, FIRST_BLOCK_US << min(failures - most, 16))
    return {"key": key, "failures": failures, "since_us": since_us, "blocked_until_us": until_us}


def _keys(address: str, account: str) -> tuple[tuple[str, int], tuple[str, int]]:
    """What is typed as account may be long or a password by mistake, so it is kept as its digest."""
    name = hashlib.sha256(account.strip().lower().encode("utf-8", "replace")).hexdigest()
    return (f"address:{network(address)}", MOST_FROM_ADDRESS), (f"account:{name}", MOST_FOR_ACCOUNT)


def network(address: str) -> str:
    """Whoever has one IPv6 address has 2**64 of them, so those count together; an address that is none counts as it is."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
