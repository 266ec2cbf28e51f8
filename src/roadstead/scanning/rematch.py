"""
The second phase: advisories have changed, so the versions of their packages are matched again, and with them all images that have them.

No layer is read, and no image is looked at: what is written is as much as there are versions of the changed packages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from roadstead.db.database import Database, Transaction
from roadstead.scanning import match, queries
from roadstead.scanning.match import Changes, Found, Version

BATCH = 200
VERSIONS = 20
"""Of one package in one transaction: pushes wait for no more than that."""


@dataclass(frozen=True, slots=True)
class _Changed:
    ecosystem: str
    release: str
    name: str
    reason: str
    revision: int

    @property
    def name_of(self) -> dict[str, str]:
        return {"ecosystem": self.ecosystem, "release": self.release, "name": self.name}


class Rematch:
    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._is_running = self._again = False

    async def run(self, _arguments: bytes = b"") -> None:
        """
        The job REMATCH: until no package is left. May run beside itself in other workers; in one, the first does what the others are for,
        and its job is there until it has.

        Raises StorageError.
        """
        self._again = True
        if self._is_running:
            return
        self._is_running = True
        try:
            while self._again:
                self._again = False
                await self.all()
        finally:
            self._is_running = False

    async def all(self) -> Changes:
        """Raises StorageError."""
        total = Changes()
        place = {"after_ecosystem": "", "after_release": "", "after_name": ""}
        while rows := await self._database.all(queries.SOME_CHANGED, {**place, "most": BATCH}):
            for row in rows:
                total.add(await self._package(_Changed(str(row[0]), str(row[1]), str(row[2]), str(row[3]), int(row[4]))))
            place = {"after_ecosystem": rows[-1][0], "after_release": rows[-1][1], "after_name": rows[-1][2]}
        return total

    async def left(self) -> int:
        """Packages that are still to be matched."""
        row = await self._database.one(queries.CHANGED_LEFT, {})
        assert row is not None
        return int(row[0])

    async def _package(self, changed: _Changed) -> Changes:
        total, after = Changes(), ""
        matching = match.Matching(self._database)
        while True:
            versions = await self._database.all(queries.VERSIONS_OF_PACKAGE, {**changed.name_of, "after": after, "most": VERSIONS})
            found = {}
            for version_id, version in versions:
                named = Version(changed.ecosystem, changed.release, changed.name, str(version))
                found[int(version_id)] = await matching.findings(named)
            is_last = len(versions) < VERSIONS
            async with self._database.transaction() as tx:
                row = await tx.one(queries.LOCK_CHANGED, changed.name_of)
                if row is None:
                    # Somebody else has done it.
                    return total
                if int(row[1]) == changed.revision:
                    total.add(await self._write(tx, found, changed.reason))
                    if is_last:
                        await tx.run(queries.DONE_CHANGED, changed.name_of)
            if int(row[1]) != changed.revision:
                # It has changed again since its advisories were read.
                changed, after = replace(changed, reason=str(row[0]), revision=int(row[1])), ""
                matching = match.Matching(self._database)
            elif is_last:
                return total
            else:
                after = str(versions[-1][1])

    async def _write(self, tx: Transaction, found: Mapping[int, Sequence[Found]], reason: str) -> Changes:
        total = Changes()
        for version_id, wanted in found.items():
            if await tx.one(queries.LOCK_VERSION, {"version_id": version_id}) is not None:
                total.add(await match.replace(tx, version_id, wanted, reason, self._clock()))
        return total
