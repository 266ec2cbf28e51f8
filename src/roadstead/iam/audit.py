"""
The audit log: who did what to which resource, when, from where, and what came of it.

Every write and every refusal is recorded. What a request records is kept in memory and written within a second, many rows in one
transaction, so that no request waits for it; what changes rights is written before its answer is sent (record_now). When the database
takes nothing, memory holds MOST_WAITING rows and then forgets, and counts what it forgot. The log is bounded by age and by number of
rows: a table that only grows fills the disk one day.

What is worth most is what members did, for it changed something; a member's refusal changed nothing; and whoever is nobody (a wrong
password, a token that is none) can be refused as often as they like. So nobody's refusals are one row for each network, method and status
within a flush, are at most STRANGERS_A_MINUTE rows and a tenth of the table, and go first; then go those of members, then what was done.

What clients send (names, user agents) is kept with its control characters written out, so that no line of the log can be forged,
and what looks like a secret is not kept at all.
"""

from __future__ import annotations

import asyncio
import enum
import heapq
import re
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import msgspec

from roadstead.db.database import Database, Row, Statement, Transaction
from roadstead.errors import ReadOnly
from roadstead.iam.credentials import Kind
from roadstead.iam.queries import audit as queries
from roadstead.iam.throttle import network
from roadstead.jobs.schedule import every

FLUSH_SECONDS = 1.0
# On SQLite a batch is the event loop's time: about 2 ms.
BATCH_ROWS = 100
MOST_WAITING = 20_000
KEEP_DAYS = 400
KEEP_ROWS = 1_000_000
TRIM_ROWS = 500
# Between two batches, for whoever waits for the database meanwhile.
TRIM_PAUSE_SECONDS = 0.005
# Rows of refusals that one process writes; what is above is one row for each flush, which says how often.
STRANGERS_A_MINUTE = 60
MEMBER_A_MINUTE = 120
# Of the table: this part of its rows.
STRANGERS_PART = 10
MOST_PAGE = 1000
# Rows one query looks at for what has no index. On SQLite it is the event loop's time.
SCAN_ROWS = 5000

DETAILS_BYTES = 4096
_CHARACTERS = {"member": 320, "method": 200, "project": 100, "resource": 1000, "address": 100, "agent": 300, "request_id": 128}
_DEPTH = 6
_OTHERS = "what is above the rows a minute"

# Control characters, what ends or turns a line in a terminal or a browser, and halves of surrogate pairs, which no database takes.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SECRET_NAME = re.compile(r"pass(word|wd)|secret|token|private.?key|assertion|authorization|cookie|code_verifier|credential|totp", re.I)
# Every secret has one of these; looking for them is faster than the pattern.
_KINDS = [kind.value for kind in Kind]
_HINTS = ("eyJ", *(f"{kind}_" for kind in _KINDS), "-----BEGIN ", "ya29.")
_SECRET = re.compile(
    rf"eyJ[\w-]{{8,}}\.[\w-]+\.?[\w-]*|(?:{'|'.join(_KINDS)})_[\w-]{{20,}}|-----BEGIN [A-Z ]*PRIVATE KEY-----.*|ya29\.[\w.-]{{20,}}", re.S
)


class Outcome(enum.StrEnum):
    OK = "OK"
    DENIED = "DENIED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Entry:
    """
    member is "" for an anonymous caller. method: `docker.manifests.put`, `google.iam.v1.SetIamPolicy`, `signin.password` …

    resource is a path of resources.py; status the HTTP status of the answer; details JSON-able, 4 KiB at most. id: 0 until it is kept.
    """

    at_us: int
    method: str
    outcome: Outcome
    member: str = ""
    project: str = ""
    resource: str = ""
    status: int = 0
    address: str = ""
    agent: str = ""
    request_id: str = ""
    details: Mapping[str, object] = field(default_factory=dict)
    id: int = 0


@dataclass(frozen=True, slots=True)
class Filter:
    """
    What is None does not matter. resource: it and all below it. since_us is included, until_us is not.

    text: in the method, the member, the resource, the agent or the details, in upper or lower case.
    """

    project: str | None = None
    member: str | None = None
    method: str | None = None
    outcome: Outcome | None = None
    resource: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """After which row the next page begins."""

    at_us: int
    id: int


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first. An empty page may have a next one: each looks at a limited number of rows."""

    entries: Sequence[Entry]
    next: Place | None


class Audit:
    """One process's door to the log. recorded, merged and dropped only grow: rows taken, added to an equal one, and forgotten."""

    def __init__(
        self,
        database: Database,
        now_us: Callable[[], int],
        *,
        keep_days: int = KEEP_DAYS,
        keep_rows: int = KEEP_ROWS,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._database = database
        self._now_us = now_us
        self._keep_us = keep_days * 86_400_000_000
        self._keep_rows = keep_rows
        self._most_waiting = most_waiting
        self._allowed: deque[Entry] = deque()
        self._refused: dict[tuple[object, ...], _Repeated] = {}
        self._strange: dict[tuple[object, ...], _Repeated] = {}
        self._minute = 0
        self._rows_of: Counter[str] = Counter()
        self._flushing = asyncio.Lock()
        self.recorded = self.merged = self.dropped = 0

    @property
    def waiting(self) -> int:
        """Rows in memory."""
        return len(self._allowed) + len(self._refused) + len(self._strange)

    def record(self, entry: Entry) -> None:
        """
        Write it within FLUSH_SECONDS. Never waits and never fails.

        The same refusal again within that time is one row that says how often, and so are all of somebody above the rows a minute:
        whoever knocks a thousand times a second must not push out what others did.
        """
        self.recorded += 1
        if _stands_alone(entry):
            self._allowed.append(entry)
        elif not self._counted(entry):
            self.merged += 1
            return
        while self.waiting > self._most_waiting:
            self._drop()

    async def record_now(self, entry: Entry) -> None:
        """Write it now: what changes rights is not answered before it is in the log. Raises StorageError."""
        self.recorded += 1
        async with self._database.transaction() as tx:
            await tx.run(queries.ADD, _row(entry))

    async def record_in(self, tx: Transaction, entry: Entry) -> None:
        """Write it if and only if tx commits."""
        self.recorded += 1
        await tx.run(queries.ADD, _row(entry))

    async def run(self, stop: asyncio.Event) -> None:
        """Flush every FLUSH_SECONDS until stop, and once more."""
        await every(FLUSH_SECONDS, self.flush, stop)
        await self.flush()

    async def flush(self) -> None:
        """
        Write what was recorded, in order, BATCH_ROWS in a transaction. Raises StorageError; what was not written then still waits.
        """
        async with self._flushing:
            allowed, refused, strange = self._allowed, self._refused, self._strange
            self._allowed, self._refused, self._strange = deque(), {}, {}
            merged = ([same.entry() for same in each.values()] for each in (refused, strange))
            entries = list(heapq.merge(allowed, *merged, key=lambda entry: entry.at_us))
            written = 0
            try:
                while batch := entries[written : written + BATCH_ROWS]:
                    async with self._database.transaction() as tx:
                        await tx.run_many(queries.ADD, [_row(entry) for entry in batch])
                    written += len(batch)
            finally:
                self._put_back(entries[written:])

    async def trim(self) -> int:
        """
        Delete what is too old and what is too much, TRIM_ROWS in a transaction, and say how many rows that was.

        Rows are counted, not ids: those of strangers, which are gone sooner, must not make members' seem to be too many.
        """
        deleted = await self._delete(queries.TRIM_OLD, {"before_us": self._now_us() - self._keep_us})
        of_nobody = await self._database.one(queries.LAST_STRANGE, {"skip": self._keep_rows // STRANGERS_PART})
        if of_nobody is not None:
            deleted += await self._delete(queries.TRIM_STRANGE, {"up_to_us": of_nobody[0], "up_to_id": of_nobody[1]})
        last = await self._database.one(queries.LAST, {"skip": self._keep_rows})
        if last is not None:
            deleted += await self._delete(queries.TRIM_MANY, {"up_to_us": last[0], "up_to_id": last[1]})
        return deleted

    async def _delete(self, statement: Statement, parameters: Mapping[str, object]) -> int:
        deleted = 0
        while True:
            async with self._database.transaction() as tx:
                rows = await tx.run(statement, {**parameters, "most": TRIM_ROWS})
            deleted += rows
            if rows < TRIM_ROWS:
                return deleted
            await asyncio.sleep(TRIM_PAUSE_SECONDS)

    async def query(self, wanted: Filter, most: int, after: Place | None = None) -> Page:
        """Newest first, at most `most` (and MOST_PAGE). What waits in this process is written before, so that it is found."""
        with suppress(ReadOnly):
            await self.flush()
        most = max(1, min(most, MOST_PAGE))
        conditions, parameters = _conditions(wanted, after)
        scan = most if conditions <= queries.INDEXED.keys() else max(most, SCAN_ROWS)
        rows = await self._database.all(queries.page(conditions), {**parameters, "scan": scan, "most": most})
        entries = [_entry(row) for row in rows]
        if len(entries) == most:
            return Page(entries, Place(entries[-1].at_us, entries[-1].id))
        end = await self._database.one(
            queries.end_of_window(frozenset(conditions & queries.INDEXED.keys())), {**parameters, "skip": scan - 1}
        )
        return Page(entries, Place(*end) if end else None)

    def _counted(self, entry: Entry) -> bool:
        """A refusal; whether it is a new row."""
        refused = self._refused if entry.member else self._strange
        key = _key(entry)
        if key not in refused and not self._has_room(entry):
            key = (entry.member, _OTHERS)
        same = refused.setdefault(key, _Repeated(entry))
        same.times += 1
        return same.times == 1

    def _has_room(self, entry: Entry) -> bool:
        minute = entry.at_us // 60_000_000
        if minute != self._minute:
            self._minute = minute
            self._rows_of.clear()
        self._rows_of[entry.member] += 1
        return self._rows_of[entry.member] <= (MEMBER_A_MINUTE if entry.member else STRANGERS_A_MINUTE)

    def _drop(self) -> None:
        refused = self._strange or self._refused
        if refused:
            del refused[next(iter(refused))]
        else:
            self._allowed.popleft()
        self.dropped += 1

    def _put_back(self, entries: Sequence[Entry]) -> None:
        """Before what was recorded meanwhile. Repetitions were counted in and stay rows of their own."""
        self._allowed.extendleft(entry for entry in reversed(entries) if _stands_alone(entry))
        refused: dict[tuple[object, ...], _Repeated] = {}
        strange: dict[tuple[object, ...], _Repeated] = {}
        for number, entry in enumerate(entries):
            if not _stands_alone(entry):
                (refused if entry.member else strange)[number, *_key(entry)] = _Repeated(entry, 1)
        self._refused, self._strange = {**refused, **self._refused}, {**strange, **self._strange}
        while self.waiting > self._most_waiting:
            self._drop()


@dataclass(slots=True)
class _Repeated:
    first: Entry
    times: int = 0

    def entry(self) -> Entry:
        return self.first if self.times == 1 else replace(self.first, details={**self.first.details, "repeated": self.times})


def _stands_alone(entry: Entry) -> bool:
    """Something was done. What nobody did to nothing (the revocation of a token that is none, say) was not."""
    return entry.outcome is Outcome.OK and bool(entry.member or entry.project)


def _key(entry: Entry) -> tuple[object, ...]:
    """What makes two refusals the same one again. Of a stranger's, the rest is whatever they like to send."""
    if not entry.member:
        return (network(entry.address), entry.method, entry.outcome, entry.status)
    return (entry.member, entry.method, entry.resource, entry.outcome, entry.status, entry.address, entry.agent)


def _row(entry: Entry) -> dict[str, object]:
    texts = {f"{name}_": clean(str(getattr(entry, name)), most) for name, most in _CHARACTERS.items()}
    return {
        **texts,
        "at_us_": entry.at_us,
        "outcome_": str(entry.outcome),
        "status_": entry.status,
        "details_": _details(entry.details),
    }


def _entry(row: Row) -> Entry:
    number, at_us, member, method, project, resource, outcome, status, address, agent, request_id, details = row
    return Entry(
        id=number,
        at_us=at_us,
        member=member,
        method=method,
        project=project,
        resource=resource,
        outcome=Outcome(outcome),
        status=status,
        address=address,
        agent=agent,
        request_id=request_id,
        details=msgspec.json.decode(details, type=dict[str, object]),
    )


def clean(text: str, most: int) -> str:
    """At most so many characters, none of which moves a cursor, ends a line or turns the direction of writing; secrets left out."""
    text = text[: 4 * most]
    if any(hint in text for hint in _HINTS):
        text = _SECRET.sub("[secret]", text)
    if not (text.isascii() and text.isprintable()):
        text = _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _details(details: Mapping[str, object]) -> str:
    encoded = msgspec.json.encode(_cleaned(dict(details), 0))
    if len(encoded) > DETAILS_BYTES:
        encoded = msgspec.json.encode({"omitted": "more than 4 KiB", "names": [clean(str(name), 60) for name in list(details)[:20]]})
    return encoded.decode()


def _cleaned(value: object, depth: int) -> object:
    if depth > _DEPTH:
        return "…"
    match value:
        case int() if abs(value) >= 1 << 63:
            return str(value)
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {
                clean(str(name), 200): "[secret]" if _SECRET_NAME.search(str(name)) and isinstance(each, str) else _cleaned(each, depth + 1)
                for name, each in value.items()
            }
        case list() | tuple() | set() | frozenset():
            return [_cleaned(each, depth + 1) for each in value]
        case _:
            return clean(str(value), DETAILS_BYTES)


def _conditions(wanted: Filter, after: Place | None) -> tuple[frozenset[str], dict[str, object]]:
    given = {
        "project": wanted.project,
        "member": wanted.member,
        "method": wanted.method,
        "outcome": None if wanted.outcome is None else str(wanted.outcome),
        "resource": None if wanted.resource is None else wanted.resource.rstrip("/"),
        "since": wanted.since_us,
        "until": wanted.until_us,
        "text": None if wanted.text is None else f"%{_pattern(wanted.text)}%",
    }
    # PostgreSQL takes no NUL in a text; one is kept written out.
    texts = {name: value.replace("\0", "\\u0000") if isinstance(value, str) else value for name, value in given.items()}
    parameters: dict[str, object] = {name: value for name, value in texts.items() if value is not None}
    conditions = frozenset(parameters)
    if "resource" in conditions:
        parameters |= {"below": f"{parameters['resource']}/", "length": len(str(parameters["resource"])) + 1}
    if after is not None:
        conditions |= {"before"}
        parameters |= {"before_us": after.at_us, "before_id": after.id}
    return conditions, parameters


def _pattern(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text[:200].replace("\0", "").lower())
