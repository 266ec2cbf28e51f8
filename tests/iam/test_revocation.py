"""Revoked tokens: void at once here and soon elsewhere, asked from memory, forgotten when they would have ended anyway."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from roadstead.db import schema
from roadstead.db.database import Database, Statement
from roadstead.iam.generation import Generation, SharedNumber
from roadstead.iam.keys import Keys
from roadstead.iam.revocation import Revocations
from roadstead.iam.service_accounts import ServiceAccounts
from roadstead.iam.tokens import Claims, Kind
from tests.kit.clock import START_US, Clock

pytestmark = pytest.mark.anyio

HOUR_US = 3_600_000_000
DAY = 86_400


@pytest.fixture
def revocations(database: Database, generation: Generation, clock: Clock) -> Revocations:
    return Revocations(database, generation, clock)


def claims(token_id: str, family: str = "") -> Claims:
    return Claims(Kind.ACCESS, "user:a@example.com", token_id, family, START_US, START_US + HOUR_US, "here", "", None)


async def test_a_revoked_token_is_void_and_no_other(revocations: Revocations) -> None:
    assert not await revocations.is_revoked(claims("one"))

    await revocations.revoke("one", START_US + HOUR_US)

    assert await revocations.is_revoked(claims("one"))
    assert not await revocations.is_revoked(claims("two"))


async def test_with_a_family_all_its_tokens_are_void(revocations: Revocations) -> None:
    await revocations.revoke("family")

    assert await revocations.is_revoked(claims("one", "family"))
    assert await revocations.is_revoked(claims("two", "family"))
    assert not await revocations.is_revoked(claims("three", "other"))


async def test_a_token_without_a_family_is_of_none(revocations: Revocations) -> None:
    await revocations.revoke("")

    assert not await revocations.is_revoked(claims("one"))
    assert not await revocations.is_revoked(claims(""))


async def test_another_node_knows_when_it_has_seen_the_change(revocations: Revocations, other_node: Database, clock: Clock) -> None:
    elsewhere = Generation(other_node, SharedNumber())
    there = Revocations(other_node, elsewhere, clock)
    assert not await there.is_revoked(claims("one"))

    await revocations.revoke("one")
    await elsewhere.seen()

    assert await there.is_revoked(claims("one"))


async def test_a_process_that_starts_later_knows(revocations: Revocations, other_node: Database, clock: Clock) -> None:
    await revocations.revoke("one")

    assert await Revocations(other_node, Generation(other_node, SharedNumber()), clock).is_revoked(claims("one"))


async def test_to_revoke_twice_is_to_revoke_until_the_later_end(revocations: Revocations, clock: Clock) -> None:
    await revocations.revoke("one", START_US + 2 * HOUR_US)
    await revocations.revoke("one", START_US + HOUR_US)
    clock.now_us = START_US + 2 * HOUR_US - 1

    assert await revocations.is_revoked(claims("one"))


async def test_what_has_ended_is_forgotten(revocations: Revocations, database: Database, clock: Clock) -> None:
    await revocations.revoke("one", START_US + HOUR_US)
    await revocations.revoke("family")
    count = Statement(select(func.count()).select_from(schema.revoked_tokens))

    clock.now_us = START_US + HOUR_US
    await revocations.purge()
    assert (1,) == tuple(await database.one(count, {}) or ())
    clock.now_us = START_US + DAY * 1_000_000
    await revocations.purge()
    assert (0,) == tuple(await database.one(count, {}) or ())


async def test_a_token_that_has_ended_need_not_be_revoked(revocations: Revocations, generation: Generation) -> None:
    before = generation.value

    await revocations.revoke("one", START_US)

    assert before == generation.value


async def test_what_a_key_made_ends_with_it_on_every_node_and_a_key_enabled_again_makes_good_tokens(
    database: Database, other_node: Database, generation: Generation, clock: Clock
) -> None:
    elsewhere = Generation(other_node, SharedNumber())
    there = Revocations(other_node, elsewhere, clock)
    keys = Keys(database, generation, clock)
    account = await ServiceAccounts(database, generation, clock).create("my-project", "builder")
    key, _ = await keys.create(account.email)
    other, _ = await keys.create(account.email)
    old = claims("one", f"key:{key.id}")
    assert not await there.is_revoked(old)
    clock.go(10)

    await keys.disable(account.email, key.id)
    await keys.enable(account.email, key.id)
    await elsewhere.seen()

    assert await there.is_revoked(old)
    assert not await there.is_revoked(claims("two", f"key:{other.id}"))
    new = replace(old, token_id="three", issued_at_us=clock() + 1)
    assert not await there.is_revoked(new)

    clock.go(10)
    await keys.delete(account.email, key.id)
    await elsewhere.seen()
    assert await there.is_revoked(new)
