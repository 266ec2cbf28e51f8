"""The server's own keys: who signs when, how long a signature is good, and that several nodes have the same."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey
from sqlalchemy import select

from roadstead.db import schema
from roadstead.db.database import Database, Row, Statement
from roadstead.errors import ReadOnly
from roadstead.iam.signing import SigningKeys, installation
from tests.drivers.test_database import Open
from tests.kit.clock import Clock

pytestmark = pytest.mark.anyio

HOUR, DAY = 3600, 86_400
IDS = Statement(select(schema.signing_keys.c.id))


@pytest.fixture
def keys(database: Database, clock: Clock) -> SigningKeys:
    return SigningKeys(database, clock)


class Counted:
    """A database that counts its reads."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.reads = 0

    async def one(self, statement: Statement, parameters: dict[str, Any]) -> Row | None:
        self.reads += 1
        return await self.database.one(statement, parameters)

    async def all(self, statement: Statement, parameters: dict[str, Any]) -> Sequence[Row]:
        self.reads += 1
        return await self.database.all(statement, parameters)

    def transaction(self, although_read_only: bool = False) -> Any:
        return self.database.transaction(although_read_only)


# Which key signs


async def test_a_new_installation_makes_its_key_when_it_first_signs(keys: SigningKeys, clock: Clock) -> None:
    key = await keys.current()

    assert "P-256" == key.private.curve_name
    assert key.private.is_private
    assert not key.public.is_private
    assert clock() + 7 * DAY * 1_000_000 == key.signs_until_us
    assert key is await keys.current()
    assert key is await keys.find(key.kid)


async def test_a_key_signs_for_a_week(keys: SigningKeys, clock: Clock) -> None:
    first = await keys.current()
    clock.go(7 * DAY - 1)
    assert first.kid == (await keys.current()).kid
    clock.go(2)

    second = await keys.current()

    assert first.kid != second.kid
    assert first.signs_until_us + 7 * DAY * 1_000_000 == second.signs_until_us


async def test_what_a_key_signed_is_good_for_a_day_after_and_no_longer(keys: SigningKeys, clock: Clock) -> None:
    key = await keys.current()
    clock.go(8 * DAY - 1)
    assert key == await keys.find(key.kid)
    clock.go(1)

    assert await keys.find(key.kid) is None


async def test_the_next_key_is_known_an_hour_before_it_signs(keys: SigningKeys, other_node: Database, clock: Clock) -> None:
    """So a process that was told to look a moment ago, and may not look again, knows it already."""
    first = await keys.current()
    clock.go(7 * DAY - HOUR + 1)
    assert first.kid == (await keys.current()).kid

    published = await SigningKeys(other_node, clock).public()

    clock.go(HOUR)
    following = await keys.current()
    assert [first.kid, following.kid] == [each["kid"] for each in published["keys"]]  # type: ignore[attr-defined]


async def test_keys_that_nothing_needs_any_more_are_deleted(keys: SigningKeys, database: Database, clock: Clock) -> None:
    await keys.current()
    clock.go(60 * DAY)
    await keys.current()

    assert 1 == len(await database.all(IDS, {}))


async def test_a_server_that_was_off_for_a_month_makes_a_new_key(keys: SigningKeys, clock: Clock) -> None:
    first = await keys.current()
    clock.go(30 * DAY)

    assert first.kid != (await keys.current()).kid
    assert await keys.find(first.kid) is None


# Servers that take no writes


async def test_a_server_that_takes_no_writes_goes_on_with_the_key_it_has(keys: SigningKeys, database: Database, clock: Clock) -> None:
    key = await keys.current()
    await database.freeze(clock())
    clock.go(7 * DAY + HOUR)

    assert key.kid == (await keys.current()).kid
    assert key == await keys.find(key.kid)


async def test_without_any_key_a_server_that_takes_no_writes_says_so(keys: SigningKeys, database: Database, clock: Clock) -> None:
    await database.freeze(clock())

    with pytest.raises(ReadOnly):
        await keys.current()


async def test_a_key_that_was_not_committed_never_signs(database: Database, clock: Clock) -> None:
    """A token of such a key would be refused by everybody else."""

    class Broken(Counted):
        def transaction(self, although_read_only: bool = False) -> Any:
            return self._rolled_back(self.database.transaction())

        def _rolled_back(self, real: Any) -> Any:
            class Context:
                async def __aenter__(self) -> Any:
                    return await real.__aenter__()

                async def __aexit__(self, *_: object) -> None:
                    error = OSError("the disk is gone")
                    await real.__aexit__(OSError, error, None)

            return Context()

    keys = SigningKeys(Broken(database), clock)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r".+"):
        await keys.current()

    assert {"keys": []} == await keys.public()
    assert {"keys": []} == await SigningKeys(database, clock).public()


# Looking keys up


async def test_a_known_key_is_found_without_a_query(database: Database, clock: Clock) -> None:
    counted = Counted(database)
    keys = SigningKeys(counted, clock)  # type: ignore[arg-type]
    key = await keys.current()
    counted.reads = 0

    for _ in range(100):
        assert key is await keys.find(key.kid)
        assert key is await keys.current()

    assert 0 == counted.reads


async def test_unknown_keys_cost_one_query_a_second_whoever_asks(database: Database, clock: Clock) -> None:
    counted = Counted(database)
    keys = SigningKeys(counted, clock)  # type: ignore[arg-type]
    await keys.current()
    clock.go(10)
    counted.reads = 0

    found = await asyncio.gather(*(keys.find(f"stranger-{number}") for number in range(200)))
    assert {None} == set(found)
    assert 1 == counted.reads
    clock.go(1)
    await keys.find("stranger")
    await keys.public()
    assert 2 == counted.reads


async def test_a_clock_that_is_set_back_does_not_hide_new_keys(
    keys: SigningKeys, database: Database, other_node: Database, clock: Clock
) -> None:
    there = SigningKeys(other_node, clock)
    await there.find("whatever")
    clock.go(-DAY)
    key = await keys.current()

    found = await there.find(key.kid)

    assert found is not None
    assert key.kid == found.kid


@pytest.mark.parametrize("kid", ["", "\0", "' OR 1=1 --", "\ud800", "x" * 10_000])
async def test_any_text_may_be_asked_for(keys: SigningKeys, kid: str) -> None:
    await keys.current()

    assert await keys.find(kid) is None


# What is published


async def test_only_public_halves_are_published(keys: SigningKeys) -> None:
    key = await keys.current()

    (published,) = (await keys.public())["keys"]  # type: ignore[misc,attr-defined]

    assert {"kty", "crv", "x", "y", "kid", "use", "alg"} == published.keys()
    assert (key.kid, "sig", "ES256") == (published["kid"], published["use"], published["alg"])
    assert key.kid == ECKey.import_key(published).thumbprint()


# Several nodes


async def test_nodes_that_start_at_once_make_one_key(door: Open, clock: Clock) -> None:
    databases = [door() for _ in range(4)]
    try:
        await asyncio.gather(*(each.all(IDS, {}) for each in databases * 4))  # connected, so that they do start at once
        found = await asyncio.gather(*(SigningKeys(each, clock).current() for each in databases * 3))
        names = await asyncio.gather(*(installation(each) for each in databases * 3))
        made = await databases[0].all(IDS, {})
    finally:
        for each in databases:
            await each.close()

    assert {key.kid for key in found} == {row[0] for row in made}
    assert 1 == len(made)
    assert 1 == len(set(names))


async def test_nodes_agree_on_the_next_key_as_well(door: Open, clock: Clock) -> None:
    databases = [door() for _ in range(4)]
    try:
        nodes = [SigningKeys(each, clock) for each in databases]
        first = {(await node.current()).kid for node in nodes}
        clock.go(7 * DAY + 1)
        second = {key.kid for key in await asyncio.gather(*(node.current() for node in nodes))}
    finally:
        for each in databases:
            await each.close()

    assert 1 == len(first)
    assert 1 == len(second)
    assert first != second


_PROCESS = """
import asyncio, sys
from pathlib import Path
from roadstead.db.postgres import PostgresDatabase
from roadstead.db.sqlite import SQLiteDatabase
from roadstead.iam.signing import SigningKeys, installation

async def main(folder):
    address = folder / "address"
    database = PostgresDatabase(address.read_text(), 2) if address.exists() else SQLiteDatabase(folder / "registry.sqlite")
    key = await SigningKeys(database, lambda: 1_790_000_000_000_000).current()
    print(key.kid, await installation(database))
    await database.close()

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.slow
async def test_processes_that_start_at_once_agree(door: Open, tmp_path: Path) -> None:
    running = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", _PROCESS, str(tmp_path), stdout=subprocess.PIPE) for _ in range(4)
    ]

    said = [(await each.communicate())[0] for each in running]

    assert [0] * 4 == [each.returncode for each in running]
    assert 1 == len(set(said))


async def test_an_installation_keeps_its_name(database: Database, other_node: Database) -> None:
    name = await installation(database)

    assert 32 == len(name)
    assert name == await installation(other_node) == await installation(database)
