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
LOOK_SECONDS = 1.0
RENEW_SECONDS = queue.LEASE_US / 3e6

Handler = Callable[[bytes], Awaitable[None]]
"""Takes the job's arguments. It may run twice, when a worker died or lost its database, so it must not mind."""

_log = structlog.get_logger()


class Worker:
    def __init__(self, database: Database, handlers: Mapping[str, Handler], clock: Callable[[], int], at_once: int = AT_ONCE) -> None:
        """at_once: how many jobs run beside each other."""
        self._database = database
        self._handlers = handlers
        self._kinds = frozenset(handlers)
        self._clock = clock
        self._at_once = at_once
        self._is_ending = False

    def end(self) -> None:
        """What runs goes on to its end; nothing else begins."""
        self._is_ending = True

    async def run_due(self) -> int:
        """
        Run what is due until nothing is, at_once at a time; a job that takes long keeps no others from beginning.

        Returns how many jobs that were. Raises StorageError when the database is away.
        """
        ran, running = 0, set[asyncio.Task[None]]()
        try:
            while True:
                room = 0 if self._is_ending else self._at_once - len(running)
                if room > 0:
                    running |= {asyncio.create_task(self._run(job)) for job in await self._claim(room)}
                if not running:
                    return ran
                done, running = await asyncio.wait(running, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                ran += len(done)
                for task in done:
                    task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _claim(self, most: int) -> list[Job]:
        async with self._database.transaction() as tx:
            return await queue.claim(tx, self._kinds, self._clock(), most)

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
        try:
            await self._handlers[job.kind](job.arguments)
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
