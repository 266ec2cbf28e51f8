"""Removing all notes and occurrences of a project that is gone: in short transactions."""

from __future__ import annotations

from collections.abc import Callable

from roadstead.analysis import assessments
from roadstead.analysis.queries import notes as note_queries
from roadstead.analysis.queries import occurrences as queries
from roadstead.db.database import Database, Statement

BATCH = 200


class Removal:
    def __init__(self, database: Database, now_us: Callable[[], int]) -> None:
        self._database = database
        self._now_us = now_us

    async def of_project(self, arguments: bytes) -> None:
        """
        A job; arguments: the project's id. It may run again and again.

        A note that occurrences of other projects are attached to stays as a name.
        """
        project = arguments.decode()
        await self._all(queries.OF_PROJECT, queries.DELETE, project)
        await self._all(queries.RESOURCES_OF_PROJECT, queries.DELETE_RESOURCE, project)
        after = 0
        while rows := await self._database.all(note_queries.OF_PROJECT, {"project": project, "after": after, "most": BATCH}):
            async with self._database.transaction() as tx:
                for (key,) in rows:
                    await assessments.forget(tx, int(key))
                    if not await tx.run(note_queries.DELETE_FREE, {"which": key}):
                        gone = {"which": key, "nothing": "{}", "now_us": self._now_us()}
                        await tx.run(note_queries.DELETE_ATTACHED, gone)
            after = int(rows[-1][0])

    async def _all(self, some: Statement, delete: Statement, project: str) -> None:
        while rows := await self._database.all(some, {"project": project, "most": BATCH}):
            async with self._database.transaction() as tx:
                await tx.run_many(delete, [{"which": row[0]} for row in rows])
