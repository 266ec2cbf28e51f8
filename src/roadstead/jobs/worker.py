"""A worker: claims jobs that are due and runs the handler of their kind. A handler that fails is tried again later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from roadstead.db.database import Database
from roadstead.errors import StorageError
from roadstead.jobs import queue
from roadstead.jobs.queue import Job, Postponed

AT_ONCE = 8
RENEW_SECONDS = queue.LEASE_US / 3e6

Handler = Callable[[bytes], Awaitable[None]]
"""Takes the job's arguments. It may run twice, when a worker died or lost its database, so it must not mind."""

_log = structlog.get_logger()


class Worker:
    def __init__(self, database: Database, handlers: Mapping[str, Handler], clock: Callable[[], int]) -> None:
        self._database = database
        self._handlers = handlers
        self._clock = clock

    async def run_due(self) -> int:
        """Run what is due until nothing is; returns how many jobs that were. Raises StorageError when the database is away."""
        ran = 0
        while jobs := await self._claim():
            async with asyncio.TaskGroup() as group:
                for job in jobs:
                    group.create_task(self._run(job))
            ran += len(jobs)
        return ran

    async def _claim(self) -> list[Job]:
        async with self._database.transaction() as tx:
            return await queue.claim(tx, self._clock(), AT_ONCE)

    async def _run(self, job: Job) -> None:
        renewing = asyncio.create_task(self._renew(job))
        try:
            error = await self._attempt(job)
        finally:
            renewing.cancel()
        async with self._database.transaction() as tx:
            if isinstance(error, Postponed):
                await queue.postpone(tx, job, error.until_us)
            elif error is None:
                await queue.finish(tx, job)
            else:
                await queue.fail(tx, job, error, self._clock())

    async def _attempt(self, job: Job) -> str | Postponed | None:
        """What went wrong, None if nothing did."""
        handler = self._handlers.get(job.kind)
        if handler is None:
            return f"this program knows no job of kind {job.kind}"
        try:
            await handler(job.arguments)
        except Postponed as postponed:
            return postponed
        except Exception as error:
            _log.warning("job failed", kind=job.kind, job=job.id, attempts=job.attempts + 1, error=str(error))
            return str(error) or type(error).__name__
        return None

    async def _renew(self, job: Job) -> None:
        """The lease of a long job is made longer while its worker lives."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                async with self._database.transaction() as tx:
                    await queue.renew(tx, job, self._clock())
            except StorageError as error:
                _log.warning("lease not renewed", kind=job.kind, job=job.id, error=str(error))
