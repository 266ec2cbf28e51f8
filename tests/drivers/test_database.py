"""What every database does (db/database.py); a new one joins DATABASES and has to pass all of it."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import bindparam, delete, insert, select, text, update

from roadstead.db import schema
from roadstead.db.database import Database, Statement, Transaction
from roadstead.db.postgres import PostgresDatabase
from roadstead.db.sqlite import SQLiteDatabase, connect
from roadstead.errors import RequestInvalid, StorageBroken
from roadstead.registry import queries
from tests.kit.schemas import give_back, new_database, new_file

pytestmark = pytest.mark.anyio

_settings = schema.settings.c
# Where writers run side by side, what is read in order to be changed is locked.
GET_TO_CHANGE = Statement(select(_settings.value).where(_settings.name == bindparam("name")).with_for_update())
GET = Statement(select(_settings.value).where(_settings.name == bindparam("name")))
ALL = Statement(select(_settings.name, _settings.value).where(_settings.name.like("test %")).order_by(_settings.name))
PUT = Statement(insert(schema.settings).values(name=bindparam("name"), value=bindparam("value")))
CHANGE = Statement(update(schema.settings).where(_settings.name == bindparam("key")).values(value=bindparam("new")))
DROP = Statement(delete(schema.settings).where(_settings.name.like(bindparam("pattern"))))

CONNECTIONS = 4

Open = Callable[[], Database]
"""Another process's door to the same database."""


class Failed(Exception):
    pass


def sqlite(folder: Path) -> Open:
    new_file(folder / "registry.sqlite")
    return lambda: SQLiteDatabase(folder / "registry.sqlite")


def postgres(folder: Path) -> Open:
    """The folder only keeps the address of a database of its own, for other processes."""
    file = folder / "address"
    if not file.exists():
        file.write_text(new_database())
    address = file.read_text()
    return lambda: PostgresDatabase(address, CONNECTIONS)


def done_with(folder: Path) -> None:
    file = folder / "address"
    if file.exists():
        give_back(file.read_text())


DATABASES: dict[str, Callable[[Path], Open]] = {"sqlite": sqlite, "postgres": postgres}
only_sqlite = pytest.mark.parametrize("kind", ["sqlite"])
only_postgres = pytest.mark.parametrize("kind", ["postgres"])


@pytest.fixture(params=DATABASES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def door(kind: str, tmp_path: Path) -> Iterator[Open]:
    yield DATABASES[kind](tmp_path)
    done_with(tmp_path)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def opened(door: Open, count: int = 2) -> AsyncIterator[list[Database]]:
    databases = [door() for _ in range(count)]
    try:
        yield databases
    finally:
        for database in databases:
            await database.close()


async def put(database: Database, name: str, value: bytes = b"x") -> None:
    async with database.transaction() as tx:
        await tx.run(PUT, {"name": f"test {name}", "value": value})


async def names(database: Database) -> list[str]:
    return [name.removeprefix("test ") for name, _ in await database.all(ALL, {})]


async def soon(work: asyncio.Future[None]) -> None:
    """Nothing here takes ten seconds, unless it hangs."""
    await asyncio.wait_for(work, 10)


# Reading and writing


async def test_what_was_committed_is_read(door: Open) -> None:
    async with opened(door) as (database, _):
        await put(database, "a", b"\0\xff any bytes")

        assert (b"\0\xff any bytes",) == await database.one(GET, {"name": "test a"})
        assert ["a"] == await names(database)


async def test_what_is_not_there_is_none_and_an_empty_list(door: Open) -> None:
    async with opened(door) as (database, _):
        assert await database.one(GET, {"name": "test nothing"}) is None
        assert [] == list(await database.all(ALL, {}))


async def test_a_transaction_reads_its_own_writes_and_nobody_else_does(door: Open) -> None:
    async with opened(door) as (database, other):
        async with database.transaction() as tx:
            await tx.run(PUT, {"name": "test a", "value": b"1"})
            assert (b"1",) == await tx.one(GET, {"name": "test a"})
            assert 1 == len(await tx.all(ALL, {}))
            assert [] == await names(database)
            assert [] == await names(other)
        assert ["a"] == await names(database) == await names(other)


async def test_a_run_says_how_many_rows_it_changed(door: Open) -> None:
    async with opened(door) as (database, _), database.transaction() as tx:
        for name in "abc":
            assert 1 == await tx.run(PUT, {"name": f"test {name}", "value": b"1"})
        assert 1 == await tx.run(CHANGE, {"key": "test a", "new": b"2"})
        assert 0 == await tx.run(CHANGE, {"key": "test z", "new": b"2"})
        assert 3 == await tx.run(DROP, {"pattern": "test %"})


@pytest.mark.parametrize("text", ["'; DROP TABLE settings; --", ":name", "%s", "ü 🚢", "a\nb", '"'])
async def test_values_are_never_sql(door: Open, text: str) -> None:
    async with opened(door) as (database, _):
        await put(database, text)

        assert [text] == await names(database)


# All or nothing


async def test_an_error_in_the_block_undoes_all_of_it(door: Open) -> None:
    async with opened(door) as (database, other):
        await put(database, "before")
        with pytest.raises(Failed):
            async with database.transaction() as tx:
                await tx.run(PUT, {"name": "test a", "value": b"1"})
                await tx.run(DROP, {"pattern": "test before"})
                raise Failed

        assert ["before"] == await names(database) == await names(other)
        await put(database, "after")
        assert ["after", "before"] == await names(other)


async def test_a_statement_that_fails_undoes_all_of_it(door: Open) -> None:
    async with opened(door) as (database, other):
        await put(database, "a")
        with pytest.raises(Exception, match=r".+"):
            async with database.transaction() as tx:
                await tx.run(PUT, {"name": "test b", "value": b"1"})
                await tx.run(PUT, {"name": "test a", "value": b"twice"})

        assert ["a"] == await names(database)
        await put(other, "c")
        assert ["a", "c"] == await names(database)


async def test_a_cancelled_block_undoes_all_of_it_and_lets_the_next_in(door: Open) -> None:
    async with opened(door) as (database, other):
        inside = asyncio.Event()

        async def write() -> None:
            async with database.transaction() as tx:
                await tx.run(PUT, {"name": "test a", "value": b"1"})
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(write())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        await soon(asyncio.ensure_future(put(other, "b")))
        await soon(asyncio.ensure_future(put(database, "c")))
        assert ["b", "c"] == await names(database)


# Several at once


async def test_a_read_after_a_commit_is_never_stale(door: Open) -> None:
    """From any instance, at once: a tag read after a 201 must be the new one."""
    async with opened(door, 3) as databases:
        for number in range(60):
            value = str(number).encode()
            async with databases[number % 3].transaction() as tx:
                await tx.run(DROP, {"pattern": "test tag"})
                await tx.run(PUT, {"name": "test tag", "value": value})
            assert [(value,)] * 3 == [await database.one(GET, {"name": "test tag"}) for database in databases]


async def increment(database: Database, name: str) -> None:
    async with database.transaction() as tx:
        row = await tx.one(GET_TO_CHANGE, {"name": name})
        assert row is not None
        await asyncio.sleep(0)  # others run here; none of them may be inside a transaction
        await tx.run(CHANGE, {"key": name, "new": str(int(row[0]) + 1).encode()})


async def test_no_increment_is_lost_among_many_tasks_and_instances(door: Open) -> None:
    async with opened(door, 3) as databases:
        await put(databases[0], "count", b"0")

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            for number in range(90):
                group.create_task(increment(databases[number % 3], "test count"))

        assert (b"90",) == await databases[1].one(GET, {"name": "test count"})


OTHER_PROCESS = """\
import asyncio, sys
from pathlib import Path
from tests.drivers.test_database import DATABASES, increment

async def main():
    database = DATABASES[sys.argv[1]](Path(sys.argv[2]))()
    for _ in range(int(sys.argv[3])):
        await increment(database, "test count")
    await database.close()

asyncio.run(main())
"""


async def test_no_increment_is_lost_among_processes(door: Open, kind: str, tmp_path: Path) -> None:
    async with opened(door) as (database, _):
        await put(database, "count", b"0")
        arguments = [sys.executable, "-c", OTHER_PROCESS, kind, str(tmp_path), "100"]
        root = Path(__file__).parents[2]
        processes = [subprocess.Popen(arguments, cwd=root) for _ in range(2)]

        while any(process.poll() is None for process in processes):
            await increment(database, "test count")
            await asyncio.sleep(0.01)

        assert [0, 0] == [process.returncode for process in processes]
        row = await database.one(GET, {"name": "test count"})
        assert row is not None
        mine = int(row[0]) - 200
        assert mine > 0
        await increment(database, "test count")
        assert (str(mine + 201).encode(),) == await database.one(GET, {"name": "test count"})


class Held:
    """Somebody has a transaction open until let go."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._inside, self._leave = asyncio.Event(), asyncio.Event()

    async def __aenter__(self) -> Held:
        self._task = asyncio.create_task(self._hold())
        await self._inside.wait()
        return self

    async def _hold(self) -> None:
        async with self._database.transaction() as tx:
            await tx.one(GET, {"name": "test"})
            self._inside.set()
            await self._leave.wait()

    async def let_go(self) -> None:
        self._leave.set()
        await soon(self._task)

    async def __aexit__(self, *_: object) -> None:
        await self.let_go()


async def in_the_queue(work: asyncio.Task[None]) -> None:
    """Long enough to have begun to wait, in the loop and in a thread."""
    for _ in range(10):
        await asyncio.sleep(0.005)
    assert not work.done()


@only_sqlite
@pytest.mark.parametrize("same", [True, False], ids=["of the same instance", "of another instance"])
async def test_a_writer_waits_for_the_one_before(door: Open, same: bool) -> None:
    async with opened(door) as (database, other):
        async with Held(database) as held:
            waiting = asyncio.create_task(put(database if same else other, "a"))
            await in_the_queue(waiting)
            assert [] == await names(database), "and reads go on meanwhile"
            await held.let_go()
            await soon(waiting)
        assert ["a"] == await names(database)


@only_sqlite
@pytest.mark.parametrize("same", [True, False], ids=["of the same instance", "of another instance"])
async def test_a_waiter_that_was_cancelled_gives_the_lock_back(door: Open, same: bool) -> None:
    async with opened(door) as (database, other):
        waiter = database if same else other
        async with Held(database):
            waiting = asyncio.create_task(put(waiter, "never"))
            await in_the_queue(waiting)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

        for each in (database, other, database):
            await soon(asyncio.ensure_future(put(each, f"after {id(each)} {len(await names(database))}")))
        assert 3 == len(await names(other))


@only_sqlite
async def test_a_waiter_that_was_cancelled_takes_the_lock_from_nobody(door: Open) -> None:
    """
    One waits and is cancelled, the next of the same instance waits and gets in: the first one's late end must not let a third
    in beside it.
    """
    async with opened(door) as (database, other):
        async with Held(database):
            cancelled = asyncio.create_task(put(other, "never"))
            await in_the_queue(cancelled)
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            inside, leave = asyncio.Event(), asyncio.Event()

            async def hold_next() -> None:
                async with other.transaction() as tx:
                    await tx.run(PUT, {"name": "test second", "value": b"1"})
                    inside.set()
                    await leave.wait()

            second = asyncio.create_task(hold_next())
            await in_the_queue(second)

        await asyncio.wait_for(inside.wait(), 10)
        third = asyncio.create_task(put(database, "third"))
        await in_the_queue(third)
        leave.set()
        await soon(second)
        await soon(third)
        assert ["second", "third"] == await names(database)


# The registry's own upserts, which every database has to be able to do


async def repository(tx: Transaction, name: str = "p/a") -> int:
    row = await tx.one(queries.ADD_REPOSITORY, {"location": "gcr", "name": name, "now_us": 1})
    assert row is not None
    return int(row[0])


async def manifest(tx: Transaction, repository_id: int, digest: str) -> int:
    row = await tx.one(
        queries.ADD_MANIFEST,
        {
            "repository_id": repository_id,
            "digest": digest,
            "media_type": "a/b",
            "artifact_type": "",
            "subject": None,
            "annotations": "{}",
            "size_bytes": 2,
            "payload": b"{}",
            "now_us": 1,
            "image_size_bytes": 2,
            "created_at_ms": None,
        },
    )
    assert row is not None
    return int(row[0])


async def test_a_tag_is_put_and_moved(door: Open) -> None:
    async with opened(door) as (database, other):
        async with database.transaction() as tx:
            repository_id = await repository(tx)
            first, second = [await manifest(tx, repository_id, digest) for digest in ("first", "second")]
            for manifest_id in (first, second):
                await tx.run(queries.PUT_TAG, {"repository_id": repository_id, "tag": "v1", "manifest_id": manifest_id, "now_us": 2})
                expected = "first" if manifest_id == first else "second"
                assert (expected,) == await tx.one(queries.TAGGED_DIGEST, {"repository_id": repository_id, "tag": "v1"})

        assert [("v1",)] == list(await other.all(queries.TAGS, {"repository_id": repository_id, "last": "", "most": 10}))


async def test_a_link_is_added_once_and_protected_anew(door: Open) -> None:
    """A second upload of the same blob renews its protection; it does not take away that a manifest needs it."""
    async with opened(door) as (database, _), database.transaction() as tx:
        repository_id = await repository(tx)
        blob = {"location": "gcr", "digest": "d", "size_bytes": 1, "storage_key": None, "content": b"x", "now_us": 1}
        row = await tx.one(queries.ADD_BLOB, blob)
        assert row is not None
        link = {"repository_id": repository_id, "blob_id": row[0]}
        for now_us, collectable in ((10, True), (20, False)):
            await tx.run(queries.ADD_LINK, {**link, "now_us": now_us})
            found = await tx.all(queries.COLLECTABLE, {"before_us": 15, "most": 10})
            assert collectable == ((repository_id, row[0]) in [tuple(item) for item in found])

        await tx.run(queries.REFERENCE_LINK, link)
        await tx.run(queries.ADD_LINK, {**link, "now_us": 30})

        assert [] == list(await tx.all(queries.COLLECTABLE, {"before_us": 100, "most": 10}))


async def test_the_same_row_twice_is_refused_where_it_must_be_one(door: Open) -> None:
    async with opened(door) as (database, _):
        async with database.transaction() as tx:
            await repository(tx)
        with pytest.raises(Exception, match=r".+"):
            async with database.transaction() as tx:
                await repository(tx)


async def test_a_row_that_others_need_cannot_go(door: Open) -> None:
    """Foreign keys hold: no tag without its manifest."""
    async with opened(door) as (database, _):
        async with database.transaction() as tx:
            repository_id = await repository(tx)
            manifest_id = await manifest(tx, repository_id, "d")
            await tx.run(queries.PUT_TAG, {"repository_id": repository_id, "tag": "v1", "manifest_id": manifest_id, "now_us": 2})
        with pytest.raises(Exception, match=r".+"):
            async with database.transaction() as tx:
                await tx.run(queries.DELETE_MANIFEST, {"manifest_id": manifest_id})

        assert (b"{}", "a/b", "d") == await database.one(queries.MANIFEST_BY_TAG, {"location": "gcr", "name": "p/a", "tag": "v1"})


# Connections of a pool


async def cancelled(work: asyncio.Task[None], after_seconds: float) -> None:
    await asyncio.sleep(after_seconds)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def leftovers(database: Database) -> int:
    """Connections of this database's that are in a transaction and wait for their client."""
    row = await database.one(IDLE_IN_TRANSACTION, {})
    assert row is not None
    return int(row[0])


IDLE_IN_TRANSACTION = Statement(text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"))
SLEEP = Statement(text("SELECT pg_sleep(30)"))
END_ALL_CONNECTIONS = Statement(
    text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
)


@only_postgres
@pytest.mark.parametrize("moment", [0.0, 0.001, 0.003, 0.01, 0.05])
async def test_whatever_a_cancelled_transaction_was_at_its_connection_is_clean_afterwards(door: Open, moment: float) -> None:
    """At its beginning, in a statement, waiting for a lock, between statements or in its commit."""
    async with opened(door) as (database, other):
        await put(database, "count", b"0")

        async def work(number: int) -> None:
            async with database.transaction() as tx:
                await tx.one(GET_TO_CHANGE, {"name": "test count"})
                await tx.run(PUT, {"name": f"test {moment} {number}", "value": b"1"})
                if number % 3 == 1:
                    await tx.one(SLEEP, {})
                await asyncio.sleep(0.002)

        tasks = [asyncio.create_task(work(number)) for number in range(2 * CONNECTIONS)]
        await asyncio.gather(*(cancelled(task, moment) for task in tasks))

        for number in range(2 * CONNECTIONS):
            await soon(asyncio.ensure_future(increment(database, "test count")))
            await soon(asyncio.ensure_future(put(database, f"after {number}")))
        assert 0 == await leftovers(other)
        assert (str(2 * CONNECTIONS).encode(),) == await other.one(GET, {"name": "test count"})


@only_postgres
async def test_connections_that_the_server_ended_are_replaced_unseen(door: Open) -> None:
    """As after its restart: nothing had happened yet, so reads and beginnings are tried again."""
    async with opened(door) as (database, other):
        for number in range(20):
            await put(database, f"{number}")
            await other.all(END_ALL_CONNECTIONS, {})
            assert number + 1 == len(await names(database))
            await other.all(END_ALL_CONNECTIONS, {})


@only_postgres
async def test_a_transaction_whose_connection_broke_is_undone_and_says_so(door: Open) -> None:
    async with opened(door) as (database, other):
        with pytest.raises(StorageBroken):
            async with database.transaction() as tx:
                await tx.run(PUT, {"name": "test lost", "value": b"1"})
                await other.all(END_ALL_CONNECTIONS, {})
                await tx.run(PUT, {"name": "test lost too", "value": b"1"})

        await put(database, "next")
        assert ["next"] == await names(database)


@only_postgres
async def test_a_failure_that_the_block_hides_is_not_taken_for_success(door: Open) -> None:
    """PostgreSQL answers such a COMMIT with ROLLBACK, and no error."""
    async with opened(door) as (database, _):
        await put(database, "a")
        with pytest.raises(StorageBroken):
            async with database.transaction() as tx:
                await tx.run(PUT, {"name": "test b", "value": b"1"})
                with suppress(Exception):
                    await tx.run(PUT, {"name": "test a", "value": b"twice"})

        assert ["a"] == await names(database)


@only_postgres
async def test_nobody_queues_for_ever_when_all_connections_are_busy(door: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadstead.db.postgres.CONNECT_SECONDS", 0.3)
    async with opened(door) as (database, _):
        held = [Held(database) for _ in range(CONNECTIONS)]
        for each in held:
            await each.__aenter__()
        with pytest.raises(StorageBroken):
            await names(database)
        with pytest.raises(StorageBroken):
            await put(database, "a")
        for each in held:
            await each.let_go()
        await put(database, "b")
        assert ["b"] == await names(database)


@only_postgres
async def test_a_text_that_postgresql_cannot_hold_is_the_client_s_mistake(door: Open) -> None:
    async with opened(door) as (database, _):
        with pytest.raises(RequestInvalid):
            await put(database, "nul \0")
        with pytest.raises(RequestInvalid):
            await database.one(GET, {"name": "\0"})


@only_sqlite
def test_processes_that_open_a_new_file_at_one_moment_wait_for_each_other(kind: str, tmp_path: Path) -> None:
    """The first change of the journal's mode locks the file, and SQLite's busy handler is not asked then."""
    for number in range(40):
        file = tmp_path / f"{number}.sqlite"
        sqlite3.connect(file).execute("CREATE TABLE t (a)").connection.close()
        with ThreadPoolExecutor(4) as threads:
            for each in [threads.submit(lambda file=file: connect(file).close()) for _ in range(4)]:
                each.result()
