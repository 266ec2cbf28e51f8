"""What a new installation begins with, also when several nodes begin at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import bindparam, insert, select

from roadstead import accounts
from roadstead.config import Settings
from roadstead.db import schema
from roadstead.db.database import Database, Statement
from roadstead.iam.generation import SharedNumber
from roadstead.registry.removal import Removal
from tests.kit.clock import Clock

pytestmark = pytest.mark.anyio

OWNER = "owner@example.com"
ADD_REPOSITORY = Statement(
    insert(schema.repositories).values(location=bindparam("location"), name=bindparam("name"), created_at_us=bindparam("created_at_us"))
)
REPOSITORIES = Statement(select(schema.repositories.c.name))


async def test_a_slow_node_takes_no_rights_away(
    tmp_path: Path, database: Database, other_node: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data=tmp_path)
    here, there = [await accounts.accounts(settings, each, SharedNumber(), clock) for each in (database, other_node)]
    adopt, begun, go_on = accounts._adopt_projects, asyncio.Event(), asyncio.Event()

    async def slow(own: accounts.Accounts, used: Database) -> None:
        begun.set()
        await go_on.wait()
        await adopt(own, used)

    monkeypatch.setattr(accounts, "_adopt_projects", slow)
    late = asyncio.create_task(accounts.first_run(there, other_node, OWNER))
    await begun.wait()
    monkeypatch.setattr(accounts, "_adopt_projects", adopt)
    await accounts.first_run(here, database, OWNER)
    second = "user:second@example.com"
    await here.policies.grant("organization", "roles/owner", second)

    go_on.set()
    await late

    assert second in {member for binding in (await here.policies.get("organization")).bindings for member in binding.members}


async def test_a_link_is_for_an_account_that_is_there(tmp_path: Path, database: Database, clock: Clock) -> None:
    own = await accounts.accounts(Settings(data=tmp_path), database, SharedNumber(), clock)
    assert await accounts.first_run(own, database, OWNER)

    assert "" == await accounts.first_run(own, database, "another@example.com")


async def test_an_image_at_the_project_s_own_name_goes_with_it(database: Database, clock: Clock) -> None:
    names = ["example.com/proj-one", "example.com/proj-one/image", "example.com/proj-one0", "example.com/proj-two"]
    async with database.transaction() as tx:
        for name in names:
            await tx.run(ADD_REPOSITORY, {"location": "us", "name": name, "created_at_us": 1})

    await Removal(database, clock).of_project(b"example.com/proj-one")

    assert names[2:] == sorted(str(name) for (name,) in await database.all(REPOSITORIES, {}))
