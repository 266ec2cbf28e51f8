"""Long-running operations as Google's clients poll them. Those here are done when they begin; what is kept is what they answered."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from roadstead.db.database import Database
from roadstead.errors import ResourceUnknown
from roadstead.iam.queries import projects as queries

KEPT_SECONDS = 30 * 24 * 3600
_BATCH = 1000


class Operations:
    def __init__(self, database: Database, now_us: Callable[[], int]) -> None:
        self._database = database
        self._now_us = now_us

    async def done(self, kind: str, project: str, response: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """
        A google.longrunning.Operation `operations/KIND.NUMBER` that has succeeded, as it will be answered again.

        project: whose members may ask for it.
        """
        name = f"operations/{kind}.{secrets.randbelow(9 * 10**18) + 10**18}"
        operation = {"name": name, "metadata": dict(metadata or {}), "done": True, "response": dict(response)}
        values = {"name": name, "project": project, "payload": msgspec.json.encode(operation).decode(), "now_us": self._now_us()}
        async with self._database.transaction() as tx:
            await tx.run(queries.ADD_OPERATION, values)
        return operation

    async def get(self, name: str) -> tuple[str, dict[str, Any]]:
        """Its project, and the operation. Raises ResourceUnknown."""
        row = await self._database.one(queries.OPERATION, {"name": name.partition("\0")[0]})
        if row is None:
            raise unknown(name)
        return str(row[0]), msgspec.json.decode(row[1], type=dict[str, Any])

    async def purge(self) -> int:
        """Forget those that are KEPT_SECONDS old; how many."""
        before_us = self._now_us() - KEPT_SECONDS * 1_000_000
        async with self._database.transaction() as tx:
            return await tx.run(queries.DELETE_OLD_OPERATIONS, {"before_us": before_us, "most": _BATCH})


def unknown(name: str) -> ResourceUnknown:
    return ResourceUnknown(f"there is no operation {name[:200]}", {"name": name[:200]})
