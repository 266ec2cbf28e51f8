"""The queue: enqueue in the caller's transaction, claim with a lease, finish or fail. At least once, so handlers are idempotent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from roadstead.db import schema
from roadstead.db.database import Reader, Statement, Transaction

LEASE_US = 60_000_000
MAX_BACKOFF_US = 3_600_000_000

_jobs = schema.jobs.c

_ENQUEUE = Statement(
    insert(schema.jobs).values(
        kind=bindparam("kind"),
        arguments=bindparam("arguments"),
        run_at_us=bindparam("now_us"),
        created_at_us=bindparam("now_us"),
    )
)


@lru_cache(32)
def due(kinds: frozenset[str]) -> Statement:
    """Jobs of these kinds that are due and nobody has."""
    return Statement(
        select(_jobs.id, _jobs.kind, _jobs.arguments, _jobs.attempts)
        .where(
            _jobs.run_at_us <= bindparam("now_us"),
            _jobs.claimed_until_us < bindparam("now_us"),
            or_(*(_jobs.kind == kind for kind in sorted(kinds))),
        )
        .order_by(_jobs.run_at_us, _jobs.id)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
    )


_CLAIM = Statement(update(schema.jobs).where(_jobs.id == bindparam("job")).values(claimed_until_us=bindparam("until_us")))
_FINISH = Statement(delete(schema.jobs).where(_jobs.id == bindparam("job")))
_POSTPONE = Statement(update(schema.jobs).where(_jobs.id == bindparam("job")).values(claimed_until_us=0, run_at_us=bindparam("again_us")))
_FAIL = Statement(
    update(schema.jobs)
    .where(_jobs.id == bindparam("job"))
    .values(attempts=_jobs.attempts + 1, claimed_until_us=0, run_at_us=bindparam("again_us"), last_error=bindparam("error"))
)
# Of a queue that has grown without end the first are enough to see it.
MOST_COUNTED = 100_000
_first = select(_jobs.kind, _jobs.created_at_us, _jobs.attempts).order_by(_jobs.run_at_us).limit(MOST_COUNTED).subquery()
_WAITING = Statement(
    select(_first.c.kind, func.count(), func.min(_first.c.created_at_us), func.sum(_first.c.attempts))
    .group_by(_first.c.kind)
    .order_by(_first.c.kind)
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Jobs of one kind that are not done. oldest_us: when the oldest was queued."""

    kind: str
    number: int
    oldest_us: int
    failed_attempts: int


class Postponed(Exception):
    """Raised by a handler that has done nothing yet and must not before until_us."""

    def __init__(self, until_us: int) -> None:
        super().__init__()
        self.until_us = until_us


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    kind: str
    arguments: bytes
    attempts: int


async def enqueue(tx: Transaction, kind: str, arguments: bytes, now_us: int) -> None:
    """The job exists if and only if tx commits."""
    await tx.run(_ENQUEUE, {"kind": kind, "arguments": arguments, "now_us": now_us})


async def claim(tx: Transaction, kinds: frozenset[str], now_us: int, most: int) -> list[Job]:
    """Jobs that are due and nobody has; they are ours for LEASE_US. Other kinds are left to programs that know them."""
    jobs = [Job(*row) for row in await tx.all(due(kinds), {"now_us": now_us, "most": most})]
    for job in jobs:
        await tx.run(_CLAIM, {"job": job.id, "until_us": now_us + LEASE_US})
    return jobs


async def renew(tx: Transaction, job: Job, now_us: int) -> None:
    """Ours for LEASE_US from now."""
    await tx.run(_CLAIM, {"job": job.id, "until_us": now_us + LEASE_US})


async def finish(tx: Transaction, job: Job) -> None:
    await tx.run(_FINISH, {"job": job.id})


async def postpone(tx: Transaction, job: Job, until_us: int) -> None:
    """Not a failure: it is tried at until_us as if for the first time."""
    await tx.run(_POSTPONE, {"job": job.id, "again_us": until_us})


async def fail(tx: Transaction, job: Job, error: str, now_us: int) -> None:
    """Try again later: after 1, 2, 4 … seconds, an hour at most."""
    wait_us = min(MAX_BACKOFF_US, 1_000_000 << min(job.attempts, 12))
    await tx.run(_FAIL, {"job": job.id, "again_us": now_us + wait_us, "error": error[:1000]})


async def waiting(database: Reader) -> list[Waiting]:
    """What is in the queue, of its first MOST_COUNTED jobs."""
    return [Waiting(kind, int(number), int(oldest_us), int(failed)) for kind, number, oldest_us, failed in await database.all(_WAITING, {})]
