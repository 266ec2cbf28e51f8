"""Failed logins, counted by account and address, on both databases."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select

from roadstead.db import schema
from roadstead.db.database import Database, Statement
from roadstead.errors import TooManyRequests
from roadstead.iam.throttle import MOST_FOR_ACCOUNT, MOST_FROM_ADDRESS, Throttle, network
from tests.kit.clock import Clock

pytestmark = pytest.mark.anyio

HERE, THERE = "192.0.2.1", "198.51.100.9"
ALICE = "alice@example.com"
COUNT = Statement(select(func.count()).select_from(schema.login_failures))


@pytest.fixture
def throttle(database: Database, clock: Clock) -> Throttle:
    return Throttle(database, clock)


async def fail(throttle: Throttle, times: int, address: str = HERE, account: str = ALICE) -> None:
    for _ in range(times):
        await throttle.attempt(address, account)


async def wait_seconds(throttle: Throttle, address: str = HERE, account: str = ALICE) -> int:
    with pytest.raises(TooManyRequests) as refused:
        await throttle.attempt(address, account)
    return refused.value.retry_after_seconds


async def test_the_tenth_failure_blocks_the_account_from_everywhere(throttle: Throttle) -> None:
    await fail(throttle, MOST_FOR_ACCOUNT)

    assert 30 == await wait_seconds(throttle)
    assert 30 == await wait_seconds(throttle, THERE)
    await throttle.attempt(THERE, "bob@example.com")


async def test_each_further_failure_doubles_the_block_up_to_a_quarter_of_an_hour(throttle: Throttle, clock: Clock) -> None:
    await fail(throttle, MOST_FOR_ACCOUNT)
    waits = []
    for _ in range(7):
        waits.append(await wait_seconds(throttle))
        clock.go(waits[-1])
        await throttle.attempt(HERE, ALICE)

    assert [30, 60, 120, 240, 480, 900, 900] == waits


async def test_the_fiftieth_failure_blocks_the_address_for_every_account(throttle: Throttle) -> None:
    for number in range(MOST_FROM_ADDRESS):
        await throttle.attempt(HERE, f"person-{number}@example.com")

    assert 30 == await wait_seconds(throttle, HERE, "somebody@example.com")
    await throttle.attempt(THERE, "somebody@example.com")


async def test_a_refused_try_is_not_counted(throttle: Throttle, clock: Clock) -> None:
    await fail(throttle, MOST_FOR_ACCOUNT)
    for _ in range(20):
        await wait_seconds(throttle)
    clock.go(30)

    await throttle.attempt(HERE, ALICE)
    assert 60 == await wait_seconds(throttle)


async def test_a_login_makes_the_account_s_failures_forgotten(throttle: Throttle) -> None:
    await fail(throttle, MOST_FOR_ACCOUNT - 1)
    await throttle.attempt(HERE, ALICE)
    await throttle.succeeded(HERE, ALICE)

    await fail(throttle, MOST_FOR_ACCOUNT)


async def test_logins_that_succeed_do_not_block_their_address(throttle: Throttle) -> None:
    for _ in range(2 * MOST_FROM_ADDRESS):
        await throttle.attempt(HERE, ALICE)
        await throttle.succeeded(HERE, ALICE)


async def test_after_a_quarter_of_an_hour_failures_are_forgotten(throttle: Throttle, clock: Clock) -> None:
    await fail(throttle, MOST_FOR_ACCOUNT - 1)
    clock.go(15 * 60 + 1)

    await fail(throttle, MOST_FOR_ACCOUNT - 1)


async def test_a_thousand_tries_at_once_are_counted_each(throttle: Throttle) -> None:
    """Whoever asks all at once must not get more guesses than whoever asks one by one."""
    tries = await asyncio.gather(*(throttle.attempt(HERE, ALICE) for _ in range(100)), return_exceptions=True)

    assert MOST_FOR_ACCOUNT == sum(each is None for each in tries)
    assert 100 - MOST_FOR_ACCOUNT == sum(isinstance(each, TooManyRequests) for each in tries)


async def test_an_account_is_the_same_however_it_is_written(throttle: Throttle) -> None:
    await fail(throttle, MOST_FOR_ACCOUNT)

    assert 30 == await wait_seconds(throttle, THERE, " ALICE@Example.com ")


async def test_what_is_over_is_removed(throttle: Throttle, clock: Clock, database: Database) -> None:
    await fail(throttle, 1)
    clock.go(15 * 60 + 1)
    await fail(throttle, 1, THERE, "bob@example.com")

    assert 2 == await throttle.purge()
    assert (2,) == tuple(await database.one(COUNT, {}) or ())


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("not an address" * 20, ("not an address" * 20)[:64]),
    ],
)
async def test_one_network_of_ipv6_is_one_address(address: str, counted: str) -> None:
    """Whoever has one such address has 2**64."""
    assert counted == network(address)
