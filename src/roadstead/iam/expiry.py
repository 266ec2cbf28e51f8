"""Who looks ahead: keys of service accounts that are about to end, so that nobody first hears of it from a build that fails."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from roadstead.iam.keys import Keys

WITHIN_SECONDS = 30 * 24 * 3600
WARN_SECONDS = 24 * 3600

_log = structlog.get_logger()


class KeyExpiry:
    """One process's watch; each process that keeps one warns for itself."""

    def __init__(self, keys: Keys, now_us: Callable[[], int]) -> None:
        self._keys = keys
        self._now_us = now_us
        self._warned_at_us: int | None = None

    async def look(self) -> int:
        """How many keys (1,000 at the most) end within 30 days. Once a day each of them is a warning in the log."""
        found = await self._keys.expiring(WITHIN_SECONDS)
        now_us = self._now_us()
        if self._warned_at_us is not None and now_us - self._warned_at_us < WARN_SECONDS * 1_000_000:
            return len(found)
        self._warned_at_us = now_us
        for key in found:
            days = (key.valid_before_us - now_us) // (24 * 3600 * 1_000_000)
            _log.warning(
                "a service account's key expires soon", account=key.email, key=key.id, days=days, used=key.last_used_at_us is not None
            )
        return len(found)
