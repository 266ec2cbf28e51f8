"""Secrets that are handed out and come back, on both databases."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from roadstead.db import schema
from roadstead.db.database import Database, Statement
from roadstead.errors import CredentialInvalid
from roadstead.iam.credentials import Credentials, Kind
from tests.kit.clock import Clock

pytestmark = pytest.mark.anyio

ALICE = "user:alice@example.com"
EVERYTHING = Statement(select(*schema.credentials.c))


@pytest.fixture
def revoked() -> list[str]:
    """Families whose access tokens were made void."""
    return []


@pytest.fixture
def credentials(database: Database, clock: Clock, revoked: list[str]) -> Credentials:
    async def revoke(family: str, until_us: int) -> None:
        assert until_us > clock()
        revoked.append(family)

    return Credentials(database, clock, revoke)


async def test_a_secret_leads_to_what_it_was_given_for(credentials: Credentials) -> None:
    secret = await credentials.issue(Kind.SESSION, ALICE, "browser", 60, {"a": "b"})

    found = await credentials.look_up(secret, Kind.SESSION)

    assert (ALICE, "browser", {"a": "b"}) == (found.member, found.client, found.data)


async def test_a_secret_is_256_random_bits_and_says_its_kind(credentials: Credentials) -> None:
    secrets = {await credentials.issue(kind, ALICE, "", 60, {}) for kind in Kind for _ in range(20)}

    assert 20 * len(Kind) == len(secrets)
    assert {4 + 43} == {len(secret) for secret in secrets}
    assert {f"{kind.value}_" for kind in Kind} == {secret[:4] for secret in secrets}


async def test_who_reads_the_database_can_use_nothing_of_it(credentials: Credentials, database: Database) -> None:
    secret = await credentials.issue(Kind.REFRESH, ALICE, "", 60, {})

    rows = await database.all(EVERYTHING, {})

    assert 1 == len(rows)
    assert secret not in repr([list(row) for row in rows])
    for value in rows[0]:
        with pytest.raises(CredentialInvalid):
            await credentials.look_up(str(value), Kind.REFRESH)


@pytest.mark.parametrize("kind", Kind)
async def test_a_secret_is_good_as_what_it_is_only(credentials: Credentials, kind: Kind) -> None:
    secret = await credentials.issue(kind, ALICE, "", 60, {})

    for other in set(Kind) - {kind}:
        for tried in (secret, other.value + secret[3:]):
            with pytest.raises(CredentialInvalid):
                await credentials.look_up(tried, other)


@pytest.mark.parametrize("secret", ["", "rss_", "rss_x", "x", "rss_" + "a" * 43, "rss_" + "a" * 10_000, "rss_\0", "rss_ä"])
async def test_what_was_never_given_is_refused(credentials: Credentials, secret: str) -> None:
    with pytest.raises(CredentialInvalid):
        await credentials.look_up(secret, Kind.SESSION)


async def test_a_secret_ends_with_its_time(credentials: Credentials, clock: Clock) -> None:
    secret = await credentials.issue(Kind.SESSION, ALICE, "", 60, {})
    clock.go(59)
    await credentials.look_up(secret, Kind.SESSION)
    clock.go(1)

    with pytest.raises(CredentialInvalid):
        await credentials.look_up(secret, Kind.SESSION)


async def test_of_many_who_redeem_at_once_one_succeeds(credentials: Credentials) -> None:
    code = await credentials.issue(Kind.CODE, ALICE, "", 60, {})

    tries = await asyncio.gather(*(credentials.redeem(code, Kind.CODE) for _ in range(20)), return_exceptions=True)

    assert 1 == sum(not isinstance(each, BaseException) for each in tries)
    assert 19 == sum(isinstance(each, CredentialInvalid) for each in tries)


async def test_of_many_who_take_at_once_one_succeeds(credentials: Credentials) -> None:
    step = await credentials.issue(Kind.SECOND_STEP, ALICE, "", 60, {})

    tries = await asyncio.gather(*(credentials.take(step, Kind.SECOND_STEP) for _ in range(20)), return_exceptions=True)

    assert 1 == sum(not isinstance(each, BaseException) for each in tries)


async def test_a_second_use_ends_the_whole_family_and_no_other(credentials: Credentials, revoked: list[str]) -> None:
    """RFC 6749, 10.5; RFC 9700, 2.1.1."""
    code = await credentials.issue(Kind.CODE, ALICE, "", 60, {})
    family = (await credentials.redeem(code, Kind.CODE)).family
    mine = await credentials.issue(Kind.REFRESH, ALICE, "", 60, {}, family)
    other = await credentials.issue(Kind.REFRESH, ALICE, "", 60, {})

    with pytest.raises(CredentialInvalid):
        await credentials.redeem(code, Kind.CODE)

    with pytest.raises(CredentialInvalid):
        await credentials.look_up(mine, Kind.REFRESH)
    await credentials.look_up(other, Kind.REFRESH)
    assert [family] == revoked


async def test_what_is_revoked_is_refused(credentials: Credentials, revoked: list[str]) -> None:
    one, two, three = [await credentials.issue(Kind.SESSION, ALICE, "", 60, {}) for _ in range(3)]
    bob = await credentials.issue(Kind.SESSION, "user:bob@example.com", "", 60, {})
    await credentials.revoke(one, Kind.SESSION)
    family = (await credentials.look_up(two, Kind.SESSION)).family
    await credentials.revoke_family(family)
    assert [three] == [three for each in await credentials.list(ALICE, Kind.SESSION) if each.member == ALICE]

    await credentials.revoke_member(ALICE)

    for secret in (one, two, three):
        with pytest.raises(CredentialInvalid):
            await credentials.look_up(secret, Kind.SESSION)
    await credentials.look_up(bob, Kind.SESSION)
    assert [family] == revoked


async def test_what_expired_is_removed(credentials: Credentials, clock: Clock, database: Database) -> None:
    for seconds in (10, 20, 1000):
        await credentials.issue(Kind.SESSION, ALICE, "", seconds, {})
    clock.go(60)

    assert 2 == await credentials.purge()
    assert 1 == len(await database.all(EVERYTHING, {}))
